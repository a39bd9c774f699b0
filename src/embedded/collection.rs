//! Lists, watches and deletions of whole collections.
//!
//! Decides which objects a request selects, how a list is paged and where a watch begins. It must
//! not touch single objects (see `server`).

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::error::ApiError;
use super::remove::{DeleteOptions, Propagation};
use super::router::ResourceRequest;
use super::selector::{FieldSelector, LabelSelector};
use super::server::{Answer, Incoming};
use super::store::Store;
use super::view::View;
use super::watch::{Filter, Watch};
use super::write::Target;
use crate::units::Timestamp;

/// `metav1.DeleteOptions` from the body or the query.
pub(super) fn delete_options(
    request: &ResourceRequest,
    incoming: &Incoming,
) -> Result<DeleteOptions, ApiError> {
    let body = if incoming.body.is_empty() {
        Value::Null
    } else {
        incoming.object()?
    };
    let policy = body["propagationPolicy"]
        .as_str()
        .or_else(|| request.param("propagationPolicy"));
    let propagation = match policy {
        None | Some("Background") => Propagation::Background,
        Some("Foreground") => Propagation::Foreground,
        Some("Orphan") => Propagation::Orphan,
        Some(other) => {
            return Err(ApiError::bad_request(format!(
                "propagationPolicy {other:?} is none of Background, Foreground, Orphan"
            )));
        }
    };
    let grace = request
        .param("gracePeriodSeconds")
        .and_then(|text| text.parse().ok());
    Ok(DeleteOptions {
        propagation,
        grace_seconds: body["gracePeriodSeconds"].as_i64().or(grace),
        dry_run: request.param("dryRun").is_some()
            || body["dryRun"]
                .as_array()
                .is_some_and(|stages| !stages.is_empty()),
        preconditions: body["preconditions"].clone(),
    })
}

fn filter(request: &ResourceRequest, target: &Target) -> Result<Filter, ApiError> {
    let selectable = target
        .resource
        .version(&target.version)
        .map(|version| version.selectable.as_slice())
        .unwrap_or_default();
    Ok(Filter {
        namespace: request.namespace.clone(),
        name: request.name.clone(),
        labels: LabelSelector::parse(request.param("labelSelector").unwrap_or_default())?,
        fields: FieldSelector::parse(
            request.param("fieldSelector").unwrap_or_default(),
            selectable,
        )?,
    })
}

fn selected(
    store: &Store,
    request: &ResourceRequest,
    target: &Target,
) -> Result<Vec<Value>, ApiError> {
    let filter = filter(request, target)?;
    Ok(store
        .list(&target.resource.storage_id(), request.namespace.as_deref())
        .map(|(_, object)| target.resource.present(object, &target.version))
        .filter(|object| filter.matches(object))
        .collect())
}

/// Lists in pages. A later page is cut from the present state, but carries the resource version
/// of the first: a watch from there replays what changed between the pages.
pub(super) fn list(
    store: &Store,
    request: &ResourceRequest,
    target: &Target,
    view: View,
    now: Timestamp,
) -> Result<Answer, ApiError> {
    let mut objects = selected(store, request, target)?;
    let mut version = store.version();
    let place = |object: &Value| {
        let text = |field: &str| {
            object["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        (text("namespace"), text("name"))
    };
    if let Some(token) = request.param("continue") {
        let (first, last): (u64, (String, String)) = serde_json::from_str(token)
            .map_err(|_| ApiError::bad_request(format!("continue token {token:?} is not valid")))?;
        store.changes_since(&target.resource.storage_id(), first)?;
        version = first;
        objects.retain(|object| place(object) > last);
    }
    let mut metadata = json!({"resourceVersion": version.to_string()});
    let limit = request
        .param("limit")
        .and_then(|text| text.parse::<usize>().ok());
    if let Some(limit) = limit.filter(|limit| (1..objects.len()).contains(limit)) {
        let remaining = objects.len() - limit;
        objects.truncate(limit);
        if let Some(last) = objects.last() {
            metadata["continue"] = json!(json!([version, place(last)]).to_string());
            metadata["remainingItemCount"] = json!(remaining);
        }
    }
    let list = view.list(&target.resource, &target.version, &objects, metadata, now);
    Ok(Answer::Json(StatusCode::OK, list))
}

/// Prepares a watch.
pub(super) fn watch(
    store: &Store,
    request: &ResourceRequest,
    target: &Target,
    view: View,
) -> Result<Answer, ApiError> {
    let filter = filter(request, target)?;
    let asked = match request.param("resourceVersion") {
        None => 0,
        Some(text) => text.parse::<u64>().map_err(|_| {
            ApiError::bad_request(format!("resourceVersion {text:?} is not a number"))
        })?,
    };
    let initial_events = request.flag("sendInitialEvents");
    let bookmarks = request.flag("allowWatchBookmarks");
    if initial_events && request.param("resourceVersionMatch") != Some("NotOlderThan") {
        return Err(ApiError::bad_request(
            "sendInitialEvents requires resourceVersionMatch=NotOlderThan",
        ));
    }
    let id = target.resource.storage_id();
    let from_now = initial_events || asked == 0;
    let silent = request.param("sendInitialEvents") == Some("false");
    let mut initial = Vec::new();
    let position = if from_now {
        if !silent {
            initial = store
                .list(&id, request.namespace.as_deref())
                .filter(|(_, object)| {
                    filter.matches(&target.resource.present(object, &target.version))
                })
                .map(|(_, object)| Arc::clone(object))
                .collect();
        }
        store.version()
    } else {
        // A version that is too old is told inside the stream, as the watch cache of a real server
        // does; kube's watcher lists again only then.
        asked
    };
    let seconds = request
        .param("timeoutSeconds")
        .and_then(|text| text.parse::<u64>().ok());
    Ok(Answer::Watch(Box::new(Watch {
        resource: Arc::clone(&target.resource),
        version: target.version.clone(),
        filter,
        view,
        position,
        initial,
        mark_initial_end: initial_events && bookmarks,
        bookmarks,
        timeout: Duration::from_secs(seconds.filter(|s| *s > 0).unwrap_or(1800)),
    })))
}

/// Deletes every selected object.
pub(super) fn delete_collection(
    store: &mut Store,
    request: &ResourceRequest,
    target: &Target,
    incoming: &Incoming,
    now: Timestamp,
) -> Result<Answer, ApiError> {
    let options = delete_options(request, incoming)?;
    let objects = selected(store, request, target)?;
    for object in &objects {
        let text = |field: &str| {
            object["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let mut each = target.clone();
        each.key = (text("namespace"), text("name"));
        match store.delete(&each, &options, now) {
            Ok(_) => {}
            // Gone with an owner deleted a moment ago.
            Err(error) if error.code == StatusCode::NOT_FOUND => {}
            Err(error) => return Err(error),
        }
    }
    let metadata = json!({"resourceVersion": store.version().to_string()});
    let list = View::Whole.list(&target.resource, &target.version, &objects, metadata, now);
    Ok(Answer::Json(StatusCode::OK, list))
}
