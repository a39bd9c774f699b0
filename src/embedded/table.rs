//! Tables: what `kubectl get` prints.
//!
//! Decides the columns of a kind and the cells of an object, from the printer columns of a
//! definition or, for the built-in kinds a person looks at here, the columns a real server has.

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};

use super::resources::{Column, Resource};
use crate::units::Timestamp;

/// A `meta.k8s.io/v1` Table of `objects` as `version` shows them.
pub(super) fn table<'a>(
    resource: &Resource,
    version: &str,
    objects: impl Iterator<Item = &'a Value>,
    now: Timestamp,
) -> Value {
    let columns = columns(resource, version);
    let mut definitions = vec![json!({
        "name": "Name", "type": "string", "format": "name", "priority": 0, "description": "",
    })];
    for column in &columns {
        // Ages are sent as text, ready to print.
        let kind = if column.kind == "date" {
            "string"
        } else {
            &column.kind
        };
        definitions.push(json!({
            "name": column.name, "type": kind, "format": "",
            "priority": column.priority, "description": "",
        }));
    }
    let rows: Vec<Value> = objects
        .map(|object| {
            let mut cells = vec![object["metadata"]["name"].clone()];
            cells.extend(columns.iter().map(|column| cell(object, column, now)));
            json!({"cells": cells, "object": partial(object)})
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

/// An object reduced to its metadata.
pub(super) fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}

fn columns(resource: &Resource, version: &str) -> Vec<Column> {
    let column = |name: &str, kind: &str, path: &str| Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        path: path.to_owned(),
        priority: 0,
    };
    let mut columns = resource
        .version(version)
        .map(|version| version.columns.clone())
        .unwrap_or_default();
    let builtin: &[(&str, &str, &str)] = match resource.kind.as_str() {
        _ if resource.custom => &[],
        "Namespace" => &[("Status", "string", ".status.phase")],
        "Node" => &[
            ("Status", "string", "@ready"),
            ("Version", "string", ".status.nodeInfo.kubeletVersion"),
        ],
        "Pod" => &[
            ("Ready", "string", "@containers"),
            ("Status", "string", "@phase"),
            (
                "Restarts",
                "integer",
                ".status.containerStatuses[0].restartCount",
            ),
        ],
        "Deployment" => &[
            ("Ready", "string", "@ready-of-wanted"),
            ("Up-to-date", "integer", ".status.updatedReplicas"),
            ("Available", "integer", ".status.availableReplicas"),
        ],
        "StatefulSet" => &[("Ready", "string", "@ready-of-wanted")],
        "ReplicaSet" => &[
            ("Desired", "integer", ".spec.replicas"),
            ("Current", "integer", ".status.replicas"),
            ("Ready", "integer", ".status.readyReplicas"),
        ],
        "HorizontalPodAutoscaler" => &[
            ("Reference", "string", "@target"),
            ("MinPods", "integer", ".spec.minReplicas"),
            ("MaxPods", "integer", ".spec.maxReplicas"),
            ("Replicas", "integer", ".status.currentReplicas"),
        ],
        "Lease" => &[("Holder", "string", ".spec.holderIdentity")],
        "Event" => &[
            ("Type", "string", ".type"),
            ("Reason", "string", ".reason"),
            ("Object", "string", "@regarding"),
            ("Message", "string", "@note"),
        ],
        "CustomResourceDefinition" => &[("Created At", "string", ".metadata.creationTimestamp")],
        _ => &[],
    };
    columns.extend(
        builtin
            .iter()
            .map(|(name, kind, path)| column(name, kind, path)),
    );
    let dated = columns.iter().any(|column| column.kind == "date");
    if !dated && resource.kind != "CustomResourceDefinition" {
        columns.push(column("Age", "date", ".metadata.creationTimestamp"));
    }
    columns
}

fn cell(object: &Value, column: &Column, now: Timestamp) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match column.path.as_str() {
        "@ready" => {
            let ready = json_path(object, ".status.conditions[?(@.type==\"Ready\")].status");
            json!(if ready == "True" { "Ready" } else { "NotReady" })
        }
        "@containers" => {
            let statuses = object["status"]["containerStatuses"].as_array();
            let ready = statuses
                .into_iter()
                .flatten()
                .filter(|s| s["ready"] == true);
            let all = object["spec"]["containers"].as_array().map_or(0, Vec::len);
            json!(format!("{}/{all}", ready.count()))
        }
        "@phase" if object["metadata"]["deletionTimestamp"].is_string() => json!("Terminating"),
        "@phase" => object["status"]["phase"].clone(),
        "@ready-of-wanted" => json!(format!(
            "{}/{}",
            object["status"]["readyReplicas"]
                .as_i64()
                .unwrap_or_default(),
            object["spec"]["replicas"].as_i64().unwrap_or_default()
        )),
        "@target" => {
            let target = &object["spec"]["scaleTargetRef"];
            json!(format!(
                "{}/{}",
                text(&target["kind"]),
                text(&target["name"])
            ))
        }
        "@regarding" => {
            let about = object.get("involvedObject").unwrap_or(&object["regarding"]);
            json!(format!(
                "{}/{}",
                text(&about["kind"]).to_lowercase(),
                text(&about["name"])
            ))
        }
        "@note" => object.get("message").unwrap_or(&object["note"]).clone(),
        path => {
            let value = json_path(object, path);
            match (column.kind.as_str(), value) {
                ("date", Value::String(at)) => match DateTime::parse_from_rfc3339(at) {
                    Ok(at) => json!(age(now - at.to_utc())),
                    Err(_) => json!("<unknown>"),
                },
                ("string", value @ (Value::Object(_) | Value::Array(_))) => {
                    json!(value.to_string())
                }
                ("string", Value::Number(number)) => json!(number.to_string()),
                (_, value) => value.clone(),
            }
        }
    }
}

/// A span as `kubectl` prints ages.
fn age(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 != 0 => format!("{}m{}s", seconds / 60, seconds % 60),
        120..10_800 => format!("{}m", seconds / 60),
        10_800..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

static NOTHING: Value = Value::Null;

/// The value at a JSON path of the form printer columns use: `.a.b`, `['a']`, `[0]` and
/// `[?(@.type=="Ready")]`. Null when there is none.
pub(super) fn json_path<'a>(object: &'a Value, path: &str) -> &'a Value {
    let mut at = object;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(filter) = rest.strip_prefix("[?(@.") {
            let Some((test, tail)) = filter.split_once(")]") else {
                return &NOTHING;
            };
            let Some((field, wanted)) = test.split_once("==") else {
                return &NOTHING;
            };
            let wanted = wanted.trim().trim_matches(['"', '\'']);
            let found = at
                .as_array()
                .and_then(|items| items.iter().find(|item| item[field.trim()] == wanted));
            at = found.unwrap_or(&NOTHING);
            rest = tail;
        } else if let Some(index) = rest.strip_prefix('[') {
            let Some((index, tail)) = index.split_once(']') else {
                return &NOTHING;
            };
            at = match index.parse::<usize>() {
                Ok(number) => &at[number],
                Err(_) => &at[index.trim_matches(['"', '\''])],
            };
            rest = tail;
        } else {
            let body = rest.strip_prefix('.').unwrap_or(rest);
            let end = body.find(['.', '[']).unwrap_or(body.len());
            if end > 0 {
                at = &at[&body[..end]];
            }
            rest = &body[end..];
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printer_paths_find_their_values() {
        let object = json!({"a": {"b": [1, 2]}, "status": {"conditions": [
            {"type": "Ready", "status": "True"}, {"type": "Fed", "status": "False"}]}});
        assert_eq!(json_path(&object, ".a.b[1]"), 2);
        assert_eq!(json_path(&object, ".a['b'][0]"), 1);
        let fed = ".status.conditions[?(@.type==\"Fed\")].status";
        assert_eq!(json_path(&object, fed), "False");
        assert!(json_path(&object, ".nothing.here[3]").is_null());
    }

    #[test]
    fn ages_read_as_kubectl_prints_them() {
        for (seconds, text) in [
            (5, "5s"),
            (125, "2m5s"),
            (3600, "60m"),
            (90_000, "25h"),
            (200_000, "2d"),
        ] {
            assert_eq!(age(TimeDelta::seconds(seconds)), text);
        }
    }
}
