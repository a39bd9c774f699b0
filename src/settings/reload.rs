//! Keeps the settings and the files they name in force while those change.
//!
//! Files are polled by content, which sees a `ConfigMap`'s swapped symlinks as well as an editor's
//! rename. Each file stands for itself: a bad version of one is refused and said aloud, its last
//! good version stays, and the others are not touched.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::TimeDelta;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::watched::Watched;
use super::{CalendarSettings, FaultListSettings, Live, Settings, SettingsError, file};
use crate::clock::SharedClock;
use crate::serve::metrics::{Metrics, Reloaded};
use crate::telemetry;

/// Real time between two looks at the files. A `ConfigMap` takes about a minute to arrive anyway.
const POLL: TimeDelta = TimeDelta::seconds(3);

/// Watches the settings file and the files it names.
#[derive(Debug)]
pub struct Reloader {
    path: PathBuf,
    clock: SharedClock,
    metrics: Metrics,
    seen: u64,
    settings: Settings,
    /// What the process was started with; some of it cannot change while it runs.
    started_with: Settings,
    refused: Option<String>,
    calendars: Watched<CalendarSettings>,
    faults: Watched<FaultListSettings>,
    live: watch::Sender<Arc<Live>>,
}

impl Reloader {
    /// Loads everything once. A list that does not load is a problem; settings that do not
    /// are an error, for there is no last good version yet.
    ///
    /// # Errors
    /// [`SettingsError`] of the settings file.
    pub fn open(
        path: &Path,
        clock: SharedClock,
        metrics: Metrics,
    ) -> Result<(Self, watch::Receiver<Arc<Live>>), SettingsError> {
        let seen = fingerprint(path);
        let settings = file::read(path)?;
        let (live, receiver) = watch::channel(Arc::new(Live::fixed(settings.clone())));
        let mut reloader = Self {
            path: path.to_owned(),
            clock,
            metrics,
            seen,
            started_with: settings.clone(),
            settings,
            refused: None,
            calendars: Watched::new(),
            faults: Watched::new(),
            live,
        };
        reloader.follow_log_level();
        reloader.refresh_lists();
        reloader.publish();
        Ok((reloader, receiver))
    }

    /// Looks at the files every few seconds until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            // files change in real time, however fast the clock runs
            let pause = self.clock.factor().max(1.0) * POLL.num_milliseconds() as f64;
            let pause = TimeDelta::milliseconds(pause as i64);
            tokio::select! {
                () = self.clock.sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            // a large calendar takes its time to parse, which the ticks must not feel
            self = match tokio::task::spawn_blocking(move || {
                self.poll();
                self
            })
            .await
            {
                Ok(reloader) => reloader,
                Err(panic) => {
                    error!(error = %panic, "reloading stopped; the configuration in force stays");
                    return;
                }
            };
        }
    }

    /// Looks at the files once and publishes what changed.
    pub fn poll(&mut self) {
        let seen = fingerprint(&self.path);
        let mut changed = false;
        if seen != self.seen {
            self.seen = seen;
            changed = true;
            match file::read(&self.path) {
                Ok(settings) => {
                    info!(file = %self.path.display(), "settings reloaded");
                    self.metrics.reload(Reloaded::Settings, true);
                    self.settings = settings;
                    self.refused = None;
                    self.follow_log_level();
                }
                Err(reason) => {
                    error!(%reason, "settings refused; the last good ones stay in force");
                    self.metrics.reload(Reloaded::Settings, false);
                    self.refused = Some(reason.to_string());
                }
            }
        }
        changed |= self.refresh_lists();
        if changed {
            self.publish();
        }
    }

    /// Reads what changed of the files that the settings name; true when anything did.
    fn refresh_lists(&mut self) -> bool {
        let Self {
            clock,
            metrics,
            settings,
            calendars,
            faults,
            ..
        } = self;
        let now = clock.now();
        let calendars = calendars.refresh(&settings.calendars, now, metrics);
        let faults = faults.refresh(&settings.faults, now, metrics);
        calendars || faults
    }

    fn publish(&self) {
        let mut problems: Vec<String> = self
            .refused
            .iter()
            .map(|reason| format!("{reason} (the last good settings stay in force)"))
            .collect();
        problems.extend(self.waiting_for_restart());
        problems.extend(self.calendars.problems());
        problems.extend(self.faults.problems());
        self.metrics.settings_problems(problems.len());
        self.live.send_replace(Arc::new(Live {
            settings: self.settings.clone(),
            calendars: self.calendars.in_force(),
            faults: self.faults.in_force(),
            problems,
        }));
    }

    fn follow_log_level(&self) {
        if let Err(reason) = telemetry::follow_settings(self.settings.log.level.as_deref()) {
            warn!(%reason, "the log level of the settings is not used");
        }
    }

    /// Changes that only a restart can carry out.
    fn waiting_for_restart(&self) -> Option<String> {
        let (new, old) = (&self.settings, &self.started_with);
        let fields: Vec<&str> = [
            (new.listen != old.listen, "listen"),
            (new.leader_election != old.leader_election, "leaderElection"),
        ]
        .into_iter()
        .filter_map(|(changed, field)| changed.then_some(field))
        .collect();
        (!fields.is_empty()).then(|| {
            format!(
                "{}: {} changed, which takes effect when the controller restarts",
                self.path.display(),
                fields.join(" and ")
            )
        })
    }
}

/// A number that changes with the content of a file; an unreadable file has its own, so that it
/// is read, refused and said aloud once.
pub(super) fn fingerprint(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    match std::fs::read(path) {
        Ok(bytes) => bytes.hash(&mut hasher),
        Err(error) => error.to_string().hash(&mut hasher),
    }
    hasher.finish()
}
