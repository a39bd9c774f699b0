//! Tipoff under simulation: the controller's own `plan`, fed with what it would have known, and
//! beside it the fast loop where the load is known by the second.

use std::sync::Arc;

use chrono::TimeDelta;

use super::fast_loop::{FastLoop, SeenSpike};
use super::loan::CpuOrder;
use super::policies::{ScalingPolicy, Sight};
use crate::burst::LearntSpikes;
use crate::fixture::Calendar;
use crate::forecast::Forecast;
use crate::plan::{
    self, Action, BridgesSeen, BurstSight, Memory, Mode, Observed, Policy, Signal, bridges,
};
use crate::units::Timestamp;

/// What was known of the future, moment by moment: forecasts by origin and the calendar by the
/// time each version of it was known.
#[derive(Debug, Clone, Default)]
pub struct Outlook {
    forecasts: Vec<Arc<Forecast>>,
    calendars: Vec<(Timestamp, Arc<Calendar>)>,
}

impl Outlook {
    /// Orders both by time.
    pub fn new(
        mut forecasts: Vec<Arc<Forecast>>,
        mut calendars: Vec<(Timestamp, Arc<Calendar>)>,
    ) -> Self {
        forecasts.sort_by_key(|forecast| forecast.origin);
        calendars.sort_by_key(|(known_from, _)| *known_from);
        Self {
            forecasts,
            calendars,
        }
    }

    /// The latest forecast issued by `now`.
    pub fn forecast(&self, now: Timestamp) -> Option<&Arc<Forecast>> {
        let issued = self.forecasts.partition_point(|f| f.origin <= now);
        issued.checked_sub(1).map(|index| &self.forecasts[index])
    }

    /// The calendar as it was known at `now`.
    pub fn calendar(&self, now: Timestamp) -> Arc<Calendar> {
        let known = self.calendars.partition_point(|(from, _)| *from <= now);
        known
            .checked_sub(1)
            .map(|index| Arc::clone(&self.calendars[index].1))
            .unwrap_or_default()
    }

    /// All forecasts in order of origin.
    pub fn forecasts(&self) -> &[Arc<Forecast>] {
        &self.forecasts
    }
}

/// Tipoff.
#[derive(Debug)]
pub struct TipoffPolicy {
    name: String,
    policy: Policy,
    outlook: Arc<Outlook>,
    metric_lag: TimeDelta,
    metric_window: TimeDelta,
    every: TimeDelta,
    next: Option<Timestamp>,
    memory: Memory,
    fast: Option<FastLoop>,
    cpu: Option<CpuOrder>,
}

impl TipoffPolicy {
    /// Tipoff under a policy, which is enforced whatever its mode. It decides `every` so often,
    /// on a load metric that is `metric_lag` late.
    pub fn new(
        name: impl Into<String>,
        policy: &Policy,
        outlook: Arc<Outlook>,
        metric_lag: TimeDelta,
        every: TimeDelta,
    ) -> Self {
        Self {
            name: name.into(),
            policy: Policy {
                mode: Mode::Enforce,
                ..policy.clone()
            },
            outlook,
            metric_lag,
            metric_window: TimeDelta::zero(),
            every,
            next: None,
            memory: Memory::default(),
            fast: None,
            cpu: None,
        }
    }

    /// The same on a load metric that is a mean over `window`.
    #[must_use]
    pub fn on_means_over(mut self, window: TimeDelta) -> Self {
        self.metric_window = window;
        self
    }

    /// The same with its fast loop, which sees each bin of the load `lag` after its end and knows
    /// of earlier spikes what was `learnt`.
    #[must_use]
    pub fn with_fast_loop(mut self, lag: TimeDelta, learnt: LearntSpikes) -> Self {
        self.fast = Some(FastLoop::new(lag, learnt));
        self
    }

    /// Spikes the fast loop saw.
    pub fn seen_spikes(&self) -> &[SeenSpike] {
        self.fast.as_ref().map_or(&[], FastLoop::seen)
    }

    /// What its fast loop has learnt of spikes by now.
    pub fn learnt_spikes(&self) -> LearntSpikes {
        self.fast
            .as_ref()
            .map_or_else(LearntSpikes::default, FastLoop::learnt)
    }

    /// The same with every need `factor` times as large: the knob that makes policies comparable
    /// at equal service.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        self.policy.per_replica = self.policy.per_replica.map(|rate| rate / factor);
        self
    }

    /// All that is known at `now`, the fast loop's sight aside.
    fn observe(&self, sight: &Sight<'_>, now: Timestamp) -> Observed {
        let load = match sight.mean(self.metric_window, self.metric_lag) {
            Some(sample) => Signal::Sample {
                rate: sample.rate,
                at: sample.at,
            },
            None => Signal::Missing {
                reason: "the metric has no value".to_owned(),
            },
        };
        Observed {
            workload: sight.workload,
            load,
            shed: None,
            queued: None,
            burst: BurstSight::default(),
            // a forecast from an origin needs the data up to it, which arrive late
            forecast: self.outlook.forecast(now - self.metric_lag).cloned(),
            forecast_note: None,
            lists_note: None,
            calendar: self.outlook.calendar(now),
            manual: None,
            bridges: BridgesSeen {
                cpu: Some(sight.cpu),
                // nobody's nodes are in question beyond those of the model
                reserve: None,
            },
        }
    }

    /// The whole plan at `now`, with its reasons.
    pub fn plan(&mut self, sight: &Sight<'_>, now: Timestamp) -> plan::Plan {
        let mut observed = self.observe(sight, now);
        if let Some(fast) = &mut self.fast {
            observed.burst = fast.brief(&observed, &self.policy, &self.memory, now);
        }
        let plan = plan::plan(&observed, &self.policy, &self.memory, now);
        if let Some(fast) = &mut self.fast {
            fast.told(
                bridges::overload(&observed, &self.policy, plan.per_replica),
                &plan,
            );
        }
        plan
    }
}

impl ScalingPolicy for TipoffPolicy {
    fn name(&self) -> &str {
        &self.name
    }

    fn decide(&mut self, sight: &Sight<'_>, now: Timestamp) -> u32 {
        // a spike does not wait for the slow loop's turn
        let spike = self.fast.as_mut().is_some_and(|fast| fast.tick(sight, now));
        if !spike && self.next.is_some_and(|next| now < next) {
            return sight.workload.replicas;
        }
        let turn = self.next.is_none_or(|next| now >= next);
        if turn {
            self.next = Some(now + self.every);
        }
        let plan = self.plan(sight, now);
        let factor = self.policy.bridges.cpu.map(|bridge| bridge.factor);
        self.cpu = plan.actions.iter().find_map(|action| match action {
            Action::RaiseCpu => factor.map(CpuOrder::Raise),
            // letting go is the slow loop's
            Action::RestoreCpu => turn.then_some(CpuOrder::Restore),
            Action::Scale { .. } | Action::Reserve { .. } => None,
        });
        self.memory = plan.memory;
        plan.desired
    }

    fn cpu(&mut self) -> Option<CpuOrder> {
        self.cpu.take()
    }
}
