//! Units every part speaks: points in time, rates of load, durations as people write them.
//!
//! No bare `f64` or integer crosses a module boundary when its unit would have to be guessed.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Sub};
use std::str::FromStr;

use chrono::{DateTime, LocalResult, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time, always UTC. Zones exist only where people read or write.
pub type Timestamp = DateTime<Utc>;

/// Load in the workload's own unit (usually requests) per second. Never negative in valid data.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(f64);

impl Rate {
    /// No load at all.
    pub const ZERO: Self = Self(0.0);

    /// The largest load there is, units per second: a thousand times what all the world asks for,
    /// and as much as a model's numbers may be, so that sums of products stay numbers.
    pub const LARGEST: Self = Self(1e15);

    /// `value` units per second.
    pub const fn per_second(value: f64) -> Self {
        Self(value)
    }

    /// The number of units per second.
    pub const fn as_per_second(self) -> f64 {
        self.0
    }

    /// True for a number that can be a load: from 0 to [`Rate::LARGEST`].
    pub fn is_valid(self) -> bool {
        (0.0..=Self::LARGEST.0).contains(&self.0)
    }

    /// The larger of two rates; a NaN never wins.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }

    /// The smaller of two rates; a NaN never wins.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }
}

impl Add for Rate {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Rate {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sub for Rate {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul<f64> for Rate {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self(self.0 * factor)
    }
}

impl Div<f64> for Rate {
    type Output = Self;
    fn div(self, divisor: f64) -> Self {
        Self(self.0 / divisor)
    }
}

/// How many times `other` fits into `self`: a plain ratio without unit.
impl Div for Rate {
    type Output = f64;
    fn div(self, other: Self) -> f64 {
        self.0 / other.0
    }
}

impl Sum for Rate {
    fn sum<I: Iterator<Item = Self>>(rates: I) -> Self {
        Self(rates.map(|rate| rate.0).sum())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.abs() {
            // of so many digits nobody reads more than the first
            x if x >= 1e15 => write!(f, "{:.3e}/s", self.0),
            x if x >= 100.0 => write!(f, "{:.0}/s", self.0),
            x if x >= 10.0 => write!(f, "{:.1}/s", self.0),
            // what is as good as nothing, as a share of a sum that cancels out, is none
            x if x >= 1e-9 => write!(f, "{:.*}/s", decimals(x), self.0),
            _ => write!(f, "{:.2}/s", 0.0),
        }
    }
}

/// Digits behind the point that show two of a positive number, two at the least.
pub(crate) fn decimals(number: f64) -> usize {
    let leading = (-number.log10().floor()).clamp(0.0, 300.0);
    // a digit more than the zeros behind the point and the first that is none
    (leading as usize + 1).max(2)
}

/// A moment by a zone's clock, in a format of `chrono`; with the zone's name at that time where
/// the clock shows it twice, as in the night in which clocks go back.
pub(crate) fn by_clock(at: Timestamp, zone: Tz, format: &str) -> String {
    let local = at.with_timezone(&zone);
    let twice = matches!(
        zone.from_local_datetime(&local.naive_local()),
        LocalResult::Ambiguous(..)
    );
    let name = if twice { " %Z" } else { "" };
    local.format(&format!("{format}{name}")).to_string()
}

/// A text as an error quotes it: as much as shows which it is.
pub(crate) fn quoted(text: &str) -> String {
    const MOST: usize = 80;
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// The first `most` of many names in one line, and how many more there are.
pub(crate) fn few(names: &[String], most: usize) -> String {
    let named = names[..names.len().min(most)].join(", ");
    match names.len().saturating_sub(most) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// A duration as people write it in a policy: `90s`, `10m`, `1h45m`, `2d`.
///
/// Never negative. Serialises to the shortest exact form of that notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(pub TimeDelta);

/// CPU in thousandths of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millicores(pub u64);

/// Why a text is not an amount of CPU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an amount of CPU: write for example 500m, 2 or 1.5")]
pub struct MillicoresError {
    /// What was written.
    pub text: String,
}

/// The notations that Kubernetes gives CPU in: cores, also with decimals, or `m` for thousandths.
/// An amount that is not whole thousandths is rounded up, as Kubernetes does.
impl FromStr for Millicores {
    type Err = MillicoresError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || MillicoresError {
            text: text.to_owned(),
        };
        let (number, scale) = match text.strip_suffix('m') {
            Some(number) => (number, 1.0),
            None => (text, 1e3),
        };
        if !number.chars().all(|c| c.is_ascii_digit() || c == '.') {
            return Err(error());
        }
        let amount = number.parse::<f64>().map_err(|_| error())? * scale;
        if amount > 1e9 {
            return Err(error());
        }
        // 0.1 cores are 100.00000000000001 thousandths in binary
        Ok(Self((amount - 1e-6).ceil().max(0.0) as u64))
    }
}

impl fmt::Display for Millicores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}m", self.0)
    }
}

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a duration: write for example 90s, 10m, 1h45m or 2d")]
pub struct DurationError {
    /// What was written.
    pub text: String,
}

impl FromStr for HumanDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || DurationError {
            text: text.to_owned(),
        };
        let mut milliseconds: i64 = 0;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(error());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
            let number: i64 = rest[..digits].parse().map_err(|_| error())?;
            rest = &rest[digits..];
            let letters = rest
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(rest.len());
            let unit = match &rest[..letters] {
                "ms" => 1,
                "s" => 1_000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                "w" => 604_800_000,
                _ => return Err(error()),
            };
            rest = &rest[letters..];
            milliseconds = number
                .checked_mul(unit)
                .and_then(|part| milliseconds.checked_add(part))
                .ok_or_else(error)?;
        }
        TimeDelta::try_milliseconds(milliseconds)
            .map(Self)
            .ok_or_else(error)
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.num_milliseconds();
        if rest <= 0 {
            return f.write_str("0s");
        }
        for (unit, size) in [
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1_000),
            ("ms", 1),
        ] {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for HumanDuration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "maxLength": 32,
            // nine digits a part cannot overflow, so what passes here also parses
            "pattern": "^([0-9]{1,9}(ms|s|m|h|d|w))+$",
        })
    }
}

impl From<TimeDelta> for HumanDuration {
    fn from(span: TimeDelta) -> Self {
        Self(span)
    }
}

impl From<HumanDuration> for TimeDelta {
    fn from(duration: HumanDuration) -> Self {
        duration.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_reads_as_kubernetes_writes_it() {
        for (text, thousandths) in [
            ("500m", 500),
            ("2", 2000),
            ("1.5", 1500),
            ("0.1", 100),
            ("0.0005", 1),
            ("0", 0),
        ] {
            assert_eq!(text.parse(), Ok(Millicores(thousandths)), "{text}");
        }
        assert_eq!(Millicores(1500).to_string(), "1500m");
        for text in ["", "m", "-1", "1e3", "2Gi", "1.2.3", "9999999999"] {
            assert!(text.parse::<Millicores>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_shows_two_digits_however_small_or_large() {
        for (rate, text) in [
            (0.0, "0.00/s"),
            (1e-17, "0.00/s"),
            (-1e-17, "0.00/s"),
            (7e-5, "0.000070/s"),
            (-0.0123, "-0.012/s"),
            (0.25, "0.25/s"),
            (5.0, "5.00/s"),
            (12.34, "12.3/s"),
            (1e8, "100000000/s"),
            (1.5e300, "1.500e300/s"),
        ] {
            assert_eq!(Rate::per_second(rate).to_string(), text);
        }
    }

    #[test]
    fn a_time_that_the_clock_shows_twice_is_told_from_the_other() {
        let shown = |zone: Tz, first: &str| {
            let first: Timestamp = first.parse().unwrap();
            [0, 1, 2, 3].map(|hour| by_clock(first + TimeDelta::hours(hour), zone, "%a %R"))
        };
        let new_york = shown(Tz::America__New_York, "2026-11-01T04:00:00Z");
        let back = ["Sun 00:00", "Sun 01:00 EDT", "Sun 01:00 EST", "Sun 02:00"];
        assert_eq!(new_york, back);
        let adelaide = shown(Tz::Australia__Adelaide, "2026-04-04T15:00:00Z");
        assert_eq!(adelaide[1..3], ["Sun 02:30 ACDT", "Sun 02:30 ACST"]);
        let on = shown(Tz::America__New_York, "2026-03-08T06:00:00Z");
        assert_eq!(on[..2], ["Sun 01:00", "Sun 03:00"]);
    }

    #[test]
    fn what_can_be_no_load_is_none() {
        for load in [0.0, 1e-300, 1e9, 1e15] {
            assert!(Rate::per_second(load).is_valid(), "{load}");
        }
        for none in [-1.0, 1.1e15, 1e300, f64::INFINITY, f64::NAN] {
            assert!(!Rate::per_second(none).is_valid(), "{none}");
        }
    }

    #[test]
    fn of_many_names_a_few_are_said() {
        let names: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        assert_eq!(few(&names, 3), "a, b, c and 2 more");
        assert_eq!(few(&names[..1], 3), "a");
        assert_eq!(few(&[], 3), "");
    }

    #[test]
    fn an_error_quotes_no_more_than_shows_which_text_it_is() {
        assert_eq!(quoted("12;5"), "12;5");
        assert_eq!(quoted(&"é".repeat(200_000)), "é".repeat(80) + "…");
    }

    #[test]
    fn durations_read_as_written() {
        for (text, seconds) in [
            ("90s", 90),
            ("10m", 600),
            ("1h45m", 6300),
            ("2d", 172_800),
            ("110min", 6600),
        ] {
            assert_eq!(
                text.parse::<HumanDuration>().unwrap().0.num_seconds(),
                seconds,
                "{text}"
            );
        }
    }

    #[test]
    fn durations_refuse_what_is_not_one() {
        for text in [
            "",
            "90",
            "m",
            "-5m",
            "5 m",
            "1.5h",
            "9999999999999999d",
            "5x",
        ] {
            assert!(text.parse::<HumanDuration>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn durations_survive_a_round_trip() {
        for text in ["1d2h3m4s5ms", "1h45m", "90s", "0s"] {
            let parsed: HumanDuration = text.parse().unwrap();
            assert_eq!(parsed.to_string().parse::<HumanDuration>().unwrap(), parsed);
        }
    }
}
