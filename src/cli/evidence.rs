//! The options by which commands are given more than load and fixtures, and the reading of what
//! they name: contest entries and declared faults.

use std::fs::File;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use clap::Args;

use super::apart::Named;
use super::output::progress;
use crate::entries::Entries;
use crate::entries::csv::{read_entries, read_entries_before};
use crate::series::csv::Per;
use crate::series::faults::Faults;
use crate::series::faults::csv::read_faults;
use crate::units::Timestamp;

/// What is known beside load and fixtures.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct EvidenceArgs {
    /// Contest entries: CSV with `timestamp_utc` and `entries`, and perhaps `slate` and `spots`,
    /// plain or gzipped.
    #[arg(long, value_name = "FILE")]
    pub entries: Option<PathBuf>,
    /// Entries are counts per this interval; without it, per the distance of their rows.
    #[arg(long, value_name = "DURATION", requires = "entries")]
    pub entries_per: Option<Per>,
    /// Spans of the load not to be learnt as they stand: CSV with `from`, `to` and `cause` (outage,
    /// shed, saturated, logging, deploy, bots).
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
}

impl EvidenceArgs {
    /// The files that are read.
    pub fn files(&self) -> Vec<Named> {
        let entries = self
            .entries
            .iter()
            .map(|path| Named::new("--entries", path));
        let faults = self.faults.iter().map(|path| Named::new("--faults", path));
        entries.chain(faults).collect()
    }

    /// What was known at a time; nothing where no file is named. `load` is the span over which load is
    /// known; faults that all lie outside of it are spoken of.
    ///
    /// # Errors
    /// What is wrong with a file, where, and what to do.
    pub fn known_at(
        &self,
        at: Timestamp,
        load: (Timestamp, Timestamp),
    ) -> Result<(Entries, Faults), String> {
        let per = self.entries_per.map(Per::interval);
        let entries = match &self.entries {
            Some(path) => entries(path, per, Some(at))?,
            None => Entries::NONE,
        };
        let faults = match &self.faults {
            Some(path) => {
                let faults = faults(path)?;
                told(path, &faults, load);
                faults.before(at)
            }
            None => Faults::NONE,
        };
        Ok((entries, faults))
    }
}

/// Reads entries from a file, all of them or those known at a time; warnings go to standard error.
///
/// # Errors
/// What is wrong, where, and what to do.
pub fn entries(
    path: &Path,
    per: Option<TimeDelta>,
    at: Option<Timestamp>,
) -> Result<Entries, String> {
    let (name, file) = open(path)?;
    let read = match at {
        Some(at) => read_entries_before(file, &name, per, at),
        None => read_entries(file, &name, per),
    };
    let read = read.map_err(|error| error.to_string())?;
    for warning in read.warnings {
        progress(&format!("warning: {warning}"));
    }
    Ok(read.entries)
}

/// Reads declared faults from a file.
///
/// # Errors
/// What is wrong, where, and what to do.
pub fn faults(path: &Path) -> Result<Faults, String> {
    let (name, file) = open(path)?;
    read_faults(file, &name).map_err(|error| error.to_string())
}

/// Says when none of some faults lies in the load, known over a span: a slip of the year, or of the
/// zone, makes them all mean nothing.
pub fn told(path: &Path, faults: &Faults, (from, to): (Timestamp, Timestamp)) {
    let Some(first) = faults.iter().map(|fault| fault.from).min() else {
        return;
    };
    let mut within = faults.iter();
    if within.any(|fault| fault.from < to && fault.to > from) {
        return;
    }
    let last = faults.iter().map(|fault| fault.to).max().unwrap_or(first);
    let show = |at: Timestamp| at.format("%FT%TZ");
    progress(&format!(
        "note: {}: no span of it lies in the load that is known, {} to {}, so it changes nothing: \
         they lie between {} and {}; check their times",
        path.display(),
        show(from),
        show(to),
        show(first),
        show(last),
    ));
}

fn open(path: &Path) -> Result<(String, File), String> {
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => Ok((name, file)),
        Err(error) => Err(format!("{name}: cannot be opened: {error}; check the path")),
    }
}
