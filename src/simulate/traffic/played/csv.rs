//! Reads games as they were played from two tables: one row a game, one row a scoring play.
//!
//! The columns are those of play-by-play records; others are passed over. Opening files belongs to
//! the caller.

use std::collections::BTreeMap;
use std::io::Read;

use ::csv::ByteRecord;

use super::{PlayKind, Played, Results, ScoringPlay};
use crate::fixture::FixtureId;
use crate::series::rows::{self, Rows, TimeFault};
use crate::units::Timestamp;

/// The most rows of one file: a century of games, or of plays.
const MAX_ROWS: usize = 1_000_000;

/// Names of the columns, each with others it goes by.
const ID: &[&str] = &["game_id", "id"];
const KICK_OFF: &[&str] = &["kickoff_actual_utc"];
const HALF_FROM: &[&str] = &["q2_last_play_utc"];
const HALF_TO: &[&str] = &["q3_first_play_utc"];
const END: &[&str] = &["last_play_utc", "ended_at"];
const PLAY: &[&str] = &["play_time_utc"];
const KIND: &[&str] = &["type"];

/// Why a table is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}:{line}: {reason}")]
pub struct PlayedError {
    /// File.
    pub name: String,
    /// Line, from 1.
    pub line: u64,
    /// What is wrong and what to write.
    pub reason: String,
}

/// Games as read, and what was passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The games.
    pub results: Results,
    /// Games without a kick-off or an end.
    pub unplayed: usize,
    /// Plays without a time.
    pub untimed: usize,
}

/// A table with named columns.
struct Table<'r> {
    name: &'r str,
    rows: Rows<'r>,
    columns: BTreeMap<String, usize>,
}

impl<'r> Table<'r> {
    fn open(reader: impl Read + 'r, name: &'r str) -> Result<Self, PlayedError> {
        let refuse = |line, reason: String| PlayedError {
            name: name.to_owned(),
            line,
            reason,
        };
        let unreadable = |error: std::io::Error| {
            refuse(
                0,
                format!("cannot be read: {error}; give CSV, plain or gzipped"),
            )
        };
        let mut rows = Rows::open(reader).map_err(unreadable)?;
        let header = match rows.next().map_err(unreadable)? {
            Some((_, header)) => rows::texts(header),
            None => return Err(refuse(1, "has no rows; begin with a header".to_owned())),
        };
        let columns = header
            .iter()
            .enumerate()
            .map(|(place, column)| {
                let column = column.trim_start_matches('\u{feff}');
                (column.to_ascii_lowercase(), place)
            })
            .collect();
        Ok(Self {
            name,
            rows,
            columns,
        })
    }

    fn refuse(&self, line: u64, reason: String) -> PlayedError {
        PlayedError {
            name: self.name.to_owned(),
            line,
            reason,
        }
    }

    fn find(&self, names: &[&str]) -> Option<usize> {
        names
            .iter()
            .find_map(|name| self.columns.get(*name).copied())
    }

    fn require(&self, names: &[&str]) -> Result<usize, PlayedError> {
        self.find(names).ok_or_else(|| {
            let found: Vec<&str> = self.columns.keys().map(String::as_str).collect();
            let reason = format!(
                "column {} is missing among {}; name the columns so",
                names.join(" or "),
                found.join(", ")
            );
            self.refuse(1, reason)
        })
    }

    /// Hands every row with its line to `take`.
    fn each(
        mut self,
        mut take: impl FnMut(&Cells<'_>) -> Result<(), String>,
    ) -> Result<(), PlayedError> {
        let mut count = 0;
        let mut last = 1;
        loop {
            let (line, reason) = match self.rows.next() {
                Ok(None) => return Ok(()),
                Ok(Some((line, record))) => {
                    count += 1;
                    last = line;
                    if count > MAX_ROWS {
                        (line, format!("more than {MAX_ROWS} rows; split the file"))
                    } else {
                        match take(&Cells(record)) {
                            Ok(()) => continue,
                            Err(reason) => (line, reason),
                        }
                    }
                }
                Err(error) => (last + 1, format!("cannot be read: {error}")),
            };
            return Err(self.refuse(line, reason));
        }
    }
}

/// One row.
struct Cells<'a>(&'a ByteRecord);

impl Cells<'_> {
    fn text(&self, place: usize) -> String {
        String::from_utf8_lossy(self.0.get(place).unwrap_or_default()).into_owned()
    }

    /// A time, `None` when the cell is empty or the column is not there.
    fn time(&self, place: Option<usize>, column: &str) -> Result<Option<Timestamp>, String> {
        let cell = place.and_then(|place| self.0.get(place));
        let Some(cell) = cell.filter(|cell| !cell.is_empty()) else {
            return Ok(None);
        };
        rows::read_time(cell)
            .map(Some)
            .map_err(|fault| match fault {
                TimeFault::Naive(text) => format!(
                    "{column}: {text:?} has no zone; write UTC with a Z, for example \
                 2026-09-13T17:00:00Z"
                ),
                TimeFault::NotATime(text) => {
                    format!(
                        "{column}: {text:?} is not a time; write for example 2026-09-13T17:00:00Z"
                    )
                }
            })
    }

    fn id(&self, place: usize) -> Result<FixtureId, String> {
        let id = self.text(place);
        if id.is_empty() {
            return Err("game_id is empty; name the fixture's id".to_owned());
        }
        Ok(FixtureId(id))
    }
}

/// Reads the table of games and, when there is one, that of scoring plays. Both are plain or
/// gzipped; the names are for messages.
///
/// # Errors
/// [`PlayedError`] with the line of the first fault: a missing column, a time that is none, a game
/// that ends before it starts, a play of a game that is not in the table.
pub fn read(
    games: (impl Read, &str),
    plays: Option<(impl Read, &str)>,
) -> Result<Reading, PlayedError> {
    let mut found: BTreeMap<FixtureId, Option<Played>> = BTreeMap::new();
    let table = Table::open(games.0, games.1)?;
    let id = table.require(ID)?;
    let kick_off = Some(table.require(KICK_OFF)?);
    let end = Some(table.require(END)?);
    let (half_from, half_to) = (table.find(HALF_FROM), table.find(HALF_TO));
    table.each(|row| {
        let id = row.id(id)?;
        let kick_off = row.time(kick_off, KICK_OFF[0])?;
        let end = row.time(end, END[0])?;
        let half = (
            row.time(half_from, HALF_FROM[0])?,
            row.time(half_to, HALF_TO[0])?,
        );
        let played = match (kick_off, end) {
            (Some(kick_off), Some(end)) if end <= kick_off => {
                return Err(format!("{id} ends before it starts; check both times"));
            }
            (Some(kick_off), Some(end)) => Some(Played {
                kick_off,
                half_time: half
                    .0
                    .zip(half.1)
                    .filter(|&(from, to)| kick_off < from && from <= to && to < end),
                end,
                plays: Vec::new(),
            }),
            _ => None,
        };
        if found.insert(id.clone(), played).is_some() {
            return Err(format!("{id} is there twice; keep one row a game"));
        }
        Ok(())
    })?;
    let mut untimed = 0;
    if let Some((reader, name)) = plays {
        let table = Table::open(reader, name)?;
        let (id, kind) = (table.require(ID)?, table.require(KIND)?);
        let at = Some(table.require(PLAY)?);
        table.each(|row| {
            let id = row.id(id)?;
            let Some(game) = found.get_mut(&id) else {
                return Err(format!("{id} is not in {}; add the game", games.1));
            };
            let kind = match row.text(kind).to_ascii_uppercase().as_str() {
                "TOUCHDOWN" => PlayKind::Touchdown,
                "FIELD_GOAL" | "SAFETY" | "UNSPECIFIED" => PlayKind::Lesser,
                other => {
                    return Err(format!(
                        "type: {other:?} is none of TOUCHDOWN, FIELD_GOAL, SAFETY, UNSPECIFIED"
                    ));
                }
            };
            match (game, row.time(at, PLAY[0])?) {
                (Some(game), Some(at)) => game.plays.push(ScoringPlay { at, kind }),
                (_, None) => untimed += 1,
                (None, _) => {}
            }
            Ok(())
        })?;
    }
    let all = found.len();
    let results: Results = found
        .into_iter()
        .filter_map(|(id, played)| Some((id, played?)))
        .collect();
    Ok(Reading {
        unplayed: all - results.len(),
        results,
        untimed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAMES: &str = "game_id,kickoff_utc,kickoff_actual_utc,q2_last_play_utc,\
        q3_first_play_utc,last_play_utc\n\
        a,2030-09-08T17:00:00Z,2030-09-08T17:03:00Z,2030-09-08T18:20:00Z,2030-09-08T18:34:00Z,2030-09-08T20:05:00Z\n\
        b,2030-09-08T17:00:00Z,,,,\n";

    fn read_text(games: &str, plays: &str) -> Result<Reading, PlayedError> {
        read(
            (games.as_bytes(), "games.csv"),
            Some((plays.as_bytes(), "plays.csv")),
        )
    }

    #[test]
    fn games_and_plays_come_together_by_id() {
        let plays = "game_id,play_time_utc,type\n\
            a,2030-09-08T19:00:00Z,TOUCHDOWN\na,2030-09-08T18:00:00Z,FIELD_GOAL\n\
            a,,TOUCHDOWN\nb,2030-09-08T18:00:00Z,SAFETY\n";
        let reading = read_text(GAMES, plays).unwrap();
        assert_eq!((reading.unplayed, reading.untimed), (1, 1));
        assert_eq!(reading.results.len(), 1);
        let game = reading.results.get(&FixtureId("a".to_owned())).unwrap();
        assert!(game.half_time.is_some());
        let kinds: Vec<_> = game.plays.iter().map(|play| play.kind).collect();
        assert_eq!(kinds, [PlayKind::Lesser, PlayKind::Touchdown]);
    }

    #[test]
    fn every_fault_names_its_line() {
        let told = |games: &str, plays: &str| read_text(games, plays).unwrap_err().to_string();
        let head = "game_id,play_time_utc,type\n";
        assert_eq!(
            told(GAMES, &format!("{head}c,2030-09-08T18:00:00Z,TOUCHDOWN\n")),
            "plays.csv:2: c is not in games.csv; add the game"
        );
        assert_eq!(
            told(GAMES, &format!("{head}a,2030-09-08 18:00:00,TOUCHDOWN\n")),
            "plays.csv:2: play_time_utc: \"2030-09-08 18:00:00\" has no zone; write UTC with a Z, \
             for example 2026-09-13T17:00:00Z"
        );
        assert_eq!(
            told(GAMES, &format!("{head}a,2030-09-08T18:00:00Z,GOAL\n")),
            "plays.csv:2: type: \"GOAL\" is none of TOUCHDOWN, FIELD_GOAL, SAFETY, UNSPECIFIED"
        );
        assert_eq!(
            told("game_id,kickoff_utc\na,b\n", head),
            "games.csv:1: column kickoff_actual_utc is missing among game_id, kickoff_utc; name \
             the columns so"
        );
        let backwards =
            "id,kickoff_actual_utc,ended_at\nx,2030-09-08T17:00:00Z,2030-09-08T16:00:00Z\n";
        assert_eq!(
            told(backwards, head),
            "games.csv:2: x ends before it starts; check both times"
        );
        assert_eq!(
            told(&format!("{GAMES}b,,,,,\n"), head),
            "games.csv:4: b is there twice; keep one row a game"
        );
    }
}
