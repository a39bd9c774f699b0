//! Structural schemas of custom resources: default, prune, validate.
//!
//! Decides what of a custom object is kept and whether its values are allowed, by the part of
//! `OpenAPI` v3 that a `CustomResourceDefinition` may use. CEL rules (`x-kubernetes-validations`)
//! are not evaluated here. It must not look at built-in kinds, which are decoded into their types.

use regex::Regex;
use serde_json::{Map, Value};

use super::error::Cause;

/// `openAPIV3Schema` of one version of a custom resource.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Schema(Value);

/// How a list merges under server-side apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListRule {
    /// Replaced as a whole by whoever applies it.
    Atomic,
    /// A set of scalars.
    Set,
    /// Items found by the values of these fields.
    Map(Vec<String>),
}

impl Schema {
    /// Takes the `openAPIV3Schema` object as written in the definition.
    pub(super) fn new(schema: Value) -> Self {
        Self(schema)
    }

    /// Fills absent fields that have a default. `apiVersion`, `kind` and `metadata` have none.
    pub(super) fn apply_defaults(&self, object: &mut Value) {
        apply_defaults(&self.0, object);
    }

    /// Drops fields the schema does not know and returns their paths.
    pub(super) fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut pruned = Vec::new();
        let Some(map) = object.as_object_mut() else {
            return pruned;
        };
        let keep: Vec<(String, Value)> = ["apiVersion", "kind", "metadata"]
            .into_iter()
            .filter_map(|key| map.remove(key).map(|value| (key.to_owned(), value)))
            .collect();
        prune(&self.0, object, "", &mut pruned);
        if let Some(map) = object.as_object_mut() {
            map.extend(keep);
        }
        pruned
    }

    /// Every field whose value is not allowed.
    pub(super) fn validate(&self, object: &Value) -> Vec<Cause> {
        let mut causes = Vec::new();
        validate(&self.0, object, "", &mut causes);
        causes
    }

    /// How the list at `path` (field names; `[]` for "an item of") merges.
    pub(super) fn list_rule(&self, path: &[String]) -> ListRule {
        let mut at = &self.0;
        for part in path {
            at = match part.as_str() {
                "[]" => &at["items"],
                name if at["properties"].get(name).is_some() => &at["properties"][name],
                _ => &at["additionalProperties"],
            };
        }
        match at["x-kubernetes-list-type"].as_str() {
            Some("set") => ListRule::Set,
            Some("map") => ListRule::Map(
                at["x-kubernetes-list-map-keys"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|key| key.as_str().map(str::to_owned))
                    .collect(),
            ),
            _ => ListRule::Atomic,
        }
    }
}

fn apply_defaults(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(default) = property.get("default") {
                    let absent = match map.get(name) {
                        None => true,
                        // A null that may not be null means "use the default".
                        Some(Value::Null) => property["nullable"] != true,
                        Some(_) => false,
                    };
                    if absent {
                        map.insert(name.clone(), default.clone());
                    }
                }
                if let Some(child) = map.get_mut(name) {
                    apply_defaults(property, child);
                }
            }
            if schema["additionalProperties"].is_object() {
                for (name, child) in map.iter_mut() {
                    if schema["properties"].get(name).is_none() {
                        apply_defaults(&schema["additionalProperties"], child);
                    }
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                apply_defaults(&schema["items"], item);
            }
        }
        _ => {}
    }
}

fn prune(schema: &Value, value: &mut Value, path: &str, pruned: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
            let embedded = schema["x-kubernetes-embedded-resource"] == true;
            let mut kept = Map::new();
            for (name, mut child) in std::mem::take(map) {
                let at = join(path, &name);
                let implied =
                    embedded && matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
                if let Some(property) = schema["properties"].get(&name) {
                    prune(property, &mut child, &at, pruned);
                } else if schema["additionalProperties"].is_object() {
                    prune(&schema["additionalProperties"], &mut child, &at, pruned);
                } else if !open && !implied && schema["additionalProperties"] != true {
                    pruned.push(at);
                    continue;
                }
                kept.insert(name, child);
            }
            *map = kept;
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                prune(&schema["items"], item, &format!("{path}[{index}]"), pruned);
            }
        }
        _ => {}
    }
}

fn validate(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if schema.is_null() {
        return;
    }
    if value.is_null() {
        if schema["nullable"] != true && schema.get("type").is_some() {
            causes.push(type_error(schema, value, path));
        }
        return;
    }
    if !type_matches(schema, value) {
        causes.push(type_error(schema, value, path));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let names: Vec<String> = allowed.iter().map(Value::to_string).collect();
        causes.push(Cause {
            field: path.to_owned(),
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {value}: supported values: {}",
                names.join(", ")
            ),
        });
    }
    match value {
        Value::Number(_) => validate_number(schema, value, path, causes),
        Value::String(text) => validate_text(schema, text, path, causes),
        Value::Array(items) => validate_list(schema, items, path, causes),
        Value::Object(map) => validate_map(schema, map, path, causes),
        _ => {}
    }
    validate_logic(schema, value, path, causes);
}

fn type_matches(schema: &Value, value: &Value) -> bool {
    if schema["x-kubernetes-int-or-string"] == true {
        return value.is_string() || value.is_i64() || value.is_u64();
    }
    match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        _ => true,
    }
}

fn type_error(schema: &Value, value: &Value, path: &str) -> Cause {
    let wanted = schema["type"].as_str().unwrap_or("integer or string");
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    Cause {
        field: path.to_owned(),
        reason: "FieldValueTypeInvalid",
        message: format!(
            "Invalid value: \"{found}\": {path} in body must be of type {wanted}: \"{found}\""
        ),
    }
}

fn validate_number(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let number = value.as_f64().unwrap_or_default();
    let mut rule = |broken: bool, text: String| {
        if broken {
            causes.push(Cause::invalid(path, value, &text));
        }
    };
    if let Some(bound) = schema["minimum"].as_f64() {
        let open = schema["exclusiveMinimum"] == true;
        let broken = if open {
            number <= bound
        } else {
            number < bound
        };
        let words = if open {
            "greater than"
        } else {
            "greater than or equal to"
        };
        rule(broken, format!("{path} in body should be {words} {bound}"));
    }
    if let Some(bound) = schema["maximum"].as_f64() {
        let open = schema["exclusiveMaximum"] == true;
        let broken = if open {
            number >= bound
        } else {
            number > bound
        };
        let words = if open {
            "less than"
        } else {
            "less than or equal to"
        };
        rule(broken, format!("{path} in body should be {words} {bound}"));
    }
    if let Some(step) = schema["multipleOf"].as_f64() {
        let broken = step > 0.0 && (number / step).fract() != 0.0;
        rule(
            broken,
            format!("{path} in body should be a multiple of {step}"),
        );
    }
    if schema["format"] == "int32" {
        let broken = number < f64::from(i32::MIN) || number > f64::from(i32::MAX);
        rule(broken, format!("{path} in body must be of type int32"));
    }
}

fn validate_text(schema: &Value, text: &str, path: &str, causes: &mut Vec<Cause>) {
    let value = Value::String(text.to_owned());
    let length = text.chars().count() as u64;
    if let Some(least) = schema["minLength"].as_u64()
        && length < least
    {
        let rule = format!("{path} in body should be at least {least} chars long");
        causes.push(Cause::invalid(path, &value, &rule));
    }
    if let Some(most) = schema["maxLength"].as_u64()
        && length > most
    {
        let rule = format!("{path} in body should be at most {most} chars long");
        causes.push(Cause::invalid(path, &value, &rule));
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        match Regex::new(pattern) {
            Ok(regex) if regex.is_match(text) => {}
            Ok(_) => {
                let rule = format!("{path} in body should match '{pattern}'");
                causes.push(Cause::invalid(path, &value, &rule));
            }
            Err(error) => {
                let rule = format!("the pattern of {path} is not a regular expression: {error}");
                causes.push(Cause::invalid(path, &value, &rule));
            }
        }
    }
    if schema["format"] == "date-time" && chrono::DateTime::parse_from_rfc3339(text).is_err() {
        let rule = format!("{path} in body must be of type date-time: {text:?}");
        causes.push(Cause::invalid(path, &value, &rule));
    }
}

fn validate_list(schema: &Value, items: &[Value], path: &str, causes: &mut Vec<Cause>) {
    let count = items.len() as u64;
    if let Some(least) = schema["minItems"].as_u64()
        && count < least
    {
        let rule = format!("{path} in body should have at least {least} items");
        causes.push(Cause::invalid(path, &count.into(), &rule));
    }
    if let Some(most) = schema["maxItems"].as_u64()
        && count > most
    {
        causes.push(Cause {
            field: path.to_owned(),
            reason: "FieldValueTooMany",
            message: format!("Too many: {count}: must have at most {most} items"),
        });
    }
    let keys: Vec<&str> = schema["x-kubernetes-list-map-keys"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let listed_as = schema["x-kubernetes-list-type"].as_str();
    for (index, item) in items.iter().enumerate() {
        let twin = |other: &Value| match listed_as {
            Some("set") => other == item,
            Some("map") => keys.iter().all(|key| other[*key] == item[*key]),
            _ => false,
        };
        let at = format!("{path}[{index}]");
        if items[..index].iter().any(twin) {
            causes.push(Cause {
                field: at.clone(),
                reason: "FieldValueDuplicate",
                message: format!("Duplicate value: {item}"),
            });
        }
        validate(&schema["items"], item, &at, causes);
    }
}

fn validate_map(schema: &Value, map: &Map<String, Value>, path: &str, causes: &mut Vec<Cause>) {
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        if !map.contains_key(name) {
            causes.push(Cause::required(join(path, name)));
        }
    }
    let count = map.len() as u64;
    if let Some(most) = schema["maxProperties"].as_u64()
        && count > most
    {
        let rule = format!("{path} in body should have at most {most} properties");
        causes.push(Cause::invalid(path, &count.into(), &rule));
    }
    if let Some(least) = schema["minProperties"].as_u64()
        && count < least
    {
        let rule = format!("{path} in body should have at least {least} properties");
        causes.push(Cause::invalid(path, &count.into(), &rule));
    }
    for (name, child) in map {
        let at = join(path, name);
        match schema["properties"].get(name) {
            Some(property) => validate(property, child, &at, causes),
            None if schema["additionalProperties"].is_object() => {
                validate(&schema["additionalProperties"], child, &at, causes);
            }
            None => {}
        }
    }
}

fn validate_logic(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let passes = |branch: &Value| {
        let mut found = Vec::new();
        validate(branch, value, path, &mut found);
        found.is_empty()
    };
    for branch in schema["allOf"].as_array().into_iter().flatten() {
        validate(branch, value, path, causes);
    }
    if let Some(branches) = schema["anyOf"].as_array()
        && !branches.iter().any(passes)
    {
        let rule = format!("{path} in body must validate at least one schema (anyOf)");
        causes.push(Cause::invalid(path, value, &rule));
    }
    if let Some(branches) = schema["oneOf"].as_array()
        && branches.iter().filter(|branch| passes(branch)).count() != 1
    {
        let rule = format!("{path} in body must validate one and only one schema (oneOf)");
        causes.push(Cause::invalid(path, value, &rule));
    }
    if schema["not"].is_object() && passes(&schema["not"]) {
        let rule = format!("{path} in body must not validate the schema (not)");
        causes.push(Cause::invalid(path, value, &rule));
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Schema {
        Schema::new(json!({
            "type": "object",
            "required": ["spec"],
            "properties": {
                "spec": {
                    "type": "object",
                    "required": ["max"],
                    "properties": {
                        "mode": {"type": "string", "enum": ["Recommend", "Enforce"], "default": "Recommend"},
                        "max": {"type": "integer", "minimum": 1, "maximum": 400},
                        "lead": {"type": "string", "pattern": "^[0-9]+s$"},
                        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                        "raw": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                        "port": {"x-kubernetes-int-or-string": true,
                                 "anyOf": [{"type": "integer"}, {"type": "string"}]},
                        "calendars": {"type": "array", "x-kubernetes-list-type": "set",
                                      "items": {"type": "string"}},
                    },
                },
            },
        }))
    }

    fn faults(spec: &Value) -> Vec<String> {
        schema()
            .validate(&json!({"apiVersion": "x/v1", "kind": "X", "spec": spec}))
            .into_iter()
            .map(|cause| format!("{} {}", cause.field, cause.reason))
            .collect()
    }

    #[test]
    fn values_outside_the_schema_are_named() {
        assert_eq!(
            faults(&json!({"max": 4, "port": "http", "lead": "90s"})),
            [""; 0]
        );
        assert_eq!(faults(&json!({})), ["spec.max FieldValueRequired"]);
        assert_eq!(
            faults(&json!({"max": "4"})),
            ["spec.max FieldValueTypeInvalid"]
        );
        assert_eq!(faults(&json!({"max": 0})), ["spec.max FieldValueInvalid"]);
        assert_eq!(faults(&json!({"max": 401})), ["spec.max FieldValueInvalid"]);
        assert_eq!(
            faults(&json!({"max": 1, "mode": "Guess"})),
            ["spec.mode FieldValueNotSupported"]
        );
        assert_eq!(
            faults(&json!({"max": 1, "lead": "soon"})),
            ["spec.lead FieldValueInvalid"]
        );
        assert_eq!(
            faults(&json!({"max": 1, "labels": {"a": 1}})),
            ["spec.labels.a FieldValueTypeInvalid"]
        );
        assert_eq!(
            faults(&json!({"max": 1, "calendars": ["nfl", "nfl"]})),
            ["spec.calendars[1] FieldValueDuplicate"]
        );
    }

    #[test]
    fn unknown_fields_go_and_defaults_come() {
        let mut object = json!({
            "apiVersion": "x/v1", "kind": "X", "metadata": {"name": "a"},
            "spec": {"max": 2, "typo": 1, "raw": {"any": {"thing": 1}}},
        });
        assert_eq!(schema().prune(&mut object), ["spec.typo"]);
        schema().apply_defaults(&mut object);
        assert_eq!(
            object["spec"],
            json!({"max": 2, "raw": {"any": {"thing": 1}}, "mode": "Recommend"})
        );
        assert_eq!(object["metadata"]["name"], "a");
    }
}
