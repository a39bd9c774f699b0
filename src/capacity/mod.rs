//! What a replica carries and how long one takes to arrive: learnt from what the cluster shows.
//!
//! A typed value in the policy is an override; these estimates are what holds without one.

pub mod per_replica;
pub mod scale_up_time;

pub use per_replica::CapacityEstimate;
pub use scale_up_time::ScaleUpTimes;
