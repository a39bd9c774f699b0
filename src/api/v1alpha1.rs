//! The `PredictiveAutoscaler` resource, version `v1alpha1`: what people write, and in `status`
//! what they read back.
//!
//! Only fields that act are here. Defaults are not written into stored objects (but for `mode`):
//! a better default then reaches every policy that did not choose.
#![allow(
    unreachable_pub,
    reason = "the schema derive emits private copies of public types"
)]

use chrono::{DateTime, FixedOffset};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::live::LiveSpec;
use super::schema;
use crate::forecast::Quantile;
use crate::plan::Mode;
use crate::plan::policy::HoldThrough;
use crate::units::HumanDuration;

mod status;

pub use status::{
    CapacityOrigin, CapacityProof, CapacityStatus, CoverStatus, ForecastStatus, LargestMaximum,
    PeakStatus, PredictiveAutoscalerStatus, ScaleStatus, SpikesStatus,
};

/// How a workload is sized ahead of its crowd.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, kube(cel))]
#[kube(
    group = "tipoff.dev",
    version = "v1alpha1",
    kind = "PredictiveAutoscaler",
    plural = "predictiveautoscalers",
    shortname = "pas",
    namespaced,
    status = "PredictiveAutoscalerStatus",
    derive = "PartialEq",
    doc = "Sizes a workload ahead of its crowd, from fixtures, history and live load.",
    printcolumn = r#"{"name":"Target", "type":"string", "jsonPath":".spec.scaleTargetRef.name"}"#,
    printcolumn = r#"{"name":"Mode", "type":"string", "jsonPath":".spec.mode"}"#,
    printcolumn = r#"{"name":"Current", "type":"integer", "jsonPath":".status.currentReplicas", "description":"replicas the workload asks for now"}"#,
    printcolumn = r#"{"name":"Desired", "type":"integer", "jsonPath":".status.desiredReplicas", "description":"replicas it should have"}"#,
    printcolumn = r#"{"name":"Peak", "type":"integer", "jsonPath":".status.peak.replicas", "description":"replicas that the largest peak of the forecast takes"}"#,
    printcolumn = r#"{"name":"Peak-At", "type":"string", "jsonPath":".status.peak.at", "description":"when that peak is expected"}"#,
    printcolumn = r#"{"name":"Ready", "type":"string", "jsonPath":".status.conditions[?(@.type==\"Ready\")].status", "description":"whether decisions are made on complete facts"}"#,
    printcolumn = r#"{"name":"Summary", "type":"string", "jsonPath":".status.summary", "priority":1}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.minReplicas <= self.maxReplicas")
        .message("minReplicas is above maxReplicas: raise maxReplicas or lower minReplicas"),
    validation = Rule::new("!has(self.entries) || (has(self.calendars) && size(self.calendars) > 0)")
        .message("entries tell how large the crowd of a fixture will be: name its calendar in calendars")
)]
pub struct PredictiveAutoscalerSpec {
    /// `Recommend` only says what it would do; `Enforce` does it.
    #[serde(default)]
    pub mode: Mode,
    /// The workload: any kind that has a scale subresource.
    pub scale_target_ref: ScaleTargetRef,
    /// Fewest replicas.
    #[schemars(schema_with = "schema::replicas")]
    pub min_replicas: u32,
    /// Most replicas.
    #[schemars(schema_with = "schema::replicas")]
    pub max_replicas: u32,
    /// Where the load on the workload is read.
    pub load: LoadSpec,
    /// Names of calendars in the controller's configuration whose fixtures move this load.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::names")]
    pub calendars: Vec<String>,
    /// Contest entries, which tell hours ahead how large the crowd of a fixture will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<EntriesSpec>,
    /// What a replica carries and how long one takes to arrive; what is left out is learnt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacitySpec>,
    /// How load is forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastSpec>,
    /// Be ready this long before the load, on top of the time replicas take to arrive. Default
    /// `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead: Option<HumanDuration>,
    /// Multiple of the expected load that stands ready while a fixture is in play, or `auto`: what
    /// covers most spikes, given how large they are, how fast they rise and how long replicas
    /// need. Default `2x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_cover")]
    pub spike_cover: Option<String>,
    /// Multiple of the expected load that stands ready at other times. Default `1.3x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_multiple")]
    pub quiet_cover: Option<String>,
    /// How spikes are seen and met within seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<BurstSpec>,
    /// How capacity is let go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseSpec>,
    /// Most replicas added per minute. Default: no limit but the cluster's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_replicas")]
    pub max_raise_per_minute: Option<u32>,
    /// What carries the workload until new replicas, or nodes for them, are there. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridges: Option<BridgesSpec>,
    /// A person's order, which stands until it expires.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub manual: Option<OverrideSpec>,
}

/// The object whose size is set.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleTargetRef {
    /// Group and version, for example `apps/v1`.
    #[schemars(schema_with = "schema::api_version")]
    pub api_version: String,
    /// Kind, for example `Deployment`.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Name, in the policy's own namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Load: what is served, and what is demanded without being served.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.drainWithin) || has(self.queue)")
        .message("load.drainWithin says how fast load.queue should drain: set load.queue too")
)]
pub struct LoadSpec {
    /// Load served, in units per second.
    pub prometheus: PrometheusQuery,
    /// Load shed on purpose, in units per second. It is demand, though nobody served it. Where it
    /// is unknown, what was served is learnt as the least that was wanted: end the query with
    /// `or vector(0)` if its series are missing while nothing is shed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shed: Option<LoadSource>,
    /// Above zero while all replicas were busy and no more could be carried, for example
    /// `max(avg_over_time(workers_busy_ratio{app="scoring"}[5m])) > bool 0.95`. What was served then
    /// is learnt as the least that was wanted. Having the most replicas is not enough: they may
    /// have stood ready for a crowd that did not come. No series means that more could be carried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saturated: Option<LoadSource>,
    /// Names of fault lists in the controller's configuration: spans in which load served was not
    /// what people wanted, such as outages, deploys and load tests, and that are not to be learnt
    /// as they stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::names")]
    pub faults: Vec<String>,
    /// Work that waits, in units (not per second).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<LoadSource>,
    /// Time in which waiting work should be drained. Default `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_within: Option<HumanDuration>,
    /// Demand second by second, for the loop that sees a spike in its first seconds. Default:
    /// none, and spikes are seen at the controller's tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveSpec>,
}

/// One further load signal.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadSource {
    /// Read from Prometheus.
    pub prometheus: PrometheusQuery,
}

/// A question to the Prometheus of the controller's configuration.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusQuery {
    /// PromQL that yields exactly one series or a scalar.
    #[schemars(length(min = 1, max = 16384))]
    pub query: String,
}

/// Contest entries: how fast people join, slate by slate.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntriesSpec {
    /// Entries made, per second, for example
    /// `sum by (slate) (rate(contest_entries_total[5m]))`.
    pub prometheus: SlateQuery,
    /// Label that names the slate as the fixtures do (`slate`). A series without it counts for
    /// the next lock. Default `slate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_label")]
    pub slate_label: Option<String>,
    /// Places on offer, taken ones included, in the same slates. A slate that is full takes no
    /// entries, however many people want in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spots: Option<SlateSource>,
}

/// One further signal of every slate.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlateSource {
    /// Read from Prometheus.
    pub prometheus: SlateQuery,
}

/// A question about every slate to the Prometheus of the controller's configuration.
#[derive(JsonSchema, Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlateQuery {
    /// PromQL that yields one series per slate, at most 200 in a week.
    #[schemars(length(min = 1, max = 16384))]
    pub query: String,
}

/// Capacity. What is left out is learnt from what the cluster shows.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacitySpec {
    /// Load one ready replica carries within its objective, in units per second. Default: learnt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_positive")]
    pub per_replica: Option<f64>,
    /// Share of that capacity to plan for, above 0 and at most 1. Default 0.9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_share")]
    pub target_utilization: Option<f64>,
    /// Decision to Ready with room on the nodes. Default: learnt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up_time: Option<HumanDuration>,
    /// Added when nodes must boot first. Default `0s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_time: Option<HumanDuration>,
    /// Pods the cluster creates per second. Default 20, kube-controller-manager's own limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_positive")]
    pub pods_per_second: Option<f64>,
}

/// Forecasting.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastSpec {
    /// Quantile of the forecast to be ready for. Default `p95`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_quantile")]
    pub quantile: Option<Quantile>,
    /// How far ahead to forecast. Default `24h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizon: Option<HumanDuration>,
    /// IANA zone of the audience, whose days and weeks shape the load, for example
    /// `America/New_York`. Default `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub zone: Option<String>,
    /// How much history to learn from. Default `28d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HumanDuration>,
}

/// How spikes are seen and met.
#[derive(JsonSchema, Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BurstSpec {
    /// Least mean time between two false alarms: the sensitivity. Default `1d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub false_alarm_every: Option<HumanDuration>,
    /// Share of spikes that the jump on an alarm is large enough for. Default 0.9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_share_of_spikes")]
    pub jump_quantile: Option<f64>,
    /// Share of spikes that `spikeCover: auto` keeps capacity standing for. Default 0.9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_share_of_spikes")]
    pub covered: Option<f64>,
}

/// The way down.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseSpec {
    /// Nothing is let go that was needed within this time. Default `5m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<HumanDuration>,
    /// Largest share of the replicas let go in one rung, above 0 and at most 1. Default 0.25.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_share")]
    pub rung: Option<f64>,
    /// Time between rungs. Default `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<HumanDuration>,
    /// Phases of a fixture during which what it needed is held. Default `Live`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_through: Option<HoldThrough>,
}

/// Bridges over the time that replicas and nodes take to arrive. All are off by default.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BridgesSpec {
    /// More CPU for running pods until new ones are Ready. Needs `pods/resize` (Kubernetes 1.33).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<ResizeSpec>,
    /// Room on nodes for what the next hour needs: a `CapacityBuffer` where the cluster knows it,
    /// otherwise pods of low priority that give way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NodesSpec>,
}

/// More CPU for running pods. Only a container that has a CPU limit is held by one, so only those
/// are raised; a request is raised with a limit it is equal to.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResizeSpec {
    /// Whether it is done. Default false.
    #[serde(default)]
    pub enabled: bool,
    /// Multiple of the CPU a container has. Default `2x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_factor")]
    pub factor: Option<String>,
    /// Most CPU of one container, for example `4` or `1500m`. Default: no limit but the factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_cpu")]
    pub max: Option<String>,
}

/// Room on nodes for replicas to come.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodesSpec {
    /// Whether it is done. Default false.
    #[serde(default)]
    pub enabled: bool,
    /// Image of the pods that hold the room where the cluster knows no `CapacityBuffer`. Default
    /// `registry.k8s.io/pause:3.10`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// Most replicas that room is held for. Default: `maxReplicas` of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_replicas")]
    pub max_replicas: Option<u32>,
}

/// What a person may order.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OverrideAction {
    /// Exactly `replicas`, within the bounds.
    Pin,
    /// At least `replicas`, within the bounds.
    Boost,
    /// No change at all.
    Freeze,
}

/// A person's order. It expires by itself.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.action == 'Freeze' || has(self.replicas)")
        .message("override.replicas is needed to Pin or Boost"),
    validation = Rule::new("self.action != 'Freeze' || !has(self.replicas)")
        .message("override.replicas has no meaning with Freeze: leave it out, or Pin")
)]
pub struct OverrideSpec {
    /// What.
    pub action: OverrideAction,
    /// How many, for `Pin` and `Boost`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_replicas")]
    pub replicas: Option<u32>,
    /// Until when, RFC 3339 with an offset.
    #[schemars(schema_with = "schema::time")]
    pub expires: DateTime<FixedOffset>,
    /// Why, for everybody to read.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
}
