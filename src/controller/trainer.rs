//! Learns and forecasts in the background: one task per policy reads the history, fits a model
//! every few hours and forecasts every few minutes. A decision takes the latest forecast there is
//! and never waits for one.
//!
//! What fails leaves the last good forecast in place with a note; the brain decides how long it
//! may still be used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::lesson::Lesson;
use super::records::Records;
use super::sources::Sources;
use super::state::PolicyKey;
use super::study::{Learnt, Study};
use crate::clock::SharedClock;
use crate::forecast::{FittedForecaster, Forecast, REFIT, REISSUE};
use crate::serve::Standing;
use crate::serve::metrics::Metrics;
use crate::settings::Live;
use crate::units::{Rate, Timestamp};

/// Bin width of history and forecast: fine enough for a kick-off, coarse enough that four weeks
/// are 8 064 points, less than the 11 000 that Prometheus returns at most.
const STEP: TimeDelta = TimeDelta::minutes(5);

/// How the trainer paces itself, in time of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two forecasts.
    pub predict_every: TimeDelta,
    /// Between two fits.
    pub fit_every: TimeDelta,
    /// Between two tries while there is no forecast.
    pub retry_every: TimeDelta,
    /// Fits at the same time.
    pub fits_at_once: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            predict_every: REISSUE,
            fit_every: REFIT,
            retry_every: TimeDelta::seconds(30),
            fits_at_once: 1,
        }
    }
}

/// What counts as the largest load of the history: one glitch in a thousand bins is none.
const HISTORY_PEAK: f64 = 0.999;

/// The latest that is known of a policy's future.
#[derive(Debug, Clone, Default)]
pub(super) struct Outlook {
    /// The last good forecast.
    pub(super) forecast: Option<Arc<Forecast>>,
    /// Why there is none, or why it was not renewed.
    pub(super) note: Option<String>,
    /// The largest load served in the history, and when.
    pub(super) history_peak: Option<Rate>,
    /// How far the forecast can be trusted.
    pub(super) standing: Option<Arc<Standing>>,
}

/// A policy's task, as the trainer holds it. Dropping it ends the task.
struct Pupil {
    lesson: watch::Sender<Arc<Lesson>>,
    outlook: watch::Receiver<Outlook>,
}

/// What all tasks share.
#[derive(Clone)]
struct School {
    clock: SharedClock,
    sources: Arc<Sources>,
    live: watch::Receiver<Arc<Live>>,
    pace: Pace,
    metrics: Metrics,
    fits: Arc<Semaphore>,
    shutdown: CancellationToken,
}

/// Starts and ends the tasks.
pub(super) struct Trainer {
    school: School,
    tasks: TaskTracker,
    pupils: Mutex<HashMap<PolicyKey, Pupil>>,
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer").finish_non_exhaustive()
    }
}

impl Trainer {
    /// A trainer whose tasks end with `shutdown`.
    pub(super) fn new(
        clock: SharedClock,
        sources: Arc<Sources>,
        live: watch::Receiver<Arc<Live>>,
        pace: Pace,
        metrics: Metrics,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            school: School {
                clock,
                sources,
                live,
                pace,
                metrics,
                fits: Arc::new(Semaphore::new(pace.fits_at_once.max(1))),
                shutdown,
            },
            tasks: TaskTracker::new(),
            pupils: Mutex::default(),
        }
    }

    /// Sees to it that a policy is forecast for, with this lesson from now on.
    pub(super) fn teach(&self, key: &PolicyKey, lesson: Lesson) {
        let mut pupils = self.lock();
        if let Some(pupil) = pupils.get(key) {
            pupil.lesson.send_if_modified(|taught| {
                let new = !taught.same(&lesson);
                if new {
                    *taught = Arc::new(lesson);
                }
                new
            });
            return;
        }
        let (lesson_tx, lesson_rx) = watch::channel(Arc::new(lesson));
        let (outlook_tx, outlook_rx) = watch::channel(Outlook::default());
        let task = Task {
            school: self.school.clone(),
            key: key.clone(),
            lesson: lesson_rx,
            outlook: outlook_tx,
        };
        self.tasks.spawn(task.run());
        pupils.insert(
            key.clone(),
            Pupil {
                lesson: lesson_tx,
                outlook: outlook_rx,
            },
        );
    }

    /// The latest outlook of a policy; empty before its first lesson.
    pub(super) fn outlook(&self, key: &PolicyKey) -> Outlook {
        self.lock()
            .get(key)
            .map(|pupil| pupil.outlook.borrow().clone())
            .unwrap_or_default()
    }

    /// Ends a policy's task.
    pub(super) fn dismiss(&self, key: &PolicyKey) {
        self.lock().remove(key);
    }

    /// Waits until every task has ended, after shutdown began.
    pub(super) async fn ended(&self) {
        self.lock().clear();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PolicyKey, Pupil>> {
        self.pupils.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Task {
    school: School,
    key: PolicyKey,
    lesson: watch::Receiver<Arc<Lesson>>,
    outlook: watch::Sender<Outlook>,
}

/// A model and when it was fitted, for which lesson.
struct Model {
    fitted: Arc<FittedForecaster>,
    due_at: Timestamp,
}

impl Task {
    async fn run(mut self) {
        let clock = Arc::clone(&self.school.clock);
        let mut lesson = self.lesson.borrow_and_update().clone();
        let mut records = Records::new(STEP);
        let mut model: Option<Model> = None;
        loop {
            let wait = match self.study(&lesson, &mut records, &mut model).await {
                Ok(()) => self.school.pace.predict_every,
                Err(note) => {
                    tracing::warn!(policy = %self.key, note, "no new forecast");
                    let had_one = self.outlook.borrow().forecast.is_some();
                    self.outlook
                        .send_modify(|outlook| outlook.note = Some(note));
                    if had_one {
                        self.school.pace.predict_every
                    } else {
                        self.school.pace.retry_every
                    }
                }
            };
            tokio::select! {
                () = clock.sleep(wait) => {}
                changed = self.lesson.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let next = self.lesson.borrow_and_update().clone();
                    if next.shares_load(&lesson) {
                        if next.entries != lesson.entries {
                            records.forget_entries();
                        }
                        if next.saturated != lesson.saturated {
                            records.forget_saturated();
                        }
                        let learns_otherwise =
                            next.entries != lesson.entries || !next.shares_faults(&lesson);
                        if let (Some(model), true) = (&mut model, learns_otherwise) {
                            model.due_at = Timestamp::MIN_UTC;
                        }
                    } else {
                        records = Records::new(STEP);
                        model = None;
                        // a forecast of another load is none
                        self.outlook.send_replace(Outlook::default());
                    }
                    lesson = next;
                }
                () = self.school.shutdown.cancelled() => return,
            }
        }
    }

    /// One round: read what is new, fit when it is time, forecast.
    async fn study(
        &mut self,
        lesson: &Arc<Lesson>,
        records: &mut Records,
        model: &mut Option<Model>,
    ) -> Result<(), String> {
        let School {
            clock,
            sources,
            live,
            pace,
            metrics,
            fits,
            shutdown,
        } = self.school.clone();
        let now = clock.now();
        let settings = live.borrow().settings.prometheus.clone();
        let source = sources
            .current(&settings)
            .map_err(|error| error.to_string())?;
        let known = tokio::select! {
            known = records.refresh(&source, lesson, now, &metrics) => known,
            () = shutdown.cancelled() => return Ok(()),
        };
        let known = Arc::new(known.map_err(|error| format!("history: {error}"))?);

        let due = model.as_ref().is_none_or(|model| now >= model.due_at);
        let permit = if due {
            // whoever stops waits for no turn: the lead is handed on once everything has ended
            let permit = tokio::select! {
                permit = fits.acquire_owned() => permit,
                () = shutdown.cancelled() => return Ok(()),
            };
            Some(permit.map_err(|error| error.to_string())?)
        } else {
            None
        };
        let study = Study {
            known: Arc::clone(&known),
            lesson: Arc::clone(lesson),
            last: model.as_ref().map(|model| Arc::clone(&model.fitted)),
            due,
            now,
            step: STEP,
        };
        let began = clock.monotonic();
        let done = tokio::task::spawn_blocking(move || study.run())
            .await
            .map_err(|error| format!("the fit was cut short: {error}"))?;
        drop(permit);
        match &done {
            Ok(Learnt { anew: true, .. }) => {
                metrics.fit(clock.monotonic().saturating_sub(began).as_secs_f64());
            }
            Ok(Learnt { note: None, .. }) => {}
            Ok(_) | Err(_) => metrics.fit_failed(),
        }
        let Learnt {
            fitted,
            anew,
            forecast,
            note,
        } = done?;
        let standing = Standing {
            entries_slates: known.slates,
            entries_note: known.entries_note.clone(),
            shed_note: known.shed_note.clone(),
            saturated_note: known.saturated_note.clone(),
            ..Standing::of(&fitted)
        };
        if anew {
            // what was learnt without knowing when replicas were full is learnt again soon
            let again = match known.saturated_note {
                None => pace.fit_every + jitter(&self.key, pace.fit_every),
                Some(_) => pace.predict_every,
            };
            *model = Some(Model {
                fitted,
                due_at: now + again,
            });
        }
        self.outlook.send_replace(Outlook {
            forecast: Some(Arc::new(forecast)),
            note,
            // of what was served: nobody served what was shed
            history_peak: known.served.quantile(HISTORY_PEAK),
            standing: Some(Arc::new(standing)),
        });
        Ok(())
    }
}

/// Up to a quarter of the interval, fixed per policy, so that a thousand policies made at once do
/// not fit at once for ever.
fn jitter(key: &PolicyKey, interval: TimeDelta) -> TimeDelta {
    let hash = key
        .to_string()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    TimeDelta::milliseconds(interval.num_milliseconds() / 4 * (hash % 1000) as i64 / 1000)
}
