//! How large spikes are, how fast they rise and how fast they fade: declared per sport at first,
//! then learnt from every spike seen.
//!
//! Sizes are kept as multiples of one fixture's own crowd, because the same touchdown doubles the
//! load of a lone night game and adds a tenth to that of nine afternoon games. Logarithms of the
//! excess are taken as normal; what was declared counts as [`PRIOR_WEIGHT`] spikes.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// Spikes that a declared size is worth against measured ones.
const PRIOR_WEIGHT: f64 = 6.0;

/// Spikes of other workloads count up to this many.
const POOL_WEIGHT: f64 = 20.0;

/// Own spikes count up to this many, so that what was learnt years ago fades.
const OWN_WEIGHT: f64 = 200.0;

/// Fixture-hours that the declared rate of spikes is worth against those that were watched.
const PRIOR_HOURS: f64 = 6.0;

/// `n` fixtures at once draw `n^CROWDING` times the crowd of one, as in the forecast.
const CROWDING: f64 = 0.5;

/// Smallest multiple that is a spike at all; the excess over one is kept above it.
const LEAST: f64 = 1.05;

/// Standard normal deviate of the 95th percentile.
const Z95: f64 = 1.644_853_626_951_472_2;

/// A spike that was seen from its rise to the fading of half of its excess.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// Load at the top over load before it, the whole workload's.
    pub multiple: f64,
    /// Fixtures in play.
    pub simultaneous: u32,
    /// Beginning to top, seconds.
    pub rise_seconds: f64,
    /// Top to half of the excess, seconds.
    pub half_life_seconds: f64,
}

/// What is believed of spikes before any was seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Declared {
    /// Half of the spikes are smaller, as a multiple of one fixture's own crowd.
    pub median: f64,
    /// Nineteen in twenty are smaller.
    pub p95: f64,
    /// Typical time from beginning to top, seconds.
    pub rise_seconds: f64,
    /// Typical time from the top to half of the excess, seconds.
    pub half_life_seconds: f64,
    /// Spikes of one fixture in an hour.
    pub per_hour: f64,
}

impl Declared {
    /// Spikes while nothing is in play (a push, a cache flush, a campaign): 2 to 3 % of an
    /// audience arrive within a minute and leave within two to five. One a day or so.
    pub const QUIET: Self = Self {
        median: 1.8,
        p95: 4.0,
        rise_seconds: 20.0,
        half_life_seconds: 120.0,
        per_hour: 0.05,
    };

    /// Scoring plays of a sport of which nothing is known: a doubling is typical, eight times the
    /// large case (DraftKings), pushes fill a second to ten. Football has 1.5 goals an hour,
    /// American football twice as many scores.
    pub const LIVE: Self = Self {
        median: 2.0,
        p95: 8.0,
        rise_seconds: 6.0,
        half_life_seconds: 90.0,
        per_hour: 2.0,
    };
}

/// Sums over spikes that were seen; sums of several workloads may be added up.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Learnt {
    /// Spikes.
    count: f64,
    /// Sum and sum of squares of the logarithms of the excess.
    size: f64,
    size_squared: f64,
    /// Sums of the logarithms of seconds.
    rise: f64,
    half_life: f64,
    /// Fixture-hours watched, hours where nothing was in play, and spikes seen in that time.
    hours: f64,
    timed: f64,
}

impl Learnt {
    /// Takes in time that was watched, spikes or none.
    #[must_use]
    pub fn watching(self, hours: f64) -> Self {
        Self {
            hours: self.hours + hours.max(0.0),
            ..self
        }
    }

    /// The same, the time that was watched rounded down to whole hours.
    #[must_use]
    pub fn in_whole_hours(self) -> Self {
        Self {
            hours: self.hours.floor(),
            ..self
        }
    }

    /// Takes in one more spike.
    #[must_use]
    pub fn and(self, seen: &Seen) -> Self {
        let own = 1.0 + (seen.multiple - 1.0) * crowd(seen.simultaneous);
        let excess = (own.clamp(LEAST, 1e3) - 1.0).ln();
        let seconds = |x: f64| x.clamp(0.5, 3_600.0).ln();
        Self {
            count: self.count + 1.0,
            size: self.size + excess,
            size_squared: self.size_squared + excess * excess,
            rise: self.rise + seconds(seen.rise_seconds),
            half_life: self.half_life + seconds(seen.half_life_seconds),
            hours: self.hours,
            timed: self.timed + 1.0,
        }
        .at_most(OWN_WEIGHT)
    }

    /// The spikes of both.
    #[must_use]
    pub fn plus(self, other: &Self) -> Self {
        Self {
            count: self.count + other.count,
            size: self.size + other.size,
            size_squared: self.size_squared + other.size_squared,
            rise: self.rise + other.rise,
            half_life: self.half_life + other.half_life,
            hours: self.hours + other.hours,
            timed: self.timed + other.timed,
        }
    }

    /// The spikes without those of `other`, which are among them.
    #[must_use]
    pub fn minus(self, other: &Self) -> Self {
        let negative = Self {
            count: -other.count,
            size: -other.size,
            size_squared: -other.size_squared,
            rise: -other.rise,
            half_life: -other.half_life,
            hours: -other.hours,
            timed: -other.timed,
        };
        let rest = self.plus(&negative);
        if rest.count < 0.5 {
            Self::default()
        } else {
            rest
        }
    }

    /// Spikes seen.
    pub fn count(&self) -> f64 {
        self.count
    }

    fn at_most(self, weight: f64) -> Self {
        let share = (weight / self.count.max(f64::MIN_POSITIVE)).min(1.0);
        Self {
            count: self.count * share,
            size: self.size * share,
            size_squared: self.size_squared * share,
            rise: self.rise * share,
            half_life: self.half_life * share,
            hours: self.hours * share,
            timed: self.timed * share,
        }
    }
}

/// What the next spike will be like.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpikeSizes {
    /// Mean and standard deviation of the logarithm of one fixture's own excess.
    location: f64,
    scale: f64,
    /// Typical seconds.
    rise: f64,
    half_life: f64,
    /// Spikes of one fixture in an hour.
    per_hour: f64,
    /// Spikes this stands on, beyond what was declared.
    seen: f64,
}

impl SpikeSizes {
    /// From what was declared, spikes of kindred workloads, and the workload's own.
    pub fn new(declared: &Declared, kin: &Learnt, own: &Learnt) -> Self {
        let excess = |multiple: f64| (multiple.max(LEAST) - 1.0).ln();
        let (location, upper) = (excess(declared.median), excess(declared.p95));
        let scale = ((upper - location) / Z95).max(0.1);
        let learnt = kin.at_most(POOL_WEIGHT).plus(own);
        let weight = PRIOR_WEIGHT + learnt.count;
        let mean = (PRIOR_WEIGHT * location + learnt.size) / weight;
        let squares = PRIOR_WEIGHT * (scale * scale + location * location) + learnt.size_squared;
        let variance = (squares / weight - mean * mean).max(0.01);
        let typical = |declared: f64, sum: f64| {
            ((PRIOR_WEIGHT * declared.max(0.5).ln() + sum) / weight).exp()
        };
        Self {
            location: mean,
            // the mean itself is an estimate
            scale: (variance * (1.0 + 1.0 / weight)).sqrt(),
            rise: typical(declared.rise_seconds, learnt.rise),
            half_life: typical(declared.half_life_seconds, learnt.half_life),
            // how often comes from what this workload itself was watched for
            per_hour: (PRIOR_HOURS * declared.per_hour + own.timed) / (PRIOR_HOURS + own.hours),
            seen: learnt.count,
        }
    }

    /// Multiple of a workload's load that the share `level` of spikes does not exceed, with
    /// `simultaneous` fixtures in play.
    pub fn quantile(&self, level: f64, simultaneous: u32) -> f64 {
        let own = (self.location + self.scale * normal_quantile(level)).exp();
        1.0 + own / crowd(simultaneous)
    }

    /// Share of spikes that stay at or below a multiple of the workload's load.
    pub fn share_within(&self, multiple: f64, simultaneous: u32) -> f64 {
        let own = (multiple - 1.0) * crowd(simultaneous);
        if own <= 0.0 {
            return 0.0;
        }
        normal_share((own.ln() - self.location) / self.scale)
    }

    /// Typical time from beginning to top.
    pub fn rise(&self) -> TimeDelta {
        TimeDelta::milliseconds((self.rise * 1e3) as i64)
    }

    /// Typical time from the top to half of the excess.
    pub fn half_life(&self) -> TimeDelta {
        TimeDelta::milliseconds((self.half_life * 1e3) as i64)
    }

    /// Spikes in an hour with `simultaneous` fixtures in play.
    pub fn per_hour(&self, simultaneous: u32) -> f64 {
        self.per_hour * f64::from(simultaneous)
    }

    /// Spikes seen, its own and its kin's as far as they count.
    pub fn seen(&self) -> f64 {
        self.seen
    }
}

impl Default for SpikeSizes {
    fn default() -> Self {
        Self::new(&Declared::LIVE, &Learnt::default(), &Learnt::default())
    }
}

/// How many times one fixture's crowd so many draw.
fn crowd(simultaneous: u32) -> f64 {
    f64::from(simultaneous.max(1)).powf(CROWDING)
}

/// Standard normal deviate of a share; Abramowitz and Stegun 26.2.23, error below 4.5e-4.
fn normal_quantile(level: f64) -> f64 {
    let tail = level.min(1.0 - level).clamp(1e-9, 0.5);
    let t = (-2.0 * tail.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let deviate = t - above / below;
    if level < 0.5 { -deviate } else { deviate }
}

/// Share of a standard normal at or below a deviate; Abramowitz and Stegun 26.2.17, error below
/// 7.5e-8.
fn normal_share(deviate: f64) -> f64 {
    let x = deviate.abs();
    let t = 1.0 / (1.0 + 0.231_641_9 * x);
    let series = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let upper = density * series;
    if deviate < 0.0 { upper } else { 1.0 - upper }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(multiple: f64, simultaneous: u32) -> Seen {
        Seen {
            multiple,
            simultaneous,
            rise_seconds: 4.0,
            half_life_seconds: 45.0,
        }
    }

    fn after(spikes: &[Seen]) -> SpikeSizes {
        let own = spikes.iter().fold(Learnt::default(), Learnt::and);
        SpikeSizes::new(&Declared::LIVE, &Learnt::default(), &own)
    }

    #[test]
    fn what_is_declared_holds_before_anything_was_seen() {
        let sizes = SpikeSizes::default();
        assert!((sizes.quantile(0.5, 1) - 2.0).abs() < 0.01);
        // the mean of the logarithm is itself uncertain, so a little more than declared
        assert!((8.0..9.5).contains(&sizes.quantile(0.95, 1)));
        assert_eq!(sizes.half_life().num_seconds(), 90);
        assert!((sizes.share_within(2.0, 1) - 0.5).abs() < 0.01);
    }

    #[test]
    fn what_was_seen_takes_over() {
        let many: Vec<Seen> = (0..60)
            .map(|i| seen(1.3 + f64::from(i % 3) * 0.1, 1))
            .collect();
        let sizes = after(&many);
        assert!(sizes.quantile(0.5, 1) < 1.6, "{}", sizes.quantile(0.5, 1));
        assert!(sizes.half_life().num_seconds() < 55);
        assert!((sizes.seen() - 60.0).abs() < 1e-9);
    }

    #[test]
    fn one_game_of_nine_moves_the_whole_by_less() {
        let sizes = SpikeSizes::default();
        let (alone, among) = (sizes.quantile(0.9, 1), sizes.quantile(0.9, 9));
        assert!(((alone - 1.0) / (among - 1.0) - 3.0).abs() < 1e-9);
        let (learnt, other) = (after(&[seen(2.0, 9)]), after(&[seen(4.0, 1)]));
        assert_eq!(learnt, other);
    }

    #[test]
    fn how_often_is_learnt_from_the_time_that_was_watched() {
        let none = Learnt::default();
        let rate = |own: Learnt| SpikeSizes::new(&Declared::LIVE, &none, &own).per_hour(3);
        assert_eq!(rate(none), 6.0);
        assert!(rate(none.watching(60.0)) < 0.6);
        let busy = (0..400).fold(none, |own, _| own.and(&seen(2.0, 1)).watching(0.1));
        assert!((22.0..30.0).contains(&rate(busy)), "{}", rate(busy));
    }

    #[test]
    fn kin_count_until_own_spikes_are_many() {
        let kin = (0..500).fold(Learnt::default(), |kin, _| kin.and(&seen(6.0, 1)));
        let none = Learnt::default();
        let newcomer = SpikeSizes::new(&Declared::LIVE, &kin, &none);
        assert!(newcomer.quantile(0.5, 1) > 4.0);
        let own = (0..150).fold(none, |own, _| own.and(&seen(1.5, 1)));
        let old = SpikeSizes::new(&Declared::LIVE, &kin, &own);
        assert!(old.quantile(0.5, 1) < 2.0);
        assert_eq!(own.plus(&none).minus(&own), none);
    }

    proptest! {
        #[test]
        fn shares_and_quantiles_are_each_other(level in 0.01..0.99_f64, games in 1..16_u32) {
            let sizes = after(&[seen(3.0, 1), seen(1.4, 4)]);
            let multiple = sizes.quantile(level, games);
            prop_assert!((sizes.share_within(multiple, games) - level).abs() < 1e-3);
        }

        #[test]
        fn sizes_are_finite_and_ascend(
            spikes in proptest::collection::vec((0.0..1e6_f64, 0..20_u32), 0..300),
        ) {
            let spikes: Vec<Seen> = spikes.iter().map(|&(m, n)| seen(m, n)).collect();
            let sizes = after(&spikes);
            let levels = [0.01, 0.5, 0.9, 0.95, 0.99].map(|level| sizes.quantile(level, 3));
            prop_assert!(levels.windows(2).all(|w| w[0] <= w[1]));
            prop_assert!(levels.iter().all(|m| m.is_finite() && *m >= 1.0));
        }
    }
}
