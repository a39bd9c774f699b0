//! What is sent, as JSON: a list whose items are read one by one, so that a wrong one costs itself
//! only.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, TimeDelta};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::burst::{Hint, LiveSample};
use crate::source::live::Refused;
use crate::source::{Inbox, LiveSource};
use crate::units::{Rate, Timestamp};

/// How long a hint is worth anything when nobody says: a spike after a score has halved in about
/// 90 s, and the word of it comes some seconds before.
const HINT: f64 = 120.0;

/// Most refusals that are told one by one.
const MOST_TOLD: usize = 100;

/// Items of one kind in a list of their own name.
pub(super) trait Batch<'b>: Deserialize<'b> {
    /// Name of the list.
    const LIST: &'static str;

    /// Puts the item into the inbox.
    fn put(self, inbox: &Inbox, now: Timestamp) -> Result<(), Refused>;
}

/// Demand on a whole workload over one interval.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PushedSample<'b> {
    /// `namespace/name` of the policy.
    #[serde(borrow)]
    workload: Cow<'b, str>,
    /// End of the interval; when it came in, if nobody says.
    at: Option<DateTime<FixedOffset>>,
    /// Length of the interval.
    #[serde(default = "one")]
    seconds: f64,
    /// Units served in it: a count, not a rate.
    served: f64,
    /// Units shed on purpose in it.
    #[serde(default)]
    shed: f64,
    /// Units waiting at its end.
    queued: Option<f64>,
}

/// Word of a spike to come.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PushedHint<'b> {
    /// `namespace/name` of the policy.
    #[serde(borrow)]
    workload: Cow<'b, str>,
    /// What it is.
    kind: String,
    /// When it happened; when it came in, if nobody says.
    at: Option<DateTime<FixedOffset>>,
    /// How long it is worth anything.
    #[serde(default = "usual_hint")]
    seconds: f64,
    /// Multiple of the load before it.
    multiple: Option<f64>,
}

fn one() -> f64 {
    1.0
}

fn usual_hint() -> f64 {
    HINT
}

impl<'b> Batch<'b> for PushedSample<'b> {
    const LIST: &'static str = "samples";

    fn put(self, inbox: &Inbox, now: Timestamp) -> Result<(), Refused> {
        let Self {
            workload,
            at,
            seconds,
            served,
            shed,
            queued,
        } = self;
        let to = at.map_or(now, |at| at.to_utc());
        // two wrong numbers must not make a right one
        let offered = if served >= 0.0 && shed >= 0.0 {
            (served + shed) / seconds
        } else {
            f64::NAN
        };
        let from = span(seconds).and_then(|span| to.checked_sub_signed(span));
        let sample = LiveSample {
            // an interval that cannot be is refused with the others that are not ones
            from: from.unwrap_or(to),
            to,
            offered: Rate::per_second(offered),
            queued,
            error: 0.0,
        };
        inbox.offer(&workload, LiveSource::Push, sample, now)
    }
}

impl<'b> Batch<'b> for PushedHint<'b> {
    const LIST: &'static str = "hints";

    fn put(self, inbox: &Inbox, now: Timestamp) -> Result<(), Refused> {
        let Self {
            workload,
            kind,
            at,
            seconds,
            multiple,
        } = self;
        let at = at.map_or(now, |at| at.to_utc());
        let until = span(seconds).and_then(|span| at.checked_add_signed(span));
        let hint = Hint {
            at,
            until: until.unwrap_or(at),
            multiple,
            kind,
        };
        inbox.hint(&workload, hint, now)
    }
}

fn span(seconds: f64) -> Option<TimeDelta> {
    let milliseconds = (seconds * 1e3).round();
    (milliseconds.abs() < 1e12).then(|| TimeDelta::milliseconds(milliseconds as i64))
}

/// The items of a body, unread.
///
/// # Errors
/// What is wrong with the body as a whole.
pub(super) fn items<'b, B: Batch<'b>>(body: &'b [u8]) -> Result<Vec<&'b RawValue>, String> {
    let list = B::LIST;
    let whole: BTreeMap<&str, Vec<&RawValue>> = serde_json::from_slice(body)
        .map_err(|error| format!("the body is not {{\"{list}\": [...]}}: {error}"))?;
    let mut whole = whole.into_iter();
    match (whole.next(), whole.next()) {
        (Some((name, items)), None) if name == list => Ok(items),
        _ => Err(format!(
            "the body must hold the list {list:?} and nothing else"
        )),
    }
}

/// One item.
///
/// # Errors
/// What is wrong with it.
pub(super) fn item<'b, B: Batch<'b>>(item: &'b RawValue) -> Result<B, String> {
    let mut json = serde_json::Deserializer::from_str(item.get());
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (field, reason) = (error.path().to_string(), error.inner());
        match field.as_str() {
            "at" => format!(
                "at: {reason}: write a time with an offset, for example 2026-09-13T17:00:01Z"
            ),
            "." => reason.to_string(),
            field => format!("{field}: {reason}"),
        }
    })
}

/// What became of a batch.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    /// Items taken.
    pub(super) taken: usize,
    /// Items not taken.
    pub(super) refused: usize,
    /// The first of them, with why.
    errors: Vec<Untaken>,
}

#[derive(Debug, Serialize)]
struct Untaken {
    index: usize,
    reason: &'static str,
    message: String,
}

impl Answer {
    /// Takes note of an item that was not taken.
    pub(super) fn refuse(&mut self, index: usize, reason: &'static str, message: String) {
        self.refused += 1;
        if self.errors.len() < MOST_TOLD {
            self.errors.push(Untaken {
                index,
                reason,
                message,
            });
        }
    }
}
