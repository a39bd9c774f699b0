//! From the rates of some pods to the demand on all of them. Pure.
//!
//! A pod far from its fellows is taken for sick and set aside, whichever way it is far: one that
//! counts wildly must not make a spike, and one that hangs still has its share of the demand sent
//! to it. Pods that were not asked, did not answer or were set aside are given the mean of the
//! others, which is what a load balancer would have sent them, and the doubt is said in the
//! standard error. A workload of five pods or more of which one is always far busier than the rest
//! cannot be told from one with a sick pod, and needs another source.

use super::counter::PodRate;

/// Fewest pods among which one can be told to be sick.
const A_FLEET: usize = 5;

/// Distance from the median, in standard deviations, beyond which a pod is sick: of seven healthy
/// pods one is so far away once in 2 000 rounds if their rates are normal.
const FAR: f64 = 4.0;

/// A normal distribution's standard deviation over its median absolute deviation.
const MAD_TO_DEVIATION: f64 = 1.4826;

/// Share of the median that healthy pods differ by at least, for load balancers are not exact.
const USUAL_DEVIATION: f64 = 0.1;

/// One in so many pods may be set aside: when more are far away, this is how the load is spread.
const SICK_ONE_IN: usize = 4;

/// Demand on a whole fleet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Units per second over all pods.
    pub offered: f64,
    /// Units waiting over all pods, when at least half of the pods counted here tell.
    pub queued: Option<f64>,
    /// Relative standard error of `offered`; 0 when every pod was counted.
    pub error: f64,
    /// Pods set aside as sick.
    pub sick: usize,
}

/// The demand on `pods` pods of which `asked` were asked and these gave a rate; `None` when fewer
/// than half of those asked did: a guess from so few could be far too low.
pub fn estimate(pods: usize, asked: usize, rates: &[PodRate]) -> Option<Estimate> {
    if rates.is_empty() || rates.len() * 2 < asked || rates.len() > pods {
        return None;
    }
    let healthy = healthy(rates);
    let count = healthy.len() as f64;
    let mean = healthy.iter().map(|rate| rate.offered).sum::<f64>() / count;
    let told: Vec<f64> = healthy.iter().filter_map(|rate| rate.queued).collect();
    let queued = (told.len() * 2 >= healthy.len() && !told.is_empty())
        .then(|| told.iter().sum::<f64>() / told.len() as f64 * pods as f64);
    Some(Estimate {
        offered: mean * pods as f64,
        queued,
        error: standard_error(&healthy, mean, pods),
        sick: rates.len() - healthy.len(),
    })
}

/// Relative standard error of a total estimated from the mean of some of its parts, with the
/// correction for a population that is not infinite (Cochran, Sampling Techniques, 2.6).
fn standard_error(sample: &[&PodRate], mean: f64, pods: usize) -> f64 {
    let count = sample.len() as f64;
    let missing = 1.0 - count / pods as f64;
    if missing <= 0.0 || mean <= 0.0 {
        return 0.0;
    }
    // one pod tells nothing of how pods differ, so chance and what is usual are all that is known
    let variance = if sample.len() < 2 {
        (mean * USUAL_DEVIATION).powi(2)
    } else {
        let squares = sample.iter().map(|rate| (rate.offered - mean).powi(2));
        squares.sum::<f64>() / (count - 1.0)
    };
    // few pods that happen to be equal do not mean that all are
    let variance = variance.max(chance(sample));
    (variance / count * missing).sqrt() / mean
}

/// Variance of a pod's rate if its requests came independently of each other.
fn chance(sample: &[&PodRate]) -> f64 {
    let variances = sample
        .iter()
        .map(|rate| rate.offered / rate.seconds.max(f64::MIN_POSITIVE));
    variances.sum::<f64>() / sample.len() as f64
}

/// The pods that are not far from the others.
fn healthy(rates: &[PodRate]) -> Vec<&PodRate> {
    let all: Vec<&PodRate> = rates.iter().collect();
    if all.len() < A_FLEET {
        return all;
    }
    let centre = median(all.iter().map(|rate| rate.offered).collect());
    // where most are idle, the few that are not have all the work
    if centre <= 0.0 {
        return all;
    }
    let distance = |rate: &PodRate| (rate.offered - centre).abs();
    let spread = median(all.iter().map(|rate| distance(rate)).collect());
    // requests that come independently differ by the root of their number
    let seconds = median(all.iter().map(|rate| rate.seconds).collect());
    let seconds = seconds.max(f64::MIN_POSITIVE);
    let by_chance = (centre * seconds).max(1.0).sqrt() / seconds;
    let deviation = (spread * MAD_TO_DEVIATION)
        .max(by_chance)
        .max(centre * USUAL_DEVIATION);
    let near: Vec<&PodRate> = rates
        .iter()
        .filter(|rate| distance(rate) <= FAR * deviation)
        .collect();
    let sick = all.len() - near.len();
    if sick > all.len() / SICK_ONE_IN {
        return all;
    }
    near
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use rand::rngs::StdRng;
    use rand::seq::index::sample;
    use rand::{Rng as _, SeedableRng as _};
    use rand_distr::{Distribution as _, LogNormal, Poisson};

    use super::super::panel::sample_size;
    use super::*;

    fn rate(offered: f64) -> PodRate {
        PodRate {
            offered,
            queued: None,
            seconds: 1.0,
            at: Duration::ZERO,
        }
    }

    fn fleet(offered: &[f64]) -> Vec<PodRate> {
        offered.iter().copied().map(rate).collect()
    }

    #[test]
    fn all_pods_are_their_sum_without_error() {
        let rates = fleet(&[100.0, 110.0, 90.0, 100.0]);
        let all = estimate(4, 4, &rates).unwrap();
        assert_eq!((all.offered, all.error, all.sick), (400.0, 0.0, 0));
    }

    #[test]
    fn one_sick_pod_of_seven_changes_nothing() {
        let well = [100.0, 97.0, 104.0, 101.0, 99.0, 96.0, 103.0];
        let healthy = estimate(7, 7, &fleet(&well)).unwrap();
        for sickness in [0.0, 10.0, 1_000.0, 1e12] {
            let mut rates = well;
            rates[3] = sickness;
            let sick = estimate(7, 7, &fleet(&rates)).unwrap();
            assert_eq!(sick.sick, 1, "{sickness}");
            let change = sick.offered / healthy.offered - 1.0;
            assert!(change.abs() < 0.01, "{sickness}: {change}");
            assert!(sick.error > 0.0, "the doubt is said");
        }
    }

    #[test]
    fn a_spike_on_all_is_a_spike_and_on_some_is_no_sickness() {
        let all = estimate(7, 7, &fleet(&[800.0; 7])).unwrap();
        assert_eq!(all.offered, 5_600.0);
        // one zone of two has the crowd: that is how the load is spread
        let zones = [100.0, 100.0, 100.0, 100.0, 800.0, 800.0, 800.0];
        let half = estimate(7, 7, &fleet(&zones)).unwrap();
        assert_eq!((half.offered, half.sick), (2_800.0, 0));
    }

    #[test]
    fn few_requests_differ_by_chance_and_are_not_sickness() {
        let rates = fleet(&[1.0, 0.0, 3.0, 1.0, 0.0, 2.0, 1.0]);
        let quiet = estimate(7, 7, &rates).unwrap();
        assert_eq!((quiet.offered, quiet.sick), (8.0, 0));
        // three at once on one pod, and a workload of which one pod does all
        for busy in [3.0, 1_000.0] {
            let rates = fleet(&[0.0, 0.0, busy, 0.0, 0.0, 0.0, 0.0]);
            let idle = estimate(7, 7, &rates).unwrap();
            assert_eq!((idle.offered, idle.sick), (busy, 0));
        }
    }

    #[test]
    fn the_missing_have_the_mean_of_the_others_and_raise_the_error() {
        let rates = fleet(&[90.0, 110.0, 100.0, 100.0]);
        let one_missing = estimate(5, 5, &rates).unwrap();
        assert_eq!(one_missing.offered, 500.0);
        let three_missing = estimate(7, 7, &rates).unwrap();
        assert!(one_missing.error > 0.0);
        assert!(three_missing.error > one_missing.error);
        // a pod alone has chance to go by: 100 in a second, give or take 10
        let alone = estimate(2, 2, &fleet(&[100.0])).unwrap();
        assert!((alone.error - (0.01_f64 / 2.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn fewer_than_half_are_no_sample() {
        let rates = fleet(&[90.0, 110.0, 100.0]);
        assert_eq!(estimate(7, 7, &rates), None);
        assert!(estimate(7, 6, &rates).is_some());
        assert_eq!(estimate(0, 0, &[]), None);
    }

    #[test]
    fn queues_are_filled_in_like_rates() {
        let mut rates = fleet(&[100.0; 4]);
        for (rate, queued) in rates.iter_mut().zip([Some(2.0), Some(4.0), None, None]) {
            rate.queued = queued;
        }
        assert_eq!(estimate(6, 4, &rates).unwrap().queued, Some(18.0));
        rates[1].queued = None;
        assert_eq!(estimate(6, 4, &rates).unwrap().queued, None);
    }

    /// Of 500 pods that differ by 20 % and count requests that come by chance, the sample is right
    /// as often as its error says: within 2 errors in about 95 of 100 rounds.
    #[test]
    fn the_error_of_a_sampled_fleet_is_the_true_one() {
        const ROUNDS: usize = 1_000;
        let mut rng = StdRng::seed_from_u64(11);
        let shares = LogNormal::new(0.0, 0.2).unwrap();
        let (mut within_one, mut within_two, mut bias, mut said) = (0, 0, 0.0, 0.0);
        for _ in 0..ROUNDS {
            let pods: Vec<f64> = (0..500)
                .map(|_| {
                    let mean = 40.0 * shares.sample(&mut rng);
                    Poisson::new(mean).unwrap().sample(&mut rng)
                })
                .collect();
            let truth: f64 = pods.iter().sum();
            let asked = sample_size(500);
            let rates: Vec<PodRate> = sample(&mut rng, 500, asked)
                .iter()
                .map(|pod| rate(pods[pod]))
                .collect();
            let sampled = estimate(500, asked, &rates).unwrap();
            let off = (sampled.offered - truth) / truth;
            within_one += usize::from(off.abs() <= sampled.error);
            within_two += usize::from(off.abs() <= 2.0 * sampled.error);
            bias += off / ROUNDS as f64;
            said += sampled.error / ROUNDS as f64;
        }
        assert!((620..740).contains(&within_one), "{within_one}");
        assert!((930..975).contains(&within_two), "{within_two}");
        assert!(bias.abs() < 0.005, "{bias}");
        // √(0.2² + 1/40) of a pod over √55 pods
        assert!((0.025..0.04).contains(&said), "{said}");
    }

    proptest! {
        /// No pod of a fleet can move the estimate by more than a pod's share of the spread.
        #[test]
        fn one_liar_moves_little(
            seed in any::<u64>(), pods in 5_usize..40, lie in 0.0_f64..1e9,
        ) {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut rates: Vec<PodRate> =
                (0..pods).map(|_| rate(rng.random_range(900.0..1_100.0))).collect();
            let honest = estimate(pods, pods, &rates).unwrap().offered;
            rates[0].offered = lie;
            let moved = estimate(pods, pods, &rates).unwrap().offered;
            // four deviations of at most a tenth each, of one pod's share
            prop_assert!((moved / honest - 1.0).abs() < 0.65 / pods as f64);
        }

        /// Twice the load is twice the estimate, and the order of the pods is nothing.
        #[test]
        fn it_scales(rates in prop::collection::vec(50.0_f64..5_000.0, 1..30), extra in 0_usize..10) {
            let pods = rates.len() + extra;
            let once = estimate(pods, rates.len(), &fleet(&rates)).unwrap();
            let mut doubled: Vec<f64> = rates.iter().map(|rate| rate * 2.0).collect();
            doubled.reverse();
            let twice = estimate(pods, rates.len(), &fleet(&doubled)).unwrap();
            if once.sick == twice.sick {
                prop_assert!((twice.offered / once.offered - 2.0).abs() < 1e-9);
            }
        }
    }
}
