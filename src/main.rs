//! The only place that exits the process.

fn main() {}
