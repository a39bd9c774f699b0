//! Refusals of the embedded API server, in the words and codes of a real one.
//!
//! Decides the HTTP code, `reason` and `details` of every `Status` body, because clients branch
//! on them (`is_not_found`, `is_conflict`, `is_invalid`). It must not decide when to refuse.

use http::StatusCode;
use serde_json::{Value, json};

/// A request that was not carried out, as `metav1.Status`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status.
    pub code: StatusCode,
    /// The machine-readable reason, for example `NotFound`.
    pub reason: &'static str,
    /// What was wrong, where, for a person.
    pub message: String,
    /// The `details` object; null when there is nothing to add.
    pub details: Value,
    /// Seconds to wait before another try, sent as `Retry-After` too.
    pub retry_after: Option<u32>,
}

/// One field that failed validation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Path of the field, for example `spec.maxReplicas`.
    pub field: String,
    /// `FieldValueInvalid`, `FieldValueRequired`, `FieldValueNotSupported`, ...
    pub reason: &'static str,
    /// What was wrong with it.
    pub message: String,
}

impl Cause {
    /// A value that breaks a rule.
    pub fn invalid(field: impl Into<String>, value: &Value, rule: &str) -> Self {
        let message = format!("Invalid value: {value}: {rule}");
        Self {
            field: field.into(),
            reason: "FieldValueInvalid",
            message,
        }
    }

    /// A value that is missing.
    pub fn required(field: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueRequired",
            message: "Required value".to_owned(),
        }
    }
}

/// What clients say of a path that nobody serves.
const NO_SUCH_PATH: &str = "the server could not find the requested resource";

impl ApiError {
    fn new(code: StatusCode, reason: &'static str, message: String) -> Self {
        Self {
            code,
            reason,
            message,
            details: Value::Null,
            retry_after: None,
        }
    }

    /// 404 for an object.
    pub fn not_found(group: &str, plural: &str, name: &str) -> Self {
        let mut error = Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            format!("{} {name:?} not found", qualified(group, plural)),
        );
        error.details = json!({"name": name, "group": group, "kind": plural});
        error
    }

    /// 404 for a path nobody serves.
    pub fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", NO_SUCH_PATH.to_owned())
    }

    /// Whether it is [`Self::no_such_path`].
    pub(super) fn is_no_such_path(&self) -> bool {
        self.code == StatusCode::NOT_FOUND && self.message == NO_SUCH_PATH
    }

    /// 409 for a name that is taken.
    pub fn already_exists(group: &str, plural: &str, name: &str) -> Self {
        let mut error = Self::new(
            StatusCode::CONFLICT,
            "AlreadyExists",
            format!("{} {name:?} already exists", qualified(group, plural)),
        );
        error.details = json!({"name": name, "group": group, "kind": plural});
        error
    }

    /// 409 for a lost race.
    pub fn conflict(group: &str, plural: &str, name: &str, why: &str) -> Self {
        let mut error = Self::new(
            StatusCode::CONFLICT,
            "Conflict",
            format!(
                "Operation cannot be fulfilled on {} {name:?}: {why}",
                qualified(group, plural)
            ),
        );
        error.details = json!({"name": name, "group": group, "kind": plural});
        error
    }

    /// 409 of a server-side apply: `causes` name each field and the manager that owns it.
    pub fn apply_conflict(causes: &[Cause]) -> Self {
        let noun = if causes.len() == 1 {
            "conflict"
        } else {
            "conflicts"
        };
        let lines: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.message, cause.field))
            .collect();
        let mut error = Self::new(
            StatusCode::CONFLICT,
            "Conflict",
            format!(
                "Apply failed with {} {noun}: {}",
                causes.len(),
                lines.join("; ")
            ),
        );
        error.details = json!({"causes": causes_json(causes)});
        error
    }

    /// 500 of a server-side apply of fields that the definition does not declare, as an API server
    /// words it (kubernetes/kubernetes issue 139253).
    pub fn undeclared(object: &str, paths: &[String]) -> Self {
        let lines: Vec<String> = (paths.iter())
            .map(|path| format!(".{path}: field not declared in schema"))
            .collect();
        let lines = match lines.as_slice() {
            [only] => only.clone(),
            all => format!("errors:\n  {}", all.join("\n  ")),
        };
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "",
            format!("failed to create typed patch object ({object}): {lines}"),
        )
    }

    /// 422 with every field at fault.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let subject = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        };
        let lines: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        let list = match lines.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let mut error = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            format!("{subject} {name:?} is invalid: {list}"),
        );
        error.details =
            json!({"name": name, "group": group, "kind": kind, "causes": causes_json(causes)});
        error
    }

    /// 422 for a patch that does not fit the object.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message.into())
    }

    /// 400 for a request that cannot be read.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message.into())
    }

    /// 403 for what the server refuses on principle.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message.into())
    }

    /// 405 for a verb the resource does not have.
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource".to_owned(),
        )
    }

    /// 410 for a resource version the history no longer holds.
    pub fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(
            StatusCode::GONE,
            "Expired",
            format!("too old resource version: {asked} ({oldest})"),
        )
    }

    /// 415 for a body in a format the resource does not take.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            message.into(),
        )
    }

    /// A refusal a test asked for.
    pub fn injected(code: StatusCode, retry_after: Option<u32>) -> Self {
        let reason = match code.as_u16() {
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            409 => "Conflict",
            410 => "Expired",
            422 => "Invalid",
            429 => "TooManyRequests",
            500 => "InternalError",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "Unknown",
        };
        let mut error = Self::new(code, reason, format!("injected fault: {code}"));
        error.retry_after = retry_after;
        if let Some(seconds) = retry_after {
            error.details = json!({"retryAfterSeconds": seconds});
        }
        error
    }

    /// The body to send.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code.as_u16(),
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}

fn qualified(group: &str, plural: &str) -> String {
    if group.is_empty() {
        plural.to_owned()
    } else {
        format!("{plural}.{group}")
    }
}

fn causes_json(causes: &[Cause]) -> Value {
    causes
        .iter()
        .map(
            |cause| json!({"field": cause.field, "reason": cause.reason, "message": cause.message}),
        )
        .collect()
}
