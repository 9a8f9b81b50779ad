//! Fine-tuning with a frozen zero-shot head and contrastive pretraining, resumable.
