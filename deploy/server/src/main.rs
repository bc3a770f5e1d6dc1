//! The kymograph binary.
fn main() {}
