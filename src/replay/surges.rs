//! Surges: moments at which load jumps within seconds, found in the load itself, and how fast a
//! policy answered each.
//!
//! A surge begins where the mean of five seconds is at least 1.3 times that of the minute before
//! and above it by more than counting scatter explains. The rule knows no policy and no fixture,
//! so that recorded and generated load are judged alike.

use chrono::TimeDelta;
use serde::Serialize;

use crate::series::Series;
use crate::simulate::Run;
use crate::units::{Rate, Timestamp};

/// Mean of so many seconds against ...
const SHORT: usize = 5;
/// ... that of so many before.
const BEFORE: usize = 60;
/// The least jump: the standing cover of quiet times takes smaller ones.
const LEAST: f64 = 1.3;
/// Standard deviations above the mean, for counts with a variance of four times their mean.
const DEVIATIONS: f64 = 5.0;
const DISPERSION: f64 = 4.0;
/// A surge's top lies within so many seconds of its begin.
const RISE: usize = 60;
/// An answer that takes longer is none: the surge is over.
const ANSWER: TimeDelta = TimeDelta::minutes(5);

/// A jump of load within seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Surge {
    /// First second of it.
    pub at: Timestamp,
    /// Mean load of the minute before, units per second.
    pub before: Rate,
    /// Largest mean of five seconds, units per second.
    pub top: Rate,
}

/// How one policy met one surge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Nothing of it was left unserved until its top is behind, or what was Ready in its first
    /// second carried the top: a single second above the top by chance is no failure.
    pub met: bool,
    /// Seconds until what was Ready carried its top; zero when it did from the first second.
    pub capacity: Option<f64>,
    /// Seconds to the first larger size asked for.
    pub first_reaction: Option<f64>,
    /// Seconds until the size its top needs was asked for.
    pub desired: Option<f64>,
}

/// Sums over the known seconds of a load, and how many of them are known.
struct Known {
    sums: Vec<f64>,
    counts: Vec<usize>,
}

impl Known {
    fn new(load: &Series) -> Self {
        let (mut sum, mut count) = (0.0, 0);
        let mut known = Self {
            sums: vec![sum],
            counts: vec![count],
        };
        for &value in load.raw() {
            if value.is_finite() {
                sum += value;
                count += 1;
            }
            known.sums.push(sum);
            known.counts.push(count);
        }
        known
    }

    /// Seconds known among some.
    fn count(&self, first: usize, count: usize) -> usize {
        self.counts[first + count] - self.counts[first]
    }

    /// Mean of the seconds known among some; `None` when fewer than half of them are.
    fn mean(&self, first: usize, count: usize) -> Option<f64> {
        let known = self.count(first, count);
        let sum = self.sums[first + count] - self.sums[first];
        (known > 0 && 2 * known >= count).then(|| sum / known as f64)
    }
}

/// All surges that begin in `[from, to)`. The load is known by the second; where half of the
/// seconds or more are missing nothing is known, least of all that load jumped when they came back.
pub fn find(load: &Series, from: Timestamp, to: Timestamp) -> Vec<Surge> {
    if load.step() != TimeDelta::seconds(1) || load.len() < SHORT {
        return Vec::new();
    }
    let known = Known::new(load);
    let index = |at: Timestamp| (at - load.start()).num_seconds().max(0) as usize;
    let last = index(to).min(load.len().saturating_sub(SHORT - 1));
    let mut surges = Vec::new();
    let mut at = index(from).max(BEFORE);
    while at < last {
        let (Some(before), Some(short)) = (known.mean(at - BEFORE, BEFORE), known.mean(at, SHORT))
        else {
            at += 1;
            continue;
        };
        let variance = DISPERSION * before.max(1.0);
        let scatter = DEVIATIONS * (variance / known.count(at, SHORT) as f64).sqrt();
        if short < (before * LEAST).max(before + scatter) {
            at += 1;
            continue;
        }
        let single = before + 3.0 * variance.sqrt();
        let begin = (at..at + SHORT)
            .find(|&second| known.mean(second, 1).is_some_and(|mean| mean > single))
            .unwrap_or(at + SHORT - 1);
        let until = (begin + RISE).min(load.len() - SHORT);
        let (top_at, top) = (begin..=until.max(begin).min(load.len() - SHORT))
            .filter_map(|second| Some((second, known.mean(second, SHORT)?)))
            .fold(
                (begin, 0.0),
                |best, next| {
                    if next.1 > best.1 { next } else { best }
                },
            );
        surges.push(Surge {
            at: load.time(begin),
            before: Rate::per_second(before),
            top: Rate::per_second(top),
        });
        // the minute before the next one holds no second of this one's rise
        at = top_at.max(begin) + BEFORE;
    }
    surges
}

/// How the policy of a run met each of some surges, with what one ready replica carries.
pub fn answers(run: &Run, surges: &[Surge], per_replica: Rate) -> Vec<Answer> {
    let next = surges.iter().skip(1).map(|next| Some(next.at));
    surges
        .iter()
        .zip(next.chain([None]))
        .map(|(surge, next)| {
            // what the next one leaves unserved is no part of this one
            let over = surge.at + TimeDelta::seconds((RISE + SHORT) as i64);
            let over = next.map_or(over, |next| over.min(next));
            answer(run, surge, over, per_replica)
        })
        .collect()
}

fn answer(run: &Run, surge: &Surge, over: Timestamp, per_replica: Rate) -> Answer {
    let step = run.step.num_milliseconds().max(1);
    let steps = |span: TimeDelta| (span.num_milliseconds().max(0) / step) as usize;
    let index = steps(surge.at - run.from);
    if index >= run.desired.len() {
        return Answer {
            met: false,
            capacity: None,
            first_reaction: None,
            desired: None,
        };
    }
    let over = steps(over - run.from).clamp(index + 1, run.unserved.len().max(index + 1));
    let of_surge = run.unserved.get(index..over).unwrap_or_default();
    let needs = (surge.top / per_replica - 1e-9).ceil().clamp(0.0, 1e6) as u32;
    let until = (index + steps(ANSWER) + 1).min(run.desired.len());
    let after = |sizes: &[u32], wanted: &dyn Fn(u32) -> bool| {
        let place = sizes[index..until].iter().position(|&size| wanted(size))?;
        Some(place as f64 * step as f64 / 1e3)
    };
    let standing = run.desired[index.saturating_sub(1)];
    let served = of_surge.iter().all(|&unserved| unserved <= 0.0);
    Answer {
        met: served || run.ready[index] >= needs,
        capacity: after(&run.ready, &|size| size >= needs),
        first_reaction: if standing >= needs {
            Some(0.0)
        } else {
            after(&run.desired, &|size| size > standing)
        },
        desired: after(&run.desired, &|size| size >= needs),
    }
}

/// The median of answers in which `None` is longer than any; `None` when that is the median, or
/// when there is nothing.
pub fn median(mut seconds: Vec<Option<f64>>) -> Option<f64> {
    seconds.sort_unstable_by(|a, b| {
        let number = |x: &Option<f64>| x.unwrap_or(f64::INFINITY);
        number(a).total_cmp(&number(b))
    });
    let middle = seconds.len().checked_sub(1)? / 2;
    seconds[middle]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(i: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(i)
    }

    fn series(values: Vec<f64>) -> Series {
        Series::from_raw(second(0), TimeDelta::seconds(1), values)
    }

    fn spike(at: usize, top: f64) -> Vec<f64> {
        let mut values = vec![200.0; 900];
        for (since, value) in values[at..].iter_mut().enumerate() {
            let shape = if since < 5 {
                (since + 1) as f64 / 5.0
            } else {
                0.5_f64.powf((since - 4) as f64 / 90.0)
            };
            *value += (top - 200.0) * shape;
        }
        values
    }

    #[test]
    fn a_jump_is_found_once_with_its_begin_and_top() {
        let found = find(&series(spike(300, 1600.0)), second(0), second(900));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].at, second(300));
        assert_eq!(found[0].before.as_per_second(), 200.0);
        assert!((1500.0..=1600.0).contains(&found[0].top.as_per_second()));
        assert_eq!(
            find(&series(spike(300, 1600.0)), second(400), second(900)),
            []
        );
    }

    #[test]
    fn neither_small_jumps_nor_a_rising_crowd_nor_scatter_are_surges() {
        assert_eq!(find(&series(spike(300, 255.0)), second(0), second(900)), []);
        // doubling in ten minutes
        let ramp = (0..900).map(|i| 200.0 * 2.0_f64.powf(f64::from(i) / 600.0));
        assert_eq!(find(&series(ramp.collect()), second(0), second(900)), []);
        // ten a second, now and then twenty
        let scatter = (0..900).map(|i| if i % 7 == 0 { 20.0 } else { 8.0 });
        assert_eq!(find(&series(scatter.collect()), second(0), second(900)), []);
    }

    #[test]
    fn a_hole_in_the_load_is_no_surge_and_hides_none_beyond_it() {
        let mut values = spike(700, 1600.0);
        values[200..500].fill(f64::NAN);
        // a second in ten is lost on the way
        for lost in values.iter_mut().step_by(10) {
            *lost = f64::NAN;
        }
        let found = find(&series(values), second(0), second(900));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].at, second(701));
        assert_eq!(found[0].before.as_per_second(), 200.0);
        assert!((1500.0..=1600.0).contains(&found[0].top.as_per_second()));
        // a crowd that came while nobody counted
        let mut values = vec![200.0; 900];
        values[300..600].fill(f64::NAN);
        values[600..].fill(2000.0);
        assert_eq!(find(&series(values), second(0), second(900)), []);
        assert_eq!(find(&series(vec![1.0; 3]), second(0), second(3)), []);
    }

    /// A run at 50/s a replica under a load that stands at the top of a surge from its begin.
    fn run(desired: Vec<u32>, ready: Vec<u32>, surge: Surge) -> Run {
        let load = |i: usize| {
            if second(i as i64) < surge.at {
                surge.before.as_per_second()
            } else {
                surge.top.as_per_second()
            }
        };
        let offered: Vec<f64> = (0..desired.len()).map(load).collect();
        let both = offered.iter().zip(&ready);
        let unserved = both.map(|(load, &ready)| (load - 50.0 * f64::from(ready)).max(0.0));
        Run {
            name: "x".to_owned(),
            from: second(0),
            step: TimeDelta::seconds(1),
            unserved: unserved.collect(),
            paid: desired.clone(),
            lent: vec![0.0; desired.len()],
            ready,
            offered,
            desired,
        }
    }

    #[test]
    fn a_surge_is_met_when_nothing_of_it_is_left_unserved() {
        let surge = |at: i64| Surge {
            at: second(at),
            before: Rate::per_second(100.0),
            top: Rate::per_second(800.0),
        };
        let per_replica = Rate::per_second(50.0);
        let mut just_in_time = run(vec![16; 400], vec![16; 400], surge(10));
        // the load rises within five seconds, and so does what is Ready
        just_in_time.ready[..10].fill(2);
        just_in_time.ready[10..15].fill(8);
        just_in_time.offered[10..15].fill(400.0);
        let found = answers(&just_in_time, &[surge(10)], per_replica);
        assert!(found[0].met, "{found:?}");
        assert_eq!(found[0].capacity, Some(5.0));

        // a second above the top by chance, with all that the top needs
        let mut late = run(vec![16; 400], vec![16; 400], surge(10));
        late.unserved[72] = 1.0;
        assert!(answers(&late, &[surge(10)], per_replica)[0].met);
        late.ready[10] = 15;
        late.ready[72] = 15;
        assert!(!answers(&late, &[surge(10)], per_replica)[0].met);
        // what the next surge leaves is not this one's
        let met = |found: Vec<Answer>| -> Vec<bool> { found.iter().map(|a| a.met).collect() };
        let found = answers(&late, &[surge(10), surge(72)], per_replica);
        assert_eq!(met(found), [true, false]);
        late.unserved[72] = 0.0;
        late.unserved[200] = 1.0;
        assert_eq!(met(answers(&late, &[surge(10)], per_replica)), [true]);
        assert_eq!(met(answers(&late, &[surge(500)], per_replica)), [false]);
    }

    #[test]
    fn an_answer_is_measured_from_the_first_second() {
        let surge = Surge {
            at: second(10),
            before: Rate::per_second(100.0),
            top: Rate::per_second(800.0),
        };
        let run = |desired: Vec<u32>, ready: u32| {
            let ready = vec![ready; desired.len()];
            run(desired, ready, surge)
        };
        let answer = |run: &Run, surge: &Surge, per_replica: Rate| {
            answers(run, std::slice::from_ref(surge), per_replica)[0]
        };
        let mut desired = vec![4; 40];
        desired[13..].fill(8);
        desired[20..].fill(16);
        let per_replica = Rate::per_second(50.0);
        let found = answer(&run(desired, 4), &surge, per_replica);
        assert_eq!(found.first_reaction, Some(3.0));
        assert_eq!(found.desired, Some(10.0));
        assert!(!found.met);
        assert!(answer(&run(vec![16; 40], 16), &surge, per_replica).met);
        let starting = answer(&run(vec![16; 40], 4), &surge, per_replica);
        assert_eq!(
            (starting.first_reaction, starting.desired),
            (Some(0.0), Some(0.0))
        );
        let idle = answer(&run(vec![4; 400], 4), &surge, per_replica);
        assert_eq!((idle.first_reaction, idle.desired), (None, None));
        assert_eq!(idle.capacity, None);
    }

    #[test]
    fn no_answer_is_longer_than_any() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![Some(3.0), None, Some(1.0)]), Some(3.0));
        assert_eq!(median(vec![None, None, Some(1.0)]), None);
    }
}
