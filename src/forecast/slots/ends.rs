//! When a slot's fixtures end, as far as is known, and what may follow.

use chrono::TimeDelta;

use super::gathering::Gathering;
use crate::fixture::Fixture;
use crate::fixture::phase::MAX_DELAY;
use crate::forecast::prior::SportPrior;
use crate::units::Timestamp;

/// A fixture still on past its typical end is expected to end after this.
pub(super) const STILL_ON: TimeDelta = TimeDelta::minutes(10);

/// Play beyond the regular end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Extension {
    /// Chance that one of the fixtures runs over.
    pub(crate) chance: f64,
    /// How much later it then ends, seconds.
    pub(crate) seconds: i64,
    /// Share of the slot's crowd that stays for it.
    pub(crate) share: f64,
}

/// The middle of some ends: as fixtures end one by one, so their crowd goes.
pub(super) fn middle(ends: &[Timestamp]) -> Option<Timestamp> {
    let first = *ends.iter().min()?;
    let later: i64 = ends.iter().map(|end| (*end - first).num_seconds()).sum();
    Some(first + TimeDelta::seconds(later / ends.len() as i64))
}

/// The end of a fixture that has not ended: the typical one, or, when the feed vouched after the
/// start that play goes on past it, soon.
pub(super) fn expected_end(fixture: &Fixture, start: Timestamp, origin: Timestamp) -> Timestamp {
    let typical = start + fixture.duration.typical;
    let limit = fixture.latest_end() + MAX_DELAY;
    if vouched_live(fixture) && origin < limit {
        typical.max(origin + STILL_ON)
    } else {
        typical
    }
}

/// True when the feed said after the start that it is being played.
fn vouched_live(fixture: &Fixture) -> bool {
    let vouched = fixture
        .known_at
        .is_some_and(|known| known > fixture.start.at);
    fixture.status.is_live() && vouched
}

/// What may follow the regular `end`, as long as nobody knows that it will not.
pub(super) fn extension(
    members: &[Gathering<'_>],
    prior: &SportPrior,
    origin: Timestamp,
    end: Timestamp,
) -> Option<Extension> {
    let open = |member: &Gathering<'_>| -> Option<TimeDelta> {
        let fixture = member.fixture;
        let ended = fixture.ended_at.is_some_and(|at| at <= origin)
            || fixture.status.is_over() && fixture.known_at.is_some_and(|at| at <= origin);
        let most = fixture.may_extend.as_ref()?.at_most;
        let typical = member.start + fixture.duration.typical;
        (!ended && origin < typical + most).then_some(most)
    };
    let open: Vec<TimeDelta> = members.iter().filter_map(open).collect();
    let most = open.iter().copied().max()?;
    let usual = TimeDelta::seconds((prior.overtime.minutes * 60.0) as i64);
    let chance = prior.overtime.chance.clamp(0.0, 1.0);
    // on past its regular end: no longer a chance but the case, and the end moves as it is told
    let running_over = members.iter().any(|member| {
        let typical = member.start + member.fixture.duration.typical;
        vouched_live(member.fixture) && origin > typical + STILL_ON
    });
    if running_over || chance == 0.0 {
        return None;
    }
    let seconds = usual.min(most).num_seconds();
    (seconds > 0 && origin < end + most).then(|| Extension {
        chance: 1.0 - (1.0 - chance).powi(open.len() as i32),
        seconds,
        share: 1.0 / members.len().max(1) as f64,
    })
}
