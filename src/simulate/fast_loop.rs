//! Tipoff's fast loop under simulation: one live sample a second, as late as live samples are.

use chrono::TimeDelta;

use super::policies::Sight;
use crate::burst::spike::Declared;
use crate::burst::{
    BurstDemand, BurstPolicy, Expected, LearntSpikes, LiveSample, News, SpikeSizes, Watch,
};
use crate::fixture::Calendar;
use crate::forecast::{Forecast, Quantile};
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

/// What the slow loop knows of the moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    pub(super) forecast: Option<&'a Forecast>,
    pub(super) calendar: &'a Calendar,
    /// Decision to Ready.
    pub(super) until_ready: TimeDelta,
}

/// The watch over one workload, and what it reported.
#[derive(Debug)]
pub(super) struct FastLoop {
    /// Age of a sample when it is seen.
    lag: TimeDelta,
    policy: BurstPolicy,
    watch: Watch,
    seen: Vec<SeenSpike>,
}

impl FastLoop {
    /// A watch that already learnt from earlier days.
    pub(super) fn new(lag: TimeDelta, learnt: LearntSpikes) -> Self {
        Self {
            lag,
            policy: BurstPolicy::default(),
            watch: Watch::with_learnt(learnt),
            seen: Vec::new(),
        }
    }

    /// Takes in the latest second and says what should be ready.
    pub(super) fn tick(
        &mut self,
        sight: &Sight<'_>,
        moment: Moment<'_>,
        now: Timestamp,
    ) -> Option<BurstDemand> {
        let in_play = moment.calendar.covering(now);
        let in_play = in_play.iter().filter(|(_, phase)| phase.is_live()).count() as u32;
        if let Some(sample) = self.sample(sight) {
            let learnt = self.watch.learnt();
            let none = crate::burst::spike::Learnt::default();
            let expected = Expected {
                forecast: moment
                    .forecast
                    .and_then(|forecast| forecast.at(Quantile::P50, sample.from)),
                in_play,
                until_ready: moment.until_ready,
                live: SpikeSizes::new(&Declared::LIVE, &none, &learnt.live),
                quiet: SpikeSizes::new(&Declared::QUIET, &none, &learnt.quiet),
            };
            let news = self.watch.observe(&sample, &expected, &self.policy);
            self.note(news, now);
        }
        self.watch.let_go(now, in_play);
        self.watch.demand(now, in_play)
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
            Some(News::Alarm { wanted, .. }) => self.seen.push(SeenSpike {
                at: now,
                wanted,
                confirmed: false,
            }),
            Some(News::Confirmed) => {
                if let Some(last) = self.seen.last_mut() {
                    last.confirmed = true;
                }
            }
            Some(News::FalseAlarm | News::Faded(_) | News::NewLevel) | None => {}
        }
    }
}
