//! What people read back.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::schema;
use crate::burst::LearntSpikes;
use crate::units::{HumanDuration, Timestamp};

/// What the controller last saw, decided and did.
#[derive(JsonSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PredictiveAutoscalerStatus {
    /// Generation of the spec this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `LoadAvailable`, `ForecastAvailable`, `CalendarAvailable`, `Enforcing`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// When this status was written. It is rewritten at least every five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub updated_at: Option<Timestamp>,
    /// The sentence to read first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Why this many, one reason a line: demand, limits, holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Facts that are missing, stale or not numbers. While there is one, nothing is lowered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// While what is written cannot be used, the last version that could: decisions about the same
    /// workload are made by it, with what the one written binds it by. A restarted controller goes
    /// on from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_open_object")]
    pub last_good_spec: Option<Value>,
    /// Replicas the workload asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_count")]
    pub current_replicas: Option<u32>,
    /// Replicas it should have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_count")]
    pub desired_replicas: Option<u32>,
    /// Replicas that are Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_count")]
    pub ready_replicas: Option<u32>,
    /// Load offered, in units per second: served, shed and queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered_load: Option<f64>,
    /// Ready capacity over offered load: "you can take 4.2x now".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headroom: Option<f64>,
    /// What stands ready for a spike, and what that costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cover: Option<CoverStatus>,
    /// What is known of spikes of this load; a restarted controller goes on from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spikes: Option<SpikesStatus>,
    /// The largest peak of the forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<PeakStatus>,
    /// What a replica carries and how long one takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityStatus>,
    /// The forecast in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastStatus>,
    /// Fixtures in play or about to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub covering: Vec<String>,
    /// The last size this controller wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scale: Option<ScaleStatus>,
}

/// The largest peak the forecast sees.
#[derive(JsonSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeakStatus {
    /// When.
    #[schemars(schema_with = "schema::time")]
    pub at: Timestamp,
    /// Load at the policy's quantile, in units per second, without cover.
    pub load: f64,
    /// Replicas it takes with cover, within the bounds.
    #[schemars(schema_with = "schema::count")]
    pub replicas: u32,
    /// When they must be asked for.
    #[schemars(schema_with = "schema::time")]
    pub ready_by: Timestamp,
    /// The same as a sentence: "in 2 h your peak will be 1,200/s".
    pub sentence: String,
}

/// Spikes while a fixture is in play, as multiples of one fixture's own crowd.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpikesStatus {
    /// Half of the spikes are smaller.
    pub median: f64,
    /// Nineteen in twenty are smaller.
    pub p95: f64,
    /// Typical time from beginning to top, seconds.
    pub rise_seconds: f64,
    /// Typical time from the top to half of the excess, seconds.
    pub half_life_seconds: f64,
    /// Sums over the spikes seen.
    pub learnt: LearntSpikes,
}

/// Standing headroom and its price.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoverStatus {
    /// Multiple of the expected load that should stand ready now.
    pub multiple: f64,
    /// Share of spikes that find their capacity standing; absent while nothing is in play.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spikes_covered: Option<f64>,
    /// Spikes in an hour that are larger than that; absent while nothing is in play.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub larger_per_hour: Option<f64>,
    /// Replicas that should stand now for no other reason.
    #[schemars(schema_with = "schema::count")]
    pub replicas: u32,
    /// Replica-hours that comes to until the forecast ends.
    pub replica_hours: f64,
}

/// What a replica carries and how long one takes.
#[derive(JsonSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityStatus {
    /// Load one ready replica carries, in units per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_replica: Option<f64>,
    /// Decision to Ready.
    pub scale_up_time: HumanDuration,
    /// Where the load per replica comes from.
    pub origin: CapacityOrigin,
    /// What replicas were proven to carry; a restarted controller goes on from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<CapacityProof>,
    /// The largest `maxReplicas` of the workload within its history, which was carried by so many at
    /// most. A restarted controller goes on from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_maximum: Option<LargestMaximum>,
}

/// The largest maximum that policies have set for a workload.
#[derive(JsonSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LargestMaximum {
    /// How many.
    #[schemars(schema_with = "schema::count")]
    pub replicas: u32,
    /// When it was last in force.
    #[schemars(schema_with = "schema::time")]
    pub at: Timestamp,
    /// Kind and name of the workload, as in "Deployment/lobby".
    pub target: String,
}

/// The highest load that every ready replica carried for minutes.
#[derive(JsonSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityProof {
    /// Load of one replica, in units per second.
    pub per_replica: f64,
    /// When.
    #[schemars(schema_with = "schema::time")]
    pub at: Timestamp,
    /// Kind and name of the workload, as in "Deployment/lobby".
    pub target: String,
}

/// Where a capacity comes from.
#[derive(JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CapacityOrigin {
    /// `capacity.perReplica`.
    Typed,
    /// From load and ready replicas, and from the largest load of the history.
    Learned,
    /// Nothing is known yet.
    Unknown,
}

/// The forecast in use.
#[derive(JsonSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastStatus {
    /// Nothing at or after this moment was known to it.
    #[schemars(schema_with = "schema::time")]
    pub origin: Timestamp,
    /// End of what it covers.
    #[schemars(schema_with = "schema::time")]
    pub until: Timestamp,
    /// Which model made it.
    pub model: String,
    /// How often load stayed under the bounds given, around fixtures and over four weeks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<String>,
    /// What a reader must know: what is new about a fixture, who stands in for the model and why,
    /// why entries are silent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A size that was written.
#[derive(JsonSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleStatus {
    /// Size before.
    #[schemars(schema_with = "schema::count")]
    pub from: u32,
    /// Size after.
    #[schemars(schema_with = "schema::count")]
    pub to: u32,
    /// When.
    #[schemars(schema_with = "schema::time")]
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}
