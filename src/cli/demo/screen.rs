//! What the demo's terminal says: pure text from what is seen.

use std::fmt::Write as _;
use std::path::Path;

use chrono::TimeDelta;
use chrono_tz::America::New_York;

use super::ledger;
use super::stage::{NAME, NAMESPACE, Sight, Sunday};
use crate::backtest::Outcome;
use crate::fixture::{Calendar, Phase};
use crate::forecast::Quantile;
use crate::simulate::Run;
use crate::units::{Rate, Timestamp};

/// Time between two rows.
const ROW_EVERY: TimeDelta = TimeDelta::minutes(30);

/// A change of size smaller than this share waits for the next row.
const WORTH_A_LINE: f64 = 0.15;

/// The terminal.
#[derive(Debug)]
pub(super) struct Screen {
    games: Calendar,
    from: Timestamp,
    to: Timestamp,
    next_row: Timestamp,
    /// Size of the last decision that was shown.
    shown: Option<u32>,
}

impl Screen {
    pub(super) fn new(sunday: &Sunday) -> Self {
        Self {
            games: sunday.games.clone(),
            from: sunday.from,
            to: sunday.to,
            next_row: sunday.from,
            shown: None,
        }
    }

    /// Said first.
    pub(super) fn opening(&self, speed: f64) -> String {
        let seconds = (self.to - self.from).num_seconds() as f64 / speed;
        let mut text = format!(
            "A generated NFL Sunday at the real kick-off times of 10 September 2023, {} to {} \
             eastern time,\n{speed:.0} times faster than life: about {seconds:.0} s. The real \
             controller sizes Deployment {NAMESPACE}/{NAME}\non an embedded cluster; it has four \
             weeks of history and the fixture list, and is told nothing else.\n\n",
            clock(self.from),
            clock(self.to),
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

    /// Said at `now`: a row when it is time for one, a line for each decision worth it.
    pub(super) fn tick(&mut self, now: Timestamp, sight: &Sight) -> String {
        let mut text = String::new();
        if let Some(report) = &sight.report {
            let desired = report.plan.desired;
            let shown = *self.shown.get_or_insert(report.plan.current);
            let change = (f64::from(desired) - f64::from(shown)).abs();
            if change >= (f64::from(shown) * WORTH_A_LINE).max(2.0) {
                let arrow = if desired > shown { '▲' } else { '▼' };
                let _ = writeln!(
                    text,
                    "  {}  {arrow} {shown} to {desired}: {}",
                    clock(now),
                    reason(&report.plan.summary)
                );
                self.shown = Some(desired);
            }
        }
        if now >= self.next_row {
            self.next_row = now + ROW_EVERY;
            text.push_str(&self.row(now, sight));
        }
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
        for note in &outcome.report.notes {
            let _ = writeln!(text, "{note}");
        }
        let _ = writeln!(text, "\nReport: {}", path.display());
        text
    }
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

fn per_second(rate: Rate) -> String {
    format!("{:.0}/s", rate.as_per_second())
}
