//! Text to [`Settings`]: unknown fields refused, every error with its place.
//!
//! It reads one file and no other; whether the files it names are there is found out when they
//! are used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_path_to_error::Track;
use serde_saphyr::{Location, Spanned};

use super::breakers::RawBreakers;
use super::fields::{
    BaseUrl, FilePath, FormatName, Listen, LogFilter, Name, Span, WritesPerSecond, Zone,
};
use super::push::RawPush;
use super::{
    Auth, BudgetSettings, CalendarSettings, FaultListSettings, LeaderElectionSettings, LogSettings,
    PrometheusSettings, Settings, SettingsError,
};

/// Reads and checks a settings file.
///
/// # Errors
/// [`SettingsError`] with the place of the first fault.
pub fn read(path: &Path) -> Result<Settings, SettingsError> {
    let bytes = std::fs::read(path).map_err(|error| SettingsError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    parse(&String::from_utf8_lossy(&bytes), path)
}

/// Checks the text of a settings file; relative paths in it are resolved against `path`.
///
/// # Errors
/// [`SettingsError::Invalid`] with the place of the first fault.
pub fn parse(text: &str, path: &Path) -> Result<Settings, SettingsError> {
    let mut track = Track::new();
    let raw = serde_saphyr::with_deserializer_from_str(text, |yaml| {
        RawSettings::deserialize(serde_path_to_error::Deserializer::new(yaml, &mut track))
    })
    .map_err(|error| {
        let place = error.location().unwrap_or(Location::UNKNOWN);
        let field = field(&track.path().to_string());
        SettingsError::Invalid {
            path: path.to_owned(),
            line: place.line(),
            column: place.column(),
            field,
            reason: reason(&error),
        }
    })?;
    raw.check(&Place { path })
}

/// The path of a field as it is written: without the wrapper that carries a value's place, and
/// without the key that could not be read.
fn field(path: &str) -> String {
    let path = path.trim_end_matches(".?").replace(".value.", ".");
    match path.strip_suffix(".value").unwrap_or(&path) {
        "" | "." | "?" => "the file".to_owned(),
        field => field.to_owned(),
    }
}

/// The parser's message without its own idea of the place, and with what to do.
fn reason(error: &serde_saphyr::Error) -> String {
    let text = error
        .without_snippet()
        .render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let message = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(message, _)| message);
    let remedy = match message {
        "unexpected end of file" => "at least prometheus.url is needed",
        "expected mapping start" => "write fields, as in `name: value`",
        "expected sequence start" => "write a list, each item after a `- `",
        _ if message.starts_with("missing field") => "add it",
        _ if message.starts_with("duplicate mapping key") => "keep one of the two",
        _ => return message.to_owned(),
    };
    format!("{message}: {remedy}")
}

/// The file an error is about.
pub(super) struct Place<'p> {
    path: &'p Path,
}

impl Place<'_> {
    pub(super) fn refuse<T>(
        &self,
        field: &str,
        at: &Spanned<T>,
        reason: impl Into<String>,
    ) -> SettingsError {
        SettingsError::Invalid {
            path: self.path.to_owned(),
            line: at.referenced.line(),
            column: at.referenced.column(),
            field: field.to_owned(),
            reason: reason.into(),
        }
    }

    pub(super) fn beside(&self, path: PathBuf) -> PathBuf {
        match self.path.parent() {
            Some(folder) => folder.join(path),
            None => path,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawSettings {
    prometheus: RawPrometheus,
    #[serde(default)]
    calendars: Vec<RawCalendar>,
    #[serde(default)]
    faults: Vec<RawFaultList>,
    #[serde(default)]
    budget: RawBudget,
    #[serde(default)]
    breakers: RawBreakers,
    listen: Option<Listen>,
    #[serde(default)]
    leader_election: RawLeaderElection,
    tick: Option<Spanned<Span>>,
    #[serde(default)]
    push: RawPush,
    #[serde(default)]
    log: RawLog,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawPrometheus {
    url: BaseUrl,
    timeout: Option<Spanned<Span>>,
    max_body_bytes: Option<Spanned<usize>>,
    bearer_token_file: Option<FilePath>,
    basic_auth: Option<Spanned<RawBasicAuth>>,
    #[serde(default)]
    headers: BTreeMap<String, Spanned<String>>,
    ca_file: Option<FilePath>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawBasicAuth {
    username: String,
    password_file: FilePath,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawCalendar {
    name: Spanned<Name>,
    source: FilePath,
    format: Option<FormatName>,
    zone: Option<Zone>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawFaultList {
    name: Spanned<Name>,
    source: FilePath,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawBudget {
    writes_per_second: Option<WritesPerSecond>,
    burst: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawLeaderElection {
    enabled: Option<bool>,
    namespace: Option<Name>,
    name: Option<Name>,
    lease_duration: Option<Spanned<Span>>,
    renew_deadline: Option<Spanned<Span>>,
    retry_period: Option<Spanned<Span>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawLog {
    level: Option<LogFilter>,
}

impl RawSettings {
    fn check(self, place: &Place<'_>) -> Result<Settings, SettingsError> {
        let Self {
            prometheus,
            calendars,
            faults,
            budget,
            breakers,
            listen,
            leader_election,
            tick,
            push,
            log,
        } = self;
        let mut settings = Settings::new(prometheus.check(place)?);
        settings.calendars = check_calendars(calendars, place)?;
        settings.faults = check_fault_lists(faults, place)?;
        settings.budget = budget.check(place)?;
        settings.breakers = breakers.check(settings.prometheus.timeout, place)?;
        if let Some(Listen(listen)) = listen {
            settings.listen = listen;
        }
        settings.leader_election = leader_election.check(place)?;
        if let Some(tick) = tick {
            let span = tick.value.0;
            if !(100..=300_000).contains(&span.num_milliseconds()) {
                let reason = "must lie between 100ms and 5m: a decision per tick is made for each \
                              workload, and 5s is usual";
                return Err(place.refuse("tick", &tick, reason));
            }
            settings.tick = span;
        }
        settings.push = push.check(place)?;
        settings.log = LogSettings {
            level: log.level.map(|LogFilter(filter)| filter),
        };
        Ok(settings)
    }
}

impl RawPrometheus {
    fn check(self, place: &Place<'_>) -> Result<PrometheusSettings, SettingsError> {
        let Self {
            url: BaseUrl(url),
            timeout,
            max_body_bytes,
            bearer_token_file,
            basic_auth,
            headers,
            ca_file,
        } = self;
        let mut settings = PrometheusSettings::new(url);
        if let Some(timeout) = timeout {
            let span = timeout.value.std();
            if span.as_secs() > 120 {
                let reason = "must be at most 2m: a decision that waits longer is no decision";
                return Err(place.refuse("prometheus.timeout", &timeout, reason));
            }
            settings.timeout = span;
        }
        if let Some(max) = max_body_bytes {
            if !(1024..=1 << 30).contains(&max.value) {
                let reason = "must lie between 1024 and 1073741824 bytes";
                return Err(place.refuse("prometheus.maxBodyBytes", &max, reason));
            }
            settings.max_body_bytes = max.value;
        }
        settings.auth = match (bearer_token_file, basic_auth) {
            (Some(_), Some(basic)) => {
                let reason = "stands beside bearerTokenFile, and one call has one Authorization \
                              header: keep one of the two";
                return Err(place.refuse("prometheus.basicAuth", &basic, reason));
            }
            (Some(FilePath(token_file)), None) => Auth::Bearer {
                token_file: place.beside(token_file),
            },
            (None, Some(basic)) => Auth::Basic {
                username: basic.value.username,
                password_file: place.beside(basic.value.password_file.0),
            },
            (None, None) => Auth::None,
        };
        for (name, value) in &headers {
            let field = format!("prometheus.headers.{name}");
            let known = http::HeaderName::try_from(name.as_str());
            if known.is_err() || http::HeaderValue::try_from(value.value.as_str()).is_err() {
                let reason = "is not an HTTP header: use ASCII without spaces or control characters \
                              in the name";
                return Err(place.refuse(&field, value, reason));
            }
            if known.is_ok_and(|name| name == http::header::AUTHORIZATION) {
                let reason = "would put a secret into this file: use bearerTokenFile or basicAuth";
                return Err(place.refuse(&field, value, reason));
            }
        }
        settings.headers = headers
            .into_iter()
            .map(|(name, value)| (name, value.value))
            .collect();
        settings.ca_file = ca_file.map(|FilePath(file)| place.beside(file));
        Ok(settings)
    }
}

fn check_calendars(
    raw: Vec<RawCalendar>,
    place: &Place<'_>,
) -> Result<Vec<CalendarSettings>, SettingsError> {
    let names = raw.iter().map(|calendar| &calendar.name);
    each_named_once("calendars", "calendar", names, place)?;
    let check = |raw: RawCalendar| CalendarSettings {
        name: raw.name.value.0,
        source: place.beside(raw.source.0),
        format: raw.format.map(|FormatName(format)| format),
        zone: raw.zone.map(|Zone(zone)| zone),
    };
    Ok(raw.into_iter().map(check).collect())
}

fn check_fault_lists(
    raw: Vec<RawFaultList>,
    place: &Place<'_>,
) -> Result<Vec<FaultListSettings>, SettingsError> {
    let names = raw.iter().map(|list| &list.name);
    each_named_once("faults", "fault list", names, place)?;
    let check = |raw: RawFaultList| FaultListSettings {
        name: raw.name.value.0,
        source: place.beside(raw.source.0),
    };
    Ok(raw.into_iter().map(check).collect())
}

/// Refuses a name that another item of the list `field` has.
fn each_named_once<'n>(
    field: &str,
    noun: &str,
    names: impl Iterator<Item = &'n Spanned<Name>>,
    place: &Place<'_>,
) -> Result<(), SettingsError> {
    let mut seen = BTreeSet::new();
    for (index, name) in names.enumerate() {
        if !seen.insert(name.value.0.as_str()) {
            let reason = format!(
                "{:?} is there twice: give each {noun} its own name",
                name.value.0
            );
            return Err(place.refuse(&format!("{field}[{index}].name"), name, reason));
        }
    }
    Ok(())
}

impl RawBudget {
    fn check(self, place: &Place<'_>) -> Result<BudgetSettings, SettingsError> {
        let Self {
            writes_per_second,
            burst,
        } = self;
        let mut settings = BudgetSettings::default();
        if let Some(WritesPerSecond(rate)) = writes_per_second {
            settings.writes_per_second = rate;
        }
        if let Some(burst) = burst {
            if !(1..=10_000).contains(&burst.value) {
                let reason = "must lie between 1 and 10000: below 1 nothing could ever be written";
                return Err(place.refuse("budget.burst", &burst, reason));
            }
            settings.burst = burst.value;
        }
        Ok(settings)
    }
}

impl RawLeaderElection {
    fn check(self, place: &Place<'_>) -> Result<LeaderElectionSettings, SettingsError> {
        let Self {
            enabled,
            namespace,
            name,
            lease_duration,
            renew_deadline,
            retry_period,
        } = self;
        let mut settings = LeaderElectionSettings::default();
        if let Some(enabled) = enabled {
            settings.enabled = enabled;
        }
        settings.namespace = namespace.map(|Name(name)| name);
        settings.name = name.map(|Name(name)| name);
        for (target, written) in [
            (&mut settings.lease_duration, &lease_duration),
            (&mut settings.renew_deadline, &renew_deadline),
            (&mut settings.retry_period, &retry_period),
        ] {
            if let Some(span) = written {
                *target = span.value.std();
            }
        }
        // the Lease's own field holds whole seconds
        if let Some(written) = &lease_duration
            && settings.lease_duration.subsec_nanos() != 0
        {
            let reason = "must be whole seconds, which is all a Lease can say";
            return Err(place.refuse("leaderElection.leaseDuration", written, reason));
        }
        let shorter = "must be shorter than leaseDuration, or two controllers could both write: \
                       usual are leaseDuration 15s, renewDeadline 10s, retryPeriod 2s";
        let order = [&renew_deadline, &lease_duration, &retry_period];
        if settings.renew_deadline >= settings.lease_duration {
            let at = order.into_iter().flatten().next();
            if let Some(at) = at {
                return Err(place.refuse("leaderElection.renewDeadline", at, shorter));
            }
        }
        if settings.retry_period * 2 > settings.renew_deadline {
            let at = [&retry_period, &renew_deadline, &lease_duration]
                .into_iter()
                .flatten()
                .next();
            if let Some(at) = at {
                let reason = "must be at most half of renewDeadline, or one failed try loses the \
                              lead";
                return Err(place.refuse("leaderElection.retryPeriod", at, reason));
            }
        }
        Ok(settings)
    }
}
