//! Knative's pod autoscaler: the reactive bar. It looks every two seconds, over a minute and over
//! six seconds, and when the short look asks for twice what is ready it panics: it goes straight
//! to what that look asks for and lets nothing go for a minute.
//!
//! Source: `pkg/autoscaler/scaling/autoscaler.go`, `pkg/autoscaler/aggregation/bucketing.go` and
//! `pkg/autoscaler/config/config.go` of knative/serving (98e5ef9). Here it is told the offered
//! load of each second (its `rps` metric), queued requests included, so that it never has to
//! guess what its data path holds back.

use std::collections::VecDeque;

use chrono::TimeDelta;

use super::super::policies::{ScalingPolicy, Sight};
use crate::units::{Rate, Timestamp};

/// What the revision and Knative's `config-autoscaler` say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KpaSpec {
    /// `min-scale`, at least 1 here.
    pub min: u32,
    /// `max-scale`.
    pub max: u32,
    /// Load per replica to aim for: the replica's capacity times the target utilisation.
    pub target: Rate,
    /// `stable-window`, whole seconds.
    pub stable_window: TimeDelta,
    /// `panic-window-percentage` of it, whole seconds.
    pub panic_window: TimeDelta,
    /// `panic-threshold-percentage` as a multiple of what is ready.
    pub panic_threshold: f64,
    /// `max-scale-up-rate`.
    pub max_scale_up_rate: f64,
    /// `max-scale-down-rate`.
    pub max_scale_down_rate: f64,
    /// Time between decisions.
    pub tick: TimeDelta,
    /// Age of a second's figure when it is scraped.
    pub lag: TimeDelta,
}

impl KpaSpec {
    /// Knative's defaults: 2 s tick, 60 s and 6 s, twice, up a thousandfold, down by half.
    pub const fn new(min: u32, max: u32, target: Rate, lag: TimeDelta) -> Self {
        Self {
            min,
            max,
            target,
            stable_window: TimeDelta::seconds(60),
            panic_window: TimeDelta::seconds(6),
            panic_threshold: 2.0,
            max_scale_up_rate: 1000.0,
            max_scale_down_rate: 2.0,
            tick: TimeDelta::seconds(2),
            lag,
        }
    }
}

/// One-second buckets of the scraped load, over one window.
#[derive(Debug, Clone)]
struct Buckets {
    /// Seconds.
    window: i64,
    /// Second since 1970 and units per second, in order.
    values: VecDeque<(i64, f64)>,
    /// Second of the first value since nothing came for a whole window.
    first: Option<i64>,
}

impl Buckets {
    fn over(window: TimeDelta) -> Self {
        Self {
            window: window.num_seconds().max(1),
            values: VecDeque::new(),
            first: None,
        }
    }

    fn record(&mut self, second: i64, value: f64) {
        while self
            .values
            .front()
            .is_some_and(|&(old, _)| old <= second - self.window)
        {
            self.values.pop_front();
        }
        if self.values.is_empty() {
            // begun anew after a hole, or the mean would be over seconds in which nobody looked
            self.first = Some(second);
        }
        self.values.push_back((second, value));
    }

    /// The mean over the window up to `now`, the seconds before the first value and those since
    /// the last left out; a second without a value in between counts 0. `None` when nothing came
    /// for a whole window.
    fn average(&self, now: i64) -> Option<f64> {
        let &(last, _) = self.values.back()?;
        let late = (now - last).max(0);
        if late >= self.window {
            return None;
        }
        let seconds = (last - self.first? + 1).min(self.window - late);
        let recent = self.values.iter().rev();
        let recent = recent.take_while(|&&(second, _)| second > now - self.window);
        let sum: f64 = recent.map(|(_, value)| value).sum();
        Some(sum / seconds as f64)
    }
}

/// One autoscaler's state.
#[derive(Debug, Clone)]
pub struct Kpa {
    spec: KpaSpec,
    panicking_since: Option<Timestamp>,
    most_in_panic: u32,
}

impl Kpa {
    /// A controller that starts beside `ready` pods. With more than one it starts in panic, so
    /// that a restart without history does not shrink anything.
    pub fn new(spec: KpaSpec, ready: u32, now: Timestamp) -> Self {
        Self {
            spec,
            panicking_since: (ready > 1).then_some(now),
            most_in_panic: ready,
        }
    }

    /// One tick: the size it would patch into the deployment, from the mean load over both
    /// windows, units per second.
    pub fn scale(&mut self, stable: f64, panic: f64, ready: u32, now: Timestamp) -> u32 {
        let spec = self.spec;
        let ready = f64::from(ready.max(1));
        let up = (spec.max_scale_up_rate * ready).ceil();
        let down = (ready / spec.max_scale_down_rate).floor();
        let target = spec.target.as_per_second().max(0.01);
        let wanted = |load: f64| (load / target).ceil();
        let bounded = |load: f64| wanted(load).max(down).min(up) as u32;
        let over = wanted(panic) / ready >= spec.panic_threshold;
        if over {
            self.panicking_since = Some(now);
        } else if self
            .panicking_since
            .is_some_and(|since| since + spec.stable_window < now)
        {
            self.panicking_since = None;
            self.most_in_panic = 0;
        }
        let mut desired = bounded(stable);
        if self.panicking_since.is_some() {
            self.most_in_panic = self.most_in_panic.max(desired).max(bounded(panic));
            desired = self.most_in_panic;
        }
        desired.clamp(spec.min, spec.max.max(spec.min))
    }

    /// Whether it is panicking.
    pub const fn panics(&self) -> bool {
        self.panicking_since.is_some()
    }
}

/// The KPA as a policy.
#[derive(Debug, Clone)]
pub struct KpaPolicy {
    name: String,
    spec: KpaSpec,
    /// Each window has its own, as in Knative: the short one forgets a hole sooner.
    stable: Buckets,
    panic: Buckets,
    state: Option<Kpa>,
    scraped: Option<i64>,
    next: Option<Timestamp>,
}

impl KpaPolicy {
    /// A KPA that has seen nothing yet.
    pub fn new(name: impl Into<String>, spec: KpaSpec) -> Self {
        Self {
            name: name.into(),
            spec,
            stable: Buckets::over(spec.stable_window),
            panic: Buckets::over(spec.panic_window),
            state: None,
            scraped: None,
            next: None,
        }
    }

    /// Scrapes once for every second that has begun since the last time.
    fn scrape(&mut self, sight: &Sight<'_>, now: Timestamp) {
        let second = now.timestamp();
        let from = self
            .scraped
            .map_or(second, |last| last + 1)
            .max(second - self.stable.window);
        for at in from..=second {
            let ago = TimeDelta::seconds(second - at);
            if let Some(sample) = sight.sample(self.spec.lag + ago) {
                let rate = sample.rate.as_per_second();
                self.stable.record(at, rate);
                self.panic.record(at, rate);
            }
        }
        self.scraped = Some(second);
    }
}

impl ScalingPolicy for KpaPolicy {
    fn name(&self) -> &str {
        &self.name
    }

    fn decide(&mut self, sight: &Sight<'_>, now: Timestamp) -> u32 {
        self.scrape(sight, now);
        let ready = sight.workload.ready;
        let spec = self.spec;
        let state = self.state.get_or_insert_with(|| Kpa::new(spec, ready, now));
        if self.next.is_some_and(|next| now < next) {
            return sight.workload.replicas;
        }
        self.next = Some(now + spec.tick);
        let second = now.timestamp();
        match (self.stable.average(second), self.panic.average(second)) {
            (Some(stable), Some(panic)) => state.scale(stable, panic, ready, now),
            // no data, no decision; a window without data while the other has some reads 0
            (Some(stable), None) => state.scale(stable, 0.0, ready, now),
            (None, _) => sight.workload.replicas,
        }
    }
}

#[cfg(test)]
mod tests;
