//! What a replay found: the JSON contract and the tables for a terminal.

use std::fmt::Write as _;

use chrono_tz::Tz;
use serde::Serialize;

use super::Day;
use super::equal_cost::AtEqualCost;
use super::scenario::{LoadSource, Scenario};
use super::surges::{self, Answer, Surge};
use crate::backtest::contest::hindsight;
use crate::backtest::report::{number, percent, span};
use crate::backtest::scenario::peers::STATIC_PEAK;
use crate::plot::Table;
use crate::simulate::{Run, SeenSpike, Totals};
use crate::units::{HumanDuration, Rate, Timestamp};

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Title of the scenario.
    pub title: String,
    /// Zone whose days they are.
    #[serde(skip)]
    pub zone: Tz,
    /// Policies over all days, Tipoff first.
    pub policies: Vec<PolicyReport>,
    /// What peers would have served at Tipoff's price; empty unless asked for.
    pub equal_cost: Vec<AtEqualCost>,
    /// Every day.
    pub days: Vec<DayReport>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// One policy over all days, or over one.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct PolicyReport {
    /// Name.
    pub name: String,
    /// Seconds from the beginning of a surge to the first larger size asked for; the median over
    /// the surges that were not met. Absent when there were none, or when most were over before
    /// anything was asked for.
    pub first_reaction_seconds: Option<f64>,
    /// The same until the size that its top needs was asked for.
    pub seconds_to_desired: Option<f64>,
    /// Seconds from the beginning of a surge until what was Ready carried its top, without CPU
    /// lent to it; the median over all surges. Absent when there were none, or when most were
    /// over before.
    pub seconds_to_capacity: Option<f64>,
    /// Seconds in which anything was not served.
    pub seconds_short: f64,
    /// Units not served.
    pub unserved_requests: f64,
    /// Share of the demand not served.
    pub unserved_ratio: f64,
    /// Units offered.
    pub offered_requests: f64,
    /// Pods paid for, from their creation to their end, times hours, and the CPU lent to them in
    /// the worth of replicas.
    pub replica_hours: f64,
    /// The part of it that was lent to running pods.
    pub lent_replica_hours: f64,
    /// Ready pods times hours.
    pub ready_replica_hours: f64,
    /// Replica-hours over those of the static peak, when that is among the policies.
    pub over_static_peak: Option<f64>,
    /// Largest size asked for.
    pub peak_replicas: u32,
    /// How often the size asked for changed.
    pub scale_events: usize,
    /// Surges of the load.
    pub surges: usize,
    /// Those of which nothing was left unserved, or whose top was carried from the first second.
    pub surges_met: usize,
    /// Alarms of the fast loop; absent for others.
    pub alarms: Option<usize>,
    /// Those of them that no later sample confirmed.
    pub unconfirmed_alarms: Option<usize>,
}

/// One policy on one day.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyDay {
    /// Name.
    pub name: String,
    /// Sums.
    pub totals: Totals,
    answers: Vec<Answer>,
    seen: Option<(usize, usize)>,
}

impl PolicyDay {
    /// From a run.
    pub fn new(run: &Run, surges: &[Surge], per_replica: Rate, seen: &[SeenSpike]) -> Self {
        let unconfirmed = seen.iter().filter(|spike| !spike.confirmed).count();
        Self {
            name: run.name.clone(),
            totals: run.totals(),
            answers: surges::answers(run, surges, per_replica),
            seen: run
                .name
                .starts_with(crate::backtest::contest::TIPOFF)
                .then_some((seen.len(), unconfirmed)),
        }
    }
}

/// One day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DayReport {
    /// First moment.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
    /// Fixtures that start within.
    pub fixtures: usize,
    /// Scoring plays during play.
    pub scoring_plays: usize,
    /// Surges of the load.
    pub surges: Vec<Surge>,
    /// Largest second of the load, units per second.
    pub peak_load: f64,
    /// Seconds of the load that are not known.
    #[serde(skip)]
    missing: usize,
    /// Every policy.
    pub policies: Vec<PolicyReport>,
    /// The same before they were summed up.
    #[serde(skip)]
    runs: Vec<PolicyDay>,
}

impl DayReport {
    /// A day's policies.
    pub fn new(day: &Day, runs: Vec<PolicyDay>) -> Self {
        let load = day.load.between(day.span.from, day.span.to);
        Self {
            from: day.span.from,
            to: day.span.to,
            fixtures: day
                .calendar
                .starting_between(day.span.from, day.span.to)
                .len(),
            scoring_plays: day.marks.len(),
            surges: day.surges.clone(),
            peak_load: load.peak().map_or(0.0, |(_, rate)| rate.as_per_second()),
            missing: load.gaps() * usize::try_from(load.step().num_seconds()).unwrap_or(1),
            policies: summed(&[&runs]),
            runs,
        }
    }
}

/// Each policy over days that have the same policies in the same order.
fn summed(days: &[&Vec<PolicyDay>]) -> Vec<PolicyReport> {
    let count = days.first().map_or(0, |first| first.len());
    let mut rows: Vec<PolicyReport> = (0..count)
        .map(|place| {
            let runs: Vec<&PolicyDay> = days.iter().map(|day| &day[place]).collect();
            sum(&runs)
        })
        .collect();
    let peak = rows
        .iter()
        .find(|row| row.name == STATIC_PEAK)
        .map(|row| row.replica_hours);
    for row in &mut rows {
        row.over_static_peak = peak.map(|peak| row.replica_hours / peak);
    }
    rows
}

fn sum(runs: &[&PolicyDay]) -> PolicyReport {
    let total = |of: fn(&Totals) -> f64| runs.iter().map(|run| of(&run.totals)).sum::<f64>();
    let answers = || runs.iter().flat_map(|run| &run.answers);
    let missed = |of: fn(&Answer) -> Option<f64>| {
        surges::median(answers().filter(|answer| !answer.met).map(of).collect())
    };
    let (offered, unserved) = (total(|t| t.offered), total(|t| t.unserved));
    let seen: Option<Vec<(usize, usize)>> = runs.iter().map(|run| run.seen).collect();
    let seen = seen.as_ref();
    PolicyReport {
        name: runs
            .first()
            .map_or_else(String::new, |run| run.name.clone()),
        first_reaction_seconds: missed(|answer| answer.first_reaction),
        seconds_to_desired: missed(|answer| answer.desired),
        seconds_to_capacity: surges::median(answers().map(|answer| answer.capacity).collect()),
        seconds_short: total(|t| t.under_provisioned.num_milliseconds() as f64 / 1e3),
        unserved_requests: unserved,
        unserved_ratio: if offered > 0.0 {
            unserved / offered
        } else {
            0.0
        },
        offered_requests: offered,
        replica_hours: total(|t| t.replica_hours),
        lent_replica_hours: total(|t| t.lent_hours),
        ready_replica_hours: total(|t| t.ready_hours),
        over_static_peak: None,
        peak_replicas: runs
            .iter()
            .map(|run| run.totals.peak_replicas)
            .max()
            .unwrap_or(0),
        scale_events: runs.iter().map(|run| run.totals.scale_events).sum(),
        surges: answers().count(),
        surges_met: answers().filter(|answer| answer.met).count(),
        alarms: seen.map(|days| days.iter().map(|(all, _)| all).sum()),
        unconfirmed_alarms: seen.map(|days| days.iter().map(|(_, none)| none).sum()),
    }
}

impl Report {
    /// Sums up days.
    pub fn new(scenario: &Scenario, days: Vec<DayReport>) -> Self {
        let runs: Vec<&Vec<PolicyDay>> = days.iter().map(|day| &day.runs).collect();
        Self {
            title: scenario.title.clone(),
            zone: scenario.zone,
            policies: summed(&runs),
            equal_cost: Vec::new(),
            notes: notes(scenario, &days),
            days,
        }
    }

    /// The policies as a table.
    pub(crate) fn policy_table(&self) -> Table {
        let head = [
            "policy",
            "unserved",
            "share",
            "short for",
            "surges met",
            "reacts",
            "desired",
            "capacity",
            "replica-h",
            "of static",
            "peak",
            "changes",
            "alarms",
        ];
        let seconds = |value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.0} s"))
        };
        let row = |policy: &PolicyReport| {
            vec![
                policy.name.clone(),
                number(policy.unserved_requests),
                percent(policy.unserved_ratio),
                span(policy.seconds_short),
                format!("{}/{}", policy.surges_met, policy.surges),
                seconds(policy.first_reaction_seconds),
                seconds(policy.seconds_to_desired),
                seconds(policy.seconds_to_capacity),
                number(policy.replica_hours),
                policy
                    .over_static_peak
                    .map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0)),
                policy.peak_replicas.to_string(),
                policy.scale_events.to_string(),
                match (policy.alarms, policy.unconfirmed_alarms) {
                    (Some(all), Some(none)) => format!("{all} ({none})"),
                    _ => "-".to_owned(),
                },
            ]
        };
        Table {
            head: head.map(str::to_owned).to_vec(),
            rows: self.policies.iter().map(row).collect(),
        }
    }

    /// What peers serve at Tipoff's price; `None` when that was not asked for.
    pub(crate) fn equal_cost_table(&self) -> Option<Table> {
        let mut head = [
            "at Tipoff's price",
            "factor",
            "replica-h",
            "unserved",
            "share",
            "short for",
        ]
        .map(str::to_owned)
        .to_vec();
        // the base is the same for all: they have a ratio together, or none
        let ratios = self
            .equal_cost
            .iter()
            .any(|peer| peer.over_tipoff.is_some());
        if ratios {
            head.push("over Tipoff's".to_owned());
        }
        let row = |peer: &AtEqualCost| {
            let mut row = vec![
                peer.name.clone(),
                format!("{:.2}", peer.factor),
                number(peer.replica_hours),
                number(peer.unserved_requests),
                percent(peer.unserved_ratio),
                span(peer.seconds_short),
            ];
            if ratios {
                let over = peer.over_tipoff.map(|over| format!("{over:.1}x"));
                row.push(over.unwrap_or_else(|| "-".to_owned()));
            }
            row
        };
        (!self.equal_cost.is_empty()).then(|| Table {
            head,
            rows: self.equal_cost.iter().map(row).collect(),
        })
    }

    /// Share not served per day and policy; `None` for a single day.
    pub(crate) fn day_table(&self) -> Option<Table> {
        if self.days.len() < 2 {
            return None;
        }
        let mut head = vec!["share not served".to_owned()];
        head.extend(self.policies.iter().map(|policy| policy.name.clone()));
        let row = |day: &DayReport| {
            let mut row = vec![date(day.from, self.zone)];
            let shares = day.policies.iter();
            row.extend(shares.map(|policy| percent(policy.unserved_ratio)));
            row
        };
        Some(Table {
            head,
            rows: self.days.iter().map(row).collect(),
        })
    }

    /// One line on what was replayed.
    pub(crate) fn what(&self) -> String {
        let sum = |of: fn(&DayReport) -> usize| self.days.iter().map(of).sum::<usize>();
        let days = match self.days.as_slice() {
            [day] => format!(
                "{} to {} UTC",
                day.from.format("%Y-%m-%d %H:%M"),
                day.to.format("%Y-%m-%d %H:%M")
            ),
            days => format!("{} days", days.len()),
        };
        format!(
            "{days}, {} fixtures, {} scoring plays, {} surges of the load",
            sum(|day| day.fixtures),
            sum(|day| day.scoring_plays),
            sum(|day| day.surges.len())
        )
    }

    /// The report for a terminal.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n{}\n\n", self.title, self.what());
        text.push_str(&self.policy_table().text());
        for table in [self.equal_cost_table(), self.day_table()]
            .into_iter()
            .flatten()
        {
            let _ = write!(text, "\n{}", table.text());
        }
        for note in &self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        text
    }
}

/// The date on which a day begins, by the clock in which it does.
pub(super) fn date(from: Timestamp, zone: Tz) -> String {
    from.with_timezone(&zone).format("%Y-%m-%d").to_string()
}

/// What a reader of the figures must know.
fn notes(scenario: &Scenario, days: &[DayReport]) -> Vec<String> {
    let view = &scenario.view;
    let mut notes = vec![
        "A surge begins where five seconds carry at least 1.3 times the minute before, beyond \
         chance; it is met when nothing of it is left unserved until its top is behind, or when \
         what is Ready carries its top from the first second. Reacts, desired: median seconds from \
         its beginning to the first larger size, and to the size its top needs, over the surges \
         that were not met. Capacity: the same until what was Ready carried its top, over all \
         surges; one that grows with the load may meet a surge and take seconds. -: there were \
         none, or most were over by then. Alarms in brackets: those no later sample confirmed."
            .to_owned(),
        format!(
            "Simulated in steps of {}; pods ready {} after the decision at p95. The load metric is \
             a mean over {}, {} late; live samples and Knative's are a second long, {} late.",
            HumanDuration(scenario.simulation.step),
            HumanDuration(scenario.arena.cluster.model.start_up.p95()),
            HumanDuration(view.metric_window),
            HumanDuration(view.metric_lag),
            view.live_lag
                .map_or_else(|| "-".to_owned(), |lag| HumanDuration(lag).to_string()),
        ),
    ];
    if let Some(bridge) = scenario.arena.policy.bridges.cpu {
        notes.push(format!(
            "Tipoff's running pods get {}x their CPU {} after it is asked for, {}/s of them, and \
             serve in proportion; nodes are taken to have it, as they are to have room for every \
             pod that is asked for. Replica-hours count it from the order to its return.",
            bridge.factor,
            scenario.arena.cluster.model.resize.takes,
            number(scenario.arena.cluster.model.resize.pods_per_second),
        ));
    }
    if let LoadSource::Generated(_) = scenario.load {
        notes.push(
            "Load is generated: it proves that machinery works, and nothing about anybody's real \
             crowd."
                .to_owned(),
        );
    }
    notes.extend(hindsight(&scenario.peers));
    let missing: usize = days.iter().map(|day| day.missing).sum();
    if missing > 0 {
        notes.push(format!(
            "{} seconds of the load are missing: nothing is offered in them, and a surge is looked \
             for only where the seconds around it are known.",
            number(missing as f64)
        ));
    }
    notes
}
