//! The fast loop told as stories: what it sees, second by second, and what it then wants.

use chrono::TimeDelta;

use super::spike::{Declared, Learnt};
use super::{BurstDemand, BurstPolicy, Expected, Hint, LiveSample, News, SpikeSizes, Watch};
use crate::units::{Rate, Timestamp};

/// One workload, one second after the other.
struct Story {
    watch: Watch,
    expected: Expected,
    policy: BurstPolicy,
    second: i64,
    queued: Option<f64>,
}

impl Story {
    fn new(in_play: u32) -> Self {
        let none = Learnt::default();
        Self {
            watch: Watch::default(),
            expected: Expected {
                forecast: None,
                in_play,
                until_ready: TimeDelta::seconds(20),
                live: SpikeSizes::new(&Declared::LIVE, &none, &none),
                quiet: SpikeSizes::new(&Declared::QUIET, &none, &none),
            },
            policy: BurstPolicy::default(),
            second: 0,
            queued: None,
        }
    }

    fn at(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(self.second)
    }

    /// One second with so much load.
    fn see(&mut self, load: f64) -> Option<News> {
        let from = self.at();
        self.second += 1;
        let sample = LiveSample {
            from,
            to: self.at(),
            offered: Rate::per_second(load),
            queued: self.queued,
            error: 0.0,
        };
        let news = self.watch.observe(&sample, &self.expected, &self.policy);
        self.watch.let_go(self.at());
        news
    }

    fn see_for(&mut self, seconds: i64, load: f64) -> Vec<News> {
        (0..seconds).filter_map(|_| self.see(load)).collect()
    }

    /// A spike that has risen and halves every `half_life` seconds, for so long.
    fn fade(&mut self, base: f64, peak: f64, half_life: f64, seconds: i64) -> Vec<News> {
        let loads = (0..seconds).map(|s| base + (peak - base) * 0.5_f64.powf(s as f64 / half_life));
        loads
            .collect::<Vec<_>>()
            .into_iter()
            .filter_map(|load| self.see(load))
            .collect()
    }

    fn set_clock_back(&mut self, seconds: i64) {
        self.second -= seconds;
        self.watch.set_back(TimeDelta::seconds(seconds));
    }

    fn wants(&self) -> Option<BurstDemand> {
        self.watch.demand(self.at())
    }

    fn load(&self) -> f64 {
        self.wants()
            .map_or(0.0, |demand| demand.load.as_per_second())
    }
}

#[test]
fn a_touchdown_is_jumped_to_and_held_until_it_has_faded() {
    let mut story = Story::new(1);
    assert_eq!(story.see_for(120, 200.0), []);
    assert_eq!(story.wants(), None);
    let alarm = story.see(1_400.0);
    assert!(matches!(alarm, Some(News::Alarm { .. })), "{alarm:?}");
    let demand = story.wants().unwrap();
    assert!(!demand.confirmed);
    assert!(demand.load.as_per_second() >= 1_400.0);
    assert_eq!(story.see(1_500.0), Some(News::Confirmed));
    assert!(story.wants().unwrap().confirmed);

    let news = story.fade(200.0, 1_500.0, 60.0, 120);
    assert!(matches!(news[..], [News::Faded(_)]), "{news:?}");
    // its top is held, whatever was jumped to while it rose
    let held = story.wants().unwrap();
    assert_eq!(Some(held.load), held.seen);
    let seen = held.seen.unwrap().as_per_second();
    assert!((1_500.0..1_900.0).contains(&seen), "{seen}");
    story.fade(200.0, 600.0, 60.0, 120);
    assert_eq!(story.wants(), None);
}

#[test]
fn what_is_not_confirmed_was_not_seen() {
    let mut story = Story::new(1);
    story.see_for(120, 200.0);
    story.see(900.0);
    assert_eq!(story.wants().unwrap().seen, None);
}

#[test]
fn a_spike_out_of_play_is_held_for_two_half_lives() {
    let mut story = Story::new(0);
    story.see_for(120, 200.0);
    story.see(900.0);
    story.see(1_000.0);
    story.fade(200.0, 1_000.0, 60.0, 100);
    assert!(story.load() >= 1_000.0);
    story.fade(200.0, 400.0, 60.0, 200);
    assert_eq!(story.wants(), None);
    let learnt = story.watch.learnt();
    assert_eq!((learnt.quiet.count(), learnt.live.count()), (1.0, 0.0));
}

#[test]
fn one_odd_sample_costs_ten_seconds() {
    let mut story = Story::new(0);
    story.see_for(120, 200.0);
    story.see(700.0);
    let unconfirmed = story.wants().unwrap();
    assert!(!unconfirmed.confirmed);
    let news = story.see_for(10, 200.0);
    assert_eq!(news, [News::FalseAlarm]);
    assert_eq!(story.wants(), None);
    assert_eq!(story.watch.learnt().quiet.count(), 0.0);
}

#[test]
fn a_load_that_comes_in_lumps_is_known_to_after_its_first_false_alarms() {
    let mut story = Story::new(0);
    // 900 units every five seconds or so: one event is worth that much
    let lump = |second: i64| {
        if (second * 7_919) % 11 < 2 {
            900.0
        } else {
            0.0
        }
    };
    let mut alarms = |seconds: std::ops::Range<i64>| {
        seconds
            .filter_map(|second| story.see(lump(second)))
            .filter(|news| matches!(news, News::Alarm { .. }))
            .count()
    };
    let early = alarms(0..600);
    let late = alarms(600..8_000);
    assert!(late <= 1, "{early} then {late}");
}

#[test]
fn a_second_touchdown_on_top_of_the_first_raises_what_is_held() {
    let mut story = Story::new(2);
    story.see_for(120, 200.0);
    story.see_for(4, 800.0);
    story.fade(200.0, 800.0, 60.0, 90);
    let held = story.load();
    story.see_for(4, 2_400.0);
    assert!(story.load() >= 2_400.0 && story.load() > held);
    story.fade(200.0, 2_400.0, 60.0, 90);
    assert!(story.load() >= 2_400.0);
    story.fade(200.0, 900.0, 60.0, 400);
    assert_eq!(story.watch.learnt().live.count(), 2.0);
    assert_eq!(story.wants(), None);
}

#[test]
fn a_second_touchdown_before_the_first_has_faded_is_jumped_to_as_well() {
    let mut story = Story::new(2);
    story.see_for(120, 200.0);
    story.see_for(14, 800.0);
    story.fade(200.0, 800.0, 60.0, 20);
    let news: Vec<News> = [1_100.0, 1_500.0, 1_900.0]
        .into_iter()
        .filter_map(|load| story.see(load))
        .collect();
    assert!(
        matches!(news[..], [News::Again { last, before, .. }, ..]
            if (3.5..4.5).contains(&last.multiple)
                && (600.0..760.0).contains(&before.as_per_second())),
        "{news:?}"
    );
    assert!(story.load() >= 1_900.0);
    assert_eq!(story.watch.learnt().live.count(), 1.0);
    story.fade(200.0, 1_900.0, 60.0, 600);
    assert_eq!(story.watch.learnt().live.count(), 2.0);
    assert_eq!(story.wants(), None);
}

#[test]
fn the_next_touchdown_is_seen_however_long_the_last_one_took_to_fade() {
    let mut story = Story::new(1);
    story.see_for(120, 200.0);
    story.see_for(8, 1_400.0);
    let news = story.fade(200.0, 1_400.0, 110.0, 140);
    assert!(matches!(news[..], [News::Faded(_)]), "{news:?}");
    let next = story.see_for(2, 3_000.0);
    assert!(matches!(next[0], News::Alarm { .. }), "{next:?}");
}

#[test]
fn a_second_touchdown_that_climbs_in_steps_is_seen() {
    let mut story = Story::new(2);
    story.see_for(120, 200.0);
    story.see_for(14, 800.0);
    story.fade(200.0, 800.0, 60.0, 20);
    let steps = [780.0, 850.0, 920.0, 1_000.0, 1_080.0, 1_160.0, 1_240.0];
    let news: Vec<News> = steps
        .into_iter()
        .filter_map(|load| story.see(load))
        .collect();
    assert!(
        news.iter().any(|news| matches!(news, News::Again { .. })),
        "{news:?}"
    );
}

#[test]
fn load_that_stays_where_a_spike_took_it_is_no_second_one() {
    let mut story = Story::new(1);
    story.see_for(120, 200.0);
    let news = story.see_for(600, 800.0);
    assert!(
        matches!(news[..], [News::Alarm { .. }, News::Confirmed]),
        "{news:?}"
    );
}

#[test]
fn a_spike_that_fades_faster_or_slower_than_believed_is_no_second_one() {
    for half_life in [30.0, 90.0, 240.0] {
        let mut story = Story::new(1);
        story.see_for(120, 200.0);
        story.see_for(8, 1_400.0);
        let news = story.fade(200.0, 1_400.0, half_life, 600);
        assert!(
            matches!(news[..], [News::Faded(_)]),
            "{half_life}: {news:?}"
        );
    }
}

#[test]
fn the_jump_is_the_usual_spike_of_the_phase_and_the_slope_speaks_beyond_it() {
    let mut alone = Story::new(1);
    alone.see_for(120, 200.0);
    alone.see(420.0);
    let usual = alone.expected.live.quantile(0.9, 1) * 200.0;
    let jumped = alone.load();
    assert!(
        (usual..usual * 1.26).contains(&jumped),
        "{jumped} for {usual}"
    );
    // and once it has stopped rising it was a small one
    alone.see_for(6, 420.0);
    assert!(alone.load() < 700.0, "{}", alone.load());

    let mut steep = Story::new(9);
    steep.see_for(120, 200.0);
    for load in [420.0, 640.0, 860.0] {
        steep.see(load);
    }
    // 220 a second more each second, and the rise is not over
    assert!(steep.load() > 1_100.0, "{}", steep.load());
    let largest = steep.expected.live.quantile(0.99, 9) * 200.0;
    assert!(steep.load() <= largest.max(860.0) * 1.26);
}

#[test]
fn a_crowd_that_keeps_coming_is_met_where_it_will_be_when_replicas_are_ready() {
    let mut story = Story::new(0);
    story.expected.until_ready = TimeDelta::seconds(60);
    story.see_for(120, 200.0);
    // eight times as many within eighty seconds
    for second in 0..80 {
        story.see(200.0 * 8.0_f64.powf(f64::from(second) / 80.0));
    }
    let now = 1_600.0;
    assert!(story.load() > now * 1.02, "{}", story.load());
}

#[test]
fn silence_lets_nothing_go() {
    let mut story = Story::new(0);
    story.see_for(120, 200.0);
    story.see_for(3, 1_500.0);
    let held = story.load();
    story.second += 3_600;
    story.watch.let_go(story.at());
    assert!(story.load() >= held);
    assert_eq!(story.watch.offered(story.at()), None);
}

#[test]
fn a_clock_set_back_holds_what_was_held_and_sees_the_next_spike() {
    let mut story = Story::new(0);
    story.see_for(120, 200.0);
    story.see_for(3, 1_500.0);
    let held = story.load();
    story.set_clock_back(3_600);
    assert_eq!(story.watch.offered(story.at()), None);
    assert!(story.load() >= held);
    story.see(200.0);
    assert!(story.load() >= held, "held on the new clock");
    story.see_for(600, 200.0);
    assert_eq!(story.wants(), None);
    assert!(matches!(story.see(1_500.0), Some(News::Alarm { .. })));
}

#[test]
fn a_small_step_back_of_the_clock_leaves_the_level_known() {
    let mut story = Story::new(0);
    story.see_for(120, 200.0);
    story.set_clock_back(45);
    assert_eq!(story.see(200.0), None);
    let alarm = story.see(1_500.0);
    assert!(matches!(alarm, Some(News::Alarm { .. })), "{alarm:?}");
}

#[test]
fn a_hint_raises_before_traffic_moves_and_expires_by_itself() {
    let mut story = Story::new(1);
    story.see_for(60, 200.0);
    let hint = Hint {
        at: story.at(),
        until: story.at() + TimeDelta::seconds(30),
        multiple: Some(4.0),
        kind: "touchdown".to_owned(),
    };
    assert!(story.watch.hear(&hint, &story.expected, &story.policy));
    let demand = story.wants().unwrap();
    assert!((800.0..1_000.0).contains(&demand.load.as_per_second()));
    assert!(!demand.confirmed && demand.reason.starts_with("touchdown"));
    story.see_for(31, 200.0);
    assert_eq!(story.wants(), None);
}

#[test]
fn a_hint_before_the_first_sample_says_nothing() {
    let mut story = Story::new(1);
    let hint = Hint {
        at: story.at(),
        until: story.at() + TimeDelta::seconds(30),
        multiple: None,
        kind: "push".to_owned(),
    };
    assert!(!story.watch.hear(&hint, &story.expected, &story.policy));
    assert_eq!(story.wants(), None);
    story.see(200.0);
    assert!(story.watch.hear(&hint, &story.expected, &story.policy));
    assert!(story.wants().is_some());
}

#[test]
fn what_joins_the_queue_arrived_as_well() {
    let mut story = Story::new(0);
    story.queued = Some(0.0);
    story.see_for(120, 200.0);
    // full: serves no more than before, and the rest waits
    let mut queue = 0.0;
    let mut news = Vec::new();
    for _ in 0..3 {
        queue += 1_000.0;
        story.queued = Some(queue);
        news.extend(story.see(200.0));
    }
    assert!(matches!(news[0], News::Alarm { .. }));
    assert!(story.load() >= 1_200.0);
}

#[test]
fn what_joined_the_queue_in_a_pause_did_not_arrive_in_one_second() {
    for (pause, queued) in [(9, 400.0), (40, 1_500.0), (100, 1_500.0)] {
        let mut story = Story::new(0);
        story.queued = Some(0.0);
        story.see_for(120, 200.0);
        story.second += pause;
        story.queued = Some(queued);
        assert_eq!(story.see_for(30, 200.0), [], "after {pause} s");
        // and the level is not that of what joined either
        let news = story.see(1_500.0);
        assert!(matches!(news, Some(News::Alarm { .. })), "after {pause} s");
    }
}

#[test]
fn load_that_stays_is_a_new_level_and_no_spike() {
    let mut story = Story::new(0);
    story.see_for(120, 200.0);
    let news = story.see_for(1_000, 600.0);
    assert!(
        matches!(
            news[..],
            [News::Alarm { .. }, News::Confirmed, News::NewLevel]
        ),
        "{news:?}"
    );
    assert_eq!(story.wants(), None);
    assert_eq!(story.watch.learnt().quiet.count(), 0.0);
    // and the next jump is measured from there
    assert!(
        matches!(story.see(2_400.0), Some(News::Alarm { before, .. }) if before.as_per_second() > 590.0)
    );
}

#[test]
fn learnt_spikes_survive_as_json() {
    let mut story = Story::new(1);
    story.see_for(120, 200.0);
    story.see_for(3, 1_500.0);
    let text = serde_json::to_string(&story.watch).unwrap();
    let read: Watch = serde_json::from_str(&text).unwrap();
    assert_eq!(read.demand(story.at()), story.wants());
}
