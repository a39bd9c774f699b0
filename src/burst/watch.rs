//! One workload's fast loop: detector, the spike under way, and what is held because of it.
//!
//! On an alarm the size is jumped to, not doubled towards: the larger of what the slope reaches
//! by the time replicas are ready and the usual spike of the phase, no more than one spike in a
//! hundred exceeds. What more samples confirm is held for two half-lives; what none confirms is let
//! go within [`CONFIRM_WITHIN`]. Silence is no reason to let go. What was seen, and not what was
//! jumped to, is remembered by the plan while a fixture is in play.

use std::collections::VecDeque;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::detector::Detector;
use super::sample::{Hint, LiveSample};
use super::spike::{Learnt, Seen, SpikeSizes};
use crate::units::{Rate, Timestamp};

/// An alarm that no later sample confirms within this time was none.
pub const CONFIRM_WITHIN: TimeDelta = TimeDelta::seconds(10);

/// Later samples confirm an alarm from this multiple of the load before it, where the detector's
/// statistic begins to rise,
const CONFIRMED: f64 = 1.25;

/// when they stand out by so many standard deviations as well.
const CONFIRMED_DEVIATIONS: f64 = 2.0;

/// What has not faded after this time is no spike but a new level.
const NEW_LEVEL: TimeDelta = TimeDelta::minutes(15);

/// A spike is held at least this long after its top.
const LEAST_HOLD: TimeDelta = TimeDelta::seconds(60);

/// Samples older than this say nothing about now.
pub const STALE: TimeDelta = TimeDelta::seconds(10);

/// No sample is taken that is older than a minute: one that lies further before the last shows a
/// clock that was set back.
const SET_BACK: TimeDelta = TimeDelta::seconds(60);

/// Counts on which the present load stands, dispersion left aside: 5 % standard error.
const STEADY_COUNT: f64 = 400.0;

/// Samples kept.
const RECENT: usize = 8;

/// Rises last up to this many times their typical time.
const LONG_RISE: f64 = 1.5;

/// A crowd that keeps arriving is not met further ahead than this multiple of itself: kick-off
/// crowds at most grew by 2.5 in a quarter of an hour (1998 World Cup trace).
const CROWD_GROWTH: f64 = 2.0;

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
    fn phase(&self) -> (&SpikeSizes, u32) {
        if self.in_play > 0 {
            (&self.live, self.in_play)
        } else {
            (&self.quiet, 1)
        }
    }
}

/// A spike from its alarm until half of its excess has faded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spike {
    since: Timestamp,
    alarmed: Timestamp,
    before: Rate,
    peak: Rate,
    peak_at: Timestamp,
    in_play: u32,
    confirmed: bool,
    /// Units of the alarm's own sample, and those expected in it.
    alarm: [f64; 2],
    /// The same of the samples after it.
    after: [f64; 2],
    /// Load asked for because of it.
    wanted: Rate,
}

/// What spikes that were confirmed are held for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hold {
    since: Timestamp,
    /// Load jumped to, held until `until`.
    wanted: Rate,
    /// Largest load seen.
    peak: Rate,
    until: Timestamp,
}

/// What was heard before traffic moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Heard {
    kind: String,
    at: Timestamp,
    until: Timestamp,
    wanted: Rate,
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
    recent: VecDeque<LiveSample>,
    spike: Option<Spike>,
    hold: Option<Hold>,
    heard: Option<Heard>,
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
    /// Since when.
    pub since: Timestamp,
    /// Whether more than one look says so.
    pub confirmed: bool,
    /// In words.
    pub reason: String,
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
    /// It did not fade: load has a new level.
    NewLevel,
}

impl Watch {
    /// Takes in the next sample. One at or before the last is ignored, unless it lies so far back
    /// that the clock was set back.
    pub fn observe(
        &mut self,
        sample: &LiveSample,
        expected: &Expected,
        policy: &BurstPolicy,
    ) -> Option<News> {
        if let Some(last) = self.last
            && sample.to <= last
        {
            if last - sample.to <= SET_BACK {
                return None;
            }
            self.set_back(last - sample.to);
        }
        self.last = Some(sample.to);
        let sample = &self.arrivals(sample);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(*sample);
        match self.spike.take() {
            None => self.look(sample, expected, policy),
            Some(spike) => self.follow(spike, sample, expected),
        }
    }

    /// Takes in word of a spike to come. Without a present load there is nothing to multiply.
    pub fn hear(&mut self, hint: &Hint, expected: &Expected, policy: &BurstPolicy) {
        let Some(now) = self.present() else { return };
        let (sizes, n) = expected.phase();
        let usual = sizes.quantile(policy.jump_quantile, n);
        let most = sizes.quantile(LARGEST, n).max(usual);
        let multiple = hint.multiple.unwrap_or(usual).clamp(1.0, most);
        // load already risen is not multiplied again
        let before = self.spike.map_or(now, |spike| spike.before);
        let wanted = before * multiple;
        if self
            .heard
            .as_ref()
            .is_none_or(|heard| heard.until < hint.until || heard.wanted < wanted)
        {
            self.heard = Some(Heard {
                kind: hint.kind.clone(),
                at: hint.at,
                until: hint.until,
                wanted,
            });
        }
    }

    /// What should be ready at `now`.
    pub fn demand(&self, now: Timestamp) -> Option<BurstDemand> {
        // while nobody sees it fade it is held
        let silent = self.is_silent(now);
        let held = self.hold.filter(|hold| silent || now < hold.until);
        let held = held.map(|hold| {
            let said = format!("a spike to {} is held until it has faded", hold.peak);
            (hold.wanted.max(hold.peak), hold.since, true, said)
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
        let heard = self.heard.as_ref().filter(|heard| now < heard.until);
        let heard = heard.map(|heard| {
            let said = format!("{} at {}", heard.kind, heard.at.format("%H:%M:%S"));
            (heard.wanted, heard.at, false, said)
        });
        let (load, since, confirmed, reason) = [held, rising, heard]
            .into_iter()
            .flatten()
            .reduce(|best, next| if next.0 > best.0 { next } else { best })?;
        let spike = self.spike.filter(|spike| spike.confirmed);
        let seen = self.hold.map(|hold| hold.peak);
        let seen = seen.into_iter().chain(spike.map(|spike| spike.peak));
        Some(BurstDemand {
            load: self.with_scatter(load),
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
        let mut loads: Vec<f64> = self
            .recent
            .iter()
            .map(|sample| sample.offered.as_per_second())
            .collect();
        loads.sort_by(f64::total_cmp);
        loads.get(loads.len() / 2).copied().map(Rate::per_second)
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
        self.recent.back()?.queued
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
        if self.heard.as_ref().is_some_and(|heard| now >= heard.until) {
            self.heard = None;
        }
        let over = self.hold.is_some_and(|hold| now >= hold.until);
        if over && self.spike.is_none() && !silent {
            self.hold = None;
        }
    }

    fn look(
        &mut self,
        sample: &LiveSample,
        expected: &Expected,
        policy: &BurstPolicy,
    ) -> Option<News> {
        let every = policy.false_alarm_every;
        let alarm = self.detector.observe(sample, expected.forecast, every)?;
        let (sizes, n) = expected.phase();
        let before = alarm.expected;
        let peak = self.present_since(alarm.since).unwrap_or(sample.offered);
        let jump = before * sizes.quantile(policy.jump_quantile, n);
        let mut spike = Spike {
            since: alarm.since,
            alarmed: alarm.at,
            before,
            peak,
            peak_at: sample.to,
            in_play: expected.in_play,
            confirmed: false,
            alarm: [sample.count(), before.as_per_second() * sample.seconds()],
            after: [0.0; 2],
            wanted: jump.max(peak),
        };
        spike.wanted = spike.wanted.max(self.projected(&spike, sample, expected));
        self.spike = Some(spike);
        Some(News::Alarm {
            since: alarm.since,
            before,
            wanted: spike.wanted,
        })
    }

    fn follow(
        &mut self,
        mut spike: Spike,
        sample: &LiveSample,
        expected: &Expected,
    ) -> Option<News> {
        let now = sample.to;
        let rate = self.present_since(spike.since).unwrap_or(sample.offered);
        if rate > spike.peak {
            spike.peak = rate;
            spike.peak_at = now;
        }
        let mut news = None;
        spike.after[0] += sample.count();
        spike.after[1] += spike.before.as_per_second() * sample.seconds();
        if !spike.confirmed && self.agrees(spike.after) {
            spike.confirmed = true;
            news = Some(News::Confirmed);
        }
        spike.wanted = spike.wanted.max(self.projected(&spike, sample, expected));
        if spike.confirmed {
            self.keep(&spike, expected);
        }
        let excess = spike.peak - spike.before;
        let faded = rate <= spike.before + excess * 0.5;
        if !spike.confirmed && now - spike.alarmed >= CONFIRM_WITHIN {
            let [counted, usual] = spike.alarm;
            self.detector.was_scatter(counted, usual);
            self.detector.settle_at(rate, expected.forecast);
            return Some(News::FalseAlarm);
        }
        if spike.confirmed && faded {
            self.detector.settle_at(rate, expected.forecast);
            let seen = Seen {
                multiple: spike.peak / spike.before.max(Rate::per_second(1e-9)),
                simultaneous: spike.in_play.max(1),
                rise_seconds: seconds(spike.peak_at - spike.since),
                half_life_seconds: seconds(now - spike.peak_at),
            };
            let learnt = if spike.in_play > 0 {
                &mut self.learnt.live
            } else {
                &mut self.learnt.quiet
            };
            *learnt = learnt.and(&seen);
            return Some(News::Faded(seen));
        }
        if now - spike.since >= NEW_LEVEL {
            self.detector.settle_at(rate, expected.forecast);
            return Some(News::NewLevel);
        }
        self.spike = Some(spike);
        news
    }

    /// Whether what came after an alarm says the same.
    fn agrees(&self, [counted, usual]: [f64; 2]) -> bool {
        let deviation = (self.detector.phi(usual) * usual).sqrt();
        counted >= usual * CONFIRMED && counted - usual >= CONFIRMED_DEVIATIONS * deviation
    }

    /// What the slope reaches by the time replicas are ready, no more than the largest spikes.
    fn projected(&self, spike: &Spike, sample: &LiveSample, expected: &Expected) -> Rate {
        let (sizes, n) = expected.phase();
        let rate = self.present_since(spike.since).unwrap_or(sample.offered);
        let elapsed = seconds(sample.to - spike.since);
        let until_ready = seconds(expected.until_ready);
        let rise = seconds(sizes.rise()) * LONG_RISE;
        let previous = self.recent.iter().rev().nth(1);
        let (slope, remaining, most) = if elapsed > 2.0 * rise {
            // no score rises so long: a crowd is arriving, and goes on doing so
            let grown = (spike.peak - spike.before) / elapsed;
            let still = spike.peak_at >= sample.from;
            let slope = if still { grown } else { Rate::ZERO };
            (slope, until_ready, rate * CROWD_GROWTH)
        } else {
            // the first sample may be a step as well as a slope: two tell
            let slope = previous
                .filter(|previous| previous.from >= spike.since)
                .map_or(Rate::ZERO, |previous| {
                    (sample.offered - previous.offered) / sample.seconds()
                });
            let most = spike.before * sizes.quantile(LARGEST, n);
            (slope, until_ready.min((rise - elapsed).max(0.0)), most)
        };
        let reached = rate + slope.max(Rate::ZERO) * remaining;
        reached.min(most).max(rate)
    }

    fn keep(&mut self, spike: &Spike, expected: &Expected) {
        let (sizes, _) = expected.phase();
        let until = spike.peak_at + (sizes.half_life() * 2).max(LEAST_HOLD);
        let hold = self.hold.get_or_insert(Hold {
            since: spike.since,
            wanted: spike.wanted,
            peak: spike.peak,
            until,
        });
        hold.wanted = hold.wanted.max(spike.wanted);
        hold.peak = hold.peak.max(spike.peak);
        hold.until = hold.until.max(until);
    }

    /// Moves what is held to a clock that was set back by so much; what was under way is not known
    /// any more.
    fn set_back(&mut self, by: TimeDelta) {
        self.detector.forget_time();
        self.recent.clear();
        self.spike = None;
        if let Some(hold) = &mut self.hold {
            hold.since -= by;
            hold.until -= by;
        }
        if let Some(heard) = &mut self.heard {
            heard.at -= by;
            heard.until -= by;
        }
    }

    /// The sample with what joined the queue since the last one: it arrived as well.
    fn arrivals(&self, sample: &LiveSample) -> LiveSample {
        let before = self.recent.back().and_then(|last| last.queued);
        let joined = match (before, sample.queued) {
            (Some(before), Some(now)) => (now - before).max(0.0),
            _ => 0.0,
        };
        LiveSample {
            offered: sample.offered + Rate::per_second(joined / sample.seconds()),
            ..*sample
        }
    }

    /// The present load, over as few samples as count enough.
    fn present(&self) -> Option<Rate> {
        self.present_since(Timestamp::MIN_UTC)
    }

    /// The same over samples that began at `since` or later.
    fn present_since(&self, since: Timestamp) -> Option<Rate> {
        let (mut count, mut seconds) = (0.0, 0.0);
        for sample in self.recent.iter().rev() {
            if sample.from < since {
                break;
            }
            count += sample.count();
            seconds += sample.seconds();
            if count >= STEADY_COUNT {
                break;
            }
        }
        (seconds > 0.0).then(|| Rate::per_second(count / seconds))
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

fn seconds(span: TimeDelta) -> f64 {
    span.num_milliseconds() as f64 / 1e3
}
