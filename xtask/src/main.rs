//! The runner of the paint workspace.
fn main() {}
