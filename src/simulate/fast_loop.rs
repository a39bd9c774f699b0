//! Tipoff's fast loop under simulation: one live sample a second, as late as live samples are,
//! watched with the briefing the controller gives its own.

use chrono::TimeDelta;

use super::policies::Sight;
use crate::burst::spike::Learnt;
use crate::burst::{BurstDemand, LearntSpikes, LiveSample, News, Watch};
use crate::plan::bridges::{exceeds, overload_after};
use crate::plan::briefing::Briefing;
use crate::plan::{BurstSight, Memory, Observed, Plan, Policy};
use crate::units::{Rate, Timestamp};

/// A spike the fast loop saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeenSpike {
    /// When it said so.
    pub at: Timestamp,
    /// Load it then asked for.
    pub wanted: Rate,
    /// Whether later samples agreed. False: still open or a false alarm.
    pub confirmed: bool,
}

/// The watch over one workload, and what it reported.
#[derive(Debug)]
pub(super) struct FastLoop {
    /// Age of a sample when it is seen.
    lag: TimeDelta,
    watch: Watch,
    briefing: Option<Briefing>,
    /// Load asked for when the plan was last told.
    told: Option<Rate>,
    /// Load above which running replicas should get more CPU.
    overload: Option<Rate>,
    /// Load the last plan knew running replicas would have to carry.
    carried: Option<Rate>,
    seen: Vec<SeenSpike>,
}

impl FastLoop {
    /// A watch that already learnt from earlier days.
    pub(super) fn new(lag: TimeDelta, learnt: LearntSpikes) -> Self {
        Self {
            lag,
            watch: Watch::with_learnt(learnt),
            briefing: None,
            told: None,
            overload: None,
            carried: None,
            seen: Vec::new(),
        }
    }

    /// Takes in the latest second; true when the plan must be made again at once.
    pub(super) fn tick(&mut self, sight: &Sight<'_>, now: Timestamp) -> bool {
        let Some(briefing) = self.briefing.take() else {
            // the first plan briefs
            return false;
        };
        if let Some(sample) = self.sample(sight) {
            let expected = briefing.expected(sample.to);
            let news = self.watch.observe(&sample, &expected, &briefing.policy);
            self.note(news, now);
        }
        self.watch.let_go(now);
        let demand = self.watch.demand(now);
        self.briefing = Some(briefing);
        demand.is_some_and(|demand| {
            self.told.is_none_or(|told| demand.load > told) || exceeds(&demand, self.overload)
        })
    }

    /// Takes in what came of the briefing: `overload` is what running replicas carry where they may
    /// be given more CPU.
    pub(super) fn told(&mut self, overload: Option<Rate>, plan: &Plan) {
        self.overload = overload_after(overload, self.carried, &plan.actions);
    }

    /// Is briefed anew, and says what it sees.
    pub(super) fn brief(
        &mut self,
        observed: &Observed,
        policy: &Policy,
        memory: &Memory,
        now: Timestamp,
    ) -> BurstSight {
        let kin = Learnt::default();
        let briefing = Briefing::new(observed, policy, memory, (&self.watch, &kin), now);
        // before the first sample nothing is amiss
        let sight = briefing.sight(&self.watch, self.watch.last().is_some(), now);
        self.told = sight.demand.as_ref().map(|demand| demand.load);
        self.carried = sight.demand.as_ref().and_then(BurstDemand::to_carry);
        self.briefing = Some(briefing);
        sight
    }

    /// What was learnt of spikes, earlier days included.
    pub(super) fn learnt(&self) -> LearntSpikes {
        *self.watch.learnt()
    }

    /// Spikes seen so far.
    pub(super) fn seen(&self) -> &[SeenSpike] {
        &self.seen
    }

    fn sample(&self, sight: &Sight<'_>) -> Option<LiveSample> {
        let sample = sight.sample(self.lag)?;
        let sample = LiveSample {
            from: sample.at - sight.load.step(),
            to: sample.at,
            offered: sample.rate,
            queued: None,
            error: 0.0,
        };
        // load in bins of minutes is no live signal
        sample.validated().ok()
    }

    fn note(&mut self, news: Option<News>, now: Timestamp) {
        match news {
            Some(News::Alarm { wanted, .. } | News::Again { wanted, .. }) => {
                self.seen.push(SeenSpike {
                    at: now,
                    wanted,
                    confirmed: false,
                });
            }
            Some(News::Confirmed) => {
                if let Some(last) = self.seen.last_mut() {
                    last.confirmed = true;
                }
            }
            Some(News::FalseAlarm | News::Faded(_) | News::NewLevel) | None => {}
        }
    }
}
