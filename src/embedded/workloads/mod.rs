//! The simulated cluster behind the API: controllers, scheduler and kubelets in one.
//!
//! Decides which pods exist and when they are ready. It is a state machine that is told the time
//! (`settle`): everything that fell due since the last call happens in order, each at its own
//! time, so a jump of the clock gives the same cluster as many small steps. Only the statuses are
//! written once per call.
//!
//! Simplified against a real cluster: a Deployment has one `ReplicaSet` for life, so a change of its
//! template reaches new pods only; pods never crash; pods are removed from a set without pacing.

mod addresses;
mod behaviour;
mod objects;
mod pods;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;

use chrono::TimeDelta;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

pub use behaviour::{Delay, NodeBehaviour, PodBehaviour};

use self::addresses::{Address, Addresses};
use self::behaviour::Pace;
use self::objects::Counts;
use self::pods::end_pod;
use super::remove::DeleteOptions;
use super::resources::{ResourceId, SelectorPath};
use super::selector::LabelSelector;
use super::store::{Key, ObjectId, Store};
use crate::units::Timestamp;

/// Annotation of a pod (template) that overrides its start-up delay, for example `45s`.
pub const START_UP_ANNOTATION: &str = "embedded.tipoff.dev/start-up";

/// Something that happens at a time.
#[derive(Debug, Clone)]
enum Due {
    CreatePod(ObjectId),
    PodReady(Key, String),
    PodGone(Key, String),
    Recount(ObjectId),
    NodeReady,
}

/// A workload whose pods are simulated.
#[derive(Debug, Default)]
struct PodSet {
    pods: BTreeSet<Key>,
    /// Those of them that are not being deleted.
    active: usize,
    /// Creations under way.
    planned: usize,
}

#[derive(Debug)]
struct PodState {
    uid: String,
    set: Option<ObjectId>,
    node: Option<String>,
    created: Timestamp,
    ready_since: Option<Timestamp>,
    terminating: bool,
    deletion_cost: i64,
    address: Option<Address>,
}

/// The state machine.
#[derive(Debug)]
pub(super) struct Simulation {
    pods_behave: PodBehaviour,
    nodes_behave: Option<NodeBehaviour>,
    kinds: BTreeSet<ResourceId>,
    rng: StdRng,
    pace: Pace,
    at: Timestamp,
    due: BTreeMap<(Timestamp, u64), Due>,
    sequence: u64,
    sets: HashMap<ObjectId, PodSet>,
    pods: HashMap<Key, PodState>,
    stale: BTreeSet<ObjectId>,
    room: BTreeMap<String, usize>,
    waiting: VecDeque<Key>,
    booting: usize,
    addresses: Addresses,
}

fn id(group: &str, plural: &str) -> ResourceId {
    (group.to_owned(), plural.to_owned())
}

impl Simulation {
    /// A simulation at time `at`; `extra` names custom kinds with `spec.replicas`, `spec.selector`
    /// and `spec.template` whose pods are simulated too.
    pub(super) fn new(
        pods_behave: PodBehaviour,
        nodes_behave: Option<NodeBehaviour>,
        extra: impl IntoIterator<Item = ResourceId>,
        at: Timestamp,
    ) -> Self {
        let mut kinds: BTreeSet<ResourceId> = extra.into_iter().collect();
        kinds.insert(id("apps", "replicasets"));
        kinds.insert(id("apps", "statefulsets"));
        Self {
            pace: Pace::new(pods_behave.create_per_second, pods_behave.create_burst),
            rng: StdRng::seed_from_u64(pods_behave.seed),
            pods_behave,
            nodes_behave,
            kinds,
            at,
            due: BTreeMap::new(),
            sequence: 0,
            sets: HashMap::new(),
            pods: HashMap::new(),
            stale: BTreeSet::new(),
            room: BTreeMap::new(),
            waiting: VecDeque::new(),
            booting: 0,
            addresses: Addresses::default(),
        }
    }

    /// Addresses of real servers for pods to have.
    pub(super) fn lend(&mut self, servers: Vec<SocketAddr>) {
        self.addresses = Addresses::lent(servers);
    }

    /// Makes the nodes that are there from the start.
    pub(super) fn make_nodes(&mut self, store: &mut Store) {
        let initial = self.nodes_behave.map_or(1, |nodes| nodes.initial);
        for _ in 0..initial {
            self.add_node(store);
        }
    }

    /// When something falls due next.
    pub(super) fn next_wake(&self) -> Option<Timestamp> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Reacts to what was written and lets everything happen that falls due until `now`.
    pub(super) fn settle(&mut self, store: &mut Store, now: Timestamp) {
        loop {
            let touched = store.take_touched();
            if !touched.is_empty() {
                for object in touched {
                    self.react(store, &object);
                }
                continue;
            }
            let next = self.due.first_key_value().map(|(key, _)| *key);
            if let Some(key) = next
                && key.0 <= now
                && let Some(due) = self.due.remove(&key)
            {
                self.at = self.at.max(key.0);
                self.happen(store, due);
                continue;
            }
            self.at = self.at.max(now);
            let stale = std::mem::take(&mut self.stale);
            if stale.is_empty() {
                return;
            }
            for set in stale {
                self.write_status(store, &set);
            }
        }
    }

    fn plan(&mut self, at: Timestamp, due: Due) {
        self.sequence += 1;
        self.due.insert((at, self.sequence), due);
    }

    fn react(&mut self, store: &mut Store, object: &ObjectId) {
        let (resource, key) = object;
        if *resource == id("apps", "deployments") {
            self.sync_deployment(store, key);
        } else if *resource == id("", "pods") {
            self.sync_pod(store, key);
        } else if self.kinds.contains(resource) {
            self.sync_set(store, object);
            if let Some(owner) = deployment_of(store, object) {
                self.sync_deployment(store, &owner.1);
            }
        } else if *resource == id("", "nodes") && store.get(resource, key).is_none() {
            self.room.remove(&key.1);
        }
    }

    fn happen(&mut self, store: &mut Store, due: Due) {
        match due {
            Due::CreatePod(set) => self.create_pod(store, &set),
            Due::PodReady(key, uid) => self.start_pod(store, &key, &uid),
            Due::PodGone(key, uid) => {
                if self.pods.get(&key).is_some_and(|pod| pod.uid == uid) {
                    end_pod(store, &key, self.at);
                }
            }
            Due::Recount(set) => {
                self.stale.insert(set);
            }
            Due::NodeReady => {
                self.booting = self.booting.saturating_sub(1);
                self.add_node(store);
                self.place_waiting(store);
            }
        }
    }

    /// Keeps the replica set of a deployment as the deployment says.
    fn sync_deployment(&mut self, store: &mut Store, key: &Key) {
        let Some(deployment) = store.get(&id("apps", "deployments"), key).cloned() else {
            return;
        };
        if deployment["metadata"]["deletionTimestamp"].is_string() {
            return;
        }
        let sets = id("apps", "replicasets");
        let set_key = (key.0.clone(), objects::replica_set_name(&deployment));
        let present = store.get(&sets, &set_key).cloned();
        let uid = if present.is_some() {
            String::new()
        } else {
            store.new_uid()
        };
        let set = objects::replica_set(&deployment, present.as_deref(), &uid, self.at);
        put_if_changed(store, &sets, &set_key, present.as_deref(), set);
        self.stale.insert((sets, set_key));
    }

    /// Plans creations or deletes pods until the set has as many as it wants.
    fn sync_set(&mut self, store: &mut Store, set: &ObjectId) {
        let Some(object) = store.get(&set.0, &set.1).cloned() else {
            self.sets.remove(set);
            self.stale.remove(set);
            return;
        };
        self.stale.insert(set.clone());
        if object["metadata"]["deletionTimestamp"].is_string() {
            return;
        }
        let wanted = wanted(&object);
        let entry = self.sets.entry(set.clone()).or_default();
        let (active, planned) = (entry.active, entry.planned);
        let mut missing = wanted.saturating_sub(active + planned);
        if in_order(set, &object) && missing > 0 {
            // One at a time, and only when all that are there are ready.
            let ending = entry.pods.len() > active;
            let all_ready = self.active(set).iter().all(|key| self.is_ready(key));
            missing = usize::from(all_ready && planned == 0 && !ending);
        }
        for _ in 0..missing {
            let at = self.pace.next(self.at);
            self.plan(at, Due::CreatePod(set.clone()));
        }
        self.sets.entry(set.clone()).or_default().planned += missing;
        let surplus = active.saturating_sub(wanted);
        if surplus > 0 {
            for victim in self.victims(set, surplus) {
                let options = DeleteOptions::default();
                store.remove(&id("", "pods"), &victim, &options, self.at);
                // Noted at once, or the next victim would be chosen among pods already leaving.
                self.note_pod(store, &victim);
            }
        }
    }

    fn active(&self, set: &ObjectId) -> Vec<Key> {
        let pods = self.sets.get(set).map(|set| &set.pods);
        pods.into_iter()
            .flatten()
            .filter(|key| self.pods.get(*key).is_some_and(|pod| !pod.terminating))
            .cloned()
            .collect()
    }

    fn is_ready(&self, key: &Key) -> bool {
        self.pods
            .get(key)
            .is_some_and(|pod| pod.ready_since.is_some() && !pod.terminating)
    }

    /// Which pods go first: by ordinal in a stateful set; elsewhere as the replica set controller
    /// ranks them (not placed, not ready, lower deletion cost, younger).
    fn victims(&self, set: &ObjectId, count: usize) -> Vec<Key> {
        let mut active = self.active(set);
        if set.0.1 == "statefulsets" {
            active.sort_by_key(|key| std::cmp::Reverse(ordinal(&key.1)));
        } else {
            active.sort_by_cached_key(|key| {
                let pod = self.pods.get(key);
                (
                    pod.is_some_and(|pod| pod.node.is_some()),
                    pod.is_some_and(|pod| pod.ready_since.is_some()),
                    pod.map_or(0, |pod| pod.deletion_cost),
                    std::cmp::Reverse(pod.map(|pod| pod.created)),
                    key.1.clone(),
                )
            });
        }
        active.truncate(count);
        active
    }

    fn counts(&self, set: &ObjectId, object: &Value) -> Counts {
        let settle_time = object["spec"]["minReadySeconds"]
            .as_i64()
            .unwrap_or_default();
        let mut counts = Counts::default();
        let pods = self.sets.get(set).map(|set| &set.pods);
        for pod in pods
            .into_iter()
            .flatten()
            .filter_map(|key| self.pods.get(key))
        {
            if pod.terminating {
                continue;
            }
            counts.active += 1;
            if let Some(since) = pod.ready_since {
                counts.ready += 1;
                let available = since + TimeDelta::seconds(settle_time) <= self.at;
                counts.available += usize::from(available);
            }
        }
        counts
    }

    /// Writes the status of a set, and of the deployment above it.
    fn write_status(&mut self, store: &mut Store, set: &ObjectId) {
        let Some(live) = store.get(&set.0, &set.1).cloned() else {
            return;
        };
        let counts = self.counts(set, &live);
        let mut object = (*live).clone();
        if !object["status"].is_object() {
            object["status"] = json!({});
        }
        let generation = object["metadata"]["generation"].clone();
        objects::set_counts(&mut object["status"], counts);
        object["status"]["observedGeneration"] = generation;
        match set.0.1.as_str() {
            "replicasets" => object["status"]["fullyLabeledReplicas"] = json!(counts.active),
            "statefulsets" => object["status"]["currentReplicas"] = json!(counts.active),
            _ => write_scale_status(store, set, &mut object, counts),
        }
        put_if_changed(store, &set.0, &set.1, Some(&live), object);
        let Some(owner) = deployment_of(store, set) else {
            return;
        };
        let Some(live) = store.get(&owner.0, &owner.1).cloned() else {
            return;
        };
        let mut deployment = (*live).clone();
        objects::deployment_status(&mut deployment, counts, self.at);
        put_if_changed(store, &owner.0, &owner.1, Some(&live), deployment);
    }
}

/// Fills what the scale subresource of a custom kind reads.
fn write_scale_status(store: &Store, set: &ObjectId, object: &mut Value, counts: Counts) {
    let scale = store
        .registry
        .get(&set.0.0, &set.0.1)
        .and_then(|resource| resource.stored_version().and_then(|v| v.scale.clone()));
    let Some(scale) = scale else { return };
    super::scale::set(object, &scale.status_replicas, json!(counts.active));
    if let SelectorPath::Text(pointer) = &scale.selector {
        let selector = LabelSelector::from_object(&object["spec"]["selector"]).to_text();
        super::scale::set(object, pointer, json!(selector));
    }
}

/// The count of pods a workload asks for.
fn wanted(object: &Value) -> usize {
    object["spec"]["replicas"].as_u64().unwrap_or(1) as usize
}

/// True for a stateful set that starts its pods one after the other.
fn in_order(set: &ObjectId, object: &Value) -> bool {
    set.0.1 == "statefulsets" && object["spec"]["podManagementPolicy"] != "Parallel"
}

fn ordinal(name: &str) -> Option<usize> {
    name.rsplit('-').next()?.parse().ok()
}

/// The deployment that controls a replica set.
fn deployment_of(store: &Store, set: &ObjectId) -> Option<ObjectId> {
    let object = store.get(&set.0, &set.1)?;
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    let owner = owners
        .iter()
        .find(|owner| owner["controller"] == true && owner["kind"] == "Deployment")?;
    store.by_uid(owner["uid"].as_str()?).cloned()
}

fn put_if_changed(
    store: &mut Store,
    resource: &ResourceId,
    key: &Key,
    live: Option<&Value>,
    object: Value,
) {
    if live != Some(&object) {
        store.put(resource, key, object);
    }
}
