//! The generator keeps its declared shape.

use super::*;
use crate::simulate::traffic::sunday::{earlier_weeks, week_one_2023};

fn time(text: &str) -> Timestamp {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

fn quiet_params() -> GameDay {
    GameDay {
        noise: 0.0,
        day_sd: 0.0,
        intensity_sd: 0.0,
        scoring: Scoring {
            per_hour: 1e-9,
            ..Scoring::default()
        },
        ..GameDay::default()
    }
}

fn at(traffic: &Traffic, text: &str) -> f64 {
    traffic.rate(time(text)).as_per_second()
}

#[test]
fn the_sunday_has_the_real_kick_offs() {
    let calendar = week_one_2023();
    assert_eq!(calendar.len(), 14);
    let starts: Vec<_> = calendar.iter().map(|f| f.start.at).collect();
    let count = |text| starts.iter().filter(|&&start| start == time(text)).count();
    assert_eq!(count("2023-09-10T17:00:00Z"), 8);
    assert_eq!(count("2023-09-10T20:25:00Z"), 5);
    assert_eq!(count("2023-09-11T00:20:00Z"), 1);
}

#[test]
fn the_rush_is_steepest_in_the_last_ten_minutes_and_ends_at_the_lock() {
    let traffic = Traffic::new(quiet_params(), &week_one_2023(), 1);
    let r = |text| at(&traffic, text);
    let early = r("2023-09-10T16:30:00Z") - r("2023-09-10T16:20:00Z");
    let late = r("2023-09-10T16:59:59Z") - r("2023-09-10T16:50:00Z");
    assert!(late > 3.0 * early, "{late} after {early}");
    let peak = r("2023-09-10T16:59:59Z");
    assert!((6.0..11.0).contains(&(peak / 400.0)), "{peak}");
    assert!(r("2023-09-10T17:02:00Z") < 0.5 * peak);
}

#[test]
fn play_grows_half_time_bumps_and_the_end_pays() {
    let mut params = quiet_params();
    params.play.end_spread = HumanDuration(TimeDelta::zero());
    params.play.overtime_chance = 0.0;
    let night: Calendar = week_one_2023()
        .iter()
        .filter(|fixture| fixture.home.as_deref() == Some("NYG"))
        .cloned()
        .collect();
    let traffic = Traffic::new(params, &night, 1);
    let game = &traffic.games()[0];
    let crowd =
        |minutes: i64| game.crowd(&traffic.params, game.start + TimeDelta::minutes(minutes));
    assert!(crowd(40) > 1.5 * crowd(0));
    assert!(crowd(180) > crowd(50));
    assert!(game.crowd(&traffic.params, game.half_time) > 1.3 * crowd(60));
    let payout =
        |minutes: i64| game.payout(&traffic.params, game.end + TimeDelta::minutes(minutes));
    assert!(payout(2) > 1.2 * crowd(189));
    assert!((payout(22) / payout(2) - 0.5).abs() < 1e-9);
}

#[test]
fn simultaneous_games_weigh_less_than_their_sum() {
    let calendar = week_one_2023();
    let moment = time("2023-09-10T16:55:00Z");
    let of = |n: usize| {
        let some: Calendar = calendar.starting_between(moment, time("2023-09-10T17:01:00Z"))[..n]
            .iter()
            .map(|fixture| (*fixture).clone())
            .collect();
        let quiet = Traffic::new(quiet_params(), &Calendar::default(), 1);
        let excess = Traffic::new(quiet_params(), &some, 1).rate(moment) - quiet.rate(moment);
        excess.as_per_second()
    };
    assert!((of(8) / of(1) - 8.0_f64.powf(0.6)).abs() < 1e-6);
}

#[test]
fn touchdowns_are_as_many_and_as_large_as_declared() {
    let calendar = earlier_weeks(&week_one_2023(), 40);
    let traffic = Traffic::new(GameDay::default(), &calendar, 3);
    let mut multiples: Vec<f64> = traffic
        .games()
        .iter()
        .flat_map(|game| &game.spikes)
        .map(|spike| spike.multiple)
        .collect();
    let per_game = multiples.len() as f64 / calendar.len() as f64;
    assert!((4.6..5.6).contains(&per_game), "{per_game}");
    multiples.sort_by(f64::total_cmp);
    let at = |share: f64| multiples[(multiples.len() as f64 * share) as usize];
    assert!((1.85..2.15).contains(&at(0.5)), "{}", at(0.5));
    assert!((7.0..9.0).contains(&at(0.95)), "{}", at(0.95));
    assert!(multiples.last().is_some_and(|&m| m <= 12.0));
    for spike in traffic.games().iter().flat_map(|game| &game.spikes) {
        assert!((2_000..=10_000).contains(&spike.rise.num_milliseconds()));
    }
}

#[test]
fn a_fixture_more_changes_no_other_fate_and_the_seed_changes_all() {
    let sunday = week_one_2023();
    let some: Calendar = sunday.iter().take(5).cloned().collect();
    let (all, few) = (
        Traffic::new(GameDay::default(), &sunday, 9),
        Traffic::new(GameDay::default(), &some, 9),
    );
    for game in few.games() {
        assert!(all.games().contains(game));
    }
    assert_eq!(all, Traffic::new(GameDay::default(), &sunday, 9));
    let other = Traffic::new(GameDay::default(), &sunday, 10);
    assert_ne!(all.games()[0].spikes, other.games()[0].spikes);
}

#[test]
fn means_are_means_and_parameters_survive_a_round_trip() {
    let traffic = Traffic::new(GameDay::default(), &week_one_2023(), 2);
    let (from, to) = (time("2023-09-10T17:00:00Z"), time("2023-09-10T18:00:00Z"));
    let coarse = traffic.series(from, to, TimeDelta::minutes(5));
    let fine = traffic.series(from, to, TimeDelta::seconds(1));
    assert_eq!(coarse.len(), 12);
    let sum = |series: &Series| series.raw().iter().sum::<f64>() / series.len() as f64;
    assert!((sum(&coarse) / sum(&fine) - 1.0).abs() < 0.01);

    let text = serde_json::to_string(&GameDay::default()).unwrap();
    let read: GameDay = serde_json::from_str(&text).unwrap();
    assert_eq!(read, GameDay::default());
}

/// The night game as it might have been played: late, with three plays.
fn night_as_played() -> (Calendar, Results) {
    let night: Calendar = week_one_2023()
        .iter()
        .filter(|fixture| fixture.home.as_deref() == Some("NYG"))
        .cloned()
        .collect();
    let id = night.iter().next().unwrap().id.clone();
    let play = |at: &str, kind| ScoringPlay { at: time(at), kind };
    let played = Played {
        kick_off: time("2023-09-11T00:31:00Z"),
        half_time: Some((time("2023-09-11T01:50:00Z"), time("2023-09-11T02:04:00Z"))),
        end: time("2023-09-11T03:40:00Z"),
        plays: vec![
            play("2023-09-11T02:30:00Z", PlayKind::Lesser),
            play("2023-09-11T01:00:00Z", PlayKind::Touchdown),
            play("2023-09-11T03:10:00Z", PlayKind::Touchdown),
        ],
    };
    (night, Results::from_iter([(id, played)]))
}

#[test]
fn a_game_that_was_played_keeps_its_times_and_draws_its_sizes() {
    let (night, results) = night_as_played();
    let traffic = Traffic::played(quiet_params(), &night, &results, 1);
    let drawn = Traffic::new(quiet_params(), &night, 1);
    let (game, free) = (&traffic.games()[0], &drawn.games()[0]);
    assert_eq!(game.start, time("2023-09-11T00:31:00Z"));
    assert_eq!(game.half_time, time("2023-09-11T01:57:00Z"));
    assert_eq!(game.end, time("2023-09-11T03:40:00Z"));
    assert_eq!(game.lock, free.lock, "entries close when it was announced");
    assert_eq!(game.intensity, free.intensity);
    let plays: Vec<_> = game
        .spikes
        .iter()
        .map(|spike| (spike.at, spike.kind))
        .collect();
    assert_eq!(
        plays,
        [
            (time("2023-09-11T01:00:00Z"), PlayKind::Touchdown),
            (time("2023-09-11T02:30:00Z"), PlayKind::Lesser),
            (time("2023-09-11T03:10:00Z"), PlayKind::Touchdown),
        ]
    );
    // no crowd before the real kick-off, and a wave in seconds after a touchdown
    let first = game.spikes[0];
    let before = at(&traffic, "2023-09-11T00:59:59Z");
    let top = traffic.rate(first.at + first.rise).as_per_second();
    let own = game.crowd(&traffic.params, first.at) * 400.0;
    let expected = before + own * (first.multiple - 1.0);
    assert!((top / expected - 1.0).abs() < 0.02, "{top} for {expected}");

    let other = Traffic::played(quiet_params(), &night, &results, 2);
    assert_ne!(other.games()[0].spikes, game.spikes);
}

#[test]
fn lesser_plays_make_lesser_waves() {
    let (night, results) = night_as_played();
    let mean = |kind: PlayKind| {
        let sizes: Vec<f64> = (0..400)
            .map(|seed| Traffic::played(GameDay::default(), &night, &results, seed))
            .flat_map(|traffic| traffic.games()[0].spikes.clone())
            .filter(|spike| spike.kind == kind)
            .map(|spike| spike.multiple.ln())
            .collect();
        (sizes.iter().sum::<f64>() / sizes.len() as f64).exp()
    };
    // medians of log-normal draws, cut off below 1
    let (touchdown, lesser) = (mean(PlayKind::Touchdown), mean(PlayKind::Lesser));
    assert!((1.9..2.35).contains(&touchdown), "{touchdown}");
    assert!((1.3..1.6).contains(&lesser), "{lesser}");
}

#[test]
fn results_are_told_from_the_real_end_on() {
    let (night, results) = night_as_played();
    let told = results.told_to(&night);
    let id = &told.iter().next().unwrap().id;
    let status = |at: &str| told.as_of(time(at)).get(id).unwrap().status;
    assert!(!status("2023-09-11T03:39:59Z").is_over());
    assert!(status("2023-09-11T03:40:01Z").is_over());
}

#[test]
fn a_result_keeps_what_was_announced_before_it() {
    let (night, results) = night_as_played();
    let first = night.iter().next().unwrap().clone();
    let version = |stage: &str, known: &str| Fixture {
        stage: Some(stage.to_owned()),
        known_at: Some(time(known)),
        ..first.clone()
    };
    let mut calendar = night.clone();
    calendar.insert(version("by day", "2023-09-10T12:00:00Z"));
    calendar.insert(version("a day later", "2023-09-11T20:00:00Z"));
    let told = results.told_to(&calendar);
    let seen = |at: &str| {
        let then = told.as_of(time(at));
        let fixture = then.get(&first.id).unwrap();
        (fixture.stage.clone(), fixture.status.is_over())
    };
    let stage = |stage: &str| Some(stage.to_owned());
    assert_eq!(seen("2023-09-01T00:00:00Z"), (first.stage.clone(), false));
    assert_eq!(seen("2023-09-11T03:39:59Z"), (stage("by day"), false));
    assert_eq!(seen("2023-09-11T03:40:01Z"), (stage("by day"), true));
    assert_eq!(seen("2023-09-12T00:00:00Z"), (stage("a day later"), true));
}

#[test]
fn seconds_are_counted_around_the_same_rate() {
    let (night, results) = night_as_played();
    let traffic = Traffic::played(GameDay::default(), &night, &results, 5);
    let (from, to) = (time("2023-09-11T00:00:00Z"), time("2023-09-11T04:00:00Z"));
    let counted = traffic.counted(from, to, 4.0);
    assert_eq!(counted.len(), 4 * 3600);
    let means = traffic.series(from, to, TimeDelta::seconds(1));
    let sum = |series: &Series| series.raw().iter().sum::<f64>();
    assert!((sum(&counted) / sum(&means) - 1.0).abs() < 0.005);
    // a second's count does not depend on where the series begins
    let later = traffic.counted(from + TimeDelta::hours(1), to, 4.0);
    assert_eq!(later.raw(), &counted.raw()[3600..]);
}
