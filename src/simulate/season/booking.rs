//! Contest entries of a slate, from the opening of its contests to the lock.

use chrono::TimeDelta;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, Poisson, StandardNormal};

use super::params::{Pickup, Season};
use crate::entries::SlateEntries;
use crate::series::Series;
use crate::simulate::Traffic;
use crate::simulate::chance::stream;
use crate::units::Timestamp;

/// Share of the places taken at which an operator adds more.
const RUNNING_OUT: f64 = 0.85;

/// By how much.
const RESTOCK: f64 = 1.25;

/// Nothing is added in the last minutes.
const TOO_LATE: TimeDelta = TimeDelta::minutes(30);

/// Minutes for which the rate stays above or below its course.
const RATE_EVERY: i64 = 30;

/// What there is to book.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slate {
    pub(super) name: String,
    pub(super) lock: Timestamp,
    /// Size of its crowd, growth included.
    pub(super) crowd: f64,
    /// The size that the calendar lets expect, growth included.
    pub(super) expected: f64,
    pub(super) pickup: Vec<Pickup>,
}

/// Entries of one slate.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Booked {
    /// As recorded.
    pub(super) entries: SlateEntries,
    /// How many people wanted to enter.
    pub(super) wanted: f64,
    /// How many did.
    pub(super) made: f64,
    /// When there was no place left.
    pub(super) full_at: Option<Timestamp>,
}

/// Books a slate; `None` when its contests were never open.
pub(super) fn book(
    season: &Season,
    traffic: &Traffic,
    slate: &Slate,
    opens_at_earliest: Timestamp,
    seed: u64,
) -> Option<Booked> {
    let p = &season.entries;
    let step = season.step.0;
    let open = (slate.lock - p.opens.0).max(opens_at_earliest);
    // whole bins back from the lock, so that the last one ends at it
    let bins = (slate.lock - open).num_milliseconds() / step.num_milliseconds().max(1);
    let bins = i32::try_from(bins).ok().filter(|&bins| bins > 0)?;
    let start = slate.lock - step * bins;
    let mut rng = stream(seed, &format!("entries {}", slate.name));
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    let wanted = p.per_intensity * slate.crowd * (p.link_sd * normal()).exp();
    let pace = (p.pace_sd * normal()).exp();
    let guess = season.supply.margin * (season.supply.guess_sd * normal()).exp();
    let restocked = rng.random_bool(season.supply.restock_chance);
    let hole = hole(p.hole_chance, bins, step, &mut rng);
    let course = course(season, traffic, slate, start, bins, pace, &mut rng);

    let mut places = (guess * p.per_intensity * slate.expected / 100.0)
        .ceil()
        .max(1.0)
        * 100.0;
    let mut spots = vec![(start, places)];
    let (mut made, mut full_at) = (0.0, None);
    let mut rates = Vec::with_capacity(course.len());
    for (bin, share) in course.into_iter().enumerate() {
        let at = start + step * bin as i32;
        if restocked && made > RUNNING_OUT * places && slate.lock - at > TOO_LATE {
            places = (places * RESTOCK / 100.0).ceil() * 100.0;
            spots.push((at, places));
        }
        let left = places - made;
        let count = poisson(wanted * share, &mut rng).min(left);
        made += count;
        if made >= places {
            full_at.get_or_insert(at);
        } else {
            full_at = None;
        }
        let seen = !hole.is_some_and(|(from, to)| (from..to).contains(&bin));
        rates.push(if seen {
            count / (step.num_milliseconds() as f64 / 1000.0)
        } else {
            f64::NAN
        });
    }
    Some(Booked {
        entries: SlateEntries {
            rate: Series::from_raw(start, step, rates),
            spots,
        },
        wanted,
        made,
        full_at,
    })
}

/// Share of all entries that is wanted in each bin.
fn course(
    season: &Season,
    traffic: &Traffic,
    slate: &Slate,
    start: Timestamp,
    bins: i32,
    pace: f64,
    rng: &mut StdRng,
) -> Vec<f64> {
    let p = &season.entries;
    let step = season.step.0;
    // share of entries there so long before the lock
    let there = |before: TimeDelta| -> f64 {
        let before = before.num_milliseconds() as f64 * pace;
        slate
            .pickup
            .iter()
            .map(|part| {
                let constant = part.constant.0.num_milliseconds().max(1) as f64;
                part.share * (-before / constant).exp()
            })
            .sum()
    };
    let mut wave = f64::NAN;
    let mut place = i64::MIN;
    let mut shares: Vec<f64> = (0..bins)
        .map(|bin| {
            let from = start + step * bin;
            let now = from.timestamp().div_euclid(60 * RATE_EVERY);
            if now != place {
                place = now;
                let deviate: f64 = StandardNormal.sample(rng);
                wave = (p.rate_sd * deviate).exp();
            }
            let comes = there(slate.lock - from - step) - there(slate.lock - from);
            let awake = 1.0 - p.rhythm + p.rhythm * traffic.audience(from + step / 2);
            comes * awake * wave
        })
        .collect();
    let all: f64 = shares.iter().sum();
    for share in &mut shares {
        *share /= all.max(f64::MIN_POSITIVE);
    }
    shares
}

/// First and last bin that nobody counted.
fn hole(chance: f64, bins: i32, step: TimeDelta, rng: &mut StdRng) -> Option<(usize, usize)> {
    let struck = rng.random_bool(chance);
    let from = rng.random_range(0..bins) as usize;
    let minutes = rng.random_range(20..=90);
    let length = (TimeDelta::minutes(minutes).num_milliseconds() / step.num_milliseconds()).max(1);
    struck.then_some((from, from + length as usize))
}

/// A count about its mean.
fn poisson(mean: f64, rng: &mut StdRng) -> f64 {
    Poisson::new(mean).map_or(0.0, |counts| counts.sample(rng))
}
