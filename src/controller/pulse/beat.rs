//! The fast loop of one policy: its samples, its spikes, and the decision between two ticks.
//! Pure: told the time, touches no client.

use crate::burst::spike::{Learnt, Seen};
use crate::burst::{Hint, LiveSample, News, Watch};
use crate::controller::act::{Order, Outcome};
use crate::controller::state::PolicyKey;
use crate::plan::briefing::{Briefing, sport};
use crate::plan::memory::RaiseMinute;
use crate::plan::{BurstSight, Memory, Observed, Plan, Policy, Workload, plan};
use crate::target::TargetError;
use crate::units::{Rate, Timestamp};

/// What a tick leaves to the fast loop.
#[derive(Debug, Clone)]
pub(crate) struct Stance {
    /// The policy in force.
    pub(crate) policy: Policy,
    /// The facts of the tick.
    pub(crate) observed: Observed,
    /// What the tick remembers.
    pub(crate) memory: Memory,
    /// What is written to, and how.
    pub(crate) order: Order,
}

impl Stance {
    /// The sport of its fixtures.
    pub(super) fn sport(&self, now: Timestamp) -> Option<&str> {
        sport(&self.observed.calendar, now)
    }
}

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
    written: Option<WrittenBetween>,
}

impl Pulse {
    pub(super) fn brief(
        &mut self,
        key: &PolicyKey,
        stance: Stance,
        kin: &Learnt,
        now: Timestamp,
    ) {
        if self.key.as_ref() != Some(key)
            || self
                .stance
                .as_ref()
                .is_some_and(|last| last.order.target != stance.order.target)
        {
            // another policy of the same name, or another workload: its spikes are its own
            *self = Self {
                key: Some(key.clone()),
                ..Self::default()
            };
        }
        let Stance {
            policy,
            observed,
            memory,
            ..
        } = &stance;
        let briefing = Briefing::new(observed, policy, memory, (&self.watch, kin), now);
        self.watch.let_go(now, briefing.in_play);
        if !self.watch.is_bursting() {
            self.decided = Rate::ZERO;
        }
        self.briefing = Some(briefing);
        self.stance = Some(stance);
    }

    pub(super) fn sight(&mut self, promised: bool, now: Timestamp) -> BurstSight {
        match &self.briefing {
            Some(briefing) => briefing.sight(&self.watch, promised, now),
            None => BurstSight::default(),
        }
    }

    /// The minute of raises as the fast loop left it.
    pub(super) fn raise(&self) -> Option<RaiseMinute> {
        self.stance.as_ref()?.memory.raise
    }

    pub(super) fn take_written(&mut self) -> Option<WrittenBetween> {
        self.written.take()
    }

    pub(super) fn contributed(&self) -> Learnt {
        self.contributed
    }

    /// End of the last sample looked at.
    pub(super) fn last(&self) -> Timestamp {
        self.watch.last().unwrap_or(Timestamp::MIN_UTC)
    }

    /// Looks at new samples and hints.
    pub(super) fn take_in(
        &mut self,
        samples: &[LiveSample],
        hints: &[Hint],
        now: Timestamp,
    ) -> Told {
        let mut told = Told::default();
        let Some(briefing) = &self.briefing else {
            return told;
        };
        for sample in samples {
            let expected = briefing.expected(sample.to);
            let news = self.watch.observe(sample, &expected, &briefing.policy);
            if let Some(News::Faded(seen)) = news
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
            if !self.heard.contains(hint) {
                let expected = briefing.expected(now);
                self.watch.hear(hint, &expected, &briefing.policy);
                self.heard.push(hint.clone());
            }
        }
        self.watch.let_go(now, briefing.in_play);
        let demand = self.watch.demand(now, briefing.in_play);
        told.decide = !self.deciding
            && !briefing.is_stale(now)
            && demand.is_some_and(|demand| demand.load > self.decided);
        self.deciding |= told.decide;
        told
    }

    /// The decision on what is wanted now, when it is more than was decided on.
    pub(super) fn decide(&mut self, now: Timestamp) -> Option<(PolicyKey, Order, Plan)> {
        let briefing = self.briefing.as_ref()?;
        let stance = self.stance.as_mut()?;
        let sight = briefing.sight(&self.watch, true, now);
        let load = sight.demand.as_ref()?.load;
        if load <= self.decided {
            return None;
        }
        self.decided = load;
        stance.observed.burst = sight;
        let plan = plan(&stance.observed, &stance.policy, &stance.memory, now);
        // the next tick remembers for itself; only what limits raises must not be forgotten
        stance.memory.raise = plan.memory.raise;
        if plan.actions.is_empty() || plan.desired <= stance.observed.workload.replicas {
            return None;
        }
        Some((self.key.clone()?, stance.order.clone(), plan))
    }

    /// Takes note of what became of a decision.
    pub(super) fn wrote(&mut self, outcome: &Outcome, plan: &Plan, now: Timestamp) {
        let Some(stance) = &mut self.stance else {
            return;
        };
        let found = match outcome {
            Outcome::Scaled { from, to } => {
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
            // tried again with the next sample
            _ => {
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
