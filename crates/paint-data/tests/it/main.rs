//! Tests of the public interface, in one binary so that they link once.

mod captions;
mod damage;
mod fixture;
mod formats;
mod labels;
mod local;
mod pixels;
mod real;
mod splits;
mod writing;
