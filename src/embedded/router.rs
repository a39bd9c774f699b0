//! From an HTTP request line to what is asked of the API.
//!
//! Decides verb, resource, namespace, name and subresource by the path rules every API server
//! follows. It must not know which resources exist.

use std::collections::BTreeMap;

use axum::extract::Query;
use http::{Method, Uri};

use super::error::ApiError;

/// What is done to a resource, in the words of RBAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read a collection.
    List,
    /// Follow a collection.
    Watch,
    /// Make an object.
    Create,
    /// Replace an object.
    Update,
    /// Change parts of an object.
    Patch,
    /// Remove one object.
    Delete,
    /// Remove all objects that a selector matches.
    DeleteCollection,
}

impl Verb {
    /// The name RBAC rules use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// True when the verb can change what is stored.
    pub fn writes(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// A request for a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResourceRequest {
    /// What is asked.
    pub verb: Verb,
    /// API group; empty for the core group.
    pub group: String,
    /// Version of the group.
    pub version: String,
    /// Plural name of the resource.
    pub plural: String,
    /// Namespace of the path; `None` for cluster-scoped resources and lists over all namespaces.
    pub namespace: Option<String>,
    /// Name of the path.
    pub name: Option<String>,
    /// `status`, `scale`, ...
    pub subresource: Option<String>,
    /// Query parameters; the last of a repeated one counts.
    pub query: BTreeMap<String, String>,
}

impl ResourceRequest {
    /// A query parameter that is present and not empty.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// True for the query values Kubernetes reads as true.
    pub(super) fn flag(&self, name: &str) -> bool {
        matches!(self.param(name), Some("true" | "1"))
    }

    /// `plural` or `plural/subresource`, as RBAC and metrics write it.
    pub(super) fn resource(&self) -> String {
        match &self.subresource {
            Some(subresource) => format!("{}/{subresource}", self.plural),
            None => self.plural.clone(),
        }
    }
}

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/version`.
    Version,
    /// `/healthz`, `/livez`, `/readyz`.
    Health,
    /// `/api`: versions of the core group.
    CoreVersions,
    /// `/apis`: all groups.
    Groups,
    /// `/apis/{group}`.
    Group(String),
    /// `/api/v1` and `/apis/{group}/{version}`.
    Resources {
        /// API group; empty for core.
        group: String,
        /// Its version.
        version: String,
    },
    /// `/openapi/v3` and the documents below it, by their path after that prefix.
    OpenApi(String),
    /// A resource.
    Resource(Box<ResourceRequest>),
}

/// Reads method, path and query.
pub(super) fn route(method: &Method, uri: &Uri) -> Result<Route, ApiError> {
    let Query(query) = Query::<BTreeMap<String, String>>::try_from_uri(uri)
        .map_err(|error| ApiError::bad_request(format!("query of {uri}: {error}")))?;
    let parts: Vec<&str> = uri.path().split('/').filter(|p| !p.is_empty()).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["version"] => return Ok(Route::Version),
        ["healthz" | "livez" | "readyz", ..] => return Ok(Route::Health),
        ["api"] => return Ok(Route::CoreVersions),
        ["apis"] => return Ok(Route::Groups),
        ["openapi", "v3", rest @ ..] => return Ok(Route::OpenApi(rest.join("/"))),
        ["apis", group] => return Ok(Route::Group((*group).to_owned())),
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return Err(ApiError::no_such_path()),
    };
    let mut rest = rest;
    let mut watch_path = false;
    if let ["watch", tail @ ..] = rest {
        watch_path = true;
        rest = tail;
    }
    let (namespace, plural, name, subresource) = match rest {
        [] => {
            return Ok(Route::Resources {
                group: group.to_owned(),
                version: version.to_owned(),
            });
        }
        // `namespaces/x/status` and `namespaces/x/finalize` belong to the Namespace itself.
        ["namespaces", name, sub @ ("status" | "finalize")] => {
            (None, "namespaces", Some(*name), Some(*sub))
        }
        ["namespaces", ns, plural] => (Some(*ns), *plural, None, None),
        ["namespaces", ns, plural, name] => (Some(*ns), *plural, Some(*name), None),
        ["namespaces", ns, plural, name, sub] => (Some(*ns), *plural, Some(*name), Some(*sub)),
        [plural] => (None, *plural, None, None),
        [plural, name] => (None, *plural, Some(*name), None),
        [plural, name, sub] => (None, *plural, Some(*name), Some(*sub)),
        _ => return Err(ApiError::no_such_path()),
    };
    let watching = watch_path
        || matches!(
            query.get("watch").map(String::as_str),
            Some("true" | "1" | "")
        );
    let verb = match (method.as_str(), name) {
        ("GET" | "HEAD", _) if watching => Verb::Watch,
        ("GET" | "HEAD", Some(_)) => Verb::Get,
        ("GET" | "HEAD", None) => Verb::List,
        ("POST", _) => Verb::Create,
        ("PUT", Some(_)) => Verb::Update,
        ("PATCH", Some(_)) => Verb::Patch,
        ("DELETE", Some(_)) => Verb::Delete,
        ("DELETE", None) => Verb::DeleteCollection,
        _ => return Err(ApiError::method_not_allowed()),
    };
    Ok(Route::Resource(Box::new(ResourceRequest {
        verb,
        group: group.to_owned(),
        version: version.to_owned(),
        plural: plural.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        subresource: subresource.map(str::to_owned),
        query,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(method: &str, uri: &str) -> ResourceRequest {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        match route(&method, &uri.parse().unwrap()).unwrap() {
            Route::Resource(request) => *request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn paths_lead_where_a_real_server_leads_them() {
        for (method, uri, verb, what, namespace, name) in [
            (
                "GET",
                "/api/v1/pods?&limit=5",
                Verb::List,
                "pods",
                None,
                None,
            ),
            (
                "GET",
                "/api/v1/pods?watch=true",
                Verb::Watch,
                "pods",
                None,
                None,
            ),
            (
                "GET",
                "/api/v1/namespaces/dfs",
                Verb::Get,
                "namespaces",
                None,
                Some("dfs"),
            ),
            (
                "PUT",
                "/api/v1/namespaces/dfs/status",
                Verb::Update,
                "namespaces/status",
                None,
                Some("dfs"),
            ),
            (
                "POST",
                "/api/v1/namespaces/dfs/pods",
                Verb::Create,
                "pods",
                Some("dfs"),
                None,
            ),
            (
                "PATCH",
                "/apis/apps/v1/namespaces/dfs/deployments/a/scale",
                Verb::Patch,
                "deployments/scale",
                Some("dfs"),
                Some("a"),
            ),
            (
                "DELETE",
                "/apis/apps/v1/namespaces/dfs/deployments",
                Verb::DeleteCollection,
                "deployments",
                Some("dfs"),
                None,
            ),
            (
                "DELETE",
                "/apis/tipoff.dev/v1alpha1/namespaces/dfs/predictiveautoscalers/a",
                Verb::Delete,
                "predictiveautoscalers",
                Some("dfs"),
                Some("a"),
            ),
        ] {
            let request = resource(method, uri);
            assert_eq!(request.verb, verb, "{method} {uri}");
            assert_eq!(request.resource(), what, "{method} {uri}");
            assert_eq!(request.namespace.as_deref(), namespace, "{method} {uri}");
            assert_eq!(request.name.as_deref(), name, "{method} {uri}");
        }
    }

    #[test]
    fn the_query_is_decoded() {
        let request = resource(
            "GET",
            "/api/v1/pods?labelSelector=app%3Da%2Ctier+in+%28x%29",
        );
        assert_eq!(request.param("labelSelector"), Some("app=a,tier in (x)"));
    }
}
