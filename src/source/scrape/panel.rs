//! Which pods of a large fleet are asked. Pure.
//!
//! A rate takes two readings, so those who are asked are a panel that stays, of which one member
//! leaves and one joins in each round: the whole fleet has its turn, and nearly everyone asked was
//! asked the second before.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

/// Up to so many pods all are asked.
const SMALL: usize = 10;

/// Half-width of the 95 % interval of a pod's mean, as a share of how much pods differ. Knative's
/// scraper works with a half; twice as fine costs some forty more requests a second on the
/// largest fleets, and noise is what delays the sight of a spike.
const HALF_WIDTH: f64 = 0.25;

/// Normal quantile of 95 %, two-sided.
const Z: f64 = 1.96;

/// Pods to ask in a fleet of `pods`: n = ⌈N·X / (N + X − 1)⌉ with X = (z / half-width)², the size
/// of a sample from a finite population, as in Knative's `pkg/autoscaler/metrics/sample_size.go`.
pub fn sample_size(pods: usize) -> usize {
    if pods <= SMALL {
        return pods;
    }
    let enough = (Z / HALF_WIDTH).powi(2);
    let pods = pods as f64;
    (pods * enough / (pods + enough - 1.0)).ceil() as usize
}

/// Those who are asked, longest member first.
#[derive(Debug, Default)]
pub struct Panel {
    members: VecDeque<String>,
    /// Place in the fleet's order from which the next member is taken.
    turn: u64,
}

impl Panel {
    /// The places in `fleet` of the pods to ask in this round. One more than the sample's size: the
    /// newest member has nothing to compare with yet.
    pub fn choose<'f>(&mut self, fleet: impl Iterator<Item = &'f str>) -> Vec<usize> {
        let names: Vec<&str> = fleet.collect();
        let size = sample_size(names.len());
        if size == names.len() {
            self.members.clear();
            return (0..names.len()).collect();
        }
        let places: HashMap<&str, usize> = names.iter().copied().zip(0..).collect();
        self.members
            .retain(|member| places.contains_key(member.as_str()));
        while self.members.len() > size {
            self.members.pop_front();
        }
        self.fill(&names, size);
        let chosen = self.members.iter();
        chosen.map(|member| places[member.as_str()]).collect()
    }

    /// Adds members up to one more than `size`, in an order that has nothing to do with what pods
    /// are called.
    fn fill(&mut self, names: &[&str], size: usize) {
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let mut order: Vec<(u64, &str)> = names
            .iter()
            .map(|name| (hasher.hash_one(name), *name))
            .collect();
        order.sort_unstable();
        let begin = order.partition_point(|(place, _)| *place <= self.turn);
        let around = order[begin..].iter().chain(&order[..begin]);
        for (place, name) in around {
            if self.members.len() > size {
                break;
            }
            if self.members.iter().any(|member| member == name) {
                continue;
            }
            self.members.push_back((*name).to_owned());
            self.turn = *place;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn sizes_follow_the_formula() {
        let sizes = [1, 7, 10, 11, 20, 50, 100, 500, 10_000].map(sample_size);
        assert_eq!(sizes, [1, 7, 10, 10, 16, 28, 39, 55, 62]);
        // with a half as in Knative: 12 of 50
        let knative = |pods: f64| (pods * 15.366_4 / (pods + 14.366_4)).ceil();
        assert_eq!(knative(50.0), 12.0);
    }

    fn names(pods: usize) -> Vec<String> {
        (0..pods).map(|pod| format!("web-{pod}")).collect()
    }

    fn choose(panel: &mut Panel, names: &[String]) -> HashSet<usize> {
        let chosen = panel.choose(names.iter().map(String::as_str));
        let set: HashSet<usize> = chosen.iter().copied().collect();
        assert_eq!(set.len(), chosen.len(), "nobody twice");
        set
    }

    #[test]
    fn small_fleets_are_asked_whole() {
        let chosen = choose(&mut Panel::default(), &names(7));
        assert_eq!(chosen.len(), 7);
    }

    #[test]
    fn one_leaves_and_one_joins_until_everybody_had_a_turn() {
        let (names, size) = (names(500), sample_size(500));
        let mut panel = Panel::default();
        let mut before = choose(&mut panel, &names);
        let mut had_a_turn = before.clone();
        for _ in 0..500 {
            let now = choose(&mut panel, &names);
            assert!(now.len() > size - 1 && now.len() <= size + 1);
            assert!(now.intersection(&before).count() + 2 >= size);
            had_a_turn.extend(&now);
            before = now;
        }
        assert_eq!(had_a_turn.len(), 500);
    }

    #[test]
    fn who_is_gone_is_replaced_at_once() {
        let mut panel = Panel::default();
        let all = names(500);
        choose(&mut panel, &all);
        let half = &all[..250];
        let chosen = choose(&mut panel, half);
        assert!(chosen.len() >= sample_size(250), "{}", chosen.len());
    }
}
