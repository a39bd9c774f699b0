//! From a request to its answer.
//!
//! Decides which operation a request is, checks that the resource has it, and writes the answer.
//! The operations themselves are in `write`, `remove`, `scale` and `watch`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, USER_AGENT, WARNING};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use serde_json::{Value, json};

use super::discovery;
use super::error::ApiError;
use super::faults::Fault;
use super::patch::PatchKind;
use super::remove::{DeleteOptions, Propagation, Removal};
use super::requests::RequestRecord;
use super::router::{ResourceRequest, Route, Verb, route};
use super::selector::{FieldSelector, LabelSelector};
use super::shared::Shared;
use super::store::Store;
use super::view::View;
use super::watch::{Filter, Watch, stream};
use super::write::{Part, Target, WriteContext};

/// Body of an answer: whole, or a watch stream.
pub type ResponseBody = UnsyncBoxBody<Bytes, io::Error>;

/// A request whose body has been read.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Incoming {
    fn header(&self, name: &http::HeaderName) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as JSON; YAML is accepted where JSON is.
    fn object(&self) -> Result<Value, ApiError> {
        if self.header(&CONTENT_TYPE).contains("protobuf") {
            return Err(ApiError::unsupported_media_type(
                "protobuf bodies are not read here: send application/json",
            ));
        }
        match serde_json::from_slice(&self.body) {
            Ok(value) => Ok(value),
            Err(not_json) => {
                let text = str::from_utf8(&self.body).unwrap_or_default();
                if text.trim_start().starts_with(['{', '[']) || text.trim().is_empty() {
                    return Err(ApiError::bad_request(format!(
                        "couldn't get version/kind; json parse error: {not_json}"
                    )));
                }
                serde_saphyr::from_str(text).map_err(|not_yaml| {
                    ApiError::bad_request(format!("the body is neither JSON nor YAML: {not_yaml}"))
                })
            }
        }
    }
}

/// What an operation answers with.
enum Answer {
    Json(StatusCode, Value),
    Watch(Box<Watch>),
}

/// Answers a request. An error is a broken connection, not a refusal.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    incoming: Incoming,
) -> Result<Response<ResponseBody>, io::Error> {
    if shared.faults.is_down() || shared.stop.is_cancelled() {
        let text = "the embedded API server is down";
        return Err(io::Error::new(io::ErrorKind::ConnectionRefused, text));
    }
    let request = match route(&incoming.method, &incoming.uri) {
        Ok(Route::Resource(request)) => request,
        Ok(other) => return Ok(document(shared, &other, incoming.header(&ACCEPT))),
        Err(error) => return Ok(refusal(&error)),
    };
    let agent = incoming.header(&USER_AGENT).to_owned();
    let mut warnings = Vec::new();
    let mut lose_answer = false;
    let outcome = match shared.faults.strike(&request, &agent) {
        Some(Fault::Disconnect) => {
            let text = "connection broken on demand";
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, text));
        }
        Some(Fault::Status {
            code,
            retry_after_seconds,
        }) => {
            let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Err(ApiError::injected(code, retry_after_seconds))
        }
        other => {
            if let Some(Fault::Delay(delay)) = other {
                tokio::time::sleep(delay).await;
            }
            lose_answer = other == Some(Fault::LoseAnswer);
            operate(shared, &request, &incoming, &agent, &mut warnings)
        }
    };
    let mut response = match outcome {
        Ok(Answer::Json(code, body)) => whole(code, &body),
        Ok(Answer::Watch(watch)) => {
            let lines = stream(Arc::clone(shared), *watch).map_ok(Frame::data);
            let mut response = Response::new(StreamBody::new(lines).boxed_unsync());
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        }
        Err(error) => refusal(&error),
    };
    for warning in warnings {
        if let Ok(value) = HeaderValue::from_str(&format!("299 - {}", json!(warning))) {
            response.headers_mut().append(WARNING, value);
        }
    }
    shared.requests.add(RequestRecord {
        at: shared.clock.now(),
        verb: request.verb,
        group: request.group.clone(),
        resource: request.resource(),
        namespace: request.namespace.clone(),
        name: request.name.clone(),
        manager: manager(&request, &agent),
        agent,
        code: response.status().as_u16(),
    });
    if lose_answer {
        let text = "answer lost on demand";
        return Err(io::Error::new(io::ErrorKind::ConnectionReset, text));
    }
    Ok(response)
}

fn manager(request: &ResourceRequest, agent: &str) -> String {
    let from_agent = agent.split('/').next().unwrap_or_default();
    match request.param("fieldManager") {
        Some(manager) => manager.to_owned(),
        None if from_agent.is_empty() => "unknown".to_owned(),
        None => from_agent.to_owned(),
    }
}

fn whole(code: StatusCode, body: &Value) -> Response<ResponseBody> {
    let bytes = Bytes::from(body.to_string());
    let body = Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn refusal(error: &ApiError) -> Response<ResponseBody> {
    let mut response = whole(error.code, &error.status());
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn document(shared: &Arc<Shared>, route: &Route, accept: &str) -> Response<ResponseBody> {
    let aggregated = accept.contains("as=APIGroupDiscoveryList")
        && accept.contains("g=apidiscovery.k8s.io;v=v2;");
    let found = shared.with_store(|store, _| match route {
        Route::Version => Some(discovery::version()),
        Route::Health => Some(json!("ok")),
        Route::CoreVersions if aggregated => Some(discovery::aggregated(&store.registry, true)),
        Route::Groups if aggregated => Some(discovery::aggregated(&store.registry, false)),
        Route::CoreVersions => Some(discovery::core_versions()),
        Route::Groups => Some(discovery::groups(&store.registry)),
        Route::Group(group) => discovery::group(&store.registry, group),
        Route::Resources { group, version } => {
            discovery::resources(&store.registry, group, version)
        }
        Route::OpenApi(path) => discovery::openapi(&store.registry, path),
        Route::Resource(_) => None,
    });
    match found {
        Some(document) => {
            let mut response = whole(StatusCode::OK, &document);
            if aggregated && matches!(route, Route::CoreVersions | Route::Groups) {
                let media = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
                let value = HeaderValue::from_static(media);
                response.headers_mut().insert(CONTENT_TYPE, value);
            }
            response
        }
        None => refusal(&ApiError::no_such_path()),
    }
}

fn operate(
    shared: &Arc<Shared>,
    request: &ResourceRequest,
    incoming: &Incoming,
    agent: &str,
    warnings: &mut Vec<String>,
) -> Result<Answer, ApiError> {
    if let Some(review) = access_review(request, incoming)? {
        return Ok(review);
    }
    let view = View::from_accept(incoming.header(&ACCEPT));
    shared.with_store(|store, now| {
        let target = target(store, request)?;
        let mut context = WriteContext {
            now,
            manager: manager(request, agent),
            dry_run: request.param("dryRun").is_some(),
            strict: request.param("fieldValidation") == Some("Strict"),
            warnings: Vec::new(),
        };
        let answer = match request.verb {
            Verb::List => list(store, request, &target, view, now),
            Verb::Watch => watch(store, request, &target, view),
            Verb::DeleteCollection => delete_collection(store, request, &target, incoming, now),
            _ => one(store, request, &target, incoming, view, &mut context),
        };
        warnings.append(&mut context.warnings);
        answer
    })
}

/// `SelfSubjectAccessReview`: everybody may do everything here.
fn access_review(
    request: &ResourceRequest,
    incoming: &Incoming,
) -> Result<Option<Answer>, ApiError> {
    let asked = request.group == "authorization.k8s.io"
        && request.plural == "selfsubjectaccessreviews"
        && request.verb == Verb::Create;
    if !asked {
        return Ok(None);
    }
    let mut review = incoming.object()?;
    review["status"] =
        json!({"allowed": true, "reason": "the embedded cluster has no access rules"});
    Ok(Some(Answer::Json(StatusCode::CREATED, review)))
}

fn target(store: &Store, request: &ResourceRequest) -> Result<Target, ApiError> {
    let resource = store
        .registry
        .get(&request.group, &request.plural)
        .filter(|resource| resource.version(&request.version).is_some())
        .ok_or_else(ApiError::no_such_path)?;
    if !resource.namespaced && request.namespace.is_some() {
        return Err(ApiError::no_such_path());
    }
    let whole_collection = matches!(
        request.verb,
        Verb::List | Verb::Watch | Verb::DeleteCollection
    );
    if resource.namespaced && request.namespace.is_none() && !whole_collection {
        return Err(ApiError::method_not_allowed());
    }
    Ok(Target {
        resource,
        version: request.version.clone(),
        key: (
            request.namespace.clone().unwrap_or_default(),
            request.name.clone().unwrap_or_default(),
        ),
    })
}

/// The part of the object a path writes; `None` is the scale, which is another kind.
fn part(request: &ResourceRequest, target: &Target) -> Result<Part, ApiError> {
    let version = target.resource.version(&target.version);
    match request.subresource.as_deref() {
        None => Ok(Part::Main),
        Some("status") if version.is_some_and(|version| version.status) => Ok(Part::Status),
        Some("scale") if version.is_some_and(|version| version.scale.is_some()) => Ok(Part::Scale),
        Some("resize") if target.resource.extra_subresources.contains(&"resize") => {
            Ok(Part::Resize)
        }
        Some("finalize") if target.resource.extra_subresources.contains(&"finalize") => {
            Ok(Part::Main)
        }
        Some(_) => Err(ApiError::no_such_path()),
    }
}

fn one(
    store: &mut Store,
    request: &ResourceRequest,
    target: &Target,
    incoming: &Incoming,
    view: View,
    context: &mut WriteContext,
) -> Result<Answer, ApiError> {
    let part = part(request, target)?;
    let force = request.flag("force");
    let now = context.now;
    let show = |object: &Value| {
        let shown = target.resource.present(object, &target.version);
        view.one(&target.resource, &target.version, &shown, now)
    };
    let ok = |body| Ok(Answer::Json(StatusCode::OK, body));
    let kind = || PatchKind::from_content_type(incoming.header(&CONTENT_TYPE));
    match (request.verb, part) {
        (Verb::Get, Part::Scale) => ok(store.scale(target)?),
        (Verb::Get, _) => ok(show(&*store.find(target)?)),
        (Verb::Create, Part::Main) => {
            let created = store.create(target, incoming.object()?, context)?;
            Ok(Answer::Json(StatusCode::CREATED, show(&created)))
        }
        (Verb::Update, Part::Scale) => {
            ok(store.replace_scale(target, &incoming.object()?, context)?)
        }
        (Verb::Update, part) => ok(show(&*store.replace(
            target,
            incoming.object()?,
            part,
            context,
        )?)),
        (Verb::Patch, part) => {
            let kind = kind()?;
            if kind == PatchKind::Apply && request.param("fieldManager").is_none() {
                return Err(ApiError::bad_request(
                    "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is \
                     required for apply patch",
                ));
            }
            let patch = incoming.object()?;
            if part == Part::Scale {
                return ok(store.patch_scale(target, &patch, kind, force, context)?);
            }
            let created = kind == PatchKind::Apply && store.find(target).is_err();
            let object = store.patch(target, &patch, kind, part, force, context)?;
            let code = if created {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            Ok(Answer::Json(code, show(&object)))
        }
        (Verb::Delete, Part::Main) => {
            let options = delete_options(request, incoming)?;
            match store.delete(target, &options, now)? {
                Removal::Marked(object) => ok(show(&object)),
                Removal::Gone(object) if target.resource.kind == "Pod" => ok(show(&object)),
                Removal::Gone(object) => ok(json!({
                    "kind": "Status",
                    "apiVersion": "v1",
                    "metadata": {},
                    "status": "Success",
                    "details": {
                        "name": target.key.1,
                        "group": target.resource.group,
                        "kind": target.resource.plural,
                        "uid": object["metadata"]["uid"],
                    },
                })),
            }
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

fn delete_options(
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
fn list(
    store: &Store,
    request: &ResourceRequest,
    target: &Target,
    view: View,
    now: crate::units::Timestamp,
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
    let list = view.list(&target.resource, &target.version, objects, metadata, now);
    Ok(Answer::Json(StatusCode::OK, list))
}

fn watch(
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
        store.changes_since(&id, asked)?;
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

fn delete_collection(
    store: &mut Store,
    request: &ResourceRequest,
    target: &Target,
    incoming: &Incoming,
    now: crate::units::Timestamp,
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
    let list = View::Whole.list(&target.resource, &target.version, objects, metadata, now);
    Ok(Answer::Json(StatusCode::OK, list))
}
