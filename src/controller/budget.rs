//! How fast sizes are written: a token bucket over all workloads, in real time, in which raising
//! goes before lowering. Pure: it is told the time.
//!
//! kube-controller-manager makes pods at 20 calls a second by default; an autoscaler that sets a
//! thousand sizes at once only fills its queue.

use std::time::Duration;

use crate::settings::BudgetSettings;

/// The bucket. It starts full.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// What is left, and when that was; `None` before the first write.
    left: Option<(f64, Duration)>,
}

impl Budget {
    /// Takes one write, or tells how long there will be none. Lowering leaves half of the burst to
    /// raises, which cannot wait.
    pub(super) fn take(
        &mut self,
        settings: &BudgetSettings,
        lowering: bool,
        now: Duration,
    ) -> Result<(), Duration> {
        let full = f64::from(settings.burst.max(1));
        let left = match self.left {
            None => full,
            Some((left, at)) => {
                let grown = now.saturating_sub(at).as_secs_f64() * settings.writes_per_second;
                (left + grown).min(full)
            }
        };
        let needed = if lowering { (full / 2.0).max(1.0) } else { 1.0 };
        if left >= needed {
            self.left = Some((left - 1.0, now));
            return Ok(());
        }
        self.left = Some((left, now));
        let wait = (needed - left) / settings.writes_per_second.max(f64::MIN_POSITIVE);
        Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: BudgetSettings = BudgetSettings {
        writes_per_second: 2.0,
        burst: 4,
    };

    fn second(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_burst_then_the_rate() {
        let mut budget = Budget::default();
        let mut take = |at| budget.take(&SETTINGS, false, second(at));
        for _ in 0..4 {
            assert_eq!(take(0.0), Ok(()));
        }
        assert_eq!(take(0.0), Err(second(0.5)));
        assert_eq!(take(0.5), Ok(()));
        assert_eq!(take(0.5), Err(second(0.5)));
        assert_eq!((0..9).filter(|_| take(100.0).is_ok()).count(), 4);
    }

    #[test]
    fn lowering_leaves_room_for_raises() {
        let mut budget = Budget::default();
        let lowered = (0..9).filter(|_| budget.take(&SETTINGS, true, second(0.0)).is_ok());
        assert_eq!(lowered.count(), 3);
        assert_eq!(budget.take(&SETTINGS, false, second(0.0)), Ok(()));
    }

    #[test]
    fn a_budget_of_one_can_lower() {
        let one = BudgetSettings {
            burst: 1,
            ..SETTINGS
        };
        let mut budget = Budget::default();
        assert_eq!(budget.take(&one, true, second(0.0)), Ok(()));
        assert!(budget.take(&one, true, second(0.1)).is_err());
        assert_eq!(budget.take(&one, true, second(0.6)), Ok(()));
    }
}
