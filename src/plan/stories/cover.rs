//! Standing cover for what may come, and when it stands ready.

use super::*;

#[test]
fn cover_starts_at_a_kick_off_inside_a_forecast_bin() {
    let mut story = Story::new(2);
    story.policy.spike_cover = SpikeCover {
        quiet: 1.0,
        live: LiveCover::Multiple(4.0),
    };
    let kick_off = story.now + TimeDelta::minutes(2);
    story.observed.calendar = Arc::new(Calendar::from_iter([Fixture::game("g", "NFL", kick_off)]));
    let mut forecast = (*step_forecast(story.now, 200.0, kick_off, 200.0)).clone();
    forecast.step = TimeDelta::minutes(5);
    story.observed.forecast = Some(Arc::new(forecast));
    assert_eq!(story.tick().desired, 2, "two minutes off, a pod takes one");
    story.pass(TimeDelta::seconds(60));
    assert_eq!(story.replicas(), 8);
}

#[test]
fn the_bands_error_and_the_spike_join_in_quadrature() {
    let mut story = Story::new(2);
    story.policy.spike_cover = SpikeCover {
        quiet: 2.0,
        live: LiveCover::Multiple(2.0),
    };
    let mut forecast = (*step_forecast(story.now, 1000.0, story.now, 1000.0)).clone();
    for quantile in 1..4 {
        forecast.paths[quantile].fill(2000.0);
    }
    story.observed.forecast = Some(Arc::new(forecast));
    // 1000 * exp(sqrt(2) * ln 2) = 2665, neither 2000 nor 4000
    assert_eq!(story.tick().desired, 27);
}

#[test]
fn live_cover_stands_ready_from_kick_off() {
    let mut story = Story::new(2);
    story.policy.spike_cover = SpikeCover {
        quiet: 1.0,
        live: LiveCover::Multiple(4.0),
    };
    let kick_off = story.now + TimeDelta::minutes(10);
    story.observed.calendar = Arc::new(Calendar::from_iter([Fixture::game("g", "NFL", kick_off)]));
    story.load(200.0);
    story.observed.forecast = Some(step_forecast(story.now, 200.0, kick_off, 200.0));
    story.pass(TimeDelta::minutes(8));
    assert_eq!(story.replicas(), 2);
    story.pass(TimeDelta::seconds(75));
    assert_eq!(
        story.replicas(),
        8,
        "a pod takes a minute, so before the kick-off"
    );
    assert!(story.now <= kick_off);
}
