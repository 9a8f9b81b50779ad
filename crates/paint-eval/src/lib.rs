//! Accuracy with intervals and paired tests for zero-shot classifiers.
