//! A spike that is followed from its alarm until half of its excess has faded: what it asks for,
//! whether later samples agree, and what is learnt from it.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::climb::{self, Climbed};
use super::detector::{Alarm, Detector};
use super::recent::Recent;
use super::sample::LiveSample;
use super::spike::Seen;
use super::watch::{BurstPolicy, Expected, seconds};
use crate::units::{Rate, Timestamp};

/// Later samples confirm an alarm from this multiple of the load before it, where the detector's
/// statistic begins to rise,
const CONFIRMED: f64 = 1.25;

/// when they stand out by so many standard deviations as well.
const CONFIRMED_DEVIATIONS: f64 = 2.0;

/// Rises last up to this many times their typical time.
const LONG_RISE: f64 = 1.5;

/// A crowd that keeps arriving is not met further ahead than this multiple of itself: kick-off
/// crowds at most grew by 2.5 in a quarter of an hour (1998 World Cup trace).
const CROWD_GROWTH: f64 = 2.0;

/// A spike whose load has not been exceeded for this long has reached its top.
const TOPPED: TimeDelta = TimeDelta::seconds(3);

/// Keeps ratios finite where nothing was there before.
const LEAST_LOAD: f64 = 1e-9;

/// A spike from its alarm until half of its excess has faded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spike {
    pub(super) since: Timestamp,
    pub(super) alarmed: Timestamp,
    /// Load when it began.
    pub(super) before: Rate,
    /// Load that it multiplies: that before it, less what an earlier spike still added.
    pub(super) base: Rate,
    pub(super) peak: Rate,
    pub(super) peak_at: Timestamp,
    pub(super) in_play: u32,
    pub(super) confirmed: bool,
    /// Units of the alarm's own sample, and those expected in it.
    pub(super) alarm: [f64; 2],
    /// The same of the samples after it.
    after: [f64; 2],
    /// Load it asks for.
    pub(super) wanted: Rate,
    /// Looks for the next one while this one fades.
    again: Option<Again>,
}

/// Looks for the next spike while one fades from a top.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Again {
    detector: Detector,
    /// Load at which it began to look; a next spike must not move what is expected.
    top: Rate,
    /// When.
    at: Timestamp,
}

impl Spike {
    /// A spike of which nothing but its alarm is known. `base` is the load it multiplies.
    pub(super) fn new(alarm: &Alarm, base: Rate, peak: Rate, sample: &LiveSample, n: u32) -> Self {
        let before = alarm.expected;
        Self {
            since: alarm.since,
            alarmed: alarm.at,
            before,
            base: base.max(Rate::per_second(LEAST_LOAD)),
            peak,
            peak_at: sample.to,
            in_play: n,
            confirmed: false,
            alarm: [sample.count(), before.as_per_second() * sample.seconds()],
            after: [0.0; 2],
            wanted: peak,
            again: None,
        }
    }

    /// Takes in a later sample; whether this one made it certain.
    pub(super) fn take_in(&mut self, sample: &LiveSample, rate: Rate, detector: &Detector) -> bool {
        if rate > self.peak {
            self.peak = rate;
            self.peak_at = sample.to;
        }
        self.after[0] += sample.count();
        self.after[1] += self.before.as_per_second() * sample.seconds();
        let [counted, usual] = self.after;
        let deviation = (detector.phi(usual) * usual).sqrt();
        let agrees =
            counted >= usual * CONFIRMED && counted - usual >= CONFIRMED_DEVIATIONS * deviation;
        let news = agrees && !self.confirmed;
        self.confirmed |= agrees;
        news
    }

    /// Load to be ready for: no less than was reached, and as high as such a beginning climbs at
    /// the policy's quantile, which a slope that goes on is part of.
    pub(super) fn asks(
        &self,
        recent: &Recent,
        detector: &Detector,
        expected: &Expected,
        policy: &BurstPolicy,
    ) -> Rate {
        let Some(last) = recent.last() else {
            return self.peak;
        };
        let (sizes, n) = expected.phase();
        let rate = recent.load_since(self.since).unwrap_or(last.offered);
        let elapsed = seconds(last.to - self.since);
        let rise = seconds(sizes.rise()) * LONG_RISE;
        if elapsed > 2.0 * rise {
            // no score rises so long: a crowd is arriving, and goes on doing so
            let still = self.peak_at >= last.from;
            let grown = (self.peak - self.before) / elapsed;
            let slope = if still { grown } else { Rate::ZERO };
            let reached = rate + slope * seconds(expected.until_ready);
            return reached.min(rate * CROWD_GROWTH).max(self.peak);
        }
        let climb: Vec<Climbed> = recent
            .since(self.since)
            .map(|sample| {
                let count = sample.count();
                let scatter = (detector.phi(count) * count).sqrt() + sample.error * count;
                let base = self.base.as_per_second() * sample.seconds();
                Climbed {
                    from: seconds(sample.from - self.since),
                    to: seconds(sample.to - self.since),
                    excess: (count - self.before.as_per_second() * sample.seconds()) / base,
                    deviation: scatter / base,
                }
            })
            .collect();
        let top = climb::top(sizes, n, &climb, policy.jump_quantile);
        (self.before + self.base * top).max(self.peak)
    }

    /// Whether half of what it added is gone.
    pub(super) fn has_faded(&self, rate: Rate) -> bool {
        rate <= self.before + (self.peak - self.before) * 0.5
    }

    /// Looks for a next spike on top of this one, once this one has reached its top. What is
    /// expected then is not the load before but this one's fading.
    pub(super) fn looks_again(
        &mut self,
        sample: &LiveSample,
        (recent, detector): (&Recent, &Detector),
        expected: &Expected,
        policy: &BurstPolicy,
    ) -> Option<Alarm> {
        let (sizes, _) = expected.phase();
        let rate = sample.offered;
        if let Some(Again { detector, top, at }) = &mut self.again {
            let left = 0.5_f64.powf(seconds(sample.to - *at) / seconds(sizes.half_life()).max(1.0));
            let fading = self.before + (*top - self.before) * left;
            let alarm = detector.observe(sample, Some(fading), policy.false_alarm_every)?;
            // load that does not fade as believed has not risen
            let before = recent.load_until(alarm.since);
            let since = recent.load_since(alarm.since);
            return match before.zip(since) {
                Some((before, since)) if since >= before * CONFIRMED => Some(Alarm {
                    expected: alarm.expected.max(before),
                    ..alarm
                }),
                _ => {
                    detector.settle_at(sample.to, rate, Some(fading));
                    None
                }
            };
        }
        let risen = seconds(sample.to - self.since) > seconds(sizes.rise()) * LONG_RISE;
        if self.confirmed && risen && rate <= self.peak && sample.to - self.peak_at >= TOPPED {
            let mut detector = *detector;
            detector.settle_at(sample.to, rate, Some(rate));
            self.again = Some(Again {
                detector,
                top: rate,
                at: sample.to,
            });
        }
        None
    }

    /// What was seen of it, half of it gone after `half_life`.
    pub(super) fn seen(&self, half_life: TimeDelta) -> Seen {
        Seen {
            multiple: 1.0 + (self.peak - self.before) / self.base,
            simultaneous: self.in_play.max(1),
            rise_seconds: seconds(self.peak_at - self.since),
            half_life_seconds: seconds(half_life),
        }
    }
}
