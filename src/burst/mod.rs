//! The fast loop's core: a spike seen in its first samples, sized, held and let go.
//!
//! Pure like everything that decides: the controller's one-second loop, the replay and the tests
//! hand it live samples and the time.

mod chart;
mod climb;
pub mod detector;
mod follow;
pub mod headroom;
mod heard;
mod recent;
pub mod sample;
mod scatter;
pub mod spike;
pub mod watch;

pub use detector::{Alarm, Detector};
pub use sample::{Hint, LiveSample, SampleError};
pub use spike::SpikeSizes;
pub use watch::{BurstDemand, BurstPolicy, Expected, LearntSpikes, News, Watch};

#[cfg(test)]
mod stories;
