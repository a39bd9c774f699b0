//! What lies in the inbox for one workload: samples in order, hints in force. Pure: it is told the
//! time.

use std::collections::VecDeque;

use super::{
    LARGEST_MULTIPLE, LONGEST_HINT, LONGEST_KIND, Late, LiveSource, MOST_HINTS, MOST_SAMPLES,
    OLDEST, Refused, TOLERANCE,
};
use crate::burst::{Hint, LiveSample};
use crate::units::Timestamp;

/// What lies here for one workload.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) source: LiveSource,
    /// By their end; ends differ.
    pub(super) samples: VecDeque<LiveSample>,
    pub(super) hints: Vec<Hint>,
    /// End of the newest sample that was ever taken out.
    pub(super) taken_to: Option<Timestamp>,
    /// End of the newest sample that ever came in.
    pub(super) newest: Option<Timestamp>,
    /// It stands in the list of news.
    pub(super) told: bool,
}

impl Place {
    pub(super) fn new(source: LiveSource) -> Self {
        Self {
            source,
            samples: VecDeque::new(),
            hints: Vec::new(),
            taken_to: None,
            newest: None,
            told: false,
        }
    }

    pub(super) fn offer(
        &mut self,
        source: LiveSource,
        sample: LiveSample,
        now: Timestamp,
    ) -> Result<(), Refused> {
        if source != self.source {
            return Err(Refused::Source {
                expected: self.source,
                got: source,
            });
        }
        let sample = sample.validated()?;
        self.forget_another_time(now);
        not_ahead(sample.to, now)?;
        if sample.to < now - OLDEST {
            return Err(Refused::Late(Late::Old));
        }
        if self.taken_to.is_some_and(|taken| sample.to <= taken) {
            return Err(Refused::Late(Late::Overtaken));
        }
        // nearly always the last place
        let place = self.samples.partition_point(|other| other.to < sample.to);
        if self
            .samples
            .get(place)
            .is_some_and(|other| other.to == sample.to)
        {
            return Err(Refused::Duplicate);
        }
        self.samples.insert(place, sample);
        if self.samples.len() > MOST_SAMPLES {
            self.samples.pop_front();
        }
        self.newest = self.newest.max(Some(sample.to));
        Ok(())
    }

    /// A clock that was set back leaves evidence from the future behind, beside which everything
    /// new would be late.
    fn forget_another_time(&mut self, now: Timestamp) {
        let ahead = |at: Option<Timestamp>| at.is_some_and(|at| at > now + TOLERANCE);
        if ahead(self.newest) || ahead(self.taken_to) {
            *self = Self {
                hints: std::mem::take(&mut self.hints),
                told: self.told,
                ..Self::new(self.source)
            };
        }
    }

    pub(super) fn hint(&mut self, hint: Hint, now: Timestamp) -> Result<(), Refused> {
        let Hint {
            at,
            until,
            multiple,
            kind,
        } = &hint;
        not_ahead(*at, now)?;
        if *until <= now {
            return Err(Refused::Late(Late::Over));
        }
        if *until - *at > LONGEST_HINT {
            return Err(Refused::Hint(
                "it must not last longer than 30 min: say it again",
            ));
        }
        if !multiple.is_none_or(|multiple| (1.0..=LARGEST_MULTIPLE).contains(&multiple)) {
            return Err(Refused::Hint("its multiple must be from 1 to 100"));
        }
        if kind.is_empty() || kind.len() > LONGEST_KIND || kind.chars().any(char::is_control) {
            return Err(Refused::Hint(
                "its kind must be 1 to 64 characters, for example touchdown",
            ));
        }
        self.hints.retain(|hint| hint.until > now);
        let same = |other: &Hint| other.at == hint.at && other.kind == hint.kind;
        if self.hints.iter().any(same) {
            return Err(Refused::Duplicate);
        }
        if self.hints.len() >= MOST_HINTS {
            return Err(Refused::TooMany);
        }
        self.hints.push(hint);
        Ok(())
    }
}

fn not_ahead(at: Timestamp, now: Timestamp) -> Result<(), Refused> {
    let ahead = at - now;
    if ahead > TOLERANCE {
        return Err(Refused::Future {
            seconds: ahead.num_seconds(),
        });
    }
    Ok(())
}
