//! Tests of the public interface, in one binary so that they link once.
#![expect(
    clippy::unwrap_used,
    reason = "what the tests are built from must exist"
)]
#![expect(clippy::print_stderr, reason = "a skipped test says so")]

mod captions;
mod damage;
mod fixture;
mod formats;
mod labels;
mod local;
mod multiple_choice;
mod pixels;
mod real;
mod splits;
mod tars;
mod writing;
