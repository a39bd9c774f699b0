//! What Prometheus may scrape of the controller itself.
//!
//! It counts and shows; it decides nothing. Labels are of low cardinality by construction: kinds
//! and outcomes come from fixed lists, and only workloads have names.

use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use super::Standing;
use crate::burst::News;
use crate::plan::{Decision, Plan};
use crate::units::Rate;

mod breaker;
mod forecast;
mod live;
mod spikes;

pub use breaker::BreakerMetrics;
use forecast::ForecastMetrics;
use live::LiveMetrics;
use spikes::SpikeMetrics;

/// How a write to the cluster ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// It was taken.
    Ok,
    /// It was refused, or no answer came in time.
    Failed,
    /// It was not sent: not the leader, no budget, or overtaken.
    Dropped,
}

impl WriteOutcome {
    const ALL: [Self; 3] = [Self::Ok, Self::Failed, Self::Dropped];

    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// What was loaded anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reloaded {
    /// The settings file.
    Settings,
    /// A calendar.
    Calendar,
    /// A fault list.
    FaultList,
}

impl Reloaded {
    const ALL: [Self; 3] = [Self::Settings, Self::Calendar, Self::FaultList];

    fn label(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Calendar => "calendar",
            Self::FaultList => "fault_list",
        }
    }

    /// As a sentence speaks of it.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Calendar => "calendar",
            Self::FaultList => "fault list",
        }
    }
}

/// A workload as metrics show it.
#[derive(Debug, Clone, Copy)]
pub struct WorkloadSample<'p> {
    /// Namespace of the policy.
    pub namespace: &'p str,
    /// Name of the policy.
    pub name: &'p str,
    /// The last plan.
    pub plan: &'p Plan,
    /// Replicas asked for now.
    pub replicas: u32,
    /// Replicas Ready now.
    pub ready: u32,
    /// How far the forecast can be trusted.
    pub standing: Option<&'p Standing>,
    /// How much is wrong with it ([`super::Report::problems`]).
    pub problems: usize,
}

/// The controller's metrics. Cheap to clone: all clones count into the same registry.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    desired: IntGaugeVec,
    current: IntGaugeVec,
    ready: IntGaugeVec,
    load: GaugeVec,
    forecast_peak: GaugeVec,
    forecast_peak_at: GaugeVec,
    forecast_peak_replicas: IntGaugeVec,
    headroom: GaugeVec,
    problems: IntGaugeVec,
    forecast: ForecastMetrics,
    spikes: SpikeMetrics,
    breakers: BreakerMetrics,
    live: LiveMetrics,
    decisions: IntCounterVec,
    writes: IntCounterVec,
    source_errors: IntCounterVec,
    reloads: IntCounterVec,
    fit_seconds: Histogram,
    fit_failures: IntCounter,
    leader: IntGaugeVec,
    settings_problems: IntGauge,
    ticks_late: IntCounter,
    tick_lateness: Gauge,
}

/// Labels of everything about one workload.
const WORKLOAD: [&str; 2] = ["namespace", "name"];

impl Metrics {
    /// A fresh set, with every counter of a fixed list present at zero.
    ///
    /// # Errors
    /// When two metrics have one name, which no input can cause.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let count = |name: &str, help: &str, labels: &[&str]| {
            register(
                &registry,
                IntCounterVec::new(Opts::new(name, help), labels)?,
            )
        };
        let whole = |name: &str, help: &str| {
            register(
                &registry,
                IntGaugeVec::new(Opts::new(name, help), &WORKLOAD)?,
            )
        };
        let real = |name: &str, help: &str| {
            register(&registry, GaugeVec::new(Opts::new(name, help), &WORKLOAD)?)
        };
        let metrics = Self {
            desired: whole(
                "tipoff_workload_desired_replicas",
                "Replicas the last plan wants.",
            )?,
            current: whole(
                "tipoff_workload_current_replicas",
                "Replicas the workload asks for.",
            )?,
            ready: whole("tipoff_workload_ready_replicas", "Replicas that are Ready.")?,
            load: real(
                "tipoff_workload_load",
                "Offered load, units per second; absent while unknown.",
            )?,
            forecast_peak: real(
                "tipoff_workload_forecast_peak_load",
                "Largest load the forecast holds at the policy's quantile, units per second.",
            )?,
            forecast_peak_at: real(
                "tipoff_workload_forecast_peak_timestamp_seconds",
                "When the forecast's peak comes, Unix time.",
            )?,
            forecast_peak_replicas: whole(
                "tipoff_workload_forecast_peak_replicas",
                "Replicas the forecast's peak takes.",
            )?,
            headroom: real(
                "tipoff_workload_headroom_ratio",
                "Ready capacity over offered load; absent while unknown.",
            )?,
            problems: whole(
                "tipoff_workload_problems",
                "Signals of the workload that are missing, stale or not a number, and one more each while its policy cannot be followed as it is written and while its size cannot be written; one when nothing is decided.",
            )?,
            forecast: ForecastMetrics::new(&registry)?,
            spikes: SpikeMetrics::new(&registry)?,
            breakers: BreakerMetrics::new(&registry)?,
            live: LiveMetrics::new(&registry)?,
            decisions: count(
                "tipoff_decisions_total",
                "Plans made, by direction.",
                &["decision"],
            )?,
            writes: count(
                "tipoff_writes_total",
                "Writes to workloads: ok, failed, or dropped before they were sent.",
                &["outcome"],
            )?,
            source_errors: count(
                "tipoff_source_errors_total",
                "Calls for load or entries that gave none, by kind of error.",
                &["kind"],
            )?,
            reloads: count(
                "tipoff_reloads_total",
                "New versions of settings, calendars and fault lists, taken or refused.",
                &["what", "outcome"],
            )?,
            fit_seconds: register(
                &registry,
                Histogram::with_opts(
                    HistogramOpts::new(
                        "tipoff_fit_duration_seconds",
                        "Time one forecast fit took.",
                    )
                    .buckets(vec![0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]),
                )?,
            )?,
            fit_failures: register(
                &registry,
                IntCounter::new("tipoff_fit_failures_total", "Forecast fits that failed.")?,
            )?,
            leader: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new(
                        "tipoff_leader",
                        "1 while this controller may write, by the Lease it is to hold for that.",
                    ),
                    &["lease"],
                )?,
            )?,
            settings_problems: register(
                &registry,
                IntGauge::new(
                    "tipoff_settings_problems",
                    "Faults in the settings, calendars or fault lists that a person should repair.",
                )?,
            )?,
            ticks_late: register(
                &registry,
                IntCounter::new(
                    "tipoff_ticks_late_total",
                    "Decisions made more than one tick after their time.",
                )?,
            )?,
            tick_lateness: register(
                &registry,
                Gauge::new(
                    "tipoff_tick_lateness_seconds",
                    "How late the last late decision was.",
                )?,
            )?,
            registry: registry.clone(),
        };
        for decision in [Decision::Raise, Decision::Hold, Decision::Lower] {
            metrics.decisions.with_label_values(&[direction(decision)]);
        }
        for outcome in WriteOutcome::ALL {
            metrics.writes.with_label_values(&[outcome.label()]);
        }
        for what in Reloaded::ALL {
            for outcome in ["ok", "refused"] {
                metrics.reloads.with_label_values(&[what.label(), outcome]);
            }
        }
        Ok(metrics)
    }

    /// Shows a workload's last plan and counts the decision.
    pub fn workload(&self, sample: WorkloadSample<'_>) {
        let WorkloadSample {
            namespace,
            name,
            plan,
            replicas,
            ready,
            standing,
            problems,
        } = sample;
        let labels = [namespace, name];
        self.forecast.show(labels, standing);
        self.decisions
            .with_label_values(&[direction(plan.decision)])
            .inc();
        for (gauge, value) in [
            (&self.desired, plan.desired),
            (&self.current, replicas),
            (&self.ready, ready),
        ] {
            gauge.with_label_values(&labels).set(i64::from(value));
        }
        self.problems
            .with_label_values(&labels)
            .set(i64::try_from(problems).unwrap_or(i64::MAX));
        show(&self.load, labels, plan.offered.map(Rate::as_per_second));
        show(&self.headroom, labels, plan.headroom);
        let peak = plan.peak;
        show(
            &self.forecast_peak,
            labels,
            peak.map(|peak| peak.load.as_per_second()),
        );
        show(
            &self.forecast_peak_at,
            labels,
            peak.map(|peak| peak.at.timestamp() as f64),
        );
        match peak {
            Some(peak) => self
                .forecast_peak_replicas
                .with_label_values(&labels)
                .set(i64::from(peak.replicas)),
            None => forget(&self.forecast_peak_replicas, labels),
        }
    }

    /// Shows that nothing can be decided about a workload: what was known of it is not true any
    /// more, and that it is not known is the problem.
    pub fn undecided(&self, namespace: &str, name: &str) {
        let labels = [namespace, name];
        self.forget_decision(labels);
        self.problems.with_label_values(&labels).set(1);
    }

    /// Takes a workload that is gone out of the metrics.
    pub fn forget_workload(&self, namespace: &str, name: &str) {
        let labels = [namespace, name];
        self.live.age(labels, None);
        self.forget_decision(labels);
    }

    fn forget_decision(&self, labels: [&str; 2]) {
        self.forecast.show(labels, None);
        for gauge in [
            &self.desired,
            &self.current,
            &self.ready,
            &self.forecast_peak_replicas,
            &self.problems,
        ] {
            forget(gauge, labels);
        }
        for gauge in [
            &self.load,
            &self.forecast_peak,
            &self.forecast_peak_at,
            &self.headroom,
        ] {
            show(gauge, labels, None);
        }
    }

    /// What the guards of outside calls count into.
    pub fn breakers(&self) -> &BreakerMetrics {
        &self.breakers
    }

    /// Counts a write to a workload.
    pub fn write(&self, outcome: WriteOutcome) {
        self.writes.with_label_values(&[outcome.label()]).inc();
    }

    /// Counts a call for load that gave none; `kind` is `SourceError::kind`.
    pub fn source_error(&self, kind: &'static str) {
        self.source_errors.with_label_values(&[kind]).inc();
    }

    /// Counts a new version of settings or calendar.
    pub fn reload(&self, what: Reloaded, taken: bool) {
        let outcome = if taken { "ok" } else { "refused" };
        self.reloads
            .with_label_values(&[what.label(), outcome])
            .inc();
    }

    /// Shows how many faults the settings in force have.
    pub fn settings_problems(&self, count: usize) {
        self.settings_problems
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts a fit that ended well, with the seconds it took.
    pub fn fit(&self, seconds: f64) {
        self.fit_seconds.observe(seconds);
    }

    /// Counts a fit that failed.
    pub fn fit_failed(&self) {
        self.fit_failures.inc();
    }

    /// Shows whether this controller may write.
    pub fn leader(&self, lease: &str, leads: bool) {
        self.leader
            .with_label_values(&[lease])
            .set(i64::from(leads));
    }

    /// Counts a decision that came too late, with the seconds it was late.
    pub fn tick_late(&self, seconds: f64) {
        self.ticks_late.inc();
        self.tick_lateness.set(seconds);
    }

    /// Counts what became of a spike.
    pub fn spike(&self, news: &News) {
        self.spikes.count(news);
    }

    /// Notes how old a live sample was when it was looked at, seconds.
    pub fn live_looked_at(&self, age: f64) {
        self.spikes.looked_at(age);
    }

    /// Notes how long the write for a spike took since the look that decided on it.
    pub fn spike_written(&self, took: std::time::Duration) {
        self.spikes.written(took.as_secs_f64());
    }

    /// Everything in the text format of Prometheus.
    ///
    /// # Errors
    /// When a metric cannot be written as text, which none of these can cause.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn direction(decision: Decision) -> &'static str {
    match decision {
        Decision::Raise => "raise",
        Decision::Hold => "hold",
        Decision::Lower => "lower",
    }
}

/// A value that is not known is not shown: a zero would be read as one.
fn show(gauge: &GaugeVec, labels: [&str; 2], value: Option<f64>) {
    match value {
        Some(value) => gauge.with_label_values(&labels).set(value),
        // an error means that it was not shown before, which is what is wanted
        None => drop(gauge.remove_label_values(&labels)),
    }
}

fn forget(gauge: &IntGaugeVec, labels: [&str; 2]) {
    // as in `show`
    drop(gauge.remove_label_values(&labels));
}
