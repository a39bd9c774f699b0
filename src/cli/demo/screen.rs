//! What the demo's terminal says: pure text from what is seen.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::path::Path;

use chrono::TimeDelta;
use chrono_tz::America::New_York;

use super::ledger;
use super::stage::{NAME, NAMESPACE, Sight, Sunday};
use crate::backtest::Outcome;
use crate::backtest::report::PEAKS_ARE;
use crate::fixture::{Calendar, Phase};
use crate::forecast::Quantile;
use crate::plan::Plan;
use crate::simulate::Run;
use crate::units::{Rate, Timestamp};

/// Time between two rows.
const ROW_EVERY: TimeDelta = TimeDelta::minutes(30);

/// The terminal.
#[derive(Debug)]
pub(super) struct Screen {
    games: Calendar,
    from: Timestamp,
    to: Timestamp,
    next_row: Timestamp,
    /// The last decision that was seen: when it was made, and its size.
    seen: Option<(Timestamp, u32)>,
}

impl Screen {
    pub(super) fn new(sunday: &Sunday) -> Self {
        Self {
            games: sunday.games.clone(),
            from: sunday.from,
            to: sunday.to,
            next_row: sunday.from,
            seen: None,
        }
    }

    /// Said first.
    pub(super) fn opening(&self, speed: f64) -> String {
        let seconds = (self.to - self.from).num_seconds() as f64 / speed;
        let mut text = format!(
            "A generated NFL Sunday at the real kick-off times of 10 September 2023, {} to {} \
             eastern time,\n{speed:.0} times faster than life: about {seconds:.0} s. The real \
             controller sizes Deployment {NAMESPACE}/{NAME}\non an embedded cluster. It has four \
             weeks of history, the fixture list and what one replica\ncarries, and is told nothing \
             else. Its reasons tell the time in UTC, {} hours ahead of the rest.\n\n",
            clock(self.from),
            clock(self.to),
            ahead_of_eastern(self.from),
        );
        for (kick_off, titles) in self.slates() {
            let _ = writeln!(text, "  {}  {}", clock(kick_off), titles.join(", "));
        }
        text.push_str(
            "\n  time   games                     load   forecast p50..p95   asked  ready  you can \
             take\n",
        );
        text
    }

    fn slates(&self) -> Vec<(Timestamp, Vec<String>)> {
        let mut slates: Vec<(Timestamp, Vec<String>)> = Vec::new();
        for game in self.games.starting_between(self.from, self.to) {
            match slates.last_mut() {
                Some((at, titles)) if *at == game.start.at => titles.push(game.title()),
                _ => slates.push((game.start.at, vec![game.title()])),
            }
        }
        slates
    }

    /// Said at `now`: a line for each change of size, a row when it is time for one.
    pub(super) fn tick(&mut self, now: Timestamp, sight: &Sight) -> String {
        let mut text = String::new();
        if let Some(report) = &sight.report {
            text.push_str(&self.changes(&report.plan));
        }
        if now >= self.next_row {
            while self.next_row <= now {
                self.next_row += ROW_EVERY;
            }
            text.push_str(&self.row(now, sight));
        }
        text
    }

    /// The change that `plan` decides on, if it was not seen before and is one.
    fn changes(&mut self, plan: &Plan) -> String {
        let mut text = String::new();
        let (at, last) = self.seen.unwrap_or((self.from, plan.current));
        if self.seen.is_some() && plan.at <= at {
            return text;
        }
        let mut line = |from: u32, to: u32, why: &str| {
            let arrow = match to.cmp(&from) {
                Ordering::Greater => '▲',
                Ordering::Less => '▼',
                Ordering::Equal => return,
            };
            let at = clock(plan.at);
            let _ = writeln!(text, "  {at}  {arrow} {from} to {to}: {why}");
        };
        line(
            last,
            plan.current,
            "decided between two looks of this screen",
        );
        line(plan.current, plan.desired, reason(&plan.summary));
        self.seen = Some((plan.at, plan.desired));
        text
    }

    fn row(&self, now: Timestamp, sight: &Sight) -> String {
        let plan = sight.report.as_deref().map(|report| &report.plan);
        let load = plan
            .and_then(|plan| plan.offered)
            .map_or_else(|| "-".to_owned(), per_second);
        let band = sight
            .report
            .as_deref()
            .and_then(|report| report.observed.forecast.as_deref())
            .and_then(|forecast| {
                let at = |quantile| forecast.at(quantile, now).map(per_second);
                Some(format!("{}..{}", at(Quantile::P50)?, at(Quantile::P95)?))
            })
            .unwrap_or_else(|| "learning".to_owned());
        let headroom = plan
            .and_then(|plan| plan.headroom)
            .map_or_else(|| "-".to_owned(), |headroom| format!("{headroom:.1}x"));
        format!(
            "  {}  {:<22} {:>7}   {:<17}   {:>5}  {:>5}  {:>8}\n",
            clock(now),
            self.games_at(now),
            load,
            band,
            sight.workload.replicas,
            sight.workload.ready,
            headroom
        )
    }

    /// The games in a few words.
    fn games_at(&self, now: Timestamp) -> String {
        let phases: Vec<Phase> = self.games.iter().map(|game| game.phase_at(now)).collect();
        let count = |wanted: fn(Phase) -> bool| phases.iter().filter(|&&p| wanted(p)).count();
        let (live, locking, settling) = (
            count(Phase::is_live),
            count(|phase| phase == Phase::PreLock),
            count(|phase| phase == Phase::Settling),
        );
        let parts: Vec<String> = [(locking, "locking"), (live, "live"), (settling, "settling")]
            .into_iter()
            .filter(|(games, _)| *games > 0)
            .map(|(games, what)| format!("{games} {what}"))
            .collect();
        if !parts.is_empty() {
            return parts.join(", ");
        }
        let next = self
            .games
            .starting_between(now, self.to)
            .first()
            .map(|game| game.start.at);
        next.map_or_else(
            || "all over".to_owned(),
            |at| format!("next at {}", clock(at)),
        )
    }

    /// Said last.
    pub(super) fn closing(&self, outcome: &Outcome, path: &Path) -> String {
        let mut text = format!("\n{}", outcome.report.policy_text());
        if let Some((kick_off, _)) = self.slates().first() {
            text.push_str(&first_lock(&outcome.runs, *kick_off));
        }
        text.push_str(&notes(&outcome.report.notes));
        let _ = writeln!(text, "\nReport: {}", path.display());
        text
    }
}

/// What a reader of the closing tables must know; the table of peaks is in the report only.
fn notes(notes: &[String]) -> String {
    let told = notes.iter().filter(|note| *note != PEAKS_ARE);
    told.fold(String::new(), |text, note| text + note + "\n")
}

/// Who was ready for the crest of the first lock, and when.
fn first_lock(runs: &[Run], kick_off: Timestamp) -> String {
    let Some((at, load)) = runs.first().and_then(|run| ledger::crest(run, kick_off)) else {
        return String::new();
    };
    let mut text = format!("\nThe crest of the first lock, {load} at {}:\n", clock(at));
    for run in runs {
        let ready = match ledger::ready_for(run, at) {
            Some(ready) if ready <= at => {
                let early = (at - ready).num_minutes();
                format!("ready for it at {}, {early} min before", clock(ready))
            }
            Some(late) => {
                format!(
                    "ready for it at {}, {} s late",
                    clock(late),
                    (late - at).num_seconds()
                )
            }
            None => "never ready for it".to_owned(),
        };
        let _ = writeln!(text, "  {:<20} {ready}", run.name);
    }
    text.push('\n');
    text
}

/// The reason without the verb, which the line already says.
fn reason(summary: &str) -> &str {
    summary.split_once(": ").map_or(summary, |(_, why)| why)
}

fn clock(at: Timestamp) -> String {
    at.with_timezone(&New_York).format("%H:%M").to_string()
}

/// Hours that UTC is ahead of what [`clock`] shows at `at`.
fn ahead_of_eastern(at: Timestamp) -> i64 {
    let local = at.with_timezone(&New_York).naive_local();
    (at.naive_utc() - local).num_hours()
}

fn per_second(rate: Rate) -> String {
    format!("{:.0}/s", rate.as_per_second())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{BridgesSeen, BurstSight, Memory, Observed, Policy, Signal, Workload, plan};

    /// What is decided `seconds` into the day for `replicas` at this load.
    fn decided(sunday: &Sunday, seconds: i64, replicas: u32, load: f64) -> Plan {
        let now = sunday.from + TimeDelta::seconds(seconds);
        let mut policy = Policy::new(4, 400).unwrap();
        policy.per_replica = Some(Rate::per_second(25.0));
        let workload = Workload {
            replicas,
            ready: replicas,
        };
        let load = Signal::Sample {
            rate: Rate::per_second(load),
            at: now,
        };
        let observed = Observed {
            workload,
            load,
            shed: None,
            queued: None,
            burst: BurstSight::default(),
            forecast: None,
            forecast_note: None,
            calendar: Arc::default(),
            lists_note: None,
            manual: None,
            bridges: BridgesSeen::default(),
        };
        plan(&observed, &policy, &Memory::default(), now)
    }

    #[test]
    fn each_change_of_size_has_a_line_from_the_size_in_force() {
        let sunday = Sunday::new(1);
        let mut screen = Screen::new(&sunday);
        let mut said =
            |seconds, replicas, load| screen.changes(&decided(&sunday, seconds, replicas, load));
        assert_eq!(said(0, 200, 1000.0), "");
        // small, and none the less a change
        let small = said(15, 200, 3500.0);
        assert!(small.starts_with("  09:00  ▲ 200 to 203: "), "{small}");
        // the same decision seen again
        assert_eq!(said(15, 200, 3500.0), "");
        let large = said(30, 203, 4000.0);
        assert!(large.starts_with("  09:00  ▲ 203 to 232: "), "{large}");
        assert!(large.contains("4000/s"), "{large}");
    }

    #[test]
    fn a_change_that_no_look_saw_is_told_as_one() {
        let sunday = Sunday::new(1);
        let mut screen = Screen::new(&sunday);
        screen.changes(&decided(&sunday, 0, 200, 1000.0));
        assert_eq!(
            screen.changes(&decided(&sunday, 60, 150, 1000.0)),
            "  09:01  ▼ 200 to 150: decided between two looks of this screen\n"
        );
    }

    #[test]
    fn rows_stand_on_the_half_hours_however_late_a_look_is() {
        let sunday = Sunday::new(1);
        let mut screen = Screen::new(&sunday);
        let sight = Sight {
            workload: Workload {
                replicas: 8,
                ready: 8,
            },
            report: None,
        };
        let mut row_at = |minutes| {
            let text = screen.tick(sunday.from + TimeDelta::minutes(minutes), &sight);
            text.trim_start().get(..5).map(str::to_owned)
        };
        assert_eq!(row_at(4).as_deref(), Some("09:04"));
        assert_eq!(row_at(29), None);
        assert_eq!(row_at(30).as_deref(), Some("09:30"));
        assert_eq!(row_at(95).as_deref(), Some("10:35"));
        assert_eq!(row_at(119), None);
    }

    #[test]
    fn the_closing_explains_no_table_that_it_does_not_show() {
        let text = notes(&[PEAKS_ARE.to_owned(), "Simulated.".to_owned()]);
        assert_eq!(text, "Simulated.\n");
    }
}
