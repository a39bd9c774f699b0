//! From a request to its answer.
//!
//! Decides which operation a request is, checks that the resource has it, and writes the answer.
//! The operations themselves are in `write`, `remove`, `scale` and `watch`.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, USER_AGENT, WARNING};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use serde_json::{Value, json};

use super::collection::{delete_collection, delete_options, list, watch};
use super::discovery;
use super::error::ApiError;
use super::faults::Fault;
use super::patch::PatchKind;
use super::remove::Removal;
use super::requests::RequestRecord;
use super::router::{ResourceRequest, Route, Verb, route};
use super::shared::Shared;
use super::store::Store;
use super::view::View;
use super::watch::{Watch, stream};
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
    pub(super) fn object(&self) -> Result<Value, ApiError> {
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
pub(super) enum Answer {
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
    text(code, "application/json", body.to_string())
}

fn text(code: StatusCode, media: &'static str, body: String) -> Response<ResponseBody> {
    let body = Full::new(Bytes::from(body))
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = code;
    let media = HeaderValue::from_static(media);
    response.headers_mut().insert(CONTENT_TYPE, media);
    response
}

fn refusal(error: &ApiError) -> Response<ResponseBody> {
    if error.is_no_such_path() {
        // no Status: in the real one nobody is there who could write it
        return text(
            error.code,
            "text/plain; charset=utf-8",
            "404 page not found\n".to_owned(),
        );
    }
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
    if let Some(review) = access_review(request, incoming) {
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
fn access_review(request: &ResourceRequest, incoming: &Incoming) -> Option<Answer> {
    let asked = request.group == "authorization.k8s.io"
        && request.plural == "selfsubjectaccessreviews"
        && request.verb == Verb::Create;
    if !asked {
        return None;
    }
    // kubectl asks in protobuf; the answer does not depend on what is asked.
    let mut review = incoming.object().unwrap_or_else(|_| {
        json!({
            "kind": "SelfSubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "metadata": {},
            "spec": {},
        })
    });
    review["status"] =
        json!({"allowed": true, "reason": "the embedded cluster has no access rules"});
    Some(Answer::Json(StatusCode::CREATED, review))
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
