//! What `cargo bench --bench failover` makes of its measurements. A benchmark without the test harness
//! runs no tests, so its pure parts are included here by their paths.

#[path = "../../benches/failover/measure.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod measure;
#[path = "../../benches/failover/numbers.rs"]
#[allow(dead_code, reason = "the benchmark uses the rest")]
mod numbers;
#[path = "../../benches/failover/report/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the benchmark uses the rest")]
mod report;

mod measures;
mod ratios;
mod reports;
