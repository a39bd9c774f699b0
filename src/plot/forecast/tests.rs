//! Pictures of forecasts: letters, names and lines where they can be read.

use super::*;
use crate::fixture::{Fixture, FixtureId};

fn at(hour: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::hours(hour)
}

fn forecast(peaks: Vec<PeakForecast>) -> Forecast {
    Forecast {
        origin: at(48),
        start: at(48),
        step: TimeDelta::minutes(30),
        paths: [1.0, 2.0, 3.0, 50.0].map(|factor| vec![10.0 * factor; 48]),
        peaks,
        model: "event-response".to_owned(),
        notes: vec!["a note ".repeat(40)],
    }
}

fn peak(id: &str) -> PeakForecast {
    PeakForecast {
        fixtures: vec![FixtureId(id.to_owned())],
        start: at(60),
        from: at(59),
        to: at(64),
        at: at(62),
        quantiles: [12.0, 20.0, 28.0, 40.0],
        drawn_by: Vec::new(),
        novelty: None,
    }
}

#[test]
fn windows_have_letters_names_and_whiskers_and_past_ones_only_their_shade() {
    let load = Series::from_raw(at(0), TimeDelta::minutes(1), vec![8.0; 48 * 60]);
    let mut game = Fixture::game("game", "cup", at(60));
    (game.home, game.away) = (Some("Reds".into()), Some("Blues <b>".into()));
    let past = Fixture::game("past", "cup", at(40));
    let calendar: Calendar = [game, past].into_iter().collect();
    let svg = picture(&load, &forecast(vec![peak("game")]), &calendar, Tz::UTC);
    assert!(svg.contains(">A</text>"), "{svg}");
    assert!(
        svg.contains("A  Sat 3 Jan 12:00  Reds v Blues &lt;b&gt;: peak about 12.0/s at 14:00 (p95 28.0/s, p99 40.0/s)"),
        "{svg}"
    );
    assert_eq!(svg.matches("class=\"f-fixture\" x").count(), 2);
    assert_eq!(
        svg.matches("class=\"s-short\"").count(),
        1 + 1,
        "a whisker and its bound"
    );
    assert!(svg.matches("note").count() == 40 && !svg.contains("NaN"));
}

#[test]
fn a_line_of_long_names_is_broken_and_loses_nothing() {
    let load = Series::from_raw(at(0), TimeDelta::minutes(1), vec![8.0; 48 * 60]);
    let games = ["a", "b", "c"].map(|id| {
        let mut game = Fixture::game(id, "cup", at(60));
        game.home = Some("Wolverhampton Wanderers".into());
        game.away = Some("Brighton & Hove Albion".into());
        game
    });
    let mut peak = peak("a");
    peak.fixtures = games.iter().map(|game| game.id.clone()).collect();
    let calendar: Calendar = games.into_iter().collect();
    let ahead = forecast(vec![peak]);
    let lines = below(&ahead, &calendar, Tz::UTC);
    for line in &lines {
        assert!(12.0 + CHARACTER * line.chars().count() as f64 <= 1000.0 - 12.0);
    }
    let told = lines.join(" ");
    assert_eq!(
        told.matches("Wolverhampton Wanderers v Brighton").count(),
        3
    );
    assert!(told.contains("peak about 12.0/s at 14:00 (p95 28.0/s, p99 40.0/s)"));
    let svg = picture(&load, &ahead, &calendar, Tz::UTC);
    assert!(svg.contains(">A  Sat 3 Jan 12:00  Wolverhampton"), "{svg}");
}

/// Places of the texts that say `word`.
fn places(svg: &str, word: &str) -> Vec<(f64, f64)> {
    let said = anchored(svg, word).into_iter();
    said.map(|(x, y, _)| (x, y)).collect()
}

/// The same, and which part of each lies before its place.
fn anchored(svg: &str, word: &str) -> Vec<(f64, f64, f64)> {
    let text = format!(">{word}</text>");
    let said = svg.match_indices(&text);
    said.map(|(end, _)| {
        let tag = &svg[svg[..end].rfind('<').unwrap()..end];
        let value = |name: &str| {
            let value = tag.split(&format!(" {name}=\"")).nth(1)?;
            value.split('"').next()
        };
        let number = |name: &str| value(name).unwrap().parse().unwrap();
        let before = match value("text-anchor") {
            Some("end") => 1.0,
            Some("middle") => 0.5,
            _ => 0.0,
        };
        (number("x"), number("y"), before)
    })
    .collect()
}

#[test]
fn letters_of_windows_that_peak_at_one_moment_do_not_stand_over_each_other() {
    let load = Series::from_raw(at(0), TimeDelta::minutes(1), vec![8.0; 48 * 60]);
    let peaks = vec![peak("a"), peak("b"), peak("c")];
    let svg = picture(&load, &forecast(peaks), &Calendar::default(), Tz::UTC);
    let letters: Vec<(f64, f64)> = ["A", "B", "C"]
        .iter()
        // the last is the one at the peak, after the one in the window
        .filter_map(|letter| {
            places(&svg, letter)
                .into_iter()
                .min_by(|a, b| b.1.total_cmp(&a.1))
        })
        .collect();
    assert_eq!(letters.len(), 3);
    for (place, a) in letters.iter().enumerate() {
        for b in &letters[place + 1..] {
            let apart = (a.0 - b.0).abs() >= 7.0 || (a.1 - b.1).abs() >= 12.0;
            assert!(apart, "{letters:?}");
        }
    }
}

#[test]
fn of_many_windows_only_those_named_below_have_letters_and_none_stands_over_another() {
    let load = Series::from_raw(at(0), TimeDelta::minutes(1), vec![8.0; 48 * 60]);
    let many = (0..40).map(|place| {
        let later = TimeDelta::minutes(17 * place);
        let one = peak(&format!("game-{place}"));
        PeakForecast {
            start: one.start + later,
            from: one.from + later,
            to: one.to + later,
            at: one.at + later / 4,
            ..one
        }
    });
    let svg = picture(
        &load,
        &forecast(many.collect()),
        &Calendar::default(),
        Tz::UTC,
    );
    let mut texts: Vec<(f64, f64, String)> = Vec::new();
    for word in (0..40)
        .map(letter)
        .chain(["+24 more".to_owned(), "origin".to_owned()])
    {
        for (x, y, before) in anchored(&svg, &word) {
            // a bold letter is not as wide as the room that is left for it
            let length = 9.0 * word.len() as f64;
            texts.push((x - before * length + length / 2.0, y, word.clone()));
        }
    }
    assert!(texts.iter().any(|text| text.2 == "+24 more"), "{texts:?}");
    assert!(texts.iter().any(|text| text.2 == letter(NAMED - 1)));
    assert!(
        !texts.iter().any(|text| text.2 == letter(NAMED)),
        "{texts:?}"
    );
    for (place, a) in texts.iter().enumerate() {
        for b in &texts[place + 1..] {
            let both = 4.5 * (a.2.len() + b.2.len()) as f64;
            let apart = (a.0 - b.0).abs() >= both || (a.1 - b.1).abs() >= 11.0;
            assert!(apart, "{a:?} {b:?}");
        }
    }
}

#[test]
fn the_first_label_of_an_axis_from_midnight_is_whole() {
    let load = Series::from_raw(at(0), TimeDelta::minutes(1), vec![8.0; 48 * 60]);
    let svg = picture(&load, &forecast(Vec::new()), &Calendar::default(), Tz::UTC);
    // the picture begins a day before the origin, at midnight
    let label = "Fri 2 Jan";
    let at = places(&svg, label);
    let half = crate::plot::frame::CHARACTER * label.len() as f64 / 2.0;
    assert!(at.len() == 1 && at[0].0 >= half, "{at:?}");
}

#[test]
fn nothing_known_and_no_fixtures_is_still_a_picture() {
    let load = Series::from_raw(at(0), TimeDelta::minutes(1), vec![f64::NAN; 48 * 60]);
    let svg = picture(&load, &forecast(Vec::new()), &Calendar::default(), Tz::UTC);
    assert!(svg.contains("origin") && !svg.contains("class=\"f-fixture\""));
    assert!(!svg.contains("NaN"), "{svg}");
}

#[test]
fn a_forecast_of_one_step_is_drawn_as_the_step_it_is() {
    let load = Series::from_raw(at(0), TimeDelta::hours(1), vec![8.0; 48]);
    let mut alone = forecast(Vec::new());
    alone.step = TimeDelta::hours(1);
    alone.paths = [1.0, 2.0, 3.0, 50.0].map(|factor| vec![10.0 * factor]);
    let svg = picture(&load, &alone, &Calendar::default(), Tz::UTC);
    let median = svg.split("class=\"s-median\"").nth(1).unwrap();
    let path = median.split("d=\"").nth(1).unwrap();
    let places = path.split('"').next().unwrap().replace(['M', 'L'], " ");
    let places: Vec<f64> = places.split(' ').filter_map(|n| n.parse().ok()).collect();
    assert!(
        places.len() == 4 && places[2] > places[0] + 10.0,
        "{places:?}"
    );
}

#[test]
fn letters_go_on_after_z() {
    assert_eq!(
        [0, 25, 26, 701, 702].map(letter),
        ["A", "Z", "AA", "ZZ", "AAA"]
    );
}

#[test]
fn recent_load_is_averaged_to_the_step_of_the_forecast() {
    let load = Series::from_raw(at(0), TimeDelta::minutes(1), vec![1.0, 3.0, f64::NAN, 8.0]);
    let to = at(0) + TimeDelta::minutes(4);
    let two = means(&load, at(0), to, TimeDelta::minutes(2));
    assert_eq!(two, [(60.0, 2.0), (180.0, 8.0)]);
    let finer = means(&load, at(0), to, TimeDelta::seconds(10));
    assert_eq!(finer.len(), 4);
}
