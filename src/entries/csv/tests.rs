//! Files of entries, typed by hand and made up.

use std::fmt::Write as _;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::entries::SlateEntries;
use crate::series::Series;

const HEAD: &str = "timestamp_utc,entries,slate,spots\n";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn read_text(text: &str) -> Result<EntriesFile, EntriesError> {
    read_entries(text.as_bytes(), "entries.csv", None)
}

fn refusal(text: &str) -> String {
    read_text(text).unwrap_err().to_string()
}

fn rates(entries: &Entries, slate: Option<&str>) -> Vec<Option<f64>> {
    let rate = &entries.get(slate).unwrap().rate;
    rate.iter()
        .map(|(_, rate)| rate.map(crate::units::Rate::as_per_second))
        .collect()
}

#[test]
fn counts_become_rates_and_gaps_stay_gaps() {
    let file = read_text(
        "timestamp_utc,entries\n2026-09-13T10:00:00Z,60\n2026-09-13T10:01:00Z,\n\
         2026-09-13T10:02:00Z,0\n2026-09-13T10:05:00Z,30\n2026-09-13T10:06:00Z,6\n",
    )
    .unwrap();
    let expected = [Some(1.0), None, Some(0.0), None, None, Some(0.5), Some(0.1)];
    assert_eq!(rates(&file.entries, None), expected);
    assert_eq!(file.rows, 5);
    assert!(file.warnings.is_empty());
}

#[test]
fn slates_have_their_own_grid_and_places() {
    let file = read_text(&format!(
        "{HEAD}2026-09-13T10:00:00Z,60,main,1000\n2026-09-13T10:00:30Z,5,,\n\
         2026-09-13T10:05:00Z,300,late,\n2026-09-13T10:05:30Z,5,,\n\
         2026-09-13T10:10:00Z,120,main,1000\n2026-09-13T10:20:00Z,,main,1500\n\
         2026-09-13T10:25:00Z,300,late,50000\n"
    ))
    .unwrap();
    let main = file.entries.get(Some("main")).unwrap();
    assert_eq!(main.rate.step(), TimeDelta::minutes(10));
    assert_eq!(
        main.spots,
        [
            (time("2026-09-13T10:00:00Z"), 1000.0),
            (time("2026-09-13T10:20:00Z"), 1500.0)
        ]
    );
    assert_eq!(
        rates(&file.entries, Some("main")),
        [Some(0.1), Some(0.2), None]
    );
    assert_eq!(
        file.entries.get(Some("late")).unwrap().rate.step(),
        TimeDelta::minutes(20)
    );
    assert_eq!(
        file.entries.get(None).unwrap().rate.step(),
        TimeDelta::minutes(5)
    );
}

#[test]
fn a_stated_interval_is_believed_and_lends_itself_to_single_rows() {
    let one = "timestamp_utc,entries\n2026-09-13T10:00:00Z,60\n";
    assert_snapshot!(refusal(one), @"entries.csv: no slate has two rows, so the interval that entries are counted over is unknown; give it with --entries-per, for example 5m");
    let minute = Some(TimeDelta::minutes(1));
    let file = read_entries(one.as_bytes(), "x", minute).unwrap();
    assert_eq!(rates(&file.entries, None), [Some(1.0)]);
    let two = "timestamp_utc,entries\n2026-09-13T10:00:00Z,60\n2026-09-13T10:02:00Z,30\n";
    let file = read_entries(two.as_bytes(), "x", minute).unwrap();
    assert_eq!(rates(&file.entries, None), [Some(1.0), None, Some(0.5)]);
    let lent = format!(
        "{HEAD}2026-09-13T10:00:00Z,60,a,\n2026-09-13T10:00:00Z,60,b,\n2026-09-13T10:01:00Z,60,a,\n"
    );
    let file = read_text(&lent).unwrap();
    assert_eq!(rates(&file.entries, Some("b")), [Some(1.0)]);
}

#[test]
fn every_refusal_names_place_and_remedy() {
    let head = format!("{HEAD}2026-09-13T10:00:00Z,60,main,1000\n2026-09-13T10:05:00Z,60,main,\n");
    let with = |row: &str| refusal(&format!("{head}{row}\n"));
    assert_snapshot!(with("2026-09-13 10:10:00,1,main,"), @r#"entries.csv:4: "2026-09-13 10:10:00" has no zone; write UTC with a Z, for example 2026-09-13T17:00:00Z"#);
    assert_snapshot!(with("soon,1,main,"), @r#"entries.csv:4: "soon" is not a time; write for example 2026-09-13T17:00:00Z"#);
    assert_snapshot!(with("2026-09-13T10:10:00Z,-1,main,"), @r#"entries.csv:4: "-1" is not a number of entries: negative; leave it empty where it is not known"#);
    assert_snapshot!(with("2026-09-13T10:10:00Z,many,main,"), @r#"entries.csv:4: "many" is not a number of entries: not a number; leave it empty where it is not known"#);
    assert_snapshot!(with("2026-09-13T10:10:00Z,1,main,inf"), @r#"entries.csv:4: "inf" is not a number of spots: not finite; leave it empty where it is not known"#);
    assert_snapshot!(with("2026-09-13T10:05:00Z,1,main,"), @r#"entries.csv:4: 2026-09-13T10:05:00Z is there twice for slate "main"; keep one row per time and slate"#);
    assert_snapshot!(with("2026-09-13T09:05:00Z,1,late,"), @"entries.csv:4: 2026-09-13T09:05:00Z comes after 2026-09-13T10:05:00Z; sort the file by time");
    assert_snapshot!(with("2026-09-13T10:12:00Z,1,main,"), @r#"entries.csv:4: 2026-09-13T10:12:00Z is not a whole number of 5m after the first row of slate "main" (2026-09-13T10:00:00Z); give regular intervals, or their length with --entries-per"#);
    assert_snapshot!(with("2026-09-13T10:10:00Z,1"), @"entries.csv:4: 2 columns instead of 4; write one for each of the header");
    assert_snapshot!(with("2026-09-13T10:10:00Z;1;main;"), @"entries.csv:4: 1 columns instead of 4; write one for each of the header, separated by a comma");
    assert_snapshot!(with(&format!("2026-09-13T10:10:00Z,1,{},", "x".repeat(300))), @"entries.csv:4: the slate's name has 300 bytes; use the slate of the fixture file, at most 256");
    assert_snapshot!(refusal("2026-09-13T10:10:00Z,1\n"), @r#"entries.csv:1: "2026-09-13T10:10:00Z,1" is not the header; begin with timestamp_utc,entries and, where known, slate and spots"#);
    assert_snapshot!(refusal("timestamp_utc,entries,entrants\n"), @r#"entries.csv:1: "timestamp_utc,entries,entrants" is not the header; begin with timestamp_utc,entries and, where known, slate and spots"#);
    assert_snapshot!(refusal("timestamp_utc;entries\n"), @r#"entries.csv:1: "timestamp_utc;entries" is not the header; begin with timestamp_utc,entries and, where known, slate and spots, separated by a comma"#);
    assert_snapshot!(refusal("timestamp_utc,entries\n"), @"entries.csv: has no rows; give at least one row below a header timestamp_utc,entries");
    assert_snapshot!(refusal(""), @"entries.csv: has no rows; give at least one row below a header timestamp_utc,entries");
}

#[test]
fn more_entries_than_places_are_doubted_once_per_slate() {
    let file = read_text(&format!(
        "{HEAD}2026-09-13T10:00:00Z,60,main,100\n2026-09-13T10:05:00Z,60,main,50\n\
         2026-09-13T10:10:00Z,60,main,50\n"
    ))
    .unwrap();
    assert_eq!(file.warnings.len(), 1);
    assert_snapshot!(file.warnings[0], @r#"entries.csv:3: slate "main" has 120 entries for 50 places; spots must be all places of the slate, those taken included"#);
}

#[test]
fn a_small_file_cannot_ask_for_much_memory() {
    let far = format!(
        "{HEAD}1970-01-01T00:00:00Z,1,a,\n1970-01-01T00:00:00.001Z,1,a,\n2026-09-13T10:00:00Z,1,a,\n"
    );
    assert!(refusal(&far).contains("spans"), "{}", refusal(&far));
    let mut many = HEAD.to_owned();
    for slate in 0..=MAX_SLATES {
        let _ = writeln!(many, "2026-09-13T10:00:00Z,1,s{slate},");
    }
    assert!(refusal(&many).contains("slates"));
}

#[test]
fn what_lies_behind_the_cut_is_not_read() {
    let known = format!(
        "{HEAD}2026-09-13T10:00:00Z,60,main,100\n2026-09-13T10:00:00Z,6,late,\n\
         2026-09-13T10:05:00Z,60,main,100\n2026-09-13T10:05:00Z,6,late,\n\
         2026-09-13T10:10:00Z,60,main,900\n"
    );
    // the interval from 10:10 is not over at 10:12
    let cut = time("2026-09-13T10:12:00Z");
    let before = |text: &str| read_entries_before(text.as_bytes(), "x", None, cut);
    let clean = before(&known).unwrap();
    let main = clean.entries.get(Some("main")).unwrap();
    assert_eq!(main.rate.len(), 2);
    assert_eq!(main.spots, [(time("2026-09-13T10:00:00Z"), 100.0)]);
    for garbage in [
        "2026-09-13T10:15:00Z,-5,main,nonsense\nno,time,at,all\n2020-01-01T00:00:00Z,1,main,\n",
        "\u{0}\u{1},\"",
        "2026-09-13T10:12:00Z,1e308,main,1\n",
    ] {
        let spoilt = before(&format!("{known}{garbage}")).unwrap();
        assert_eq!(spoilt.entries, clean.entries, "{garbage:?}");
    }
    let hidden = format!("{known}no,time,at,all\n2026-09-13T10:11:00Z,1,late,\n");
    assert!(
        before(&hidden)
            .unwrap_err()
            .to_string()
            .starts_with("x:7: ")
    );

    let nothing = read_entries_before(known.as_bytes(), "x", None, time("2026-09-13T09:00:00Z"));
    let nothing = nothing.unwrap();
    assert!(nothing.entries.is_empty());
    assert_eq!(
        nothing.warnings,
        ["x: no row lies before 2026-09-13T09:00:00Z"]
    );
    let first = read_entries_before(known.as_bytes(), "x", None, time("2026-09-13T10:01:00Z"));
    assert!(first.unwrap().entries.is_empty());
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_and_cut_alike(
        slates in prop::collection::btree_map(
            prop::option::of("[a-z0-9, \"-]{1,12}[a-z]"),
            (prop::collection::vec(prop::option::weighted(0.8, 0_u32..1_000_000), 1..40), 0_i64..50,
             prop::collection::vec((0_i64..40, 1_u32..9_000_000), 0..3)),
            1..5),
        cut in 0_i64..100,
    ) {
        let (minute, begin) = (TimeDelta::minutes(5), time("2026-09-13T00:00:00Z"));
        let mut entries = Entries::default();
        for (slate, (counts, offset, spots)) in slates {
            let start = begin + minute * offset as i32;
            let rates = counts.iter().map(|c| c.map_or(f64::NAN, |c| f64::from(c) / 300.0)).collect();
            let rate = Series::from_raw(start, minute, rates);
            let mut known: Vec<(Timestamp, f64)> = Vec::new();
            let spots: std::collections::BTreeMap<_, _> = spots.into_iter().collect();
            for (bin, places) in spots {
                let new = known.last().is_none_or(|&(_, last)| last != f64::from(places));
                if (bin as usize) < rate.len() && new {
                    known.push((start + minute * bin as i32, f64::from(places)));
                }
            }
            entries.insert(slate.map(|s| s.trim().to_owned()), SlateEntries { rate, spots: known });
        }
        let mut text = Vec::new();
        write_entries(&mut text, &entries).unwrap();
        let back = read_entries(&text[..], "x", Some(minute)).unwrap().entries;
        let same = |a: &Entries, b: &Entries| {
            a.iter().count() == b.iter().count() && a.iter().zip(b.iter()).all(|(a, b)| {
                a.0 == b.0 && a.1.spots == b.1.spots && a.1.rate.start() == b.1.rate.start()
                    && a.1.rate.iter().eq(b.1.rate.iter())
            })
        };
        prop_assert!(same(&back, &entries), "{}", String::from_utf8_lossy(&text));
        // off the grid, so that no place is offered at the very moment
        let at = begin + minute * cut as i32 + TimeDelta::seconds(1);
        let known = read_entries_before(&text[..], "x", Some(minute), at).unwrap().entries;
        let rates = |entries: &Entries| -> Vec<_> {
            entries.iter().map(|(slate, of)| {
                (slate.map(str::to_owned), of.rate.start(), of.rate.iter().collect::<Vec<_>>())
            }).collect()
        };
        prop_assert_eq!(rates(&known), rates(&entries.before(at)));
    }
}
