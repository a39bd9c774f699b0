//! The limits of the circuit breakers, as the settings file gives them.

use std::time::Duration;

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::fields::Span;
use super::file::Place;
use super::{BreakerSettings, SettingsError};
use crate::breaker::Limits;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawBreakers {
    #[serde(default)]
    prometheus: RawLimits,
    #[serde(default)]
    kubernetes: RawLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawLimits {
    timeout: Option<Spanned<Span>>,
    failure_percentage: Option<Spanned<u32>>,
    minimum_volume: Option<Spanned<u32>>,
    windows: Option<Spanned<u32>>,
    window: Option<Spanned<Span>>,
    sleep_window: Option<Spanned<Span>>,
    max_concurrent: Option<Spanned<u32>>,
}

impl RawBreakers {
    /// `longest` is `prometheus.timeout`, which ends every call to it.
    pub(super) fn check(
        self,
        longest: Duration,
        place: &Place<'_>,
    ) -> Result<BreakerSettings, SettingsError> {
        let Self {
            prometheus,
            kubernetes,
        } = self;
        let default = BreakerSettings::new(longest);
        if let Some(timeout) = &prometheus.timeout
            && timeout.value.std() > longest
        {
            let reason = "is longer than prometheus.timeout, which ends every call: shorten it, or \
                          raise that";
            return Err(place.refuse("breakers.prometheus.timeout", timeout, reason));
        }
        Ok(BreakerSettings {
            prometheus: prometheus.check("breakers.prometheus", default.prometheus, place)?,
            kubernetes: kubernetes.check("breakers.kubernetes", default.kubernetes, place)?,
        })
    }
}

impl RawLimits {
    fn check(
        self,
        path: &str,
        default: Limits,
        place: &Place<'_>,
    ) -> Result<Limits, SettingsError> {
        let Self {
            timeout,
            failure_percentage,
            minimum_volume,
            windows,
            window,
            sleep_window,
            max_concurrent,
        } = self;
        let mut limits = default;
        for (field, written, target, (least, most), why) in [
            (
                "timeout",
                &timeout,
                &mut limits.timeout,
                (50, 120_000),
                "must lie between 50ms and 2m: a decision that waits longer is no decision",
            ),
            (
                "window",
                &window,
                &mut limits.window,
                (1_000, 300_000),
                "must lie between 1s and 5m: 10s is usual",
            ),
            (
                "sleepWindow",
                &sleep_window,
                &mut limits.sleep_window,
                (100, 60_000),
                "must lie between 100ms and 1m: so long a raise may have to wait",
            ),
        ] {
            let Some(written) = written else { continue };
            if !(least..=most).contains(&written.value.0.num_milliseconds()) {
                return Err(place.refuse(&format!("{path}.{field}"), written, why));
            }
            *target = written.value.std();
        }
        for (field, written, target, most, why) in [
            (
                "failurePercentage",
                &failure_percentage,
                &mut limits.failure_percentage,
                100,
                "must lie between 1 and 100: at 0 it would open without a failure",
            ),
            (
                "minimumVolume",
                &minimum_volume,
                &mut limits.minimum_volume,
                10_000,
                "must lie between 1 and 10000: fewer calls than that say nothing",
            ),
            (
                "windows",
                &windows,
                &mut limits.windows,
                60,
                "must lie between 1 and 60: 3 are usual",
            ),
            (
                "maxConcurrent",
                &max_concurrent,
                &mut limits.max_concurrent,
                10_000,
                "must lie between 1 and 10000: at 0 nothing could ever be asked",
            ),
        ] {
            let Some(written) = written else { continue };
            if !(1..=most).contains(&written.value) {
                return Err(place.refuse(&format!("{path}.{field}"), written, why));
            }
            *target = written.value;
        }
        Ok(limits)
    }
}
