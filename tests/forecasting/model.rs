//! What the event-response model must do on series whose truth is declared, and on series that
//! are hardly series at all.

use crate::synthetic::{Season, calm, horizon, load, multiple, start};
use chrono::TimeDelta;
use chrono_tz::Tz;
use proptest::prelude::*;
use tipoff::fixture::{Calendar, Fixture};
use tipoff::forecast::{
    EventResponse, Evidence, Fit, FitError, Forecast, Horizon, Predict, Quantile,
};
use tipoff::series::Series;
use tipoff::units::Timestamp;

const MODEL: EventResponse = EventResponse::new(Tz::UTC);

/// What the model says at `origin`, checked to be sound.
pub(crate) fn forecast(series: &Series, calendar: &Calendar, origin: Timestamp) -> Forecast {
    let forecast = MODEL
        .fit(Evidence::new(series, calendar), origin)
        .unwrap()
        .predict(Evidence::new(series, calendar), horizon(origin));
    assert_sound(&forecast);
    forecast
}

/// Finite, not negative, ascending by quantile; peaks too.
fn assert_sound(forecast: &Forecast) {
    for bin in 0..forecast.len() {
        let values: Vec<f64> = Quantile::ALL
            .iter()
            .map(|&q| forecast.path(q)[bin])
            .collect();
        let sound = values.iter().all(|v| v.is_finite() && *v >= 0.0) && values.is_sorted();
        assert!(sound, "{}: {values:?}", forecast.time(bin));
    }
    for peak in &forecast.peaks {
        assert!(peak.quantiles.iter().all(|v| v.is_finite()) && peak.quantiles.is_sorted());
    }
}

/// So many days after the series begin.
pub(crate) fn days(count: i64) -> Timestamp {
    start() + TimeDelta::days(count)
}

#[test]
fn the_declared_response_is_recovered() {
    let season = Season::new(42);
    let origin = days(42); // day 42 has a fixture at 18:00
    let forecast = forecast(&season.series, &season.calendar, origin);
    let (mut error, mut truth) = (0.0, 0.0);
    for bin in 0..288 {
        let at = forecast.time(bin) + TimeDelta::seconds(150);
        let minutes = (at - origin).num_seconds() as f64 / 60.0 - 18.0 * 60.0;
        let actual = calm(at) * multiple(minutes);
        error += (forecast.path(Quantile::P50)[bin] - actual).abs();
        truth += actual;
    }
    assert!(error / truth < 0.08, "{}", error / truth);
    // the peak comes at the final whistle, not at kick-off
    let (at, _) = forecast
        .max_over(Quantile::P50, origin, origin + TimeDelta::hours(24))
        .unwrap();
    let after = (at - origin).num_minutes() - 18 * 60;
    assert!((95..125).contains(&after), "{after}");
}

#[test]
fn long_play_is_learnt_whenever_in_the_day_it_begins() {
    for minutes in (0..720).step_by(40) {
        let calendar: Calendar = (0..16)
            .map(|day| {
                let at = days(day) + TimeDelta::minutes(minutes);
                let mut innings = Fixture::game(format!("day-{day}"), "one-day cup", at);
                innings.duration.typical = TimeDelta::hours(8);
                innings.ended_at = Some(at + TimeDelta::hours(9));
                innings
            })
            .collect();
        let series = load(14, &calendar, 0.05, 4);
        let forecast = forecast(&series, &calendar, days(14));
        assert!(!forecast.peaks.is_empty(), "{minutes}");
    }
}

#[test]
fn a_kick_off_whose_peaks_stand_above_play_is_ready_for_the_next_and_others_stay() {
    let kick = |day: i64| days(day) + TimeDelta::hours(if day % 7 == 0 { 18 } else { 20 });
    let calendar: Calendar = (0..60)
        .filter(|day| matches!(day % 7, 0 | 3))
        .map(|day| Fixture::game(format!("day-{day}"), "league", kick(day)))
        .collect();
    // on Mondays thrice as much for ten minutes of play: well above the ordinary spikes
    let plain = load(56, &calendar, 0.05, 9);
    let values = (plain.raw().iter().enumerate())
        .map(|(minute, value)| {
            let (day, of_day) = (minute / 1_440, minute % 1_440);
            let wave = day % 7 == 0 && (18 * 60 + 112..18 * 60 + 122).contains(&of_day);
            if wave { 3.0 * value } else { *value }
        })
        .collect();
    let waves = Series::from_raw(plain.start(), plain.step(), values);
    let above = |series: &Series| {
        let evidence = Evidence::new(series, &calendar);
        let fitted = MODEL.fit(evidence, days(56)).unwrap();
        let horizon = Horizon {
            origin: days(56),
            length: TimeDelta::hours(96),
            step: TimeDelta::minutes(5),
        };
        let forecast = fitted.predict(evidence, horizon);
        [56, 59].map(|day| {
            let mut peaks = forecast.peaks.iter();
            let peak = peaks.find(|peak| peak.start == kick(day)).unwrap();
            let (_, top) = forecast
                .max_over(Quantile::P50, peak.from, peak.to)
                .unwrap();
            peak.quantiles[0] / top.as_per_second()
        })
    };
    let [with, without] = [above(&waves), above(&plain)];
    assert!(with[0] > 1.3 * without[0], "{with:?} {without:?}");
    assert!(
        (0.95..1.05).contains(&(with[1] / without[1])),
        "{with:?} {without:?}"
    );
}

#[test]
fn more_fixtures_at_once_than_ever_are_less_sure_a_day_ahead_and_say_so() {
    let season = Season::new(42);
    let kick = days(42) + TimeDelta::hours(18);
    let mut crowded = season.calendar.clone();
    for game in 0..4 {
        crowded.insert(Fixture::game(format!("also-{game}"), "league", kick));
    }
    let usual = forecast(&season.series, &season.calendar, days(42));
    let more = forecast(&season.series, &crowded, days(42));
    let in_play = kick + TimeDelta::minutes(60);
    let path = |f: &Forecast| {
        (f.at(Quantile::P95, in_play).unwrap() / f.at(Quantile::P50, in_play).unwrap()).ln()
    };
    let peak = |f: &Forecast| {
        let peak = f.peaks.iter().find(|peak| peak.start == kick).unwrap();
        (peak.quantiles[2] / peak.quantiles[0]).ln()
    };
    assert!(path(&more) > 1.25 * path(&usual) && path(&more) < 1.32 * path(&usual));
    assert!(
        peak(&more) > 1.2 * peak(&usual),
        "{} {}",
        peak(&more),
        peak(&usual)
    );
    let said = "no precedent: 5 fixtures at once, at most 1 before";
    assert!(
        more.notes.iter().any(|note| note == said),
        "{:?}",
        more.notes
    );
}

#[test]
fn a_fixture_known_by_its_day_widens_the_band_all_day_and_moves_the_median_little() {
    let season = Season::new(42);
    let mut calendar = season.calendar.clone();
    let certain = calendar
        .starting_between(days(42), days(43))
        .first()
        .map(|fixture| (*fixture).clone())
        .unwrap();
    let mut someday = certain.clone();
    someday.start.at = days(42); // the placeholder is midnight
    someday.start.precision = tipoff::fixture::Precision::Date;
    calendar.insert(someday);
    let exact = forecast(&season.series, &season.calendar, days(42));
    let vague = forecast(&season.series, &calendar, days(42));
    let value = |f: &Forecast, q, hour| f.at(q, days(42) + TimeDelta::hours(hour)).unwrap();
    for hour in [13, 16, 19, 22] {
        let median = value(&vague, Quantile::P50, hour) / value(&exact, Quantile::P50, 13);
        assert!(median < 2.5, "{hour}: {median}");
        let ready = value(&vague, Quantile::P95, hour) / value(&vague, Quantile::P50, hour);
        assert!(ready > 1.5, "{hour}: {ready}");
    }
    let midnight = value(&vague, Quantile::P50, 1) / value(&exact, Quantile::P50, 1);
    assert!((0.9..1.1).contains(&midnight), "{midnight}");
}

#[test]
fn minutes_ahead_are_surer_than_a_day_ahead() {
    let season = Season::new(42);
    let forecast = forecast(&season.series, &season.calendar, days(42));
    let width = |minutes| {
        let at = days(42) + TimeDelta::minutes(minutes);
        (forecast.at(Quantile::P95, at).unwrap() / forecast.at(Quantile::P50, at).unwrap()).ln()
    };
    assert!(width(2) < width(20 * 60), "{} {}", width(2), width(20 * 60));
}

#[test]
fn a_jump_in_level_is_followed_from_the_next_origin_on() {
    let season = Season::new(30);
    let fitted = MODEL
        .fit(Evidence::new(&season.series, &season.calendar), days(29))
        .unwrap();
    let origin = days(29) + TimeDelta::hours(2);
    let doubled: Vec<f64> = season
        .series
        .iter()
        .map(|(at, rate)| rate.unwrap().as_per_second() * if at >= days(29) { 2.0 } else { 1.0 })
        .collect();
    let doubled = Series::from_raw(start(), TimeDelta::minutes(1), doubled);
    let median = |series: &Series, ahead| {
        fitted
            .predict(Evidence::new(series, &season.calendar), horizon(origin))
            .at(Quantile::P50, origin + TimeDelta::minutes(ahead))
            .unwrap()
    };
    let soon = median(&doubled, 10) / median(&season.series, 10);
    assert!((1.8..2.2).contains(&soon), "{soon}");
}

#[test]
fn gaps_are_not_learnt_as_zero() {
    let season = Season::new(30);
    let mut holed = season.series.raw().to_vec();
    // a third of all hours are missing, and the last two before the origin
    for (minute, value) in holed.iter_mut().enumerate() {
        if (minute / 60) % 3 == 1 || minute >= 30 * 1_440 - 120 {
            *value = f64::NAN;
        }
    }
    let holed = Series::from_raw(start(), TimeDelta::minutes(1), holed);
    let full = forecast(&season.series, &season.calendar, days(30));
    let part = forecast(&holed, &season.calendar, days(30));
    for bin in (0..288).step_by(12) {
        let ratio = part.path(Quantile::P50)[bin] / full.path(Quantile::P50)[bin];
        assert!((0.8..1.25).contains(&ratio), "{bin}: {ratio}");
    }
    assert!(
        part.notes.iter().any(|note| note.contains("120 min old")),
        "{:?}",
        part.notes
    );
}

#[test]
fn after_months_without_data_the_level_is_the_usual_one() {
    let season = Season::new(20);
    let origin = days(100);
    let late = forecast(&season.series, &Calendar::default(), origin);
    let mean = late.path(Quantile::P50)[..288].iter().sum::<f64>() / 288.0;
    assert!((60.0..240.0).contains(&mean), "{mean}");
    assert!(late.notes.iter().any(|note| note.contains("no load known")));
}

#[test]
fn a_quiet_hour_outside_events_is_an_outlier_not_a_habit() {
    let season = Season::new(28);
    let mut odd = season.series.raw().to_vec();
    odd[26 * 1_440 + 180..26 * 1_440 + 300].fill(2.0);
    let odd = Series::from_raw(start(), TimeDelta::minutes(1), odd);
    let at = days(28) + TimeDelta::hours(4);
    let median = |series| {
        forecast(series, &season.calendar, days(28))
            .at(Quantile::P50, at)
            .unwrap()
    };
    let ratio = median(&odd) / median(&season.series);
    assert!(ratio > 0.85, "{ratio}");
}

#[test]
fn too_little_history_says_how_much_is_needed() {
    let season = Season::new(2);
    let error = MODEL
        .fit(
            Evidence::new(&season.series, &season.calendar),
            start() + TimeDelta::hours(20),
        )
        .unwrap_err();
    assert!(matches!(
        error,
        FitError::TooLittleHistory {
            need_hours: 24.0,
            ..
        }
    ));
    assert!(error.to_string().contains("20.0 h"), "{error}");
    // two days are enough, without weekends
    let two = forecast(&season.series, &season.calendar, days(2));
    assert!(two.notes.iter().any(|note| note.contains("weekends")));
}

#[test]
fn degenerate_series_give_sound_forecasts() {
    let calendar: Calendar = [Fixture::game("a", "cup", days(10) + TimeDelta::hours(12))]
        .into_iter()
        .collect();
    for value in [0.0, 1e-6, 1.0, 1e12] {
        let flat = Series::from_raw(start(), TimeDelta::minutes(5), vec![value; 10 * 288]);
        for calendar in [&calendar, &Calendar::default()] {
            let forecast = forecast(&flat, calendar, days(10));
            let first = forecast.path(Quantile::P50)[0];
            assert!(
                (first - value).abs() <= 0.02 * value + 1e-6,
                "{value}: {first}"
            );
        }
    }
    let mut spike = vec![1.0; 10 * 288];
    spike[1_000] = 1e15;
    forecast(
        &Series::from_raw(start(), TimeDelta::minutes(5), spike),
        &calendar,
        days(10),
    );
}

#[test]
fn any_input_and_output_step_will_do() {
    let season = Season::new(21);
    let fitted = MODEL
        .fit(Evidence::new(&season.series, &season.calendar), days(21))
        .unwrap();
    let mean = |step: TimeDelta| {
        let forecast = fitted.predict(
            Evidence::new(&season.series, &season.calendar),
            Horizon {
                origin: days(21),
                length: TimeDelta::hours(24),
                step,
            },
        );
        assert_sound(&forecast);
        assert_eq!(forecast.len() as i64, 86_400 / step.num_seconds());
        let path = forecast.path(Quantile::P50);
        path.iter().sum::<f64>() / path.len() as f64
    };
    let five = mean(TimeDelta::minutes(5));
    for step in [60, 600, 900, 3_600] {
        let other = mean(TimeDelta::seconds(step));
        assert!((other / five - 1.0).abs() < 0.01, "{step}");
    }
    // half-hourly input
    let coarse: Vec<f64> = season
        .series
        .raw()
        .chunks(30)
        .map(|part| part.iter().sum::<f64>() / 30.0)
        .collect();
    let coarse = Series::from_raw(start(), TimeDelta::minutes(30), coarse);
    forecast(&coarse, &season.calendar, days(21));
}

/// Twelve weeks of slates: Thursday and Monday night, and a Sunday with eight games at once, four
/// more overlapping them, and one at night. Crowds add; the truth is not the model's own form.
#[test]
fn slates_that_overlap_are_learnt_and_not_multiplied() {
    let zone = Tz::UTC;
    let mut games: Vec<(i64, f64)> = Vec::new();
    for week in 0..13 {
        let sunday = (7 * week + 6) * 1_440;
        games.push((sunday - 3 * 1_440 + 1_455, 2.0)); // Thursday night, after midnight UTC
        games.push((sunday + 17 * 60, if week % 4 == 1 { 9.0 } else { 8.0 }));
        games.push((sunday + 20 * 60 + 5, 2.0));
        games.push((sunday + 20 * 60 + 25, 2.0));
        games.push((sunday + 1_460, 2.5));
        games.push((sunday + 1_440 + 1_455, 2.0));
    }
    let calendar: Calendar = games
        .iter()
        .enumerate()
        .flat_map(|(slot, &(minute, count))| {
            (0..count.round() as usize).map(move |game| {
                let at = start() + TimeDelta::minutes(minute);
                let mut fixture = Fixture::game(format!("{slot}-{game}"), "league", at);
                fixture.duration.typical = TimeDelta::minutes(190);
                fixture
            })
        })
        .collect();
    let truth = |at: Timestamp| {
        let minute = (at - start()).num_seconds() as f64 / 60.0;
        let crowd: f64 = games
            .iter()
            .map(|&(kick, count)| {
                let since = minute - kick as f64;
                let share = if since < 0.0 {
                    since
                } else {
                    since * 110.0 / 190.0
                };
                0.4 * count * (multiple(share) - 1.0)
            })
            .sum();
        calm(at) * (1.0 + crowd)
    };
    let values: Vec<f64> = (0..84 * 288)
        .map(|bin| {
            let at = start() + TimeDelta::minutes(5 * bin) + TimeDelta::seconds(150);
            truth(at) * (1.0 + 0.05 * ((bin * 7_919 % 101) as f64 / 50.0 - 1.0))
        })
        .collect();
    let series = Series::from_raw(start(), TimeDelta::minutes(5), values);
    let origin = days(12 * 7 - 1); // the Sunday of the twelfth week, not in the history
    let ours = EventResponse::new(zone)
        .fit(Evidence::new(&series, &calendar), origin)
        .unwrap()
        .predict(Evidence::new(&series, &calendar), horizon(origin));
    assert_sound(&ours);
    let (mut error, mut load) = (0.0, 0.0);
    for bin in 0..288 {
        let actual = truth(ours.time(bin) + TimeDelta::seconds(150));
        error += (ours.path(Quantile::P50)[bin] - actual).abs();
        load += actual;
    }
    assert!(error / load < 0.12, "WAPE {}", error / load);
    let largest = (0..288)
        .map(|bin| truth(ours.time(bin) + TimeDelta::seconds(150)))
        .fold(0.0, f64::max);
    let peak = ours
        .peaks
        .iter()
        .map(|peak| peak.quantiles[2])
        .fold(0.0, f64::max);
    assert!(peak > largest && peak < 2.0 * largest, "{peak} {largest}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_the_history_quantiles_are_finite_and_ascend(
        seed in any::<u64>(),
        length in 288_usize..4_000,
        scale in -6.0..9.0_f64,
        noise in 0.0..3.0_f64,
        holes in 0.0..0.6_f64,
        games in proptest::collection::vec((0_i64..20_000, 0.01..50.0_f64), 0..12),
    ) {
        use rand::{Rng as _, SeedableRng as _};
        let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
        let values: Vec<f64> = (0..length)
            .map(|_| match rng.random::<f64>() {
                hole if hole < holes => f64::NAN,
                zero if zero > 0.97 => 0.0,
                _ => (scale + noise * (rng.random::<f64>() - 0.5)).exp(),
            })
            .collect();
        let series = Series::from_raw(start(), TimeDelta::minutes(5), values);
        let calendar: Calendar = games
            .iter()
            .enumerate()
            .map(|(index, &(minute, weight))| {
                let at = start() + TimeDelta::minutes(minute);
                let mut fixture = Fixture::game(format!("g{index}"), "cup", at);
                fixture.weight = Some(tipoff::fixture::Weight { value: weight, expires: None });
                fixture
            })
            .collect();
        match MODEL.fit(Evidence::new(&series, &calendar), series.end()) {
            Ok(fitted) => assert_sound(&fitted.predict(Evidence::new(&series, &calendar), horizon(series.end()))),
            Err(error) => {
                let expected = matches!(error, FitError::TooLittleHistory { .. });
                prop_assert!(expected, "{}", error);
            }
        }
    }
}
