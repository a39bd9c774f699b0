//! Where names stand that belong to places side by side: none over another, and what finds no room
//! is counted.

/// Lanes below each other for names.
const LANES: usize = 4;

/// Width of a character of a name, which is bold and often a capital.
pub(super) const BOLD: f64 = 10.0;

/// Least room between two names of a lane.
const APART: f64 = 4.0;

/// A name where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    /// Its middle.
    pub(super) middle: f64,
    /// Its lane, from the top down.
    pub(super) lane: usize,
    /// What it says.
    pub(super) text: String,
}

/// Half of the room that a name takes up.
pub(super) fn half(name: &str) -> f64 {
    BOLD * name.chars().count() as f64 / 2.0
}

/// Names side by side for which no lane had room, from the middle of the first to that of the last.
struct More {
    from: f64,
    to: f64,
    count: usize,
}

impl More {
    /// What they say together.
    fn text(&self) -> String {
        format!("+{} more", self.count)
    }

    /// Where they end, said together.
    fn end(&self) -> f64 {
        f64::midpoint(self.from, self.to) + half(&self.text()) + APART
    }
}

/// Places names by their middles: one that would touch another stands in the lane below it, and
/// those for which there is no lane left are counted in one of their own below all others.
pub(super) fn placed(mut names: Vec<(f64, &str)>) -> Vec<Placed> {
    names.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free = [f64::NEG_INFINITY; LANES];
    let mut placed = Vec::new();
    let mut left: Vec<More> = Vec::new();
    for (middle, name) in names {
        let (from, to) = (middle - half(name), middle + half(name));
        if let Some(lane) = (0..LANES).find(|&lane| from >= free[lane]) {
            free[lane] = to + APART;
            placed.push(Placed {
                middle,
                lane,
                text: name.to_owned(),
            });
            continue;
        }
        let alone = More {
            from: middle,
            to: middle,
            count: 1,
        };
        left.push(alone);
        // what would touch what is said before it is said with that
        while let [.., one, other] = left.as_slice()
            && f64::midpoint(other.from, other.to) - half(&other.text()) < one.end()
        {
            let joined = More {
                from: one.from,
                to: other.to,
                count: one.count + other.count,
            };
            left.truncate(left.len() - 2);
            left.push(joined);
        }
    }
    placed.extend(left.iter().map(|more| Placed {
        middle: f64::midpoint(more.from, more.to),
        lane: LANES,
        text: more.text(),
    }));
    placed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_finds_no_lane_is_counted_where_it_would_stand() {
        let apart: Vec<(f64, &str)> = vec![(10.0, "A"), (30.0, "B")];
        let lanes: Vec<usize> = placed(apart).iter().map(|name| name.lane).collect();
        assert_eq!(lanes, [0, 0]);
        let close = (0..9).map(|place| (100.0 + f64::from(place), "A"));
        let far = (0..6).map(|place| (400.0 + f64::from(place), "B"));
        let names = placed(close.chain(far).collect());
        let more: Vec<(f64, &str)> = names
            .iter()
            .filter(|name| name.lane == LANES)
            .map(|name| (name.middle, name.text.as_str()))
            .collect();
        assert_eq!(more, [(106.0, "+5 more"), (404.5, "+2 more")]);
    }

    proptest! {
        #[test]
        fn no_name_touches_another_and_none_is_lost(
            middles in proptest::collection::vec((0.0..900.0_f64, "[A-Z]{1,3}"), 0..90)
        ) {
            let names: Vec<(f64, &str)> = middles.iter().map(|(x, name)| (*x, name.as_str())).collect();
            let found = placed(names);
            for (place, one) in found.iter().enumerate() {
                for other in found[place + 1..].iter().filter(|other| other.lane == one.lane) {
                    let apart = (one.middle - other.middle).abs();
                    prop_assert!(apart >= half(&one.text) + half(&other.text), "{one:?} {other:?}");
                }
            }
            let counted = |name: &Placed| match name.lane {
                LANES => name.text[1..].split(' ').next().unwrap().parse().unwrap(),
                _ => 1,
            };
            prop_assert_eq!(found.iter().map(counted).sum::<usize>(), middles.len());
        }
    }
}
