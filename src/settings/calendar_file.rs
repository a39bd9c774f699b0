//! Calendars in files: path to bytes to fixtures, for every command and for the controller.
//!
//! Reading is bounded in size. What the bytes mean is decided in `fixture::import`, what several
//! files together mean in `fixture::calendar`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use chrono_tz::Tz;

use crate::fixture::calendar::Clash;
use crate::fixture::import::{
    self, Declared, Format, ImportError, ImportOptions, Imported, Reject,
};
use crate::fixture::{Calendar, Warning};
use crate::units::Timestamp;

/// How to read calendar files. Everything may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CalendarOptions {
    /// Zone of local times that name none.
    pub zone: Option<Tz>,
    /// Format of all the files; `None` finds it out from the content of each.
    pub format: Option<Format>,
    /// The competition, for files that do not say.
    pub competition: Option<String>,
    /// Recurring events are expanded from here to here.
    pub window: Option<(Timestamp, Timestamp)>,
    /// Where what the files do not say is declared, for messages.
    pub declared: Declared,
}

/// Why a calendar file gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum CalendarFileError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {reason}; check the path and its permissions", path.display())]
    Unreadable {
        /// Path.
        path: PathBuf,
        /// Cause.
        reason: io::Error,
    },
    /// The file is refused.
    #[error(transparent)]
    Refused(#[from] ImportError),
    /// Entries of a file are unusable where all are asked for.
    #[error("{first}{}", and_more(*.more))]
    Rejected {
        /// The first of them.
        first: Reject,
        /// How many more.
        more: usize,
    },
    /// Fixtures of a file have the ids of other games in a file before it.
    #[error("{first}{}", and_more(*.more))]
    Clashes {
        /// The first of them.
        first: Box<Clash>,
        /// How many more.
        more: usize,
    },
}

fn and_more(more: usize) -> String {
    if more == 0 {
        String::new()
    } else {
        format!(" (and {more} more; see tipoff fixtures check)")
    }
}

/// What stands for standard input.
const STDIN: &str = "-";

/// The name of a file in messages and in the places of its fixtures.
pub fn source_name(path: &Path) -> String {
    if path == Path::new(STDIN) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// Reads one file. `-` is standard input.
///
/// # Errors
/// [`CalendarFileError`] when nothing of the file can be used.
pub fn read_calendar_file(
    path: &Path,
    options: &CalendarOptions,
) -> Result<Imported, CalendarFileError> {
    let unreadable = |reason| CalendarFileError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let mut bytes = Vec::new();
    // one byte past the limit shows that there is more
    let limit = import::MAX_BYTES as u64 + 1;
    if path == Path::new(STDIN) {
        io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    } else {
        let file = File::open(path).map_err(unreadable)?;
        file.take(limit)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    }
    let options = ImportOptions {
        source: source_name(path),
        zone: options.zone,
        format: options.format,
        competition: options.competition.clone(),
        window: options.window,
        declared: options.declared,
    };
    Ok(import::read(&bytes, &options)?)
}

/// Reads and merges files. Every entry must be usable: a calendar that decides about capacity is
/// taken whole or not at all.
///
/// # Errors
/// [`CalendarFileError`] for the first file that is refused, has rejects, or gives the ids of a file
/// before it to other games.
pub fn load_calendar<P: AsRef<Path>>(
    paths: &[P],
    options: &CalendarOptions,
) -> Result<(Calendar, Vec<Warning>), CalendarFileError> {
    let mut calendar = Calendar::default();
    let mut warnings = Vec::new();
    for path in paths {
        let imported = read_calendar_file(path.as_ref(), options)?;
        if let Some(first) = imported.rejects.first() {
            return Err(CalendarFileError::Rejected {
                first: first.clone(),
                more: imported.rejects.len() - 1,
            });
        }
        add(&mut calendar, imported, &mut warnings)?;
    }
    Ok((calendar, warnings))
}

/// Merges what one file says into a calendar, and gathers doubts.
///
/// # Errors
/// [`CalendarFileError::Clashes`] when it gives known ids to other games; nothing of it is merged
/// then.
pub fn add(
    calendar: &mut Calendar,
    imported: Imported,
    warnings: &mut Vec<Warning>,
) -> Result<(), CalendarFileError> {
    let mut clashes = imported
        .fixtures
        .iter()
        .filter_map(|fixture| calendar.clash(fixture));
    if let Some(first) = clashes.next() {
        return Err(CalendarFileError::Clashes {
            first: Box::new(first),
            more: clashes.count(),
        });
    }
    warnings.extend(imported.warnings);
    for (id, tombstone) in imported.removed {
        calendar.remove(id, tombstone);
    }
    warnings.extend(calendar.merge(imported.fixtures));
    Ok(())
}
