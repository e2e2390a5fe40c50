//! Nothing: the benchmarks are in `updates.rs`. What they compare with are development dependencies, which an ordinary build
//! does not see.
