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
