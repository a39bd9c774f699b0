//! Turns past errors into upper quantiles: decayed, grouped, one-sided conformal scores.
//!
//! A score is `ln actual - ln median` of a forecast as it was issued, over what is usual at its
//! moment (`profile`, `scatter`, and its precedents). Groups are {calm, before a
//! fixture's lock, in play, from full time on, these three with entries known, without any
//! precedent} by lead bucket; a score's weight halves every eight days. The hour before the lock
//! is apart because the crowd that comes then is the surest (on generated slates it errs half as
//! much as play), the end because its moment is not known (up to 1.4 times as much as play).
//! Pseudo-scores from a Student t with four degrees of freedom stand in before enough has matured,
//! so that every quantile is finite from the first day (FORECASTING study, 1.1). Weighted conformal
//! bounds miss their level by at most the drift between the weighted scores and the
//! present (Barber et al., Conformal prediction beyond exchangeability, 2023).
//!
//! Scores are kept as weights on a fine grid, not one by one: margins can then be drawn at every
//! past origin, which is what realised coverage is measured with.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::features::Moment;
use super::lead::{BUCKETS, Lead};
use super::novelty::Precedent;
use super::peaks::{FOOTINGS, Footing};

/// Upper quantiles kept.
pub(crate) const UPPER: [f64; 3] = [0.90, 0.95, 0.99];

/// Days in which a score loses half its weight.
const MEMORY: f64 = 8.0;

/// Turns that the pseudo-scores are worth in the windows of fixtures. Scores that mature in one
/// turn are mostly of one crowd and err together: hundreds of them know about as much as one
/// crowd does. What three more crowds might have shown stands beside those seen; as crowds are
/// not forgotten with their scores, it counts less and less. On the reference trace two, three
/// and no such turns give event coverages of .948, .959 and .944 a day ahead with quantile losses
/// of .093, .090 and .098.
pub(crate) const UNSEEN: f64 = 3.0;

/// Number of pseudo-scores.
const PSEUDO: usize = 40;

/// Largest score told apart from larger ones, log load: five orders of magnitude. Who idles between
/// bursts is asked for that much more than the median, and the bound must reach there.
const REACH: f64 = 12.0;

/// The same around fixtures, where few crowds speak and one that was shed or burst is no measure of
/// the next: a factor of twenty.
const REACH_OF_CROWDS: f64 = 3.0;

/// Width of a grid cell, log load: half a per cent.
const CELL: f64 = 0.005;

/// Grid cells.
const CELLS: usize = 4_800;

/// Cells summed at once.
const TOGETHER: usize = 8;

/// Log margins above the median for each of [`UPPER`], ascending and never negative.
pub(crate) type Margins = [f64; 3];

/// What was known of a moment when it was forecast: errors of different kinds are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// No fixture's window.
    Calm,
    /// In the window of a fixture that has not locked, by the calendar alone.
    Gathering,
    /// The same with entries known.
    GatheringEntries,
    /// In play and not near its end, by the calendar alone.
    Event,
    /// The same with entries known.
    Entries,
    /// In the window of a fixture that may be over, by the calendar alone.
    Closing,
    /// The same with entries known.
    ClosingEntries,
    /// In the window of a fixture of a competition never seen before: the prior alone spoke.
    Cold,
}

/// Number of groups.
pub(crate) const GROUPS: usize = 8;

impl Group {
    /// What each stands on, in the order of their declaration.
    const FOOTINGS: [Footing; GROUPS] = [
        Footing::Calendar,
        Footing::Calendar,
        Footing::Entries,
        Footing::Calendar,
        Footing::Entries,
        Footing::Calendar,
        Footing::Entries,
        Footing::Cold,
    ];

    /// A score as far as it counts.
    fn within_reach(self, score: f64) -> f64 {
        match self {
            Self::Calm => score,
            _ => score.clamp(-REACH_OF_CROWDS, REACH_OF_CROWDS),
        }
    }

    /// The group of a moment; `precedent` is that of the fixtures that draw most there.
    pub(crate) fn of(moment: Moment, entries: bool, precedent: Precedent) -> Self {
        match (moment, entries) {
            (Moment::Calm, _) => Self::Calm,
            _ if precedent == Precedent::Missing => Self::Cold,
            (Moment::Gathering, false) => Self::Gathering,
            (Moment::Gathering, true) => Self::GatheringEntries,
            (Moment::Play, false) => Self::Event,
            (Moment::Play, true) => Self::Entries,
            (Moment::Closing, false) => Self::Closing,
            (Moment::Closing, true) => Self::ClosingEntries,
        }
    }
}

/// Weights of scores on a grid from `-REACH` to `REACH`. Only cells that were ever touched are
/// looked at: most scores are small, and some groups have none.
#[derive(Debug, Clone)]
struct Histogram {
    cells: Vec<f64>,
    touched: Range<usize>,
    /// Of all scores.
    weight: f64,
}

impl Histogram {
    fn new() -> Self {
        Self {
            cells: vec![0.0; CELLS],
            touched: 0..0,
            weight: 0.0,
        }
    }

    /// The cell of a score.
    fn place(score: f64) -> usize {
        ((score + REACH) / CELL)
            .floor()
            .clamp(0.0, (CELLS - 1) as f64) as usize
    }

    fn add(&mut self, score: f64, weight: f64) {
        let place = Self::place(score);
        self.cells[place] += weight;
        self.weight += weight;
        self.touched = if self.touched.is_empty() {
            place..place + 1
        } else {
            self.touched.start.min(place)..self.touched.end.max(place + 1)
        };
    }

    /// Every weight becomes this share of itself.
    fn fade(&mut self, keep: f64) {
        for weight in &mut self.cells[self.touched.clone()] {
            *weight *= keep;
        }
        self.weight *= keep;
    }

    /// For each of [`UPPER`], the smallest upper edge of a cell with at least so much of the weight
    /// at or below it, and never less than nothing. Beside the scores stand those `believed`, which
    /// ascend, with a weight of `share` each.
    fn margins(&self, believed: &[f64; PSEUDO], share: f64) -> Margins {
        let mut margins = [0.0; 3];
        let mut believed = (believed.iter().rev().map(|&score| Self::place(score))).peekable();
        let total = self.weight + share * PSEUDO as f64;
        let top = (self.touched.end).max(believed.peek().map_or(0, |place| place + 1));
        // from the top down: most of the weight is not looked at
        let (mut above, mut next) = (0.0, UPPER.len());
        let mut place = top;
        while next > 0 && place > CELLS / 2 {
            let wanted = |next: usize| total - UPPER[next - 1] * total;
            // cells that fall short of the next margin together need no look one by one
            if let Some(cells) = self.cells[CELLS / 2..place].last_chunk::<TOGETHER>()
                && believed.peek().is_none_or(|&at| at + TOGETHER < place)
            {
                let [a, b, c, d, e, f, g, h] = cells;
                let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
                if above + sum <= wanted(next) {
                    above += sum;
                    place -= TOGETHER;
                    continue;
                }
            }
            place -= 1;
            above += self.cells[place];
            while believed.next_if_eq(&place).is_some() {
                above += share;
            }
            while next > 0 && above > wanted(next) {
                next -= 1;
                margins[next] = (place + 1) as f64 * CELL - REACH;
            }
        }
        margins
    }
}

/// Scores of matured forecasts by group and bucket.
#[derive(Debug, Clone)]
pub(crate) struct Scores {
    groups: [[Histogram; BUCKETS]; GROUPS],
    /// Turns in which scores of each kind ever matured.
    turns: [[u32; BUCKETS]; GROUPS],
    /// What stands in for scores, at scale one.
    believed: [f64; PSEUDO],
}

impl Scores {
    pub(crate) fn new() -> Self {
        Self {
            groups: std::array::from_fn(|_| std::array::from_fn(|_| Histogram::new())),
            turns: [[0; BUCKETS]; GROUPS],
            believed: std::array::from_fn(|place| student_t4((place as f64 + 0.5) / PSEUDO as f64)),
        }
    }

    /// Keeps one score, so many days old.
    pub(crate) fn add(&mut self, group: Group, bucket: usize, score: f64, age_days: f64) {
        if score.is_finite() {
            let weight = 0.5_f64.powf(age_days / MEMORY);
            self.groups[group as usize][bucket].add(group.within_reach(score), weight);
        }
    }

    /// Keeps the scores of one turn, which are new.
    pub(crate) fn mature(&mut self, turn: impl Iterator<Item = (Group, usize, f64)>) {
        let mut some = [[false; BUCKETS]; GROUPS];
        for (group, bucket, score) in turn {
            if score.is_finite() {
                self.groups[group as usize][bucket].add(group.within_reach(score), 1.0);
                some[group as usize][bucket] = true;
            }
        }
        for (turns, some) in (self.turns.iter_mut().flatten()).zip(some.iter().flatten()) {
            *turns += u32::from(*some);
        }
    }

    /// So many days pass.
    pub(crate) fn age(&mut self, days: f64) {
        let keep = 0.5_f64.powf(days / MEMORY);
        for histogram in self.groups.iter_mut().flatten() {
            histogram.fade(keep);
        }
    }

    /// The margins of every group and bucket. `pseudo` is the least weight of all pseudo-scores of
    /// a bucket, in scores.
    pub(crate) fn margins(&self, pseudo: &[f64; BUCKETS]) -> MarginTable {
        // where nothing has matured what is believed speaks alone, alike for all groups of a footing
        let mut believed_alone: [[Option<Margins>; BUCKETS]; FOOTINGS] = Default::default();
        MarginTable(std::array::from_fn(|group| {
            std::array::from_fn(|bucket| {
                let footing = Group::FOOTINGS[group];
                let alone = &mut believed_alone[footing as usize][bucket];
                let scores = &self.groups[group][bucket];
                let empty = scores.touched.is_empty();
                if let (true, Some(margins)) = (empty, *alone) {
                    return margins;
                }
                let turns = self.turns[group][bucket];
                let of_a_turn = if group == Group::Calm as usize || turns == 0 {
                    0.0
                } else {
                    scores.weight / f64::from(turns)
                };
                let share = pseudo[bucket].max(UNSEEN * of_a_turn) / PSEUDO as f64;
                let scale = footing.prior_scale(bucket, turns.into());
                let margins = scores.margins(&self.believed.map(|score| scale * score), share);
                if empty {
                    *alone = Some(margins);
                }
                margins
            })
        }))
    }
}

/// Margins by group and lead bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MarginTable([[Margins; BUCKETS]; GROUPS]);

impl MarginTable {
    /// Log margins at a lead.
    pub(crate) fn at(&self, group: Group, lead: &Lead) -> Margins {
        let table = &self.0[group as usize];
        std::array::from_fn(|level| lead.mean(|bucket| table[bucket][level]))
    }

    /// True when every margin is a finite number, ascending and not negative.
    pub(crate) fn is_sound(&self) -> bool {
        self.0.iter().flatten().all(|margins| {
            margins.iter().all(|m| m.is_finite() && *m >= 0.0) && margins.is_sorted()
        })
    }
}

/// Quantile of Student's t with four degrees of freedom (closed form: Shaw, Sampling Student's t
/// distribution, 2006).
fn student_t4(level: f64) -> f64 {
    let alpha = (4.0 * level * (1.0 - level)).sqrt();
    let q = (alpha.acos() / 3.0).cos() / alpha;
    (2.0 * (q - 1.0).max(0.0).sqrt()).copysign(level - 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t4_agrees_with_tables() {
        for (level, value) in [(0.5, 0.0), (0.9, 1.5332), (0.95, 2.1318), (0.99, 3.7469)] {
            assert!((student_t4(level) - value).abs() < 1e-4, "{level}");
            assert!((student_t4(1.0 - level) + value).abs() < 1e-4, "{level}");
        }
    }

    #[test]
    fn margins_start_at_the_prior_and_follow_the_scores() {
        let empty = Scores::new().margins(&[30.0; BUCKETS]);
        let [p90, p95, p99] = empty.at(Group::Event, &Lead::of(200.0));
        assert!(p90 > 0.4 && p95 > p90 && p99 > p95 && p99 < 2.0);
        assert!(empty.is_sound());

        let mut scores = Scores::new();
        for place in 0..10_000 {
            let score = f64::from(place) / 10_000.0 - 0.5;
            scores.add(Group::Event, 4, score, 1.0);
        }
        let margins = scores
            .margins(&[30.0; BUCKETS])
            .at(Group::Event, &Lead::of(200.0));
        assert!((margins[0] - 0.40).abs() < 0.01, "{margins:?}");
        assert!((margins[1] - 0.45).abs() < 0.01, "{margins:?}");
    }

    #[test]
    fn old_scores_fade() {
        let mut scores = Scores::new();
        for _ in 0..1_000 {
            scores.add(Group::Calm, 0, 1.0, 0.0);
        }
        scores.age(80.0);
        for _ in 0..1_000 {
            scores.add(Group::Calm, 0, 0.1, 0.0);
        }
        let margin = scores
            .margins(&[0.0; BUCKETS])
            .at(Group::Calm, &Lead::of(1.0))[1];
        assert!((margin - 0.1).abs() <= CELL + 1e-12, "{margin}");
    }

    #[test]
    fn many_scores_of_one_crowd_are_one() {
        let margin = |turns: usize| {
            let mut scores = Scores::new();
            for _ in 0..turns {
                scores.mature((0..500).map(|_| (Group::Event, 4, 0.1)));
                scores.mature((0..500).map(|_| (Group::Calm, 4, 0.1)));
            }
            let table = scores.margins(&[64.0; BUCKETS]);
            [Group::Event, Group::Calm].map(|group| table.at(group, &Lead::of(200.0))[1])
        };
        let ([event, calm], [later, _]) = (margin(2), margin(60));
        // two crowds that happened to be small do not promise a third
        assert!(event > 0.4 && calm < 0.2, "{event} {calm}");
        assert!(later < 0.2, "{later}");

        // nor does a crowd a week stay unsure for ever
        let mut weekly = Scores::new();
        for _ in 0..60 {
            weekly.mature((0..500).map(|_| (Group::Event, 4, 0.1)));
            weekly.age(7.0);
        }
        let margin = weekly
            .margins(&[64.0; BUCKETS])
            .at(Group::Event, &Lead::of(200.0))[1];
        assert!(margin < 0.25, "{margin}");
    }

    #[test]
    fn groups_are_apart_and_a_bound_covers_its_level() {
        let mut scores = Scores::new();
        for place in 0..1_000 {
            scores.add(Group::Entries, 2, f64::from(place % 100) / 200.0, 0.0);
            scores.add(Group::Event, 2, f64::from(place % 100) / 50.0, 0.0);
        }
        let table = scores.margins(&[0.0; BUCKETS]);
        let (by_entries, by_calendar) = (
            table.at(Group::Entries, &Lead::of(20.0)),
            table.at(Group::Event, &Lead::of(20.0)),
        );
        assert!((by_entries[1] * 4.0 - by_calendar[1]).abs() < 0.05);
        let below = (0..100).filter(|p| f64::from(*p) / 200.0 <= by_entries[1]);
        assert!(below.count() >= 95);
    }

    #[test]
    fn a_model_that_always_overshoots_gets_no_negative_margin() {
        let mut scores = Scores::new();
        for _ in 0..1_000 {
            scores.add(Group::Calm, 0, -1.0, 0.0);
        }
        assert_eq!(
            scores
                .margins(&[0.0; BUCKETS])
                .at(Group::Calm, &Lead::of(1.0)),
            [0.0; 3]
        );
    }
}
