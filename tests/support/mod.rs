//! What tests of the whole controller share: a Prometheus that answers as it is told, and a rig
//! of cluster, clock and controllers.
#![allow(dead_code, reason = "every test file uses another part of this")]
#![allow(unreachable_pub, reason = "a test module has no outside")]

pub mod pods;
pub mod prometheus;
pub mod rig;

use std::sync::Once;

use tipoff::units::Timestamp;

/// Installs the TLS provider that HTTP clients look for.
pub fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // a second test binary in this process would have installed the same one
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A time from its text.
pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
