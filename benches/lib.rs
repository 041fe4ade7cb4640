//! The benchmarks are in `join.rs`: `cargo bench -p straggler-benches`.
