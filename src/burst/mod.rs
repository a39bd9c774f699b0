//! The fast loop's core: a spike seen in its first samples, sized, held and let go.
//!
//! Pure like everything that decides: the controller's one-second loop, the replay and the tests
//! hand it live samples and the time.

pub mod sample;

pub use sample::{Hint, LiveSample, SampleError};
