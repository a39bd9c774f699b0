//! Axes: where a value lies, and where the ticks stand and what they say.

use chrono::{NaiveDateTime, TimeDelta, TimeZone as _, Timelike as _};
use chrono_tz::Tz;

use super::seconds;
use crate::units::{Timestamp, decimals};

/// One axis of a chart.
#[derive(Debug, Clone, PartialEq)]
pub enum Axis {
    /// Equal steps.
    Linear {
        /// Value at the begin.
        from: f64,
        /// Value at the end.
        to: f64,
        /// Written behind each number, for example `x` or ` %`.
        suffix: &'static str,
    },
    /// Equal factors; both ends are positive.
    Log {
        /// Value at the begin.
        from: f64,
        /// Value at the end.
        to: f64,
        /// Written behind each number.
        suffix: &'static str,
    },
    /// Seconds since 1970, labelled by a zone's clock.
    Time {
        /// Begin.
        from: Timestamp,
        /// End.
        to: Timestamp,
        /// Whose clock.
        zone: Tz,
    },
    /// Named rows from the top down; the value is the row's place, from 0. Upright axes only.
    Rows(Vec<String>),
}

/// A labelled place on an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
    /// Must not give way to others: a day among hours.
    pub(super) major: bool,
}

impl Axis {
    /// From zero to a little above the largest of some values, to one where all are zero.
    pub fn up_to(values: impl IntoIterator<Item = f64>) -> Self {
        let largest = values.into_iter().filter(|v| v.is_finite());
        let largest = largest.fold(0.0, f64::max);
        Self::Linear {
            from: 0.0,
            to: if largest > 0.0 { largest * 1.05 } else { 1.0 },
            suffix: "",
        }
    }

    /// A logarithmic axis with a little room around the positive ones of some values.
    pub fn log_around(values: impl IntoIterator<Item = f64>, suffix: &'static str) -> Self {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for value in values.into_iter().filter(|v| v.is_finite() && *v > 0.0) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        Self::Log {
            from: low / 1.15,
            to: high * 1.15,
            suffix,
        }
    }

    /// Place of a value as a share of the axis, held within it; NaN stays NaN.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = |from: f64, to: f64, value: f64| {
            if to > from {
                (value - from) / (to - from)
            } else {
                0.5
            }
        };
        let place = match self {
            Self::Linear { from, to, .. } => share(*from, *to, value),
            Self::Log { from, to, .. } => {
                let floor = from.max(f64::MIN_POSITIVE);
                // `max` alone would turn a NaN into the floor
                let value = if value.is_nan() {
                    value
                } else {
                    value.max(floor)
                };
                share(floor.ln(), to.ln(), value.ln())
            }
            Self::Time { from, to, .. } => share(seconds(*from), seconds(*to), value),
            Self::Rows(names) => 1.0 - (value + 0.5) / names.len().max(1) as f64,
        };
        place.clamp(0.0, 1.0)
    }

    /// About `most` ticks, never many more.
    pub(super) fn ticks(&self, most: usize) -> Vec<Tick> {
        match self {
            Self::Linear { from, to, suffix } => linear(*from, *to, most)
                .into_iter()
                .map(|value| number(value, suffix))
                .collect(),
            Self::Log { from, to, suffix } => log(*from, *to, most + 2)
                .into_iter()
                .map(|value| number(value, suffix))
                .collect(),
            Self::Time { from, to, zone } => time(*from, *to, *zone),
            Self::Rows(names) => names
                .iter()
                .enumerate()
                .map(|(row, name)| Tick {
                    value: row as f64,
                    label: name.clone(),
                    major: false,
                })
                .collect(),
        }
    }
}

fn number(value: f64, suffix: &str) -> Tick {
    Tick {
        value,
        label: format!("{}{suffix}", short(value)),
        major: false,
    }
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn linear(from: f64, to: f64, most: usize) -> Vec<f64> {
    let rough = (to - from) / most.max(1) as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return Vec::new();
    }
    let decade = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|nice| nice * decade)
        .into_iter()
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(decade * 10.0);
    let first = (from / step - 1e-9).ceil() as i64;
    let last = (to / step + 1e-9).floor() as i64;
    (first..=last).map(|place| place as f64 * step).collect()
}

/// 1, 2 and 5 of every power of ten, or the powers alone when those are enough.
fn log(from: f64, to: f64, most: usize) -> Vec<f64> {
    if !(from > 0.0 && to > from && to.is_finite()) {
        return Vec::new();
    }
    let decades = from.log10().floor() as i32..=to.log10().ceil() as i32;
    let at = |digits: &[f64]| -> Vec<f64> {
        decades
            .clone()
            .flat_map(|decade| digits.iter().map(move |digit| digit * 10_f64.powi(decade)))
            .filter(|value| *value >= from * 0.999 && *value <= to * 1.001)
            .collect()
    };
    let all = at(&[1.0, 2.0, 5.0]);
    if all.len() <= most { all } else { at(&[1.0]) }
}

/// Distance of the labels of a span: small ones in minutes of the day, large ones in days.
fn distance(span: TimeDelta) -> TimeDelta {
    match span.num_seconds() as f64 / 3600.0 {
        h if h <= 0.05 => TimeDelta::seconds(30),
        h if h <= 0.2 => TimeDelta::minutes(1),
        h if h <= 1.0 => TimeDelta::minutes(5),
        h if h <= 3.0 => TimeDelta::minutes(15),
        h if h <= 12.0 => TimeDelta::hours(1),
        h if h <= 30.0 => TimeDelta::hours(3),
        h if h <= 54.0 => TimeDelta::hours(6),
        h if h <= 24.0 * 5.0 => TimeDelta::hours(12),
        h if h <= 24.0 * 12.0 => TimeDelta::days(1),
        h if h <= 24.0 * 32.0 => TimeDelta::days(2),
        h if h <= 24.0 * 100.0 => TimeDelta::days(7),
        h if h <= 24.0 * 800.0 => TimeDelta::days(60),
        _ => TimeDelta::days(365),
    }
}

/// Round times of the zone's clock; a midnight is written as its day.
fn time(from: Timestamp, to: Timestamp, zone: Tz) -> Vec<Tick> {
    let every = distance(to - from);
    let local = from.with_timezone(&zone).naive_local();
    let Some(midnight) = local.date().and_hms_opt(0, 0, 0) else {
        return Vec::new();
    };
    let mut ticks = Vec::new();
    let mut at: NaiveDateTime = midnight;
    // a local time may come late by a change of the clock, never by more than a day
    while let Some(end) = to.naive_utc().checked_add_signed(TimeDelta::days(1))
        && at <= end
    {
        // an hour that the clock leaves out has no tick
        if let Some(moment) = zone.from_local_datetime(&at).earliest() {
            let moment = moment.to_utc();
            if moment >= from && moment <= to {
                let major = at.num_seconds_from_midnight() == 0;
                let label = if major {
                    let days = if every < TimeDelta::days(1) {
                        "%a %-d %b"
                    } else {
                        "%-d %b"
                    };
                    at.format(days).to_string()
                } else if every < TimeDelta::minutes(1) {
                    at.format("%H:%M:%S").to_string()
                } else {
                    at.format("%H:%M").to_string()
                };
                ticks.push(Tick {
                    value: seconds(moment),
                    label,
                    major: major && every < TimeDelta::days(1),
                });
            }
        }
        at += every;
    }
    ticks
}

/// A number for an axis: `1,200` becomes `1.2k`. Of a small one two digits are shown, as neighbouring
/// ticks differ in them.
pub fn short(value: f64) -> String {
    let scaled = |divisor: f64, unit: &str| {
        let text = format!("{:.1}", value / divisor);
        format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
    };
    match value.abs() {
        x if x >= 1e15 => format!("{value:.1e}").replace(".0e", "e"),
        x if x >= 999_950_000.0 => scaled(1e9, "G"),
        x if x >= 999_950.0 => scaled(1e6, "M"),
        x if x >= 1e3 => scaled(1e3, "k"),
        x if x >= 10.0 || x == 0.0 => format!("{value:.0}"),
        x if x < 1e-6 => format!("{value:.1e}").replace(".0e", "e"),
        x => {
            let text = format!("{value:.*}", decimals(x));
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Europe::Paris;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks(6).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 0.25, 5.0, 40.0, 1200.0, 999_990.0, 2e6, 3e9].map(short),
            ["0", "0.25", "5", "40", "1.2k", "1M", "2M", "3G"]
        );
        assert_eq!(
            [7e-5, 0.0012, 3e-9, 2e15].map(short),
            ["0.00007", "0.0012", "3e-9", "2e15"]
        );
    }

    #[test]
    fn no_two_ticks_say_the_same_however_small_the_load() {
        for largest in [0.0, 3e-9, 7e-5, 0.012, 0.9, 33.0, 4e8, 9e9] {
            let said = labels(&Axis::up_to([largest]));
            let mut apart = said.clone();
            apart.dedup();
            assert!(said.len() > 2 && apart == said, "{said:?}");
        }
        let nothing = labels(&Axis::up_to([0.0, 0.0]));
        assert_eq!(nothing, ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
    }

    #[test]
    fn ticks_are_round() {
        let linear = Axis::Linear {
            from: 0.0,
            to: 1130.0,
            suffix: "",
        };
        assert_eq!(
            labels(&linear),
            ["0", "200", "400", "600", "800", "1k"],
            "{linear:?}"
        );
        let log = Axis::Log {
            from: 80.0,
            to: 2500.0,
            suffix: "/s",
        };
        assert_eq!(labels(&log), ["100/s", "200/s", "500/s", "1k/s", "2k/s"]);
        let wide = Axis::Log {
            from: 1.0,
            to: 1e5,
            suffix: "",
        };
        assert_eq!(labels(&wide), ["1", "10", "100", "1k", "10k", "100k"]);
    }

    #[test]
    fn times_are_those_of_the_zone_and_skip_the_hour_that_is_not() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let axis = Axis::Time {
            from: at("2024-03-30T21:00:00Z"),
            to: at("2024-03-31T08:00:00Z"),
            zone: Paris,
        };
        let said = labels(&axis);
        // 02:00 is not there on this night
        assert_eq!(
            said[..5],
            ["22:00", "23:00", "Sun 31 Mar", "01:00", "03:00"]
        );
        assert_eq!(said.last().unwrap(), "10:00");
    }

    #[test]
    fn a_few_minutes_have_labels_too() {
        let from: Timestamp = "2031-10-05T21:38:40Z".parse().unwrap();
        let said = |span| {
            labels(&Axis::Time {
                from,
                to: from + span,
                zone: Tz::UTC,
            })
        };
        assert_eq!(
            said(TimeDelta::minutes(5)),
            ["21:39", "21:40", "21:41", "21:42", "21:43"]
        );
        assert_eq!(said(TimeDelta::minutes(1)), ["21:39:00", "21:39:30"]);
        assert_eq!(said(TimeDelta::minutes(40))[..2], ["21:40", "21:45"]);
    }

    #[test]
    fn places_are_held_within_the_axis_and_nan_stays() {
        let axis = Axis::log_around([10.0, 1000.0, f64::NAN, 0.0], "");
        assert_eq!(axis.place(1e9), 1.0);
        assert_eq!(axis.place(0.0), 0.0);
        assert!((axis.place(100.0) - 0.5).abs() < 1e-12);
        assert!(axis.place(f64::NAN).is_nan());
        let rows = Axis::Rows(vec!["a".into(), "b".into()]);
        assert_eq!([rows.place(0.0), rows.place(1.0)], [0.75, 0.25]);
    }

    #[test]
    fn an_empty_or_absurd_span_has_no_ticks_and_ends() {
        let now = Timestamp::UNIX_EPOCH;
        let axis = Axis::Linear {
            from: 1.0,
            to: 1.0,
            suffix: "",
        };
        assert!(axis.ticks(5).is_empty());
        let axis = Axis::Time {
            from: now,
            to: now,
            zone: Tz::UTC,
        };
        assert!(axis.ticks(5).len() <= 1);
    }
}
