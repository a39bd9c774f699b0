//! Always enough for the largest load of the whole span, known by hindsight.

use std::ops::RangeInclusive;

use super::super::policies::{ScalingPolicy, Sight};
use super::{largest, replicas_for};
use crate::series::Series;
use crate::units::{Rate, Timestamp};

/// A fixed size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticPeak {
    replicas: u32,
}

impl StaticPeak {
    /// The size that serves the largest load in `[from, to)`.
    pub fn new(load: &Series, from: Timestamp, to: Timestamp, per_replica: Rate) -> Self {
        Self::of(replicas_for(largest(load, from, to), per_replica).max(1))
    }

    /// The nearest of the sizes that are allowed.
    #[must_use]
    pub fn within(self, sizes: &RangeInclusive<u32>) -> Self {
        Self::of(self.replicas.clamp(*sizes.start(), *sizes.end()))
    }

    /// A given size.
    pub const fn of(replicas: u32) -> Self {
        Self { replicas }
    }

    /// The size.
    pub const fn replicas(self) -> u32 {
        self.replicas
    }
}

impl ScalingPolicy for StaticPeak {
    fn name(&self) -> &'static str {
        "static-peak"
    }

    fn decide(&mut self, _: &Sight<'_>, _: Timestamp) -> u32 {
        self.replicas
    }
}
