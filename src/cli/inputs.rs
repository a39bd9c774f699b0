//! The files that commands about one forecast read, and what was known in them at a moment.

use std::fs::File;
use std::path::PathBuf;

use chrono::TimeDelta;
use chrono_tz::Tz;
use clap::Args;

use super::apart::Named;
use super::evidence::EvidenceArgs;
use super::forecast::InputError;
use super::output::progress;
use crate::entries::Entries;
use crate::fixture::Calendar;
use crate::fixture::import::Declared;
use crate::fixture::import::time::read_zone;
use crate::fixture::validate::validate;
use crate::forecast::{Drift, EventResponse, Evidence, Fit, FittedEventResponse, Verdict};
use crate::series::Series;
use crate::series::csv::{LoadFile, Per, read_load, read_load_before};
use crate::series::faults::Faults;
use crate::settings::calendar_file::{CalendarOptions, load_calendar};
use crate::units::{HumanDuration, Timestamp};

/// Load, fixtures and what else is known.
#[derive(Debug, Clone, Args)]
pub struct InputArgs {
    /// Load history: CSV with `timestamp_utc` and one value column, plain or gzipped.
    #[arg(long, value_name = "FILE")]
    pub load: PathBuf,
    /// What is known beside it.
    #[command(flatten)]
    pub known: KnownArgs,
}

/// What is known beside the load, and how its file is read.
#[derive(Debug, Clone, Args)]
pub struct KnownArgs {
    /// Fixture list; may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub fixtures: Vec<PathBuf>,
    /// What else is known.
    #[command(flatten)]
    pub evidence: EvidenceArgs,
    /// Values are counts per this interval; without it they are units per second.
    #[arg(long, value_name = "DURATION")]
    pub per: Option<Per>,
    /// Zone by whose clock the audience lives, for example `America/New_York`; also that of local
    /// fixture times that name none. Default: UTC, and such times are refused.
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub zone: Option<Tz>,
}

/// What was known at `at`.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The moment.
    pub at: Timestamp,
    /// Zone by whose clock the audience lives.
    pub zone: Tz,
    /// Load before it.
    pub load: Series,
    /// Fixtures as they were known then.
    pub calendar: Calendar,
    /// Entries before it.
    pub entries: Entries,
    /// Faults that began before it.
    pub faults: Faults,
}

/// A zone by its name; what only lacks its continent is suggested whole.
///
/// # Errors
/// With what to write.
pub fn zone(text: &str) -> Result<Tz, String> {
    read_zone(text).ok_or_else(|| {
        let city = text.trim().replace(' ', "_");
        let near = chrono_tz::TZ_VARIANTS.iter().find(|zone| {
            let last = zone.name().rsplit('/').next();
            last.is_some_and(|last| last.eq_ignore_ascii_case(&city))
        });
        let name = near.map_or("America/New_York", |zone| zone.name());
        format!("{text:?} is no zone we know; write for example {name}")
    })
}

/// Says what was made of a load file that is not all of one step.
pub(super) fn told(load: &LoadFile, name: &str) {
    if let Some(coarser) = &load.coarser {
        progress(&format!("warning: {name}: {}", coarser.note()));
    }
}

/// The first thing that is doubtful about a calendar, and how much more is. What is only old is not
/// worth a word here.
fn doubts(calendar: &Calendar) -> Option<String> {
    let doubts = validate(calendar.iter(), None);
    let first = doubts.first()?;
    Some(match doubts.len() - 1 {
        0 => format!("warning: {first}"),
        more => format!("warning: {first} (and {more} more; see tipoff fixtures check)"),
    })
}

impl KnownArgs {
    /// The files that are read.
    pub fn files(&self) -> Vec<Named> {
        let mut files = self.evidence.files();
        let fixtures = self.fixtures.iter();
        files.extend(fixtures.map(|path| Named::new("--fixtures", path)));
        files
    }
}

impl InputArgs {
    /// The files that are read.
    pub fn files(&self) -> Vec<Named> {
        let mut files = vec![Named::new("--load", &self.load)];
        files.extend(self.known.files());
        files
    }

    /// Reads what was known at `at`, or at the end of the load. Rows of load and entries from
    /// `at` on are not read.
    ///
    /// # Errors
    /// What is wrong with a file, where, and what to do.
    pub fn read(&self, at: Option<Timestamp>) -> Result<Inputs, InputError> {
        let name = self.load.display().to_string();
        let file = File::open(&self.load).map_err(|error| {
            InputError(format!("{name}: cannot be opened: {error}; check the path"))
        })?;
        let per = self.known.per.unwrap_or(Per::SECOND);
        let load = match at {
            Some(at) => read_load_before(file, &name, per, at),
            None => read_load(file, &name, per),
        }
        .map_err(|error| InputError(error.to_string()))?;
        told(&load, &name);
        let load = load.series;
        // a load whose last rows are empty ends where its last value does
        let last = load.raw().iter().rposition(|value| value.is_finite());
        let at = at.unwrap_or_else(|| load.time(last.map_or(load.len(), |last| last + 1)));
        let options = CalendarOptions {
            zone: self.known.zone,
            declared: Declared::ZoneOption,
            ..CalendarOptions::default()
        };
        let (calendar, warnings) = load_calendar(&self.known.fixtures, &options)
            .map_err(|error| InputError(error.to_string()))?;
        for warning in warnings {
            progress(&format!("warning: {warning}"));
        }
        let calendar = calendar.as_of(at);
        if let Some(doubt) = doubts(&calendar) {
            progress(&doubt);
        }
        let span = (load.start(), load.end().min(at));
        let evidence = &self.known.evidence;
        let (entries, faults) = evidence.known_at(at, span).map_err(InputError)?;
        Ok(Inputs {
            at,
            zone: self.known.zone.unwrap_or(Tz::UTC),
            load,
            calendar,
            entries,
            faults,
        })
    }
}

impl Inputs {
    /// All of it, as a forecaster takes it.
    pub fn evidence(&self) -> Evidence<'_> {
        Evidence::new(&self.load, &self.calendar)
            .with_entries(&self.entries)
            .with_faults(&self.faults)
    }

    /// The model trained on it.
    ///
    /// # Errors
    /// When there is too little history.
    pub fn fit(&self) -> Result<FittedEventResponse, InputError> {
        EventResponse::new(self.zone)
            .fit(self.evidence(), self.at)
            .map_err(|error| InputError(error.to_string()))
    }

    /// What a reader must know when `tipoff forecast` and the controller go by another model than
    /// this one at that time.
    pub fn fallback(&self, fitted: &FittedEventResponse) -> Option<String> {
        match Drift::default().judged(fitted.track()).verdict() {
            Verdict::Trusted => None,
            Verdict::Fallback { reason, .. } => Some(format!(
                "{reason}; what is shown here is the event-response model all the same"
            )),
        }
    }

    /// What a reader must know when the load does not tell the hours of a day apart.
    pub fn peaks_unseen(&self) -> Option<String> {
        let step = self.load.step();
        (step > TimeDelta::hours(1)).then(|| {
            let step = HumanDuration(step);
            format!(
                "the rows of the load are {step} apart: this is a forecast of means over {step}, \
                 and the peaks within are higher; give a row an hour or more often"
            )
        })
    }

    /// The titles of fixtures, the first few by name.
    pub fn titles(&self, ids: &[crate::fixture::FixtureId]) -> String {
        const NAMED: usize = 2;
        self.calendar.few_titles(ids, NAMED)
    }
}

/// Longest horizon these commands take: a season of five-minute steps would be waste.
pub const LONGEST: TimeDelta = TimeDelta::days(28);

/// Refuses a horizon that is empty or longer than [`LONGEST`].
///
/// # Errors
/// With the limit.
pub fn check_horizon(horizon: TimeDelta) -> Result<(), InputError> {
    if horizon < TimeDelta::minutes(5) || horizon > LONGEST {
        return Err(InputError(format!(
            "--horizon {}: must be from 5m to {}d",
            HumanDuration(horizon),
            LONGEST.num_days()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn a_game_in_two_competitions_is_said_and_an_old_list_is_none_the_worse() {
        let game = |id: &str, competition: &str| {
            let mut game = Fixture::game(id, competition, Timestamp::UNIX_EPOCH);
            game.home = Some("Arsenal".into());
            game.away = Some("Chelsea".into());
            game
        };
        let once: Calendar = [game("a", "Premier League")].into_iter().collect();
        assert_eq!(doubts(&once), None);
        let twice = [game("a", "Premier League"), game("b", "EPL")];
        let said = doubts(&twice.into_iter().collect()).unwrap();
        assert!(
            said.starts_with("warning: ") && said.contains("EPL"),
            "{said}"
        );
    }
}
