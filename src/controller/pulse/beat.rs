//! The fast loop of one policy: its samples, its spikes, and the decision between two ticks.
//! Pure: told the time, touches no client.

use std::borrow::Cow;

use chrono::TimeDelta;

use super::latest::Latest;
use super::patience::Patience;
use super::stance::Stance;
use crate::burst::spike::{Learnt, Seen};
use crate::burst::{BurstDemand, Hint, LearntSpikes, LiveSample, News, SpikeSizes, Watch};
use crate::controller::act::{Order, Outcome};
use crate::controller::state::PolicyKey;
use crate::plan::bridges::{CpuBridge, CpuState, exceeds, overload_after};
use crate::plan::briefing::Briefing;
use crate::plan::memory::RaiseMinute;
use crate::plan::{Action, BurstSight, Plan, Workload, plan};
use crate::source::live::TOLERANCE;
use crate::target::TargetError;
use crate::units::{Rate, Timestamp};

/// A size that was written between two ticks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WrittenBetween {
    /// Size before.
    pub(crate) from: u32,
    /// Size after.
    pub(crate) to: u32,
    /// When.
    pub(crate) at: Timestamp,
    /// Why.
    pub(crate) reason: String,
}

/// What the fast loop has for the next tick.
#[derive(Debug, Default)]
pub(crate) struct SeenBetween {
    /// What it sees now.
    pub(crate) burst: BurstSight,
    /// The minute of raises as it left it.
    pub(crate) raised: Option<RaiseMinute>,
    /// The size it wrote.
    pub(crate) written: Option<WrittenBetween>,
    /// What is known of spikes, and what of that was seen here.
    pub(crate) spikes: Option<(SpikeSizes, LearntSpikes)>,
}

/// What a look at new samples told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What happened, sample by sample.
    pub(super) news: Vec<News>,
    /// Age of the newest sample, seconds.
    pub(super) age: Option<f64>,
    /// More is wanted than was decided on, and nobody is at it.
    pub(super) decide: bool,
    /// A spike that may be learnt from, and its sport.
    pub(super) learnt: Option<(String, Seen)>,
}

/// The state.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    key: Option<PolicyKey>,
    watch: Watch,
    stance: Option<Stance>,
    briefing: Option<Briefing>,
    /// Own spikes that are in the pool of the sport.
    contributed: Learnt,
    heard: Vec<Hint>,
    /// Load that was last decided on.
    decided: Rate,
    deciding: bool,
    /// With an API server that refuses its sizes.
    patience: Patience,
    written: Option<WrittenBetween>,
    /// Load above which running replicas should get more CPU; `None` where no bridge is asked for,
    /// or it is up.
    overload: Option<Rate>,
    /// What a bridge has become since the last tick.
    cpu: Option<CpuState>,
}

impl Pulse {
    /// The state of a policy whose workload has shown these spikes.
    pub(super) fn new(key: &PolicyKey, learnt: LearntSpikes) -> Self {
        Self {
            key: Some(key.clone()),
            watch: Watch::with_learnt(learnt),
            contributed: learnt.live,
            ..Self::default()
        }
    }

    /// Whether it is this policy's, and not that of another one of the same name.
    pub(super) fn is_of(&self, key: &PolicyKey) -> bool {
        self.key.as_ref() == Some(key)
    }

    /// Whether this is another policy of the same name, or of another workload, or new: what is
    /// here is not its own.
    pub(super) fn begins(&self, key: &PolicyKey, stance: &Stance) -> bool {
        let last = self.stance.as_ref();
        !self.is_of(key) || last.is_some_and(|last| last.order.target != stance.order.target)
    }

    /// Takes over what a tick leaves; `kin` are spikes of other workloads at the same sport.
    pub(super) fn brief(&mut self, stance: Stance, kin: &Learnt, now: Timestamp) {
        let Stance {
            policy,
            observed,
            memory,
            ..
        } = &stance;
        let briefing = Briefing::new(observed, policy, memory, (&self.watch, kin), now);
        self.watch.let_go(now);
        // what the tick has decided on, unless more was decided meanwhile: a spike that grows again
        // is news
        if self.written.is_none() && !self.deciding {
            let planned = observed.burst.demand.as_ref();
            let planned = planned.map_or(Rate::ZERO, |demand| demand.load);
            self.decided = self.decided.min(planned);
        }
        self.overload = stance.overload();
        self.briefing = Some(briefing);
        self.stance = Some(stance);
    }

    /// What the next plan is told.
    pub(super) fn seen(&mut self, promised: bool, now: Timestamp) -> SeenBetween {
        let Some(briefing) = &self.briefing else {
            return SeenBetween::default();
        };
        SeenBetween {
            burst: briefing.sight(&self.watch, promised, now),
            raised: self.stance.as_ref().and_then(|stance| stance.memory.raise),
            written: self.written.take(),
            spikes: Some((briefing.live, *self.watch.learnt())),
        }
    }

    /// Own spikes that are in the pool of the sport.
    pub(super) fn contributed(&self) -> Learnt {
        self.contributed
    }

    /// End of the last sample looked at; long ago when the clock was set back since.
    pub(super) fn last(&self, now: Timestamp) -> Timestamp {
        let last = self
            .watch
            .last()
            .filter(|_| self.set_back_by(now).is_none());
        last.unwrap_or(Timestamp::MIN_UTC)
    }

    /// By how much the clock was set back since the last sample: it was not from the future when
    /// the inbox took it.
    fn set_back_by(&self, now: Timestamp) -> Option<TimeDelta> {
        let ahead = self.watch.last()? - now;
        (ahead > TOLERANCE).then_some(ahead)
    }

    /// Looks at new samples and hints.
    pub(super) fn take_in(
        &mut self,
        samples: &[LiveSample],
        hints: &[Hint],
        now: Timestamp,
    ) -> Told {
        let mut told = Told::default();
        if let Some(by) = self.set_back_by(now) {
            self.watch.set_back(by);
        }
        let Some(briefing) = &self.briefing else {
            return told;
        };
        for sample in samples {
            let expected = briefing.expected(sample.to);
            let news = self.watch.observe(sample, &expected, &briefing.policy);
            if let Some(News::Faded(seen) | News::Again { last: seen, .. }) = news
                && briefing.in_play > 0
                && let Some(sport) = self.stance.as_ref().and_then(|stance| stance.sport(now))
            {
                self.contributed = self.contributed.and(&seen);
                told.learnt = Some((sport.to_owned(), seen));
            }
            told.news.extend(news);
        }
        let newest = samples.last();
        told.age = newest.map(|sample| (now - sample.to).num_milliseconds() as f64 / 1e3);
        self.heard.retain(|heard| heard.until > now);
        for hint in hints {
            // each is heard once: what it multiplies is the load before it
            let expected = briefing.expected(now);
            if !self.heard.contains(hint) && self.watch.hear(hint, &expected, &briefing.policy) {
                self.heard.push(hint.clone());
            }
        }
        self.watch.let_go(now);
        let demand = self.watch.demand(now);
        let news =
            |demand: &BurstDemand| demand.load > self.decided || exceeds(demand, self.overload);
        told.decide = !self.deciding
            && !self.patience.waits(now)
            && !briefing.is_stale(now)
            && demand.as_ref().is_some_and(news);
        self.deciding |= told.decide;
        told
    }

    /// Whose it is.
    pub(super) fn key(&self) -> Option<PolicyKey> {
        self.key.clone()
    }

    /// The decision on what is wanted now, when it is more than was decided on, or more than
    /// running replicas carry without a bridge. `latest` is what the policy says by now, where it
    /// lets anything be written.
    pub(super) fn decide(
        &mut self,
        latest: Option<&Latest>,
        now: Timestamp,
    ) -> Option<(Order, Plan)> {
        let briefing = self.briefing.as_ref()?;
        let stance = self.stance.as_mut()?;
        let sight = briefing.sight(&self.watch, true, now);
        let demand = sight.demand.as_ref()?;
        if demand.load <= self.decided && !exceeds(demand, self.overload) {
            return None;
        }
        self.decided = self.decided.max(demand.load);
        let carried = demand.to_carry();
        stance.observed.burst = sight;
        let mut policy = Cow::Borrowed(&stance.policy);
        if let Some(latest) = latest {
            stance.observed.manual.clone_from(&latest.manual);
            policy = Cow::Owned(latest.within(&policy));
        }
        let mut plan = plan(&stance.observed, &policy, &stance.memory, now);
        // the next tick remembers for itself; only what limits raises must not be forgotten
        stance.memory.raise = plan.memory.raise;
        let raises = |action: &Action| match action {
            Action::Scale { from, to } => to > from,
            Action::RaiseCpu => true,
            // letting go, and nodes that take minutes, are the slow loop's
            Action::RestoreCpu | Action::Reserve { .. } => false,
        };
        plan.actions.retain(raises);
        self.overload = overload_after(self.overload, carried, &plan.actions);
        (!plan.actions.is_empty()).then(|| (stance.order.clone(), plan))
    }

    /// The bridge of the policy in force.
    pub(super) fn cpu_bridge(&self) -> Option<CpuBridge> {
        self.stance.as_ref()?.policy.bridges.cpu
    }

    /// Takes note of what a bridge has become, for this loop and for the next tick.
    pub(super) fn bridged(&mut self, cpu: CpuState) {
        self.cpu = Some(cpu);
        if let Some(stance) = &mut self.stance {
            stance.observed.bridges.cpu = Some(cpu);
            // what was left of many pods follows with the next sample
            self.overload = stance.overload();
        }
    }

    /// What a bridge has become since the last tick.
    pub(super) fn take_cpu(&mut self) -> Option<CpuState> {
        self.cpu.take()
    }

    /// Takes note of what became of a decision.
    pub(super) fn wrote(&mut self, outcome: &Outcome, plan: &Plan, now: Timestamp) {
        let Some(stance) = &mut self.stance else {
            return;
        };
        let found = match outcome {
            Outcome::Scaled { from, to } => {
                self.patience.taken();
                self.written = Some(WrittenBetween {
                    from: *from,
                    to: *to,
                    at: now,
                    reason: plan.summary.clone(),
                });
                *to
            }
            Outcome::Failed(TargetError::Overtaken { found, .. }) => {
                self.decided = Rate::ZERO;
                *found
            }
            // tried again with the next sample, or a later one
            Outcome::Failed(error) => {
                self.patience.failed(error, now);
                self.decided = Rate::ZERO;
                return;
            }
            Outcome::Nothing | Outcome::HeldBack { .. } => {
                self.decided = Rate::ZERO;
                return;
            }
        };
        let ready = stance.observed.workload.ready.min(found);
        stance.observed.workload = Workload {
            replicas: found,
            ready,
        };
        stance.order.size.replicas = found;
    }

    /// Nobody is at a decision any more.
    pub(super) fn rest(&mut self) {
        self.deciding = false;
    }
}

#[cfg(test)]
mod tests;
