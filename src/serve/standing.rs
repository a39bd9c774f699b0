//! How far a forecast can be trusted: what became of earlier ones, and which signals it lacks.

use serde::Serialize;

use crate::forecast::{Coverage, FittedForecaster, Verdict};

/// What a person should know before believing a forecast.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Who stands in for the model, and why; `None` while it is trusted.
    pub fallback: Option<String>,
    /// How often load stayed under the bounds of the last four weeks.
    pub coverage: Vec<Coverage>,
    /// Slates whose entries are known up to now; `None` when the policy has no entries.
    pub entries_slates: Option<usize>,
    /// Why entries are not as they should be.
    pub entries_note: Option<String>,
    /// The same of shed load.
    pub shed_note: Option<String>,
    /// The same of when no more could be carried.
    pub saturated_note: Option<String>,
}

impl Standing {
    /// Of a fit; nothing is said of signals yet.
    pub fn of(fitted: &FittedForecaster) -> Self {
        Self {
            fallback: match fitted.verdict() {
                Verdict::Trusted => None,
                Verdict::Fallback { reason, .. } => Some(reason),
            },
            coverage: fitted.champion().coverage(),
            ..Self::default()
        }
    }

    /// Whether the model itself is used.
    pub const fn trusted(&self) -> bool {
        self.fallback.is_none()
    }

    /// How often p95 held around fixtures, in a line; `None` before any was over.
    pub fn around_fixtures(&self) -> Option<String> {
        let rows = self.coverage.iter().filter(|row| row.around_fixtures());
        let (held, points) = rows.fold((0.0, 0.0), |(held, points), row| {
            let here = f64::from(row.points);
            (held + here * row.covered[1], points + here)
        });
        (points > 0.0).then(|| {
            format!(
                "p95 held {:.1} % of {points:.0} times around fixtures in four weeks",
                100.0 * held / points
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &str, points: u32, p95: f64) -> Coverage {
        Coverage {
            kind: kind.to_owned(),
            up_to_minutes: 60,
            points,
            covered: [0.0, p95, 1.0],
            width: 1.5,
        }
    }

    #[test]
    fn calm_hours_do_not_flatter_the_hours_that_matter() {
        let mut standing = Standing {
            coverage: vec![row("calm", 9_000, 1.0)],
            ..Standing::default()
        };
        assert_eq!(standing.around_fixtures(), None);
        standing.coverage.push(row("event", 300, 0.9));
        standing
            .coverage
            .push(row("end of event with entries", 100, 1.0));
        assert_eq!(
            standing.around_fixtures().unwrap(),
            "p95 held 92.5 % of 400 times around fixtures in four weeks"
        );
    }
}
