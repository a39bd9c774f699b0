//! Parameters from YAML and back, and what of them makes no season.

use std::collections::BTreeMap;

use chrono::{Datelike as _, TimeDelta};

use super::params::{League, Season};
use super::schedule::slug;
use crate::units::HumanDuration;

/// Most weeks a season may have, the quiet ones included: ten years.
const MOST_WEEKS: u32 = 522;

/// Most bins of load.
const MOST_BINS: i64 = 6_000_000;

/// Longest span of a game day: its waves are over by the next day.
const LONGEST_WAVE: TimeDelta = TimeDelta::days(1);

/// Why a season cannot be generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeasonError {
    /// The text breaks the schema.
    #[error("{name}:{line}: {reason}; correct this line, or leave it out for the default")]
    Text {
        /// File.
        name: String,
        /// Line, from 1.
        line: u64,
        /// What the parser says.
        reason: String,
    },
    /// A value makes no season.
    #[error("{field}: {reason}")]
    Value {
        /// Path of the field.
        field: String,
        /// What is wrong and what to write.
        reason: String,
    },
    /// The given calendar has no game in the season.
    #[error(
        "no fixture with a known time starts in the {weeks} weeks from {from}; give the day of the first game of the season you mean"
    )]
    NoFixtures {
        /// First day.
        from: String,
        /// Weeks of the season.
        weeks: u32,
    },
}

impl Season {
    /// Parameters from the text of the file `name`; what is left out has its default.
    ///
    /// # Errors
    /// [`SeasonError`] with file, line and reason.
    pub fn from_yaml(text: &str, name: &str) -> Result<Self, SeasonError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut yaml = serde_saphyr::Options::default();
        yaml.with_snippet = false;
        let season: Self =
            serde_saphyr::from_str_with_options(text, yaml).map_err(|error| SeasonError::Text {
                name: name.to_owned(),
                line: error.location().map_or(1, |at| at.line()),
                reason: error.render_with_formatter(&serde_saphyr::UserMessageFormatter),
            })?;
        season.check()?;
        Ok(season)
    }

    /// The text [`Season::from_yaml`] reads.
    ///
    /// # Errors
    /// [`SeasonError::Value`] if the writer fails.
    pub fn to_yaml(&self) -> Result<String, SeasonError> {
        serde_saphyr::to_string(self).map_err(|error| SeasonError::Value {
            field: "the season".to_owned(),
            reason: format!("cannot be written as YAML: {error}"),
        })
    }

    /// Whether these parameters make a season.
    ///
    /// # Errors
    /// [`SeasonError::Value`] with the first field that does not.
    pub fn check(&self) -> Result<(), SeasonError> {
        let step = self.step.0;
        let day = TimeDelta::days(1);
        let whole = step >= TimeDelta::minutes(1)
            && step <= TimeDelta::hours(1)
            && day.num_milliseconds() % step.num_milliseconds() == 0;
        ensure("step", whole, || {
            format!(
                "{} does not divide a day into bins of 1m to 1h; write for example 5m",
                self.step
            )
        })?;
        let weeks = self.quiet_weeks.saturating_add(self.weeks);
        ensure("weeks", (1..=MOST_WEEKS).contains(&weeks), || {
            format!("{weeks} with the quiet ones; write 1 to {MOST_WEEKS} in all")
        })?;
        let bins = i64::from(weeks) * 7 * day.num_milliseconds() / step.num_milliseconds().max(1);
        ensure("step", bins <= MOST_BINS, || {
            format!("makes {bins} bins; write a longer one, or fewer weeks")
        })?;
        ensure(
            "kickOff",
            (1971..2100).contains(&self.kick_off.year()),
            || {
                format!(
                    "{} is no day of a season; write for example 2023-09-07",
                    self.kick_off
                )
            },
        )?;
        self.check_numbers()?;
        for (index, league) in self.leagues.iter().enumerate() {
            league.check(&format!("leagues[{index}]"))?;
        }
        self.check_names()
    }

    /// Games are told apart by their competition: two of one name would have the same games.
    fn check_names(&self) -> Result<(), SeasonError> {
        let mut names = BTreeMap::new();
        for (index, league) in self.leagues.iter().enumerate() {
            let before = names.insert(slug(&league.competition), index);
            let field = format!("leagues[{index}].competition");
            ensure(&field, before.is_none(), || {
                format!(
                    "{:?} is the name of leagues[{}] as well; give one of them another name, or \
                     write their kick-offs in one league",
                    league.competition,
                    before.unwrap_or_default()
                )
            })?;
        }
        Ok(())
    }

    /// A game day that makes a load: numbers in range, and waves that end.
    fn check_game_day(&self) -> Result<(), SeasonError> {
        let day = &self.game_day;
        for (field, value, least, most) in [
            ("gameDay.base", day.base, 1e-3, 1e9),
            ("gameDay.night", day.night, 0.0, 1.0),
            ("gameDay.simultaneous", day.simultaneous, 0.05, 1.0),
            ("gameDay.intensitySd", day.intensity_sd, 0.0, 3.0),
            ("gameDay.daySd", day.day_sd, 0.0, 3.0),
            ("gameDay.hourSd", day.hour_sd, 0.0, 3.0),
            ("gameDay.noise", day.noise, 0.0, 1.0),
            ("gameDay.entry.peak", day.entry.peak, 0.0, 1e3),
            (
                "gameDay.entry.lastMinuteShare",
                day.entry.last_minute_share,
                0.0,
                1.0,
            ),
            ("gameDay.play.step", day.play.step, 0.0, 1.0),
            ("gameDay.play.level", day.play.level, 0.0, 1e3),
            // a crowd can leave nearly to the last, and not beyond
            ("gameDay.play.growth", day.play.growth, -0.99, 1e3),
            ("gameDay.play.halfTime", day.play.half_time, -0.99, 1e3),
            (
                "gameDay.play.overtimeChance",
                day.play.overtime_chance,
                0.0,
                1.0,
            ),
            ("gameDay.scoring.perHour", day.scoring.per_hour, 1e-9, 1e3),
            ("gameDay.scoring.median", day.scoring.median, 1.0, 100.0),
            (
                "gameDay.scoring.p95",
                day.scoring.p95,
                day.scoring.median,
                1e3,
            ),
            ("gameDay.scoring.most", day.scoring.most, 1.0, 1e3),
            (
                "gameDay.scoring.lesser.median",
                day.scoring.lesser.median,
                1.0,
                100.0,
            ),
            (
                "gameDay.scoring.lesser.p95",
                day.scoring.lesser.p95,
                day.scoring.lesser.median,
                1e3,
            ),
            ("gameDay.payout.peak", day.payout.peak, 1e-3, 1e3),
        ] {
            within(field, value, least, most)?;
        }
        for level in day.week {
            within("gameDay.week", level, 0.0, 100.0)?;
        }
        let [shortest, longest] = day.scoring.rise;
        for (field, span) in [
            ("gameDay.entry.slow", day.entry.slow),
            ("gameDay.entry.fast", day.entry.fast),
            ("gameDay.entry.gone", day.entry.gone),
            ("gameDay.play.join", day.play.join),
            ("gameDay.play.halfTimeWidth", day.play.half_time_width),
            ("gameDay.play.endSpread", day.play.end_spread),
            ("gameDay.scoring.rise", shortest),
            ("gameDay.scoring.rise", longest),
            ("gameDay.scoring.halfLife", day.scoring.half_life),
            ("gameDay.payout.rise", day.payout.rise),
            ("gameDay.payout.halfLife", day.payout.half_life),
        ] {
            ensure(field, span.0 <= LONGEST_WAVE, || {
                format!(
                    "{span} is out of range; write at most {}",
                    HumanDuration(LONGEST_WAVE)
                )
            })?;
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), SeasonError> {
        within("growthPerWeek", self.growth_per_week, -0.5, 1.0)?;
        self.check_game_day()?;
        for (field, value, least, most) in [
            ("crowd.popularitySd", self.crowd.popularity_sd, 0.0, 3.0),
            ("crowd.shockSd", self.crowd.shock_sd, 0.0, 3.0),
            ("crowd.opener", self.crowd.opener, 0.0, 100.0),
            ("changes.delayed", self.changes.delayed, 0.0, 1.0),
            ("changes.postponed", self.changes.postponed, 0.0, 1.0),
            ("changes.flexed", self.changes.flexed, 0.0, 1.0),
            ("entries.perIntensity", self.entries.per_intensity, 1.0, 1e9),
            ("entries.linkSd", self.entries.link_sd, 0.0, 3.0),
            ("entries.paceSd", self.entries.pace_sd, 0.0, 3.0),
            ("entries.rhythm", self.entries.rhythm, 0.0, 1.0),
            ("entries.rateSd", self.entries.rate_sd, 0.0, 3.0),
            ("entries.holeChance", self.entries.hole_chance, 0.0, 1.0),
            ("supply.margin", self.supply.margin, 0.01, 100.0),
            ("supply.guessSd", self.supply.guess_sd, 0.0, 3.0),
            ("supply.restockChance", self.supply.restock_chance, 0.0, 1.0),
            ("faults.logging", self.faults.logging, 0.0, 50.0),
            ("faults.outages", self.faults.outages, 0.0, 50.0),
            ("faults.saturated", self.faults.saturated, 0.0, 50.0),
            ("faults.deploys", self.faults.deploys, 0.0, 50.0),
            ("faults.declared", self.faults.declared, 0.0, 1.0),
        ] {
            within(field, value, least, most)?;
        }
        let opens = self.entries.opens.0;
        let open = opens >= self.step.0 && opens <= TimeDelta::days(60);
        ensure("entries.opens", open, || {
            format!(
                "{} is out of range; write one step to 60d",
                self.entries.opens
            )
        })?;
        check_pickup("entries.pickup", &self.entries.pickup)?;
        ensure("evaluate.weeks", self.evaluate.weeks > 0, || {
            "0 is nothing to score; write 1 or more".to_owned()
        })
    }
}

impl League {
    fn check(&self, path: &str) -> Result<(), SeasonError> {
        let field = |name: &str| format!("{path}.{name}");
        let named = !self.competition.trim().is_empty();
        ensure(&field("competition"), named, || {
            "is empty; name the competition".to_owned()
        })?;
        ensure(&field("teams"), (2..=1_000).contains(&self.teams), || {
            format!("{} is out of range; write 2 to 1000", self.teams)
        })?;
        ensure(&field("scale"), (0.0..=100.0).contains(&self.scale), || {
            format!("{} is out of range; write 0 to 100", self.scale)
        })?;
        ensure(&field("fromWeek"), self.from_week > 0, || {
            "weeks count from 1".to_owned()
        })?;
        for (index, kick_off) in self.kick_offs.iter().enumerate() {
            let field = |name: &str| format!("{path}.kickOffs[{index}].{name}");
            let [fewest, most] = kick_off.games;
            ensure(&field("games"), fewest <= most && most <= 500, || {
                format!("{fewest} to {most}: write the smaller first, at most 500")
            })?;
            ensure(&field("at"), kick_off.at.0 < TimeDelta::days(1), || {
                format!(
                    "{} is no time of day; write for example 16h25m",
                    kick_off.at
                )
            })?;
            let sound = (0.0..=100.0).contains(&kick_off.factor);
            ensure(&field("factor"), sound, || {
                format!("{} is out of range; write 0 to 100", kick_off.factor)
            })?;
            ensure(&field("slate"), !kick_off.slate.trim().is_empty(), || {
                "is empty; name the slate".to_owned()
            })?;
        }
        match &self.pickup {
            Some(pickup) => check_pickup(&field("pickup"), pickup),
            None => Ok(()),
        }
    }
}

fn check_pickup(path: &str, pickup: &[super::params::Pickup]) -> Result<(), SeasonError> {
    let sound = !pickup.is_empty()
        && pickup.iter().all(|part| {
            part.share > 0.0 && part.share.is_finite() && part.constant.0 > TimeDelta::zero()
        });
    ensure(path, sound, || {
        "give one part or more, each with a share and a constant above 0".to_owned()
    })
}

fn within(field: &str, value: f64, least: f64, most: f64) -> Result<(), SeasonError> {
    ensure(field, (least..=most).contains(&value), || {
        format!("{value} is out of range; write {least} to {most}")
    })
}

fn ensure(field: &str, holds: bool, reason: impl Fn() -> String) -> Result<(), SeasonError> {
    if holds {
        Ok(())
    } else {
        Err(SeasonError::Value {
            field: field.to_owned(),
            reason: reason(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::season::Preset;

    #[test]
    fn every_preset_is_sound_and_survives_its_yaml() {
        for preset in Preset::ALL {
            let season = preset.season();
            season.check().unwrap();
            let text = season.to_yaml().unwrap();
            assert_eq!(Season::from_yaml(&text, "x").unwrap(), season, "{text}");
        }
        assert_eq!(Season::from_yaml("", "x").unwrap(), Season::default());
    }

    #[test]
    fn what_makes_no_season_is_refused_with_its_place() {
        let refusal = |text: &str| Season::from_yaml(text, "s.yaml").unwrap_err().to_string();
        let misspelt = refusal("weeks: 3\nstpe: 5m\n");
        assert!(
            misspelt.starts_with("s.yaml:2: ") && misspelt.contains("stpe"),
            "{misspelt}"
        );
        for (text, said) in [
            ("step: 7m", "step: 7m does not divide a day"),
            ("weeks: 0\nquietWeeks: 0", "weeks: 0 with the quiet ones"),
            ("crowd: {shockSd: -1}", "crowd.shockSd: -1 is out of range"),
            ("entries: {pickup: []}", "entries.pickup: give one part"),
            (
                "leagues: [{kickOffs: [{day: Sun, at: 13h, slate: main, games: [3, 1], factor: 1}]}]",
                "leagues[0].kickOffs[0].games: 3 to 1",
            ),
            (
                "leagues: [{competition: NFL}, {competition: Cup}, {competition: nfl}]",
                "leagues[2].competition: \"nfl\" is the name of leagues[0] as well; give one",
            ),
            (
                "gameDay: {entry: {lastMinuteShare: 5}}",
                "gameDay.entry.lastMinuteShare: 5 is out of range; write 0 to 1",
            ),
            (
                "gameDay: {play: {growth: -5}}",
                "gameDay.play.growth: -5 is out",
            ),
            (
                "gameDay: {play: {step: -3}}",
                "gameDay.play.step: -3 is out",
            ),
            (
                "gameDay: {play: {halfTime: .nan}}",
                "gameDay.play.halfTime: NaN is out",
            ),
            (
                "gameDay: {play: {endSpread: 100000000d}}",
                "gameDay.play.endSpread: 100000000d is out of range; write at most 1d",
            ),
            (
                "gameDay: {scoring: {rise: [2s, 25h]}}",
                "gameDay.scoring.rise: 1d1h is out of range",
            ),
        ] {
            assert!(refusal(text).contains(said), "{}", refusal(text));
        }
    }
}
