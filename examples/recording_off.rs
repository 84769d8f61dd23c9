//! Built without the feature `enable`, recording calls compile to nothing: no ring, no thread-local, no clock.
//!
//! `cargo run --no-default-features --example recording_off`

use afferent::ring::{Registry, RegistryConfig};

fn main() {
    let registry = Registry::new(RegistryConfig::default());
    let histogram = registry.histogram("latency").register().expect("the name is allowed");
    let counter = registry.counter("calls").register().expect("the name is allowed");
    for i in 0..1_000_000 {
        histogram.record(f64::from(i));
        counter.add(1);
    }
    // A recorder would have joined the registry: that none did shows that no call did anything.
    assert_eq!(registry.has_joiners(), cfg!(feature = "enable"));
    println!("recording is {}", if registry.has_joiners() { "on" } else { "off" });
}
