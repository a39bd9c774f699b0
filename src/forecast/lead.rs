//! How far ahead: the lead buckets in which errors and experts are kept apart.
//!
//! A forecast a quarter of an hour ahead errs a fifth as much as one a day ahead, and other
//! experts lead there. Within a tenth of an edge two neighbouring buckets are blended, so that
//! no path jumps where one bucket ends.

use super::level;

/// Longest lead of each bucket, model bins: 15 min, 1 h, 4 h, 12 h, 24 h, 48 h and beyond.
const EDGES: [usize; BUCKETS] = [3, 12, 48, 144, 288, 576];

/// Number of buckets.
pub(crate) const BUCKETS: usize = 6;

/// Half-width of the blend around an edge, as a share of the lead.
const BLEND: f64 = 0.1;

/// Scale of errors believed before any were seen, log load, per bucket. A day ahead .35 is what
/// the forecasting study started from; shorter leads shrink as the study's scores do.
pub(crate) const PRIOR_SCALE: [f64; BUCKETS] = [0.10, 0.15, 0.22, 0.30, 0.35, 0.40];

/// Variance of what entries say of a crowd, log load, per bucket: of the link between entries and
/// load (a deviation of .2) and of the share that has entered by then, as much six hours ahead
/// (FORECASTING study, 1.3) and taken as twice the deviation beyond twelve.
const ENTRIES_VARIANCE: [f64; BUCKETS] = [0.08, 0.08, 0.08, 0.08, 0.2, 0.2];

/// Deviation of a peak known by the calendar alone over [`PRIOR_SCALE`] (FORECASTING study, 1.3).
const CALENDAR: f64 = 0.45 / 0.35;

/// Crowds with entries after which what the study takes entries to be worth counts for half: that
/// this audience's entries tell its crowd has to be seen.
const TAUGHT: f64 = 8.0;

/// The same as [`PRIOR_SCALE`] where entries are known and so many crowds have come with them:
/// calendar and entries by their precision. In the end it is .7 of it a day ahead and .6 six hours
/// ahead; in the last minutes the level says as much alone.
pub(crate) fn prior_scale_with_entries(bucket: usize, crowds: f64) -> f64 {
    let alone = PRIOR_SCALE[bucket];
    let gain = 1.0 + (CALENDAR * alone).powi(2) / ENTRIES_VARIANCE[bucket];
    alone * ((TAUGHT + crowds / gain) / (TAUGHT + crowds)).sqrt()
}

/// From this bucket on (more than four hours ahead) a forecast of a first-ever fixture stands on
/// the prior alone; nearer, the crowd that is already there speaks through the level.
pub(crate) const FAR_OFF: usize = 3;

/// The bucket of forecasts from twelve hours to a day ahead.
pub(crate) const DAY_AHEAD: usize = 4;

/// The bucket of forecasts from just before a crowd begins to gather, an hour before its lock.
pub(crate) const GATHERED: usize = 2;

/// The bucket of the `ahead`-th bin after the last one known (the first is 0).
pub(crate) fn bucket(ahead: usize) -> usize {
    EDGES
        .iter()
        .position(|&edge| ahead < edge)
        .unwrap_or(BUCKETS - 1)
}

/// Longest lead of a bucket, minutes.
pub(crate) fn longest_minutes(bucket: usize) -> u32 {
    EDGES[bucket.min(BUCKETS - 1)] as u32 * 5
}

/// One or two buckets for a lead in model bins, with weights that sum to one.
fn blend(lead: f64) -> [(usize, f64); 2] {
    for (index, &edge) in EDGES[..BUCKETS - 1].iter().enumerate() {
        let edge = edge as f64;
        let (low, high) = (edge * (1.0 - BLEND), edge * (1.0 + BLEND));
        if lead <= low {
            return [(index, 1.0), (index, 0.0)];
        }
        if lead < high {
            let share = (lead - low) / (high - low);
            return [(index, 1.0 - share), (index + 1, share)];
        }
    }
    [(BUCKETS - 1, 1.0), (BUCKETS - 1, 0.0)]
}

/// How far ahead a moment is, with what follows from that alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lead {
    bins: f64,
    buckets: [(usize, f64); 2],
    fade: f64,
}

impl Lead {
    /// Of so many model bins.
    pub(crate) fn of(bins: f64) -> Self {
        Self {
            bins,
            buckets: blend(bins),
            fade: level::fade(bins),
        }
    }

    /// Model bins.
    pub(crate) const fn bins(&self) -> f64 {
        self.bins
    }

    /// How much of the short deviation of the level is left.
    pub(crate) const fn fade(&self) -> f64 {
        self.fade
    }

    /// The mean of something over its one or two buckets, by how much it is in each.
    pub(crate) fn mean(&self, of: impl Fn(usize) -> f64) -> f64 {
        let [(one, share), (other, rest)] = self.buckets;
        if rest > 0.0 {
            share * of(one) + rest * of(other)
        } else {
            of(one)
        }
    }

    /// How much of it is as far ahead as [`FAR_OFF`], nothing to one.
    pub(crate) fn far_off(&self) -> f64 {
        self.mean(|bucket| f64::from(bucket >= FAR_OFF))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_make_surer_once_their_crowds_have_come() {
        for (bucket, alone) in PRIOR_SCALE.iter().enumerate() {
            let said = |crowds| prior_scale_with_entries(bucket, crowds) / alone;
            assert_eq!(said(0.0), 1.0);
            assert!((1..50).all(|n| said(f64::from(n)) < said(f64::from(n - 1))));
        }
        let ample = |bucket| prior_scale_with_entries(bucket, 1e9) / PRIOR_SCALE[bucket];
        assert!((ample(3) - 0.59).abs() < 0.01, "{}", ample(3));
        assert!((ample(4) - 0.705).abs() < 0.01, "{}", ample(4));
        assert!(ample(0) > 0.9);
    }

    #[test]
    fn a_lead_is_the_mean_of_its_buckets() {
        let bucket = |lead: &Lead| lead.mean(|bucket| bucket as f64);
        assert_eq!(bucket(&Lead::of(20.0)), 2.0);
        let edge = Lead::of(48.0);
        assert!((bucket(&edge) - 2.5).abs() < 1e-12);
        assert!((edge.far_off() - 0.5).abs() < 1e-12);
        assert_eq!(
            (Lead::of(30.0).far_off(), Lead::of(600.0).far_off()),
            (0.0, 1.0)
        );
    }

    #[test]
    fn blends_are_continuous_and_sum_to_one() {
        let mean = |lead: f64| -> f64 {
            let [(a, wa), (b, wb)] = blend(lead);
            assert!((wa + wb - 1.0).abs() < 1e-12);
            a as f64 * wa + b as f64 * wb
        };
        let mut last = mean(0.0);
        let mut lead = 0.0;
        while lead < 700.0 {
            lead += 0.01;
            let next = mean(lead);
            assert!(next >= last - 1e-12 && next - last < 0.03, "{lead}");
            last = next;
        }
        assert_eq!(last, (BUCKETS - 1) as f64);
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(3), 1);
        assert_eq!(bucket(5_000), BUCKETS - 1);
    }
}
