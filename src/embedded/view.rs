//! The form of an answer that the client's `Accept` header asks for.
//!
//! Decides between whole objects, metadata only, and tables. It must not select objects.

use serde_json::{Value, json};

use super::resources::Resource;
use super::table::{partial, table};
use crate::units::Timestamp;

/// How objects are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// As stored.
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
    /// `Table`.
    Table,
}

impl View {
    /// The first form in `accept` that is served.
    pub(super) fn from_accept(accept: &str) -> Self {
        for media in accept.split(',') {
            let mut parts = media.split(';').map(str::trim);
            if !matches!(parts.next(), Some("application/json" | "*/*" | "")) {
                continue;
            }
            match parts.find_map(|part| part.strip_prefix("as=")) {
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => {
                    return Self::Metadata;
                }
                Some("Table") => return Self::Table,
                Some(_) => {}
                None => return Self::Whole,
            }
        }
        Self::Whole
    }

    /// One object.
    pub(super) fn one(
        self,
        resource: &Resource,
        version: &str,
        object: &Value,
        now: Timestamp,
    ) -> Value {
        match self {
            Self::Whole => object.clone(),
            Self::Metadata => partial(object),
            Self::Table => {
                let mut table = table(resource, version, std::iter::once(object), now);
                table["metadata"]["resourceVersion"] =
                    object["metadata"]["resourceVersion"].clone();
                table
            }
        }
    }

    /// A list; `metadata` is that of the list.
    pub(super) fn list(
        self,
        resource: &Resource,
        version: &str,
        objects: &[Value],
        metadata: Value,
        now: Timestamp,
    ) -> Value {
        match self {
            Self::Whole => json!({
                "kind": resource.list_kind,
                "apiVersion": resource.api_version(version),
                "metadata": metadata,
                "items": objects,
            }),
            Self::Metadata => json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": objects.iter().map(partial).collect::<Vec<_>>(),
            }),
            Self::Table => {
                let mut table = table(resource, version, objects.iter(), now);
                table["metadata"] = metadata;
                table
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_is_served_wins() {
        for (accept, view) in [
            ("application/json", View::Whole),
            (
                "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
                View::Metadata,
            ),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                View::Table,
            ),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                View::Whole,
            ),
            ("*/*", View::Whole),
        ] {
            assert_eq!(View::from_accept(accept), view, "{accept}");
        }
    }
}
