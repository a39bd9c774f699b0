//! Entries whose slates are not those of the fixtures: they say nothing, and somebody must know.

use std::collections::{BTreeMap, BTreeSet};

use crate::entries::Entries;
use crate::fixture::{Calendar, folded};
use crate::units::Timestamp;

/// What to know of entries before `at` that no fixture's slate bears the name of: that all of them
/// do not, or that some differ only in how they are written. Entries without a slate are for any.
pub(crate) fn unmatched(entries: &Entries, calendar: &Calendar, at: Timestamp) -> Option<String> {
    let known = (entries.iter())
        .filter(|(_, sold)| !sold.rate.is_empty() && sold.rate.start() < at)
        .map(|(name, _)| name);
    // nothing is to be said where one has no name
    let sold: BTreeSet<&str> = known.collect::<Option<_>>()?;
    let first = sold.first()?;
    let played = calendar
        .iter()
        .filter_map(|fixture| fixture.slate.as_deref());
    let played: BTreeSet<&str> = played.collect();
    let strange: BTreeMap<String, &str> = sold
        .difference(&played)
        .map(|&name| (folded(name), name))
        .collect();
    let alike: Vec<(&str, &str)> = played
        .difference(&sold)
        .filter_map(|&slate| Some((slate, *strange.get(&folded(slate))?)))
        .collect();
    if let Some((slate, name)) = alike.first() {
        let more = match alike.len() - 1 {
            0 => String::new(),
            more => format!(", and so it is with {more} more"),
        };
        return Some(format!(
            "slate {slate:?} of the fixtures is {name:?} in the entries{more}: these entries do not \
             count; write slates alike in both"
        ));
    }
    if sold.iter().any(|name| played.contains(name)) {
        return None;
    }
    let count = sold.len();
    Some(match played.first() {
        Some(slate) => format!(
            "none of the {count} slates in the entries ({first:?} ...) is a slate of a fixture \
             ({slate:?} ...): they do not count; write slates alike in both"
        ),
        None => format!(
            "entries are of slates ({first:?} ...) and no fixture names its slate: they do not \
             count; name the slate of each fixture, or give entries without one"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entries::SlateEntries;
    use crate::fixture::Fixture;
    use crate::series::Series;
    use chrono::TimeDelta;

    fn said(sold: &[Option<&str>], played: &[Option<&str>]) -> Option<String> {
        let start = Timestamp::UNIX_EPOCH;
        let mut entries = Entries::default();
        for name in sold {
            let rate = Series::from_raw(start, TimeDelta::minutes(5), vec![1.0; 3]);
            let spots = Vec::new();
            entries.insert(name.map(str::to_owned), SlateEntries { rate, spots });
        }
        let calendar: Calendar = (played.iter().enumerate())
            .map(|(place, slate)| {
                let mut game = Fixture::game(format!("g{place}"), "cup", start);
                game.slate = slate.map(str::to_owned);
                game
            })
            .collect();
        assert_eq!(
            unmatched(&entries, &calendar, start),
            None,
            "nothing had come then"
        );
        unmatched(&entries, &calendar, start + TimeDelta::hours(1))
    }

    #[test]
    fn slates_that_are_written_in_two_ways_are_named() {
        let note = said(
            &[Some("W17-Main"), Some("W17-Late"), Some("w16-main")],
            &[Some("w16-main"), Some("w17-main"), Some("w17-late")],
        );
        let note = note.unwrap();
        assert!(
            note.starts_with(
                "slate \"w17-late\" of the fixtures is \"W17-Late\" in the entries, and so it is \
                 with 1 more:"
            ),
            "{note}"
        );
    }

    #[test]
    fn entries_that_are_of_no_fixture_are_told() {
        let strangers = said(&[Some("x"), Some("y")], &[Some("main"), None]).unwrap();
        assert!(
            strangers.starts_with("none of the 2 slates in the entries (\"x\" ...)"),
            "{strangers}"
        );
        let nameless = said(&[Some("x")], &[None, None]).unwrap();
        assert!(
            nameless.contains("no fixture names its slate"),
            "{nameless}"
        );
    }

    #[test]
    fn entries_that_speak_or_are_for_any_are_not() {
        for sold in [
            &[Some("main"), Some("other")][..],
            &[None, Some("x")],
            &[None],
            &[],
        ] {
            assert_eq!(said(sold, &[Some("main"), None]), None, "{sold:?}");
        }
    }
}
