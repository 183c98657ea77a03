//! The `wattkeeper` binary.

fn main() {}
