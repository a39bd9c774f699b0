//! Multiples of the load as they are written.

use super::policy::SpecError;
use crate::plan::policy::LiveCover;

/// `auto` covers the share the policy names.
pub(super) fn live_cover(
    text: Option<&str>,
    covered: Option<f64>,
) -> Result<Option<LiveCover>, SpecError> {
    let Some(text) = text else {
        return match covered {
            None => Ok(None),
            Some(_) => Err(SpecError::Missing {
                field: "spikeCover",
                remedy: "burst.covered is the share that spikeCover: auto covers",
            }),
        };
    };
    let cover = text.parse().map_err(|_| SpecError::Field {
        field: "spikeCover",
        value: text.to_owned(),
        remedy: "write auto, or a multiple of the load, for example 2x or 1.3x",
    })?;
    Ok(Some(match (cover, covered) {
        (LiveCover::Share(_), Some(covered)) => LiveCover::Share(covered),
        (LiveCover::Multiple(_), Some(_)) => {
            return Err(SpecError::Field {
                field: "burst.covered",
                value: text.to_owned(),
                remedy: "it is the share that spikeCover: auto covers; leave it out with a multiple",
            });
        }
        (cover, None) => cover,
    }))
}

/// `2x`, `1.3x`: the range is the policy's own affair.
pub(super) fn multiple(field: &'static str, text: Option<&str>) -> Result<Option<f64>, SpecError> {
    let Some(text) = text else { return Ok(None) };
    text.strip_suffix('x')
        .and_then(|number| number.parse().ok())
        .map(Some)
        .ok_or_else(|| SpecError::Field {
            field,
            value: text.to_owned(),
            remedy: "write a multiple of the load, for example 2x or 1.3x",
        })
}
