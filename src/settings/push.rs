//! The part of the settings about live signals that are sent here.

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::fields::{FilePath, RequestsPerSecond};
use super::file::Place;
use super::{PushSettings, SettingsError};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawPush {
    token_file: Option<FilePath>,
    max_body_bytes: Option<Spanned<usize>>,
    max_items: Option<Spanned<usize>>,
    requests_per_second: Option<RequestsPerSecond>,
    burst: Option<Spanned<u32>>,
}

impl RawPush {
    pub(super) fn check(self, place: &Place<'_>) -> Result<PushSettings, SettingsError> {
        let Self {
            token_file,
            max_body_bytes,
            max_items,
            requests_per_second,
            burst,
        } = self;
        let mut settings = PushSettings {
            token_file: token_file.map(|FilePath(file)| place.beside(file)),
            ..PushSettings::default()
        };
        if let Some(max) = max_body_bytes {
            if !(1024..=64 << 20).contains(&max.value) {
                let reason = "must lie between 1024 and 67108864 bytes: a sample takes about 100";
                return Err(place.refuse("push.maxBodyBytes", &max, reason));
            }
            settings.max_body_bytes = max.value;
        }
        if let Some(max) = max_items {
            if !(1..=1_000_000).contains(&max.value) {
                let reason = "must lie between 1 and 1000000 samples in one request";
                return Err(place.refuse("push.maxItems", &max, reason));
            }
            settings.max_items = max.value;
        }
        if let Some(RequestsPerSecond(rate)) = requests_per_second {
            settings.requests_per_second = rate;
        }
        if let Some(burst) = burst {
            if !(1..=100_000).contains(&burst.value) {
                let reason = "must lie between 1 and 100000: below 1 nothing would ever be taken";
                return Err(place.refuse("push.burst", &burst, reason));
            }
            settings.burst = burst.value;
        }
        Ok(settings)
    }
}
