//! A season keeps what its parameters declare.

use std::sync::LazyLock;

use super::params::{Booking, Crowd, FaultRates, League};
use super::*;
use crate::entries::csv::{read_entries, write_entries};
use crate::fixture::export;
use crate::fixture::import::{self, ImportOptions};
use crate::series::csv::{Per, read_load, write_load};
use crate::series::faults::Cause;
use crate::units::{HumanDuration, Rate};

/// A short season that several tests look at.
static SHORT: LazyLock<(Season, Generated)> = LazyLock::new(|| {
    let season = Season {
        quiet_weeks: 1,
        weeks: 4,
        ..Season::default()
    };
    let made = generate(&season, None, 7).unwrap();
    (season, made)
});

fn total(of: &crate::entries::SlateEntries) -> f64 {
    let seconds = of.rate.step().num_seconds() as f64;
    of.rate.raw().iter().filter(|v| v.is_finite()).sum::<f64>() * seconds
}

#[test]
fn the_same_seed_makes_the_same_season_and_another_another() {
    let (season, made) = &*SHORT;
    // gaps are not equal to themselves, their text is
    let text = |made: &Generated| format!("{made:?}");
    assert_eq!(text(&generate(season, None, 7).unwrap()), text(made));
    let other = generate(season, None, 8).unwrap();
    assert_ne!(other.offered, made.offered);
    assert_ne!(other.truth[0].intensity, made.truth[0].intensity);
}

#[test]
fn the_schedule_has_the_slates_of_the_league() {
    let (_, made) = &*SHORT;
    let mains: Vec<&Group> = made
        .truth
        .iter()
        .filter(|group| group.slates.iter().any(|slate| slate.ends_with("-main")))
        .filter(|group| !group.moved)
        .collect();
    assert!(mains.len() >= 3);
    for group in &mains {
        assert!((7..=11).contains(&group.fixtures.len()), "{group:?}");
        let local = group.start.with_timezone(&chrono_tz::Tz::America__New_York);
        assert_eq!(local.format("%a %H:%M").to_string(), "Sun 13:00");
        assert_eq!(group.lock, group.start);
    }
    let late = made
        .truth
        .iter()
        .filter(|group| group.slates.iter().any(|s| s.ends_with("-late")));
    for group in late.filter(|group| !group.moved) {
        let local = group.lock.with_timezone(&chrono_tz::Tz::America__New_York);
        assert_eq!(
            local.format("%H:%M").to_string(),
            "16:05",
            "one slate, one lock"
        );
    }
    // a team plays once a week
    for week in 1..=4 {
        let stage = format!("2023-w{week:02}");
        let mut teams: Vec<&str> = made
            .calendar
            .iter()
            .filter(|fixture| fixture.stage.as_deref() == Some(&stage))
            .flat_map(|fixture| [&fixture.home, &fixture.away])
            .flatten()
            .map(String::as_str)
            .collect();
        let all = teams.len();
        teams.sort_unstable();
        teams.dedup();
        assert_eq!(teams.len(), all);
        assert_eq!(all, 32);
    }
}

#[test]
fn entries_only_grow_and_never_pass_the_places() {
    let season = Season {
        quiet_weeks: 1,
        weeks: 2,
        ..Preset::Censored.season()
    };
    let made = generate(&season, None, 3).unwrap();
    let mut full = 0;
    for (slate, of) in made.entries.iter() {
        let seconds = of.rate.step().num_seconds() as f64;
        let mut sum = 0.0;
        for (at, rate) in of.rate.iter() {
            let count = rate.map_or(0.0, Rate::as_per_second) * seconds;
            assert!(count >= 0.0);
            sum += count;
            let places = of.spots_at(at).unwrap();
            assert!(sum <= places + 1e-6, "{slate:?} at {at}: {sum} of {places}");
        }
        full += usize::from(sum > 0.999 * of.spots.last().unwrap().1);
    }
    assert!(full >= 3, "{full} slates are full");
    let of_truth = made.truth.iter().filter(|group| group.full_at.is_some());
    for group in of_truth {
        assert!(group.entries_made <= group.entries_wanted * 1.02);
        assert!(group.full_at < Some(group.lock));
    }
}

#[test]
fn entries_know_the_hidden_size_as_well_as_declared() {
    // one game a kick-off, so that a group is a slate
    let kick_offs = League::default()
        .kick_offs
        .into_iter()
        .filter(|kick_off| kick_off.games == [1, 1])
        .collect();
    let season = Season {
        quiet_weeks: 1,
        weeks: 70,
        step: HumanDuration(TimeDelta::hours(1)),
        leagues: vec![League {
            kick_offs,
            byes: None,
            ..League::default()
        }],
        ..Season::default()
    };
    let made = generate(&season, None, 1).unwrap();
    assert!(made.truth.len() >= 200, "{}", made.truth.len());
    let pairs: Vec<(f64, f64)> = made
        .truth
        .iter()
        .map(|group| {
            let crowd = (group.intensity * group.level).ln();
            (crowd, group.entries_wanted.ln())
        })
        .collect();
    let n = pairs.len() as f64;
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (mx, my) = (mean(&|p| p.0), mean(&|p| p.1));
    let var = |of: &dyn Fn(&(f64, f64)) -> f64, m: f64| {
        pairs.iter().map(|p| (of(p) - m).powi(2)).sum::<f64>() / n
    };
    let (vx, vy) = (var(&|p| p.0, mx), var(&|p| p.1, my));
    let cov = pairs.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum::<f64>() / n;
    let link = season.entries.link_sd;
    let declared = (vx / (vx + link * link)).sqrt();
    let seen = cov / (vx * vy).sqrt();
    assert!(
        (seen - declared).abs() < 0.04,
        "{seen}, declared {declared}"
    );
    let residual = pairs
        .iter()
        .map(|p| (p.1 - my - (p.0 - mx)).powi(2))
        .sum::<f64>()
        / n;
    assert!((residual.sqrt() - link).abs() < 0.03, "{}", residual.sqrt());
    // what the calendar cannot know
    let hidden: Vec<f64> = made
        .truth
        .iter()
        .map(|g| (g.intensity / g.expected).ln())
        .collect();
    let spread = (hidden.iter().map(|h| h * h).sum::<f64>() / n).sqrt();
    let own = season.game_day.intensity_sd;
    let expected = season.crowd.shock_sd.hypot(own);
    assert!(
        (spread - expected).abs() < 0.06,
        "{spread}, declared {expected}"
    );
}

#[test]
fn magnitudes_are_those_told_of_opening_sunday() {
    let season = Season {
        quiet_weeks: 1,
        weeks: 1,
        crowd: Crowd {
            shock_sd: 0.0,
            popularity_sd: 0.0,
            ..Crowd::default()
        },
        entries: Booking {
            link_sd: 0.0,
            hole_chance: 0.0,
            ..Booking::default()
        },
        faults: FaultRates {
            logging: 0.0,
            outages: 0.0,
            saturated: 0.0,
            deploys: 0.0,
            declared: 1.0,
        },
        ..Season::default()
    };
    let made = generate(&season, None, 2).unwrap();
    let peak = made.offered.peak().unwrap().1.as_per_second();
    let times = peak / season.game_day.base;
    assert!(
        (6.5..9.5).contains(&times),
        "opening Sunday is {times} times an evening"
    );
    let per_minute = |of: &crate::entries::SlateEntries| {
        of.rate
            .peak()
            .map_or(0.0, |(_, rate)| rate.as_per_second() * 60.0)
    };
    let most = made
        .entries
        .iter()
        .map(|(_, of)| per_minute(of))
        .fold(0.0, f64::max);
    assert!(
        (14_000.0..30_000.0).contains(&most),
        "{most} entries a minute"
    );
    // Thursday at eight in the morning
    let morning: Timestamp = "2023-09-07T12:00:00Z".parse().unwrap();
    let quiet: f64 = made
        .entries
        .iter()
        .filter_map(|(_, of)| of.rate.at(morning))
        .map(|rate| rate.as_per_second() * 60.0)
        .sum();
    assert!(
        (150.0..1_500.0).contains(&quiet),
        "{quiet} entries a minute"
    );
}

#[test]
fn faults_are_what_they_are_called_and_gaps_stay_gaps() {
    let season = Season {
        quiet_weeks: 1,
        weeks: 4,
        faults: FaultRates {
            logging: 3.0,
            outages: 2.0,
            saturated: 2.0,
            deploys: 2.0,
            declared: 0.5,
        },
        ..Season::default()
    };
    let made = generate(&season, None, 5).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let mut spoilt = vec![false; made.load.len()];
    for fault in made.faults.iter() {
        seen.insert(fault.cause);
        for (at, offered) in made.offered.between(fault.from, fault.to).iter() {
            let index = made.load.index(at).unwrap();
            spoilt[index] = true;
            let offered = offered.unwrap().as_per_second();
            match (fault.cause, made.load.get(index)) {
                (Cause::Logging, recorded) => assert_eq!(recorded, None),
                (Cause::Outage, Some(rate)) => assert!(rate.as_per_second() < 0.03 * offered),
                (Cause::Saturated, Some(rate)) => assert!(rate.as_per_second() < offered),
                (Cause::Deploy, Some(rate)) => {
                    let factor = rate.as_per_second() / offered;
                    assert!((factor - 0.5).abs() < 0.01 || (factor - 2.0).abs() < 0.01);
                }
                (cause, recorded) => panic!("{cause:?}: {recorded:?}"),
            }
        }
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
    for (index, spoilt) in spoilt.into_iter().enumerate() {
        if !spoilt {
            let difference = made.load.raw()[index] - made.offered.raw()[index];
            assert!(difference.abs() <= 0.000_51, "bin {index}: {difference}");
        }
    }
    let declared = made.declared.iter().count();
    assert!(declared > 0 && declared < made.faults.iter().count());
    for fault in made.declared.iter() {
        assert!(made.faults.iter().any(|all| all == fault));
    }
}

#[test]
fn what_is_written_is_read_back_equal() {
    let (season, made) = &*SHORT;
    let mut text = Vec::new();
    write_load(&mut text, &made.load, "v").unwrap();
    let load = read_load(&text[..], "load", Per::SECOND).unwrap().series;
    assert!(load.iter().eq(made.load.iter()));
    let mut text = Vec::new();
    write_entries(&mut text, &made.entries).unwrap();
    let read = read_entries(&text[..], "entries", Some(season.step.0)).unwrap();
    assert_eq!(read.warnings, [""; 0]);
    assert_eq!(read.entries.iter().count(), made.entries.iter().count());
    for ((slate, read), (name, of)) in read.entries.iter().zip(made.entries.iter()) {
        assert_eq!(slate, name);
        assert!(read.rate.iter().eq(of.rate.iter()), "{slate:?}");
        assert_eq!(read.spots, of.spots);
        assert!(total(of) > 0.0);
    }
    let table = export::to_csv(made.versions()).unwrap();
    let imported = import::read(table.as_bytes(), &ImportOptions::from_source("f.csv")).unwrap();
    assert!(imported.rejects.is_empty(), "{:?}", imported.rejects);
    let read: Calendar = imported.fixtures.into_iter().collect();
    let facts = |calendar: &Calendar| -> Vec<Fixture> {
        let all = calendar.all_versions().cloned();
        all.map(|fixture| Fixture {
            provenance: crate::fixture::Provenance::default(),
            ..fixture
        })
        .collect()
    };
    assert_eq!(facts(&read), facts(&made.calendar));
}

#[test]
fn what_moved_is_known_only_from_its_announcement_on() {
    let season = Season {
        quiet_weeks: 1,
        weeks: 6,
        changes: params::Changes {
            delayed: 0.2,
            postponed: 0.1,
            flexed: 0.1,
        },
        ..Season::default()
    };
    let made = generate(&season, None, 4).unwrap();
    let moved: Vec<&Fixture> = made
        .calendar
        .iter()
        .filter(|fixture| made.calendar.versions(&fixture.id).len() > 1)
        .collect();
    assert!(moved.len() > 10, "{}", moved.len());
    for last in moved {
        let versions = made.calendar.versions(&last.id);
        assert_eq!(versions.len(), 3);
        let announced = versions[1].known_at.unwrap();
        let second = TimeDelta::seconds(1);
        let before = made.calendar.as_of(announced - second);
        assert_eq!(before.get(&last.id).unwrap().start, versions[0].start);
        let after = made.calendar.as_of(announced);
        assert_eq!(after.get(&last.id).unwrap().start, last.start);
        assert!(announced < versions[0].start.at);
        let end = last.ended_at.unwrap();
        let playing = made.calendar.as_of(end - second);
        assert_eq!(playing.get(&last.id).unwrap().ended_at, None);
    }
    // nothing of a result shows before the end
    for group in &made.truth {
        let known = made.calendar.as_of(group.start);
        for id in &group.fixtures {
            let fixture = known.get(id).unwrap();
            assert!(fixture.ended_at.is_none() && !fixture.status.is_over());
            assert!(fixture.weight.is_none(), "the hidden size is not published");
        }
    }
}

#[test]
fn presets_show_what_they_are_named_for() {
    let quick = |preset: Preset, weeks: u32| {
        let mut season = preset.season();
        season.step = HumanDuration(TimeDelta::hours(1));
        season.weeks = weeks;
        generate(&season, None, 1).unwrap()
    };
    let big = quick(Preset::BigSlates, 3);
    let most = big.truth.iter().map(|group| group.fixtures.len()).max();
    assert!(most >= Some(12), "{most:?}");
    let league = quick(Preset::NewLeague, 8);
    let first = |name: &str| {
        let of = league
            .truth
            .iter()
            .find(|g| g.competitions.iter().any(|c| c == name));
        of.unwrap().start
    };
    assert!(first("Hoops League") - first("NFL") > TimeDelta::weeks(5));
    assert!(
        (TimeDelta::zero()..TimeDelta::days(7))
            .contains(&(first("Hoops League") - league.evaluate.0))
    );
    let share = |made: &Generated| {
        let games: usize = made.truth.iter().map(|g| g.fixtures.len()).sum();
        let alone = made
            .truth
            .iter()
            .filter(|g| g.fixtures.len() == 1 && g.overtime)
            .count();
        let single = made.truth.iter().filter(|g| g.fixtures.len() == 1).count();
        assert!(games > 0);
        alone as f64 / single as f64
    };
    assert!(share(&quick(Preset::Overtime, 18)) > 0.2);
    let quiet = quick(Preset::Quiet, 0);
    assert!(quiet.calendar.is_empty() && quiet.entries.is_empty() && quiet.truth.is_empty());
    assert_eq!(quiet.offered.len(), 8 * 7 * 24);
    let opener = quick(Preset::Opener, 1);
    assert_eq!(opener.evaluate.1 - opener.evaluate.0, TimeDelta::days(7));
    assert!(
        opener
            .truth
            .iter()
            .all(|group| group.start > opener.evaluate.0)
    );
}

#[test]
fn a_given_calendar_keeps_its_times_and_gets_slates() {
    let given = crate::simulate::traffic::sunday::week_one_2023();
    let bare: Calendar = given
        .iter()
        .map(|fixture| Fixture {
            slate: None,
            ..fixture.clone()
        })
        .collect();
    let season = Season {
        quiet_weeks: 1,
        weeks: 1,
        changes: params::Changes {
            delayed: 0.0,
            postponed: 0.0,
            flexed: 0.0,
        },
        step: HumanDuration(TimeDelta::minutes(15)),
        ..Season::default()
    };
    let made = generate(&season, Some(&bare), 1).unwrap();
    let sizes: Vec<usize> = made
        .truth
        .iter()
        .map(|group| group.fixtures.len())
        .collect();
    assert_eq!(sizes, [8, 5, 1]);
    assert_eq!(made.entries.iter().count(), 3);
    assert!(made.entries.get(Some("nfl-2023-09-10-1300")).is_some());
    let wrong = Season {
        kick_off: season.kick_off + TimeDelta::weeks(3),
        ..season
    };
    let error = generate(&wrong, Some(&bare), 1).unwrap_err();
    assert!(matches!(error, SeasonError::NoFixtures { .. }), "{error}");
}

#[test]
fn the_scenario_is_one_that_a_backtest_reads() {
    let (season, made) = &*SHORT;
    let text = scenario(season, made, "A season", 7);
    for line in [
        "entries: {file: entries.csv.gz, per: 5m}",
        "faults: faults.csv",
    ] {
        assert!(text.lines().any(|written| written == line), "{text}");
    }
    let read = crate::backtest::scenario::parse(&text, "scenario.yaml").unwrap();
    assert_eq!(read.evaluate.from, made.evaluate.0);
    assert_eq!(read.seed, 7);
}

#[test]
fn playoffs_follow_the_season_and_end_in_one_game() {
    let season = Season {
        quiet_weeks: 1,
        weeks: 8,
        step: HumanDuration(TimeDelta::hours(1)),
        leagues: vec![League {
            playoffs: true,
            ..League::default()
        }],
        ..Season::default()
    };
    let made = generate(&season, None, 1).unwrap();
    let of = |stage: &str| -> Vec<&Fixture> {
        let all = made.calendar.iter();
        all.filter(|fixture| fixture.stage.as_deref() == Some(stage))
            .collect()
    };
    assert_eq!(of("wild card").len(), 6);
    assert_eq!(of("conference final").len(), 2);
    let last = of("final");
    assert_eq!(last.len(), 1);
    assert!(
        made.calendar
            .iter()
            .all(|other| other.start.at <= last[0].start.at)
    );
    assert_eq!(of("2023-w03").len(), 16, "three weeks before them");
    assert!(of("2023-w04").is_empty());
}
