//! The way down: only after the window, through a live fixture no further than its crowd needed,
//! one rung at a time.

use serde::{Deserialize, Serialize};

use super::demand::{Crowd, DemandPart};
use super::memory::{Memory, Rung};
use super::observed::{ManualOverride, Workload};
use super::policy::{HoldThrough, Policy};
use crate::fixture::phase::PRE_LOCK;
use crate::fixture::{Fixture, Phase};
use crate::units::{Rate, Timestamp};

/// Why fewer replicas were wanted than are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Hold {
    /// A fact is missing, stale or not a number.
    MissingData {
        /// Which and why.
        problems: Vec<String>,
    },
    /// Facts are missing, and what is left says of no size that it is needed: there is nothing to
    /// raise by either.
    Blind {
        /// Which and why.
        problems: Vec<String>,
    },
    /// Facts have not been complete for a whole window yet, as after a restart.
    WindowNotFull {
        /// When it will be, if they stay complete.
        until: Timestamp,
    },
    /// A fixture that covers this workload is on.
    Fixture {
        /// Which.
        title: String,
        /// Its phase.
        phase: Phase,
    },
    /// More was wanted within the window.
    Window {
        /// How many.
        replicas: u32,
    },
    /// The ladder goes down one rung at a time.
    Rung {
        /// Next rung.
        until: Timestamp,
    },
    /// Some replicas are not Ready, and those that are serve nearly all they can: what they serve
    /// is no measure of what is wanted.
    CutOff {
        /// How many are Ready.
        ready: u32,
        /// Of how many.
        replicas: u32,
    },
    /// A person froze the workload.
    Frozen {
        /// Until when.
        until: Timestamp,
        /// Why.
        reason: String,
    },
    /// The workload was scaled to zero by somebody else.
    ScaledToZero,
    /// Nothing is known of what a replica carries.
    CapacityUnknown,
}

impl Hold {
    /// By this order.
    pub(super) fn frozen(order: &ManualOverride) -> Self {
        Self::Frozen {
            until: order.expires,
            reason: order.reason.clone(),
        }
    }

    /// In words.
    pub fn text(&self) -> String {
        match self {
            Self::MissingData { problems } => {
                format!(
                    "nothing is lowered while data is missing: {}",
                    problems.join("; ")
                )
            }
            Self::Blind { problems } => format!(
                "nothing is raised or lowered while data is missing: {}",
                problems.join("; ")
            ),
            Self::WindowNotFull { until } => format!(
                "nothing is lowered until {}, when a full window has been seen",
                until.format("%H:%M:%S")
            ),
            Self::Fixture { title, phase } => {
                let phase = match phase {
                    Phase::PreLock => "about to start",
                    Phase::Settling => "settling",
                    _ => "live",
                };
                format!("what its crowd needed is held while {title} is {phase}")
            }
            Self::Window { replicas } => {
                format!("{replicas} were wanted within the release window")
            }
            Self::Rung { until } => format!("next rung down at {}", until.format("%H:%M:%S")),
            Self::CutOff { ready, replicas } => format!(
                "nothing is lowered while only {ready} of {replicas} replicas are Ready and they are \
                 full: what they serve is not all that is wanted"
            ),
            Self::Frozen { until, reason } => {
                let until = until.format("%Y-%m-%d %H:%M UTC");
                format!("frozen by hand until {until} ({reason})")
            }
            Self::ScaledToZero => {
                "scaled to 0 by somebody else: set replicas above 0 to hand it back".to_owned()
            }
            Self::CapacityUnknown => {
                "load per replica is not known yet: set capacity.perReplica, or wait for two minutes \
                 with every replica ready"
                    .to_owned()
            }
        }
    }
}

/// What keeps a workload's size where problems leave nothing that asks for one, and where, a replica's
/// capacity being unknown, only an order by hand does.
pub(super) fn blind(problems: &[String], parts: &[DemandPart], sized: bool) -> Option<Hold> {
    let problems = Some(problems.to_vec()).filter(|problems| !problems.is_empty())?;
    match (parts.is_empty(), sized) {
        (true, _) => Some(Hold::Blind { problems }),
        (false, false) => Some(Hold::MissingData { problems }),
        (false, true) => None,
    }
}

/// Share of what Ready replicas carry from which on they count as full.
const FULL: f64 = 0.8;

/// Whether what is served says nothing of what is wanted: of the replicas that would be lowered
/// `from` some wait for a node, for quota or for an image, and those that are there have no room.
/// To take the missing ones back then would make the shortage last.
pub(super) fn cut_off(
    workload: Workload,
    from: u32,
    per_replica: Rate,
    offered: Option<Rate>,
) -> Option<Hold> {
    let ready = workload.ready;
    // a recommendation may be for more than anybody has asked for
    let replicas = from.min(workload.replicas);
    let full = offered? >= per_replica * (f64::from(ready) * FULL);
    (ready < replicas && full).then_some(Hold::CutOff { ready, replicas })
}

/// The fixtures that hold capacity at `now`: the one whose crowd began to come first, its phase
/// and since when.
fn holding_fixture<'a>(
    crowd: &Crowd<'a>,
    hold_through: HoldThrough,
    now: Timestamp,
) -> Option<(&'a Fixture, Phase, Timestamp)> {
    crowd
        .covering(now)
        .filter(|(_, phase)| match hold_through {
            HoldThrough::Live => phase.is_live(),
            HoldThrough::Settled => phase.is_covering(),
            HoldThrough::Never => false,
        })
        .map(|(fixture, phase)| {
            (
                fixture,
                phase,
                fixture.lock().min(fixture.start.at) - PRE_LOCK,
            )
        })
        .min_by_key(|&(_, _, since)| since)
}

/// How far down from `current` towards `wish` this tick may go, and what held it back.
///
/// While a fixture is on, what the crowd needed since it began to come is held; what only an
/// earlier fixture needed may go. What a spike needed goes after the window: the next one is as
/// likely after a spike as before it, and what stands ready for that is the cover. A fixture whose
/// beginning was not seen holds everything.
///
/// Calling it again at the same time with the same facts gives the same size, whether the first
/// answer was carried out or not.
pub(super) fn settle(
    current: u32,
    wish: u32,
    policy: &Policy,
    crowd: &Crowd<'_>,
    problems: &[String],
    memory: &mut Memory,
    now: Timestamp,
) -> (u32, Vec<Hold>) {
    let mut holds = Vec::new();
    if !problems.is_empty() {
        holds.push(Hold::MissingData {
            problems: problems.to_vec(),
        });
    }
    let window = policy.release.window;
    let full_at = memory.sighted_since.map(|since| since + window);
    if let Some(until) = full_at
        && now < until
    {
        holds.push(Hold::WindowNotFull { until });
    }
    let held = holding_fixture(crowd, policy.release.hold_through, now);
    if let Some((fixture, phase, since)) = held
        && memory.watched_since.is_none_or(|watched| watched > since)
    {
        holds.push(Hold::Fixture {
            title: fixture.title(),
            phase,
        });
    }
    if !holds.is_empty() || full_at.is_none() {
        memory.rung = None;
        return (current, holds);
    }

    let in_window = memory.largest_wish(now - window).unwrap_or(wish).max(wish);
    let mut largest = in_window;
    if let Some((fixture, phase, since)) = held {
        largest = memory.largest_crowd(since).unwrap_or(wish).max(in_window);
        if largest > in_window {
            holds.push(Hold::Fixture {
                title: fixture.title(),
                phase,
            });
        }
    }
    if in_window > wish && holds.is_empty() {
        holds.push(Hold::Window {
            replicas: in_window,
        });
    }
    if largest >= current {
        return (current, holds);
    }
    let rung = memory
        .rung
        .filter(|rung| {
            (rung.since..rung.since + policy.release.every).contains(&now) && current <= rung.from
        })
        .unwrap_or(Rung {
            since: now,
            from: current,
        });
    let step = ((f64::from(rung.from) * policy.release.rung) as u32).max(1);
    let lowest = rung.from.saturating_sub(step);
    let next = largest.max(lowest).min(current);
    memory.rung = Some(rung);
    if next > largest {
        holds.push(Hold::Rung {
            until: rung.since + policy.release.every,
        });
    }
    (next, holds)
}
