//! `tipoff fixtures` as people run it: real files of all formats, and files that are wrong.

use std::fs;
use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use tempfile::TempDir;

use crate::run::{Run, binary};

fn tipoff(directory: &Path, args: &[&str]) -> Run {
    Run::of(
        binary()
            .current_dir(directory)
            .env("TZ", "UTC")
            .arg("fixtures")
            .args(args),
    )
}

fn with_file(name: &str, content: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join(name), content).unwrap();
    directory
}

fn calendars() -> Option<PathBuf> {
    let path = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/data/calendars"
    ));
    if path.exists() {
        Some(path)
    } else {
        println!("skipped: the calendars are not here");
        None
    }
}

#[test]
fn every_real_calendar_imports_or_is_refused_for_a_true_reason() {
    let Some(directory) = calendars() else {
        return;
    };
    let london: &[&str] = &["--zone", "Europe/London"];
    for (file, args, code, said) in [
        (
            "espn_scoreboard_wc2026_6events.json",
            &[][..],
            0,
            "6 fixtures as espn",
        ),
        (
            "fixturedownload_epl-2025-GMTStandardTime_excerpt.csv",
            &[][..],
            2,
            "none of the times (17) has a zone; declare the zone they are in, for example --zone Europe/London, as the file's name suggests",
        ),
        (
            "fixturedownload_epl-2025-GMTStandardTime_excerpt.csv",
            london,
            0,
            "17 fixtures as fixturedownload",
        ),
        (
            "fpl_fixtures_2026_40.json",
            &[][..],
            0,
            "40 fixtures as fpl",
        ),
        ("nfl_2026_excerpt.ics", &[][..], 0, "3 fixtures as ics"),
        (
            "nfl_shield_2023_01_DET_KC.json",
            &[][..],
            0,
            "1 fixture as nfl",
        ),
        ("nhl_offseason_empty.ics", &[][..], 0, "no fixtures as ics"),
        (
            "openfootball_2025-26_en.1.json",
            &[][..],
            2,
            "none of the times (379) has a zone; declare the zone",
        ),
        (
            "openfootball_2025-26_en.1.json",
            london,
            0,
            "380 fixtures as openfootball",
        ),
        (
            "openfootball_worldcup_2026_excerpt.json",
            &[][..],
            0,
            "4 fixtures as openfootball",
        ),
    ] {
        let mut all = vec!["check", file];
        all.extend(args);
        let run = tipoff(&directory, &all);
        assert_eq!(run.code, code, "{file}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{file}: {}", run.stderr);
        assert!(!run.stderr.contains("reject   "), "{file}: {}", run.stderr);
    }
}

#[test]
fn real_calendars_survive_conversion_to_our_formats() {
    let Some(directory) = calendars() else {
        return;
    };
    let scratch = TempDir::new().unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let path = path.to_str().unwrap();
        for (name, to) in [("out.yaml", "yaml"), ("out.csv", "csv")] {
            let run = tipoff(
                scratch.path(),
                &[
                    "import",
                    path,
                    "--zone",
                    "Europe/London",
                    "--output",
                    name,
                    "--to",
                    to,
                ],
            );
            assert_eq!(run.code, 0, "{path}: {}", run.stderr);
            let first = tipoff(scratch.path(), &["check", path, "--zone", "Europe/London"]);
            let again = tipoff(scratch.path(), &["check", name, "--zone", "Europe/London"]);
            if first.stdout.is_empty() {
                continue;
            }
            assert_eq!(again.code, 0, "{path}: {}", again.stderr);
            let starts = |run: &Run| -> Vec<String> {
                run.stdout
                    .lines()
                    .skip(1)
                    .map(|line| line.chars().take(20).collect())
                    .collect()
            };
            assert_eq!(starts(&first), starts(&again), "{path} as {to}");
        }
    }
}

#[test]
fn other_tables_are_refused_or_taken_with_a_competition() {
    let Some(directory) = calendars() else {
        return;
    };
    let data = directory.parent().unwrap();
    let file = "nfl/schedule_2013_2023.csv";
    let bare = tipoff(data, &["check", file]);
    assert_eq!(bare.code, 2);
    assert!(
        bare.stderr.contains("column competition is missing"),
        "{}",
        bare.stderr
    );
    let named = tipoff(
        data,
        &[
            "check",
            file,
            "--competition",
            "NFL",
            "--zone",
            "America/New_York",
        ],
    );
    assert_eq!(named.code, 0, "{}", named.stderr);
    assert!(
        named.stderr.contains("2993 fixtures as csv"),
        "{}",
        named.stderr
    );
    let cup = tipoff(
        data,
        &["check", "wc98/fixtures.csv", "--local", "Europe/Paris"],
    );
    assert_eq!(cup.code, 0, "{}", cup.stderr);
    assert_eq!(cup.stdout.lines().count(), 45);
    assert!(
        cup.stdout
            .contains("Wed 1998-06-10 15:30  Wed 1998-06-10 17:30 CEST")
    );
}

const SEASON: &str = "\
id,start,competition,home,away,stage,lock,status,weight,zone
opener,2090-09-10T20:20:00,NFL,Bills,Patriots,Week 1,2090-09-10T20:00:00,,3,America/New_York
late,2090-09-14T00:00:00Z,NFL,Rams,Jets,Week 1,,,,
early,2090-09-13T17:00:00Z,NFL,Bears,Lions,Week 1,,flexed,,
clash,2090-09-13T18:00:00Z,NFL,Bears,Packers,Week 1,,,,
open,TBD,NFL,Colts,Texans,Week 18,,,,
naive,2090-09-13T13:00:00,NFL,Browns,Ravens,Week 1,,,,
gap,2090-03-12T02:30:00,NFL,Browns,Ravens,Week 1,,,,America/New_York
early,2090-09-13T20:00:00Z,NFL,Bears,Lions,Week 1,,,,
";

#[test]
fn check_prints_every_fixture_and_everything_wrong() {
    let directory = with_file("season.csv", SEASON);
    let run = tipoff(directory.path(), &["check", "season.csv"]);
    assert_eq!(run.code, 2);
    assert_snapshot!(run.stdout);
    assert_snapshot!(run.stderr);
}

#[test]
fn bad_files_are_refused_with_place_and_remedy() {
    let directory = TempDir::new().unwrap();
    for (name, content) in [
        ("empty.csv", ""),
        ("prose.txt", "once upon a time\n"),
        ("columns.csv", "date,home\n1,2\n"),
        ("twice.csv", "start,start,competition\n"),
        (
            "quote.csv",
            "start,competition,home\n\
             2090-01-01T20:00:00Z,NFL,\"A\n2090-01-02T20:00:00Z,NFL,\"B\"\n",
        ),
        ("field.yaml", "fixtures:\n  - id: a\n    strat: x\n"),
        ("broken.yaml", "fixtures: [\n"),
        ("broken.json", "{\"matches\": [\n"),
        ("other.json", "{\"weather\": 1}"),
        ("cut.ics", "BEGIN:VCALENDAR\nBEGIN:VEVENT\n"),
        ("naive.csv", "start,competition\n2090-01-01T20:00:00,NFL\n"),
    ] {
        fs::write(directory.path().join(name), content).unwrap();
    }
    fs::write(
        directory.path().join("latin.csv"),
        b"start,competition\n\xe9\n",
    )
    .unwrap();
    let mut all = String::new();
    for name in [
        "empty.csv",
        "prose.txt",
        "columns.csv",
        "twice.csv",
        "quote.csv",
        "field.yaml",
        "broken.yaml",
        "broken.json",
        "other.json",
        "cut.ics",
        "naive.csv",
        "latin.csv",
        "absent.csv",
    ] {
        let run = tipoff(directory.path(), &["check", name]);
        assert_eq!(run.code, 2, "{name}: {}", run.stderr);
        assert!(run.stdout.is_empty(), "{name}");
        all.push_str(&run.stderr);
    }
    assert_snapshot!(all);
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let directory = with_file(
        "good.csv",
        "id,start,competition\na,2090-01-01T20:00:00Z,NFL\n",
    );
    fs::write(directory.path().join("bad.csv"), "x,y\n").unwrap();
    let run = tipoff(directory.path(), &["check", "bad.csv", "good.csv"]);
    assert_eq!(run.code, 2);
    assert!(run.stdout.contains("2090-01-01 20:00"));
    assert!(run.stderr.contains("bad.csv:1"));
}

#[test]
fn bad_usage_is_exit_2() {
    let directory = with_file("a.csv", "id,start,competition\n");
    for args in [
        &["check"][..],
        &["check", "a.csv", "--zone", "Mars/Base"],
        &["check", "a.csv", "--format", "xlsx"],
        &["list", "a.csv", "--at", "tomorrow"],
    ] {
        assert_eq!(tipoff(directory.path(), args).code, 2, "{args:?}");
    }
    let zone = tipoff(directory.path(), &["check", "a.csv", "--zone", "Mars/Base"]);
    assert!(zone.stderr.contains("America/New_York"), "{}", zone.stderr);
}

#[test]
fn a_stated_format_overrides_what_the_content_looks_like() {
    let directory = with_file(
        "a.csv",
        "id,start,competition\na,2090-01-01T20:00:00Z,NFL\n",
    );
    let run = tipoff(directory.path(), &["check", "a.csv", "--format", "ics"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("not readable as ics"), "{}", run.stderr);
}

#[test]
fn list_shows_phases_as_they_were_known_then() {
    let directory = with_file(
        "a.yaml",
        "competition: NFL\nfixtures:\n  \
         - {id: a, start: '2090-01-01T18:00:00Z', home: A, away: B, status: final}\n  \
         - {id: b, start: '2090-01-01T20:00:00Z', home: C, away: D}\n  \
         - {id: c, start: '2090-01-02T20:00:00Z', home: E, away: F, known_at: '2090-01-01T19:30:00Z'}\n",
    );
    let run = tipoff(
        directory.path(),
        &["list", "a.yaml", "--at", "2090-01-01T19:15:00Z"],
    );
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_snapshot!(run.stdout);
}

#[test]
fn import_writes_nothing_when_a_file_is_refused() {
    let directory = with_file("bad.csv", "x,y\n");
    let run = tipoff(
        directory.path(),
        &["import", "bad.csv", "--output", "out.yaml"],
    );
    assert_eq!(run.code, 2);
    assert!(!directory.path().join("out.yaml").exists());
}

#[test]
fn import_refuses_an_output_that_cannot_be_written_before_it_reads() {
    let directory = with_file("bad.csv", "x,y\n");
    let run = tipoff(
        directory.path(),
        &["import", "bad.csv", "--output", "absent/out.yaml"],
    );
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (
            2,
            "tipoff: --output absent/out.yaml: there is no folder absent; make it, or name another \
             file\n"
        )
    );
}

#[test]
fn a_game_moved_back_is_checked_and_converted_alike_in_any_order() {
    let rows = "id,start,competition,home,away,known_at\n\
                a,2090-12-13T17:00:00Z,NFL,A,B,2090-05-01T00:00:00Z\n\
                a,2090-12-13T17:00:00Z,NFL,A,B,2090-12-10T00:00:00Z\n\
                a,2090-12-13T20:25:00Z,NFL,A,B,2090-12-05T00:00:00Z\n";
    let directory = with_file("moved.csv", rows);
    for name in ["moved.csv", "out.yaml", "out.csv"] {
        if name != "moved.csv" {
            let run = tipoff(directory.path(), &["import", "moved.csv", "-o", name]);
            assert_eq!(
                run.stderr,
                format!("{name}: 1 fixture in 3 versions written\n")
            );
        }
        let run = tipoff(directory.path(), &["check", name]);
        // as many as the rows that are printed, whatever was said of them
        assert!(
            run.stderr.contains(": 1 fixture in 3 versions as "),
            "{}",
            run.stderr
        );
        assert!(run.stdout.contains("2090-12-13 17:00"), "{}", run.stdout);
        let then = [
            "list",
            name,
            "--at",
            "2090-12-06T00:00:00Z",
            "--ahead",
            "30d",
        ];
        let run = tipoff(directory.path(), &then);
        assert!(run.stdout.contains("2090-12-13 20:25"), "{}", run.stdout);
    }
}

#[test]
fn a_removal_is_known_from_its_date_on_also_after_conversion() {
    let directory = with_file(
        "games.yaml",
        "competition: NFL\nfixtures:\n  \
         - {id: a, home: A, away: B, start: 2090-12-13T17:00:00Z, known_at: 2090-05-01T00:00:00Z}\n  \
         - {id: b, home: C, away: D, start: 2090-12-13T17:00:00Z}\n\
         removed:\n  - {id: a, reason: dropped, at: 2090-12-10T00:00:00Z}\n",
    );
    let run = tipoff(
        directory.path(),
        &["import", "games.yaml", "-o", "out.yaml"],
    );
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (0, "out.yaml: 2 fixtures written\n")
    );
    for name in ["games.yaml", "out.yaml"] {
        let listed = |at: &str| {
            let run = tipoff(
                directory.path(),
                &["list", name, "--at", at, "--ahead", "30d"],
            );
            assert_eq!(run.stderr, "", "{name}");
            run.stdout.contains("A v B")
        };
        assert!(listed("2090-12-01T00:00:00Z"), "{name}");
        assert!(!listed("2090-12-10T00:00:00Z"), "{name}");
    }
    let run = tipoff(directory.path(), &["import", "games.yaml", "--to", "csv"]);
    assert!(!run.stdout.contains(",A,B,"), "{}", run.stdout);
    assert!(
        run.stderr.contains("removed fixtures are left out"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_table_holds_what_is_planned_and_not_what_was_replaced() {
    let directory = with_file(
        "games.yaml",
        "competition: NFL\nfixtures:\n  \
         - {id: old, home: A, away: B, start: 2090-12-13T17:00:00Z}\n  \
         - {id: new, home: A, away: B, start: 2090-12-15T17:00:00Z, supersedes: [old]}\n  \
         - {id: c, home: C, away: D, start: 2090-12-13T17:00:00Z, revision: 1}\n  \
         - {id: c, home: C, away: D, start: 2090-12-14T17:00:00Z, revision: 2}\n",
    );
    let run = tipoff(directory.path(), &["import", "games.yaml", "-o", "out.csv"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stderr.contains("games that were replaced are left out"),
        "{}",
        run.stderr
    );
    let listed = |name: &str| {
        let run = tipoff(directory.path(), &["check", name]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        run.stdout
    };
    assert_eq!(listed("out.csv"), listed("games.yaml"));
}

#[test]
fn a_removed_replacement_brings_the_game_back_whatever_file_comes_first() {
    let directory = with_file(
        "games.yaml",
        "competition: NFL\nfixtures:\n  - {id: old, start: 2090-12-13T17:00:00Z}\n  \
         - {id: new, start: 2090-12-15T17:00:00Z, supersedes: [old]}\n",
    );
    let removed = "competition: NFL\nremoved: [{id: new, reason: wrong}]\n";
    fs::write(directory.path().join("removed.yaml"), removed).unwrap();
    for files in [
        ["games.yaml", "removed.yaml"],
        ["removed.yaml", "games.yaml"],
    ] {
        let run = tipoff(directory.path(), &["check", files[0], files[1]]);
        assert_eq!(run.stdout.lines().count(), 2, "{}", run.stdout);
        assert!(run.stdout.contains("2090-12-13 17:00"), "{}", run.stdout);
    }
}

#[test]
fn two_files_with_one_id_for_two_games_are_refused_and_a_moved_game_is_not() {
    let directory = with_file(
        "one.csv",
        "start,competition,id,home,away\n2026-01-28T20:00:00Z,NFL,a,KC,BUF\n",
    );
    let add = |name: &str, row: &str| {
        let text = format!("start,competition,id,home,away,known_at\n{row}\n");
        fs::write(directory.path().join(name), text).unwrap();
    };
    add("two.csv", "2026-01-29T20:00:00Z,MLB,a,X,Y,");
    add(
        "moved.csv",
        "2026-01-30T20:00:00Z,NFL,a,KC,BUF,2026-01-20T00:00:00Z",
    );
    let said = "two.csv:2: X v Y (MLB): id \"a\" is taken by a different fixture, KC v BUF (NFL) \
                at one.csv:2; make the ids of each file its own";
    for command in ["check", "import", "list"] {
        let both = tipoff(directory.path(), &[command, "one.csv", "two.csv"]);
        assert_eq!(both.code, 2, "{command}: {}", both.stdout);
        assert!(both.stderr.contains(said), "{command}: {}", both.stderr);
        let moved = tipoff(directory.path(), &[command, "one.csv", "moved.csv"]);
        assert_eq!(moved.code, 0, "{command}: {}", moved.stderr);
    }
}

#[test]
fn what_a_table_cannot_hold_is_told_when_one_is_written() {
    let directory = with_file(
        "full.yaml",
        "fixtures:\n  - id: a\n    start: 2026-01-28T20:00:00Z\n    competition: NFL\n    \
         refs: {espn: '4'}\n    locks: [{name: x, at: 2026-01-28T19:00:00Z}, {name: y, at: \
         2026-01-28T19:30:00Z}]\n",
    );
    let table = tipoff(directory.path(), &["import", "full.yaml", "--to", "csv"]);
    assert_eq!(table.code, 0, "{}", table.stderr);
    for field in ["refs", "all locks but the first"] {
        let said = format!("warning  a table does not hold {field} of a; write YAML");
        assert!(table.stderr.contains(&said), "{}", table.stderr);
    }
    let yaml = tipoff(directory.path(), &["import", "full.yaml", "--to", "yaml"]);
    assert_eq!(yaml.stderr, "");
}

#[test]
fn a_file_that_was_whole_is_not_replaced_by_what_is_left_of_another() {
    let directory = with_file(
        "games.csv",
        "id,start,competition\na,2090-01-01T20:00:00Z,NFL\nb,soon,NFL\n",
    );
    let at = |name: &str| directory.path().join(name);
    fs::write(at("kept.yaml"), "what was read last week").unwrap();
    let run = tipoff(
        directory.path(),
        &["import", "games.csv", "-o", "kept.yaml"],
    );
    assert_eq!(run.code, 2);
    let said = "kept     kept.yaml: stays as it was, because of what was rejected: correct that, or \
                name another file for the rest\n";
    assert!(
        run.stderr.contains("reject   games.csv:3"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.ends_with(said), "{}", run.stderr);
    let kept = fs::read_to_string(at("kept.yaml")).unwrap();
    assert_eq!(kept, "what was read last week");

    let run = tipoff(
        directory.path(),
        &["import", "games.csv", "-o", "rest.yaml"],
    );
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.ends_with("rest.yaml: 1 fixture written\n"),
        "{}",
        run.stderr
    );
    assert!(
        fs::read_to_string(at("rest.yaml"))
            .unwrap()
            .contains("2090-01-01")
    );
}

#[test]
fn names_do_not_command_the_terminal_and_are_converted_as_they_are() {
    let name = "Reds\u{1b}[2J\u{7}";
    let rows = format!(
        "id,start,competition,home,away\na,2090-01-01T20:00:00Z,NFL,{name},Blues\n\
         b,2090-01-01T21:00:00Z,NFL,{name},Blues\n"
    );
    let directory = with_file("games.csv", &rows);
    let run = tipoff(directory.path(), &["check", "games.csv"]);
    assert!(
        run.stdout.contains("Reds\\u001b[2J\\u0007 v Blues"),
        "{}",
        run.stdout
    );
    assert!(!run.stdout.contains('\u{1b}') && !run.stderr.contains('\u{1b}'));
    let run = tipoff(directory.path(), &["import", "games.csv", "--to", "csv"]);
    assert!(run.stdout.contains(name), "{:?}", run.stdout);
}
