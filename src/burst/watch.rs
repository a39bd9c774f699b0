//! One workload's fast loop: detector, the spike under way, and what is held because of it.
//!
//! On an alarm the size is jumped to, not doubled towards: as high as a spike of the phase that
//! begins like this one may climb, no less than was reached and no more than one spike in a
//! hundred exceeds. Every further sample narrows that down. What is confirmed is held at its top
//! for two half-lives; what none confirms is let go within [`CONFIRM_WITHIN`]. Silence is no
//! reason to let go. While one spike fades, the next on top of it is looked for.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::detector::{Alarm, Detector};
use super::follow::Spike;
use super::heard::{Heard, Word};
use super::recent::Recent;
use super::sample::{Hint, LiveSample};
use super::spike::{Learnt, Seen, SpikeSizes};
use crate::units::{Rate, Timestamp};

/// An alarm that no later sample confirms within this time was none.
pub const CONFIRM_WITHIN: TimeDelta = TimeDelta::seconds(10);

/// What has not faded after this time is no spike but a new level.
const NEW_LEVEL: TimeDelta = TimeDelta::minutes(15);

/// A spike is held at least this long after its top.
const LEAST_HOLD: TimeDelta = TimeDelta::seconds(60);

/// Samples older than this say nothing about now.
pub const STALE: TimeDelta = TimeDelta::seconds(10);

/// What no spike is expected to exceed.
const LARGEST: f64 = 0.99;

/// How one workload's bursts are met.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BurstPolicy {
    /// Least mean time between two false alarms.
    pub false_alarm_every: TimeDelta,
    /// Share of spikes that a jump is large enough for, in (0, 1).
    pub jump_quantile: f64,
}

impl Default for BurstPolicy {
    /// One false alarm a day costs seconds of extra replicas; nine spikes in ten fit the jump,
    /// and the slope speaks for the tenth.
    fn default() -> Self {
        Self {
            false_alarm_every: TimeDelta::days(1),
            jump_quantile: 0.9,
        }
    }
}

/// What the slow loop and the calendar say about the moment of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// The forecast's median.
    pub forecast: Option<Rate>,
    /// Fixtures in play.
    pub in_play: u32,
    /// Decision to a replica Ready.
    pub until_ready: TimeDelta,
    /// Spikes while a fixture is in play.
    pub live: SpikeSizes,
    /// Spikes at other times.
    pub quiet: SpikeSizes,
}

impl Expected {
    /// The spikes of the phase, and how many crowds share the load.
    pub(super) fn phase(&self) -> (&SpikeSizes, u32) {
        if self.in_play > 0 {
            (&self.live, self.in_play)
        } else {
            (&self.quiet, 1)
        }
    }
}

/// What spikes that were confirmed are held for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hold {
    since: Timestamp,
    /// Largest load seen.
    peak: Rate,
    until: Timestamp,
}

/// Spikes learnt by phase.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LearntSpikes {
    /// While a fixture was in play.
    pub live: Learnt,
    /// At other times.
    pub quiet: Learnt,
}

/// Everything the fast loop carries for one workload.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Watch {
    detector: Detector,
    recent: Recent,
    spike: Option<Spike>,
    hold: Option<Hold>,
    heard: Heard,
    learnt: LearntSpikes,
    last: Option<Timestamp>,
}

/// What the fast loop wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BurstDemand {
    /// Load to be ready for, the scatter of counts included.
    pub load: Rate,
    /// The largest load that was really seen and confirmed, its scatter included: what should be
    /// remembered when the spike is over.
    pub seen: Option<Rate>,
    /// The largest load that was seen, confirmed or not, its scatter left out; zero when only a
    /// hint was heard.
    pub reached: Rate,
    /// Since when.
    pub since: Timestamp,
    /// Whether more than one look says so.
    pub confirmed: bool,
    /// In words.
    pub reason: String,
}

impl BurstDemand {
    /// Load that running replicas will have to carry before others are Ready; `None` while only a
    /// hint was heard, for then they still carry what they did.
    pub fn to_carry(&self) -> Option<Rate> {
        (self.reached > Rate::ZERO).then_some(self.load)
    }
}

/// What happened with a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum News {
    /// A spike is seen.
    Alarm {
        /// Its likeliest beginning.
        since: Timestamp,
        /// Load before it.
        before: Rate,
        /// Load asked for.
        wanted: Rate,
    },
    /// Later samples agree.
    Confirmed,
    /// They do not.
    FalseAlarm,
    /// Half of it has faded.
    Faded(Seen),
    /// Another one is seen on top of it.
    Again {
        /// The first one, as far as it was seen.
        last: Seen,
        /// The new one's likeliest beginning.
        since: Timestamp,
        /// Load before it.
        before: Rate,
        /// Load asked for.
        wanted: Rate,
    },
    /// It did not fade: load has a new level.
    NewLevel,
}

impl Watch {
    /// Takes in the next sample. One at or before the last is ignored: only who knows the time can
    /// tell whether it is late or [the clock was set back](Self::set_back).
    pub fn observe(
        &mut self,
        sample: &LiveSample,
        expected: &Expected,
        policy: &BurstPolicy,
    ) -> Option<News> {
        if self.last.is_some_and(|last| sample.to <= last) {
            return None;
        }
        self.last = Some(sample.to);
        let sample = &self.arrivals(sample);
        self.recent.push(*sample);
        let hours = sample.seconds() / 3_600.0 * f64::from(expected.in_play.max(1));
        let learnt = self.learnt_in(expected.in_play);
        *learnt = learnt.watching(hours);
        match self.spike.take() {
            None => self.look(sample, expected, policy),
            Some(spike) => self.follow(spike, sample, expected, policy),
        }
    }

    /// Takes in word of a spike to come. False without a present load, for then there is nothing to
    /// multiply: it should be told again.
    #[must_use]
    pub fn hear(&mut self, hint: &Hint, expected: &Expected, policy: &BurstPolicy) -> bool {
        let Some(now) = self.recent.load_since(Timestamp::MIN_UTC) else {
            return false;
        };
        let (sizes, n) = expected.phase();
        let usual = sizes.quantile(policy.jump_quantile, n);
        let most = sizes.quantile(LARGEST, n).max(usual);
        let multiple = hint.multiple.unwrap_or(usual).clamp(1.0, most);
        // load already risen is not multiplied again
        let before = self.spike.map_or(now, |spike| spike.before);
        let wanted = before * multiple;
        self.heard.add(Word {
            kind: hint.kind.clone(),
            at: hint.at,
            until: hint.until,
            wanted,
        });
        true
    }

    /// What should be ready at `now`.
    pub fn demand(&self, now: Timestamp) -> Option<BurstDemand> {
        // while nobody sees it fade it is held
        let silent = self.is_silent(now);
        let held = self.hold.filter(|hold| silent || now < hold.until);
        let held = held.map(|hold| {
            let said = format!("a spike to {} is held until it has faded", hold.peak);
            (hold.peak, hold.since, true, said)
        });
        let rising = self.spike.map(|spike| {
            let share = spike.peak / spike.before.max(Rate::per_second(f64::MIN_POSITIVE));
            let said = format!(
                "load went from {} to {} ({share:.1}x) since {}",
                spike.before,
                spike.peak,
                spike.since.format("%H:%M:%S"),
            );
            (spike.wanted, spike.since, spike.confirmed, said)
        });
        let heard = self.heard.largest(now).map(|word| {
            let said = format!("{} at {}", word.kind, word.at.format("%H:%M:%S"));
            (word.wanted, word.at, false, said)
        });
        let (load, since, confirmed, reason) = [held, rising, heard]
            .into_iter()
            .flatten()
            .reduce(|best, next| if next.0 > best.0 { next } else { best })?;
        let spike = self.spike.filter(|spike| spike.confirmed);
        let seen = self.hold.map(|hold| hold.peak);
        let seen = seen.into_iter().chain(spike.map(|spike| spike.peak));
        let rising = self.spike.map(|spike| spike.peak);
        let reached = seen.clone().chain(rising).reduce(Rate::max);
        Some(BurstDemand {
            load: self.with_scatter(load),
            reached: reached.unwrap_or(Rate::ZERO),
            seen: seen.reduce(Rate::max).map(|seen| self.with_scatter(seen)),
            since,
            confirmed,
            reason,
        })
    }

    /// Load now: the median of the latest samples, so that one odd one says nothing; `None` when
    /// they are old.
    pub fn offered(&self, now: Timestamp) -> Option<Rate> {
        if self.is_silent(now) {
            return None;
        }
        self.recent.median()
    }

    /// Whether nothing is known of `now`. A last sample from the future is of a clock that was set
    /// back since.
    fn is_silent(&self, now: Timestamp) -> bool {
        self.last.is_none_or(|last| (now - last).abs() > STALE)
    }

    /// End of the last sample.
    pub fn last(&self) -> Option<Timestamp> {
        self.last
    }

    /// Units that waited at the last sample.
    pub fn queued(&self) -> Option<f64> {
        self.recent.last()?.queued
    }

    /// Whether a spike is under way or held.
    pub fn is_bursting(&self) -> bool {
        self.spike.is_some() || self.hold.is_some()
    }

    /// The workload's own spikes.
    pub fn learnt(&self) -> &LearntSpikes {
        &self.learnt
    }

    /// A watch that knows of earlier spikes, as after a restart.
    pub fn with_learnt(learnt: LearntSpikes) -> Self {
        Self {
            learnt,
            ..Self::default()
        }
    }

    /// Lets go of what has been held long enough. To be called once a second after the samples.
    pub fn let_go(&mut self, now: Timestamp) {
        let silent = self.is_silent(now);
        self.heard.let_go(now);
        let over = self.hold.is_some_and(|hold| now >= hold.until);
        if over && self.spike.is_none() && !silent {
            self.hold = None;
        }
    }

    /// Moves what is held to a clock that was set back by so much; what was under way is not known
    /// any more. The next sample is the first of the new time.
    pub fn set_back(&mut self, by: TimeDelta) {
        self.detector.set_back(by);
        self.recent.clear();
        self.spike = None;
        if let Some(hold) = &mut self.hold {
            hold.since -= by;
            hold.until -= by;
        }
        self.heard.set_back(by);
        self.last = None;
    }

    fn look(
        &mut self,
        sample: &LiveSample,
        expected: &Expected,
        policy: &BurstPolicy,
    ) -> Option<News> {
        let every = policy.false_alarm_every;
        let alarm = self.detector.observe(sample, expected.forecast, every)?;
        let wanted = self.begin(&alarm, alarm.expected, sample, expected, policy);
        Some(News::Alarm {
            since: alarm.since,
            before: alarm.expected,
            wanted,
        })
    }

    /// Begins to follow a spike that multiplies `base`; what it asks for.
    fn begin(
        &mut self,
        alarm: &Alarm,
        base: Rate,
        sample: &LiveSample,
        expected: &Expected,
        policy: &BurstPolicy,
    ) -> Rate {
        let peak = self.recent.load_since(alarm.since);
        let peak = peak.unwrap_or(sample.offered);
        let mut spike = Spike::new(alarm, base, peak, sample, expected.in_play);
        spike.wanted = spike.asks(&self.recent, &self.detector, expected, policy);
        self.spike = Some(spike);
        spike.wanted
    }

    fn follow(
        &mut self,
        mut spike: Spike,
        sample: &LiveSample,
        expected: &Expected,
        policy: &BurstPolicy,
    ) -> Option<News> {
        let now = sample.to;
        let rate = self.recent.load_since(spike.since);
        let rate = rate.unwrap_or(sample.offered);
        // judged by what was known before this sample
        let again = spike.looks_again(sample, (&self.recent, &self.detector), expected, policy);
        self.detector.pass_over(sample);
        if let Some(alarm) = again {
            return Some(self.begin_again(&spike, &alarm, sample, expected, policy));
        }
        let news = spike
            .take_in(sample, rate, &self.detector)
            .then_some(News::Confirmed);
        if spike.confirmed {
            self.keep(&spike, expected);
        }
        if !spike.confirmed && now - spike.alarmed >= CONFIRM_WITHIN {
            let [counted, usual] = spike.alarm;
            self.detector.was_scatter(counted, usual);
            self.detector.settle_at(now, rate, expected.forecast);
            return Some(News::FalseAlarm);
        }
        if spike.confirmed && spike.has_faded(rate) {
            self.detector.settle_at(now, rate, expected.forecast);
            let seen = spike.seen(now - spike.peak_at);
            self.learn(&seen, spike.in_play);
            return Some(News::Faded(seen));
        }
        if now - spike.since >= NEW_LEVEL {
            self.detector.settle_at(now, rate, expected.forecast);
            return Some(News::NewLevel);
        }
        spike.wanted = spike.asks(&self.recent, &self.detector, expected, policy);
        self.spike = Some(spike);
        news
    }

    /// Another spike on top of one that has not faded: the first one's top and rise are known, its
    /// half-life stays what it was believed to be.
    fn begin_again(
        &mut self,
        last: &Spike,
        alarm: &Alarm,
        sample: &LiveSample,
        expected: &Expected,
        policy: &BurstPolicy,
    ) -> News {
        let (sizes, _) = expected.phase();
        let seen = last.seen(sizes.half_life());
        self.learn(&seen, last.in_play);
        let wanted = self.begin(alarm, last.base, sample, expected, policy);
        News::Again {
            last: seen,
            since: alarm.since,
            before: alarm.expected,
            wanted,
        }
    }

    fn learn(&mut self, seen: &Seen, in_play: u32) {
        let learnt = self.learnt_in(in_play);
        *learnt = learnt.and(seen);
    }

    fn learnt_in(&mut self, in_play: u32) -> &mut Learnt {
        if in_play > 0 {
            &mut self.learnt.live
        } else {
            &mut self.learnt.quiet
        }
    }

    fn keep(&mut self, spike: &Spike, expected: &Expected) {
        let (sizes, _) = expected.phase();
        let until = spike.peak_at + (sizes.half_life() * 2).max(LEAST_HOLD);
        let hold = self.hold.get_or_insert(Hold {
            since: spike.since,
            peak: spike.peak,
            until,
        });
        hold.peak = hold.peak.max(spike.peak);
        hold.until = hold.until.max(until);
    }

    /// The sample with what joined the queue since the last one: it arrived as well, over all the
    /// time in between. After a long pause it is not known when.
    fn arrivals(&self, sample: &LiveSample) -> LiveSample {
        let last = self.recent.last();
        let last = last.filter(|last| sample.from - last.to <= STALE);
        let joined = last.and_then(|last| {
            let joined = (sample.queued? - last.queued?).max(0.0);
            Some(joined / seconds(sample.to - last.to).max(sample.seconds()))
        });
        LiveSample {
            offered: sample.offered + Rate::per_second(joined.unwrap_or(0.0)),
            ..*sample
        }
    }

    /// Load with the scatter of one second's counts: square-root staffing with `β` = 1.42, at
    /// which one request in ten waits (Halfin and Whitt), and arrivals as uneven as measured. At
    /// most a quarter more.
    fn with_scatter(&self, load: Rate) -> Rate {
        const BETA: f64 = 1.42;
        let count = load.as_per_second();
        let scatter = BETA * (self.detector.phi(count) * count).sqrt();
        load + Rate::per_second(scatter.min(0.25 * count))
    }
}

pub(super) fn seconds(span: TimeDelta) -> f64 {
    span.num_milliseconds() as f64 / 1e3
}
