//! Issues again, without hindsight, the forecasts of the last weeks, to learn from their errors.
//!
//! Every past period starts from the coefficients known then; within it origins follow each other
//! as they would in operation, each with its own level correction and with the entries known by
//! then. An error counts for expert weights and margins only from the period after its target,
//! and for what the fit takes home only when the target lies before the fit's origin: exactly
//! what had matured. (How bins scatter at a level and when the audience goes to bed are measured
//! with hindsight: they are habits, as the offset of the logarithm is.) Margins are drawn anew for
//! every period, so that coverage is counted against bounds that were really given.

use super::calibration::Calibration;
use super::experts::{Losses, Mixture, Voices, Weights};
use super::features::{Design, Moment};
use super::grid::DAY;
use super::kick_off::Deviations;
use super::lead::{self, BUCKETS, Lead};
use super::learn::{Coefficients, History, LATELY, PERIOD};
use super::novelty::{Precedent, yet_to_come};
use super::pace::{Book, Pace};
use super::peaks::PeakMargins;
use super::profile::{Profile, Rises};
use super::quantile::{Group, MarginTable, Scores};
use super::remainder::Remainder;
use super::scatter::{Noise, Scatter, Spreads};
use super::slots::Slot;
use super::track::Tracker;
use paths::Paths;
use windows::PeakScores;

mod crowd;
mod fits;
mod paths;
mod precedents;
mod windows;

pub(crate) use crowd::{Alone, is_own, own_or_all, shift_at, top};
use fits::PeriodFits;
pub(crate) use fits::fit;

/// Periods issued again: four weeks. Older scores would weigh less than a tenth.
pub(crate) const PERIODS: usize = 28 * DAY / PERIOD;

/// Days in one of them.
const PERIOD_DAYS: f64 = PERIOD as f64 / DAY as f64;

/// Bins of history an origin must have behind it.
const WARM_UP: usize = 2 * DAY;

/// Bins between origins for leads up to four hours: an hour and one bin, so that in every period
/// each minute of the hour on the grid has its turn. Fixtures start on the hour or at its half, and
/// origins an hour apart would see the next minutes of all starts always or never.
const OFTEN: usize = 13;

/// The same in periods whose errors have lost more than half their weight.
const LESS_OFTEN: usize = 25;

/// Bins between origins for longer leads, rounded up to a whole number of the shorter steps.
const SELDOM: usize = 72;

/// Bins ahead that are scored from every origin.
const NEAR: [usize; 8] = [1, 2, 5, 8, 11, 23, 35, 47];

/// Bins ahead of the longest lead that is scored: 48 h.
pub(crate) const LONGEST_LEAD: usize = 576;

/// Bins ahead that are scored from the seldom origins: every 35 minutes, for errors so far ahead
/// hardly differ from one quarter of an hour to the next, and so that each minute of the hour on
/// the grid has its turn whatever origins have in common.
const FAR: (usize, usize, usize) = (50, LONGEST_LEAD, 7);

/// Weight of the pseudo-scores in each bucket: as many as four hours of forecasts yield.
const PSEUDO: [f64; BUCKETS] = [8.0, 12.0, 12.0, 10.0, 14.0, 28.0];

/// A past window of a slot, in bins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Place of its slot in the list the history's rows were made for.
    pub(crate) slot: usize,
    pub(crate) start: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// First bin at which it was known that it starts then.
    pub(crate) known: usize,
}

/// Places of windows in order of their ends.
pub(crate) fn by_end(windows: &[Window]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..windows.len()).collect();
    order.sort_by_key(|&place| windows[place].to);
    order
}

/// What the past forecasts taught.
#[derive(Debug)]
pub(crate) struct Lessons {
    pub(crate) weights: Weights,
    pub(crate) remainder: Remainder,
    pub(crate) margins: MarginTable,
    pub(crate) profile: Profile,
    pub(crate) scatter: Scatter,
    pub(crate) peaks: PeakMargins,
    pub(crate) tops: Deviations,
    pub(crate) pace: Pace,
    pub(crate) calibration: Calibration,
    pub(crate) tracker: Tracker,
}

/// What is issued again.
#[derive(Debug)]
pub(crate) struct Past<'a> {
    pub(crate) history: &'a History,
    /// Coefficients known at the start of each of the last periods; the last are the origin's.
    pub(crate) known: &'a [Coefficients],
    /// Slots that the history's rows were made for, and behind them those that were expected only
    /// until the calendar was changed.
    pub(crate) slots: &'a [Slot],
    /// How many of them the rows were made for.
    pub(crate) played: usize,
    /// Their windows that are over, in order of their starts.
    pub(crate) windows: &'a [Window],
    pub(crate) book: &'a Book<'a>,
    pub(crate) design: &'a Design,
}

impl Past<'_> {
    /// First column that speaks of fixtures.
    fn events(&self) -> usize {
        self.design.events()
    }
}

/// A forecast whose target has not come yet.
#[derive(Debug, Clone, Copy)]
struct Issued {
    group: Group,
    bucket: usize,
    score: f64,
    /// Variance of the scatter of bins at the level forecast, log load.
    noise: f64,
    /// Factor on the margins of its kind at its moment.
    factor: f64,
    /// Margins given with it.
    margins: [f64; 3],
}

/// What forecasts whose targets have come have taught.
#[derive(Debug)]
struct Matured {
    losses: Losses,
    scores: Scores,
    spreads: Spreads,
    calibration: Calibration,
}

impl Matured {
    fn new() -> Self {
        Self {
            losses: Losses::NONE,
            scores: Scores::new(),
            spreads: Spreads::default(),
            calibration: Calibration::default(),
        }
    }

    /// A period is over: so wrong was every expert in it, and these forecasts were for it.
    fn count(&mut self, losses: &Losses, turn: Vec<Issued>) {
        self.losses.age(PERIOD);
        self.losses.absorb(losses);
        self.scores.age(PERIOD_DAYS);
        self.spreads.age(PERIOD_DAYS);
        self.scores.mature(
            turn.iter()
                .map(|issued| (issued.group, issued.bucket, issued.score / issued.factor)),
        );
        self.spreads.mature(turn.iter().map(|issued| {
            let calm = issued.group == Group::Calm;
            (calm, issued.bucket, issued.score, issued.noise)
        }));
        for issued in turn {
            self.calibration
                .count(issued.group, issued.bucket, issued.score, &issued.margins);
        }
    }
}

/// Issues again the periods for which coefficients are known.
pub(crate) fn replay(past: &Past<'_>, pace: Pace) -> Lessons {
    let Past { history, known, .. } = *past;
    let bins = history.log.len();
    let periods = history.periods();
    let first = (periods + 1).saturating_sub(known.len());
    let mut pending = vec![Losses::NONE; periods];
    let mut awaited: Vec<Vec<Issued>> = vec![Vec::new(); periods];
    let mut matured = Matured::new();
    let mut rises = Rises::default();
    let lately = bins.saturating_sub(PERIODS * PERIOD)..bins;
    let seen: Vec<f64> = lately.map(|bin| history.seen(bin)).collect();
    let noise = Noise::of(&seen, history.apart);
    let mut peaks = PeakScores::new(past, pace);
    let mut tracker = Tracker::default();
    let mut view = PeriodFits::new();
    let longest = past.windows.iter().map(|window| window.to - window.start);
    let leads = LONGEST_LEAD + longest.max().unwrap_or_default();
    let leads: Vec<Lead> = (0..=leads).map(|bins| Lead::of(bins as f64)).collect();
    for period in first..periods {
        if period > first {
            let turn = std::mem::take(&mut awaited[period - 1]);
            matured.count(&pending[period - 1], turn);
        }
        let start = history.period_start(period);
        if start < WARM_UP {
            continue;
        }
        let weights = matured.losses.weights();
        let margins = matured.scores.margins(&PSEUDO);
        let profile = rises.profile();
        let scatter = matured.spreads.scatter(&noise, &PSEUDO);
        let coefficients = &known[period - first];
        view.remember(history, start);
        view.set(past, coefficients, start);
        peaks.close(past, coefficients, start);
        let old = period + LATELY < periods;
        let often = if old { LESS_OFTEN } else { OFTEN };
        let origins = (start..(start + PERIOD).min(bins)).step_by(often);
        for (turn, origin) in origins.enumerate() {
            let levels = view.levels(origin, None);
            let mixture = Mixture::new(&weights, &levels);
            let voices = Voices::new(&levels);
            let seldom = turn.is_multiple_of(SELDOM.div_ceil(often));
            let informed = peaks
                .explain(past, coefficients, origin)
                .map(|lifts| Mixture::new(&weights, &view.levels(origin, Some(lifts))));
            let paths = Paths {
                view: &view,
                history,
                origin,
                leads: &leads,
                calendar: &mixture,
                informed: informed.as_ref(),
            };
            peaks.issue(past, coefficients, origin, seldom, &paths);
            let far = (FAR.0..FAR.1).step_by(FAR.2).filter(|_| seldom);
            for ahead in NEAR.into_iter().chain(far) {
                let bin = origin + ahead;
                if bin >= bins {
                    break;
                }
                let actual = history.seen(bin);
                if !actual.is_finite() {
                    continue;
                }
                let fits = view.fits(history, bin, origin);
                let bucket = lead::bucket(ahead);
                let lead = &leads[ahead];
                let said = voices.say(fits, lead.fade());
                let matures = history.period_of(bin);
                pending[matures].add(bucket, &said, actual.exp());
                let median = mixture.at(lead, fits);
                tracker.add(&history.log, origin, ahead, median);
                let (rows, row) = history.row_seen(bin, origin);
                let moment = rows.moment[row];
                let leading = rows.leading(row).filter(|_| moment != Moment::Calm);
                let minute = f64::from(rows.minute[row]);
                let (precedent, to_come) = leading.map_or((Precedent::AMPLE, 0.0), |slot| {
                    let (slot_seen, now) = (&past.slots[slot], history.time(origin));
                    let to_come = yet_to_come(slot_seen, now, minute, lead.far_off());
                    // as much as the coefficients know
                    (peaks.precedent(past, slot, start), to_come)
                });
                let factor = profile.at(lead, minute) * precedent.widening(to_come);
                let precedent = precedent.ahead(to_come);
                let mut keep = |entries: bool, median: f64| {
                    let group = Group::of(moment, entries, precedent);
                    let margins = margins.at(group, lead);
                    let calm = group == Group::Calm;
                    let noise = scatter.noise(median);
                    let factor = factor * scatter.at(calm, lead, noise);
                    awaited[matures].push(Issued {
                        group,
                        bucket,
                        score: actual - median,
                        noise,
                        factor,
                        margins: margins.map(|margin| margin * factor),
                    });
                };
                let shift = leading.and_then(|_| peaks.shift(past, coefficients, (rows, row)));
                let heard = informed.as_ref().map_or(median, |it| it.at(lead, fits));
                if leading.is_none() || precedent == Precedent::Missing {
                    // with entries or without: there is one group away from fixtures and for want
                    // of a precedent
                    keep(false, heard + shift.unwrap_or(0.0));
                } else {
                    keep(false, median);
                    if let Some(shift) = shift {
                        keep(true, heard + shift);
                    }
                }
            }
        }
        rises.age(PERIOD_DAYS);
        view.rises(history, start..(start + PERIOD).min(bins), &mut rises);
    }
    if let Some(last) = periods.checked_sub(1) {
        matured.count(&pending[last], std::mem::take(&mut awaited[last]));
    }
    view.remember(history, bins);
    if let Some(coefficients) = known.last() {
        peaks.close(past, coefficients, bins);
    }
    Lessons {
        weights: matured.losses.weights(),
        remainder: view.into_remainder(),
        margins: matured.scores.margins(&PSEUDO),
        profile: rises.profile(),
        scatter: matured.spreads.scatter(&noise, &PSEUDO),
        peaks: peaks.margins(past),
        tops: peaks.tops,
        pace: peaks.pace,
        calibration: matured.calibration,
        tracker,
    }
}
