//! Bridges as they are written, to bridges as a decision is given them.

use super::cover::multiple;
use super::policy::SpecError;
use super::v1alpha1::{BridgesSpec, NodesSpec, ResizeSpec};
use crate::plan::Bridges;
use crate::plan::bridges::{CpuBridge, NodeBridge, PAUSE_IMAGE};

/// The bridges that are enabled; `most` is the policy's `maxReplicas`.
pub(super) fn bridges_of(written: Option<&BridgesSpec>, most: u32) -> Result<Bridges, SpecError> {
    let BridgesSpec { resize, nodes } = written.cloned().unwrap_or_default();
    Ok(Bridges {
        cpu: resize
            .filter(|resize| resize.enabled)
            .map(cpu)
            .transpose()?,
        nodes: nodes
            .filter(|nodes| nodes.enabled)
            .map(|nodes| room(nodes, most))
            .transpose()?,
    })
}

fn cpu(written: ResizeSpec) -> Result<CpuBridge, SpecError> {
    let ResizeSpec {
        enabled: _,
        factor,
        max,
    } = written;
    let factor = multiple("bridges.resize.factor", factor.as_deref())?.unwrap_or(CpuBridge::FACTOR);
    let most = match max {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| SpecError::Field {
            field: "bridges.resize.max",
            value: text,
            remedy: "write an amount of CPU, for example 500m, 2 or 1.5",
        })?),
    };
    Ok(CpuBridge { factor, most })
}

fn room(written: NodesSpec, most: u32) -> Result<NodeBridge, SpecError> {
    let NodesSpec {
        enabled: _,
        image,
        max_replicas,
    } = written;
    if image.as_ref().is_some_and(|image| image.trim().is_empty()) {
        return Err(SpecError::Missing {
            field: "bridges.nodes.image",
            remedy: "name an image that does nothing, or leave it out",
        });
    }
    Ok(NodeBridge {
        image: image.unwrap_or_else(|| PAUSE_IMAGE.to_owned()),
        most: max_replicas.unwrap_or(most),
    })
}
