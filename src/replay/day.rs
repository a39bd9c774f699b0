//! One span made ready to be replayed: its load by the second, and all that Tipoff would have
//! known moment by moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DurationRound as _, TimeDelta};

use super::scenario::{Generated, LoadSource, Scenario};
use super::surges::{self, Surge};
use super::{Materials, ReplayError, Source};
use crate::backtest::as_of;
use crate::backtest::origin::TARGET;
use crate::backtest::replay::Replay;
use crate::backtest::scenario::Span;
use crate::fixture::{Calendar, FixtureId};
use crate::forecast::{Evidence, Forecaster};
use crate::series::Series;
use crate::series::resample::HALF;
use crate::simulate::traffic::{Game, PlayKind};
use crate::simulate::{Outlook, Results, Traffic};
use crate::units::Timestamp;

/// Fixtures this long after a span's end still matter to it: the rush before their lock.
const AFTER: TimeDelta = TimeDelta::days(3);

/// A scoring play of the span: the truth that no policy is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// In words: the game, and how large the wave.
    pub name: String,
    /// Whether it was a touchdown.
    pub touchdown: bool,
}

/// A span made ready.
#[derive(Debug, Clone)]
pub struct Day {
    /// What is replayed.
    pub span: Span,
    /// Load from the warm-up on, a value a second.
    pub load: Series,
    /// Fixtures around it.
    pub calendar: Calendar,
    /// Forecasts and calendars as they were known.
    pub outlook: Arc<Outlook>,
    /// Scoring plays, where they are known.
    pub marks: Vec<Mark>,
    /// Jumps of the load.
    pub surges: Vec<Surge>,
}

impl Day {
    /// Makes a span ready: load, forecasts from what was known at their origins, surges.
    ///
    /// # Errors
    /// When the load does not cover the span or there is too little history to forecast from.
    pub fn prepare(
        scenario: &Scenario,
        materials: &Materials,
        span: Span,
    ) -> Result<Self, ReplayError> {
        let begin = span.from - scenario.simulation.warm_up;
        let made = match (&scenario.load, &materials.source) {
            (LoadSource::Generated(generated), Source::Generated(results)) => generate(
                scenario,
                generated,
                results,
                &materials.calendar,
                span,
                begin,
            ),
            (_, Source::Recorded { seconds, history }) => {
                let missing = seconds.start() > span.from || seconds.end() < span.to;
                if missing {
                    return Err(ReplayError::SpanNotCovered {
                        first: seconds.start(),
                        last: seconds.end(),
                        from: span.from,
                        to: span.to,
                    });
                }
                let begin = begin.max(seconds.start());
                let load = seconds.between(begin, span.to);
                Made {
                    history: history.as_ref().map(|history| history.before(begin)),
                    load,
                    calendar: materials.calendar.clone(),
                    marks: Vec::new(),
                }
            }
            (LoadSource::Recorded(_), Source::Generated(_)) => {
                return Err(ReplayError::NoLoad);
            }
        };
        let outlook = match &made.history {
            Some(history) => look_out(scenario, &made, history, span)?,
            None => Outlook::new(Vec::new(), versions(&made.calendar, begin, span, TARGET)),
        };
        Ok(Self {
            span,
            surges: surges::find(&made.load, span.from, span.to),
            load: made.load,
            calendar: made.calendar,
            outlook: Arc::new(outlook),
            marks: made.marks,
        })
    }
}

/// Load and fixtures of a span.
struct Made {
    /// Before `load`, in coarser steps.
    history: Option<Series>,
    load: Series,
    calendar: Calendar,
    marks: Vec<Mark>,
}

fn generate(
    scenario: &Scenario,
    generated: &Generated,
    results: &Results,
    calendar: &Calendar,
    span: Span,
    begin: Timestamp,
) -> Made {
    let aligned = begin.duration_trunc(TARGET).unwrap_or(begin);
    let first = aligned - generated.history.0;
    let reach = (first - TimeDelta::days(1), span.to + AFTER);
    let near = calendar.starting_between(reach.0, reach.1);
    let near: Calendar = near.into_iter().cloned().collect();
    let traffic = Traffic::played(generated.traffic.clone(), &near, results, scenario.seed);
    let marks = traffic
        .games()
        .iter()
        .flat_map(|game| game.spikes.iter().map(move |spike| (game, spike)))
        .filter(|(game, spike)| {
            // a wave needs a crowd
            let in_play = spike.at >= game.start && spike.at < game.end;
            in_play && spike.at >= span.from && spike.at < span.to
        })
        .map(|(game, spike)| Mark {
            at: spike.at,
            name: format!("{}: {:.1}x", title(&near, game), spike.multiple),
            touchdown: spike.kind == PlayKind::Touchdown,
        });
    let mut marks: Vec<Mark> = marks.collect();
    marks.sort_by_key(|mark| mark.at);
    Made {
        history: Some(traffic.series(first, aligned, TARGET)),
        load: traffic.counted(aligned, span.to, generated.dispersion),
        marks,
        calendar: results.told_to(&announced(calendar, reach)),
    }
}

/// The calendar cut to the fixtures that were announced for `[from, to)` at some time, with all
/// that was known of them over time: the newest version alone would be unknown until it was.
fn announced(calendar: &Calendar, (from, to): (Timestamp, Timestamp)) -> Calendar {
    let removed = || {
        let stones = calendar.tombstones();
        stones.flat_map(|(id, _)| calendar.versions(id))
    };
    let versions = || calendar.all_versions().chain(removed());
    let mut ids: BTreeSet<&FixtureId> = versions()
        .filter(|fixture| fixture.start.at >= from && fixture.start.at < to)
        .map(|fixture| &fixture.id)
        .collect();
    loop {
        // what has replaced one of them hides it, wherever it went
        let heirs: Vec<&FixtureId> = versions()
            .filter(|fixture| fixture.supersedes.iter().any(|old| ids.contains(old)))
            .map(|fixture| &fixture.id)
            .filter(|id| !ids.contains(id))
            .collect();
        if heirs.is_empty() {
            break;
        }
        ids.extend(heirs);
    }
    let kept = ids.iter().flat_map(|id| calendar.versions(id));
    let mut cut: Calendar = kept.cloned().collect();
    for (id, stone) in calendar.tombstones().filter(|(id, _)| ids.contains(id)) {
        cut.remove(id.clone(), stone.clone());
    }
    cut
}

fn title(calendar: &Calendar, game: &Game) -> String {
    let fixture = calendar.get(&game.id);
    fixture.map_or_else(|| game.id.to_string(), crate::fixture::Fixture::title)
}

/// Issues the forecasts Tipoff decides by, as the backtest does.
fn look_out(
    scenario: &Scenario,
    made: &Made,
    history: &Series,
    span: Span,
) -> Result<Outlook, ReplayError> {
    let begin = made.load.start();
    let known_load = joined(history, &made.load)?;
    let known = Evidence::new(&known_load, &made.calendar);
    let model = Forecaster::new(scenario.zone);
    let refit = scenario.forecast.refit;
    let mut replay = Replay::new(&model, known, refit, (begin, span.to));
    let reissue = scenario.forecast.reissue;
    let horizon = crate::backtest::contest::policy_horizon(&scenario.arena, reissue);
    let mut issued = Vec::new();
    let mut origin = begin.duration_trunc(reissue).unwrap_or(begin);
    while origin < span.to {
        let forecast = replay.forecast(origin, horizon, TARGET);
        issued.push(Arc::new(forecast.map_err(ReplayError::Fit)?));
        origin += reissue;
    }
    let versions = versions(&made.calendar, begin, span, horizon);
    Ok(Outlook::new(issued, versions))
}

fn versions(
    calendar: &Calendar,
    begin: Timestamp,
    span: Span,
    horizon: TimeDelta,
) -> Vec<(Timestamp, Arc<Calendar>)> {
    let versions = as_of::versions(calendar, begin, span.to);
    // a decision asks for fixtures from a day back to the end of its forecast
    let after = TimeDelta::days(2) + horizon;
    as_of::cut_to_days(&versions, span.to, TimeDelta::days(2), after)
}

/// History and the span's own load on one five-minute grid. Bins between them are gaps.
fn joined(history: &Series, load: &Series) -> Result<Series, ReplayError> {
    let coarse = |series: &Series| series.resample(TARGET, HALF).map_err(ReplayError::Step);
    let (history, load) = (coarse(history)?, coarse(load)?);
    let offset = (load.start() - history.start()).num_milliseconds();
    let step = TARGET.num_milliseconds();
    if offset % step != 0 {
        return Err(ReplayError::Grid);
    }
    let bins = usize::try_from(offset / step).unwrap_or(0);
    let mut values = history.raw()[..bins.min(history.len())].to_vec();
    values.resize(bins, f64::NAN);
    values.extend(load.raw());
    Ok(Series::from_raw(history.start(), TARGET, values))
}
