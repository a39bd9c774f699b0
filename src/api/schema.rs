//! Schemas that an API server accepts without a warning, for the few types that derive worse ones.
//!
//! A structural schema knows `int32` but not `uint32`, and every bound here also bounds what a CEL
//! rule may cost.

use schemars::{Schema, SchemaGenerator, json_schema};

/// Most replicas a policy may name: the largest cluster Kubernetes supports runs 150 000 pods.
const MOST_REPLICAS: u32 = 150_000;

/// A number of replicas of which at least one is needed.
pub(super) fn replicas(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "integer", "format": "int32", "minimum": 1, "maximum": MOST_REPLICAS,
    })
}

/// The same, when it may be left out.
pub(super) fn optional_replicas(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "integer", "format": "int32", "minimum": 1, "maximum": MOST_REPLICAS,
        "nullable": true,
    })
}

/// A count in a status.
pub(super) fn count(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 0 })
}

/// A count in a status that may be unknown.
pub(super) fn optional_count(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "format": "int32", "minimum": 0, "nullable": true })
}

/// An object of any shape that may be left out: who reads it back checks it.
pub(super) fn optional_open_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "x-kubernetes-preserve-unknown-fields": true, "nullable": true,
    })
}

/// A positive number that may be left out.
pub(super) fn optional_positive(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "number",
        "nullable": true,
        "x-kubernetes-validations": [{"rule": "self > 0.0", "message": "must be above 0"}],
    })
}

/// A share above 0 and at most 1 that may be left out.
pub(super) fn optional_share(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "number",
        "maximum": 1,
        "nullable": true,
        "x-kubernetes-validations": [{"rule": "self > 0.0", "message": "must be above 0"}],
    })
}

/// A multiple of the load from `1x` to `100x`, `1.3x`.
pub(super) fn optional_multiple(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 16,
        "pattern": r"^((0{0,2}[1-9]|0?[1-9][0-9])(\.[0-9]{1,6})?|100(\.0{1,6})?)x$",
        "nullable": true,
    })
}

/// A multiple of CPU from `1.1x` to `10x`.
pub(super) fn optional_factor(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 16,
        "pattern": r"^(0{0,2}(1\.[1-9][0-9]{0,5}|[2-9](\.[0-9]{1,6})?)|0?10(\.0{1,6})?)x$",
        "nullable": true,
    })
}

/// A multiple of the load from `1x` to `100x`, or `auto`.
pub(super) fn optional_cover(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 16,
        "pattern": r"^(auto|((0{0,2}[1-9]|0?[1-9][0-9])(\.[0-9]{1,6})?|100(\.0{1,6})?)x)$",
        "nullable": true,
    })
}

/// An amount of CPU that may be left out.
pub(super) fn optional_cpu(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 16,
        "pattern": r"^[0-9]{1,6}(\.[0-9]{1,3}|m)?$",
        "nullable": true,
    })
}

/// A share of spikes that may be left out: who wants to be ready for fewer than half of them does
/// not, and nobody knows what one in more than a thousand is like.
pub(super) fn optional_share_of_spikes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "minimum": 0.5, "maximum": 0.999, "nullable": true })
}

/// The group and version of a kind, or `v1`, whose group has no name.
pub(super) fn api_version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "minLength": 1, "maxLength": 253, "pattern": "^(v1|[^/ ]*/[^/ ]+)$",
    })
}

/// The name of a Prometheus label, which may be left out.
pub(super) fn optional_label(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 128,
        "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$",
        "nullable": true,
    })
}

/// The name of a Prometheus metric.
pub(super) fn metric(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 256,
        "pattern": "^[a-zA-Z_:][a-zA-Z0-9_:]*$",
    })
}

/// A few Prometheus labels with their values.
pub(super) fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": { "type": "string", "maxLength": 1024 },
    })
}

/// A TCP port that may be left out.
pub(super) fn optional_port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "integer", "format": "int32", "minimum": 1, "maximum": 65_535, "nullable": true,
    })
}

/// The path of a URL, which may be left out.
pub(super) fn optional_path(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 1024,
        "pattern": "^/[!-~]*$",
        "nullable": true,
    })
}

/// A point in time with its offset.
pub(super) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "maxLength": 40 })
}

/// A point in time that may be unknown.
pub(super) fn optional_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time", "maxLength": 40, "nullable": true })
}

/// A quantile every forecast carries.
pub(super) fn optional_quantile(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["p50", "p90", "p95", "p99"], "nullable": true })
}

/// Conditions merged by their type under server-side apply.
pub(super) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
    let items = generator.subschema_for::<Condition>();
    json_schema!({
        "type": "array",
        "items": items,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// Names without repetition.
pub(super) fn names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "items": { "type": "string", "minLength": 1, "maxLength": 253 },
        "x-kubernetes-list-type": "set",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::of_web;

    /// Whether a policy with this field can be used.
    fn usable(field: &str) -> bool {
        let fields = format!("  minReplicas: 1\n  maxReplicas: 2\n  {field}");
        of_web(&fields).validate().is_ok()
    }

    fn pattern(schema: fn(&mut SchemaGenerator) -> Schema) -> regex::Regex {
        let schema = schema(&mut SchemaGenerator::default());
        let pattern = schema.get("pattern").and_then(|pattern| pattern.as_str());
        regex::Regex::new(pattern.unwrap()).unwrap()
    }

    #[test]
    fn multiples_that_a_policy_cannot_use_are_refused_and_no_others() {
        let [cover, multiple, factor] =
            [optional_cover, optional_multiple, optional_factor].map(pattern);
        for number in [
            "0", "0.5", "0.999999", "000", "1", "1.0", "01.5", "002", "1.09", "1.1", "1.10", "2",
            "9.999999", "10", "010", "10.0", "10.5", "11", "99.9", "099", "100", "100.0", "100.5",
            "101", "999",
        ] {
            let text = format!("{number}x");
            for (pattern, field) in [
                (&cover, format!("spikeCover: {text}")),
                (&multiple, format!("quietCover: {text}")),
                (
                    &factor,
                    format!("bridges: {{resize: {{enabled: true, factor: {text}}}}}"),
                ),
            ] {
                assert_eq!(pattern.is_match(&text), usable(&field), "{field}");
            }
        }
        assert!(cover.is_match("auto") && !multiple.is_match("auto"));
        assert!(
            !["2", "2xx", "-2x", "x"]
                .iter()
                .any(|text| cover.is_match(text))
        );
    }
}
