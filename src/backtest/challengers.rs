//! Who is scored beside the forecaster that decides: models that know no fixtures.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::BacktestError;
use super::forecasts::{BlockScores, Targets, score};
use super::origin::Protocol;
use super::replay::Replay;
use crate::forecast::{Evidence, Fit, Mstl, SeasonalNaive};
use crate::units::Timestamp;

/// Least time between two fits of MSTL: it takes tenths of a second, and its seasons do not change
/// within a day.
const MSTL_REFIT: TimeDelta = TimeDelta::hours(24);

/// A model to be scored for comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Challenger {
    /// Yesterday at the same time.
    NaiveDay,
    /// A week ago at the same time.
    NaiveWeek,
    /// Seasons of a day and a week by MSTL, level by ETS. Not scored as a nowcast: it is no
    /// model for the next minutes, and thousands of origins would take minutes.
    Mstl,
}

impl Challenger {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NaiveDay, Self::NaiveWeek, Self::Mstl];

    /// As it stands in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NaiveDay => "seasonal-naive (day)",
            Self::NaiveWeek => "seasonal-naive (week)",
            Self::Mstl => "mstl",
        }
    }

    /// Whether it is scored under a protocol.
    fn takes(self, protocol: Protocol) -> bool {
        self != Self::Mstl || protocol != Protocol::N15
    }

    /// Its scores under some protocols, fitted again every `refit` over `span`.
    ///
    /// # Errors
    /// When it could not be fitted at an origin.
    pub fn scored(
        self,
        known: Evidence<'_>,
        targets: &Targets,
        protocols: &[Protocol],
        refit: TimeDelta,
        span: (Timestamp, Timestamp),
    ) -> Result<Vec<BlockScores>, BacktestError> {
        match self {
            Self::NaiveDay => self.run(&SeasonalNaive::DAY, known, targets, protocols, refit, span),
            Self::NaiveWeek => {
                self.run(&SeasonalNaive::WEEK, known, targets, protocols, refit, span)
            }
            Self::Mstl => {
                let refit = refit.max(MSTL_REFIT);
                self.run(&Mstl, known, targets, protocols, refit, span)
            }
        }
    }

    fn run<F: Fit>(
        self,
        model: &F,
        known: Evidence<'_>,
        targets: &Targets,
        protocols: &[Protocol],
        refit: TimeDelta,
        span: (Timestamp, Timestamp),
    ) -> Result<Vec<BlockScores>, BacktestError> {
        let protocols: Vec<Protocol> = protocols
            .iter()
            .copied()
            .filter(|&protocol| self.takes(protocol))
            .collect();
        let mut replay = Replay::new(model, known, refit, span);
        score(&mut replay, targets, &protocols, |_, _| {}).map_err(|source| BacktestError::Fit {
            model: self.name(),
            from: targets.from,
            source,
        })
    }
}
