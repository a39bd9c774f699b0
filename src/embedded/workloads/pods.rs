//! The life of a pod: made for its set, placed on a node, started, ended.
//!
//! Decides what the replica set controller's pod writes, the scheduler, the node autoscaler and
//! the kubelet of a real cluster decide between them. It must not decide how many pods there
//! should be.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::super::store::{Key, ObjectId, Store};
use super::{
    Due, PodState, START_UP_ANNOTATION, Simulation, id, objects, ordinal, put_if_changed, wanted,
};
use crate::units::{HumanDuration, Timestamp};

impl Simulation {
    pub(super) fn create_pod(&mut self, store: &mut Store, set: &ObjectId) {
        let Some(entry) = self.sets.get_mut(set) else {
            return;
        };
        entry.planned = entry.planned.saturating_sub(1);
        let Some(owner) = store.get(&set.0, &set.1).cloned() else {
            return;
        };
        let ending = owner["metadata"]["deletionTimestamp"].is_string();
        if ending || entry.active >= wanted(&owner) {
            return;
        }
        let name = if set.0.1 == "statefulsets" {
            let taken: BTreeSet<usize> = entry.pods.iter().filter_map(|k| ordinal(&k.1)).collect();
            // Among one more number than there are pods, one is free.
            let free = (0..=taken.len()).find(|number| !taken.contains(number));
            format!("{}-{}", set.1.1, free.unwrap_or_default())
        } else {
            store.generate_name(&format!("{}-", set.1.1))
        };
        let key = (set.1.0.clone(), name);
        let uid = store.new_uid();
        let mut pod = objects::pod(&owner, &key, &uid, self.at);
        let node = self.find_room();
        objects::place(&mut pod, node.as_deref(), self.at);
        store.put(&id("", "pods"), &key, pod);
    }

    /// Takes note of a pod that was written and lets its set react.
    pub(super) fn sync_pod(&mut self, store: &mut Store, key: &Key) {
        if let Some(set) = self.note_pod(store, key) {
            self.sync_set(store, &set);
        }
    }

    /// Takes note of a pod that appeared, is being deleted, or went. Answers with the set that
    /// lost an active pod by it.
    pub(super) fn note_pod(&mut self, store: &mut Store, key: &Key) -> Option<ObjectId> {
        let object = store.get(&id("", "pods"), key).cloned();
        let uid = object
            .as_ref()
            .and_then(|pod| pod["metadata"]["uid"].as_str());
        let known = self.pods.get(key);
        let mut loser = None;
        if known.is_some_and(|known| Some(known.uid.as_str()) != uid) {
            loser = self.forget_pod(store, key);
        }
        let object = object?;
        if !self.pods.contains_key(key) {
            self.adopt(store, key, &object);
        }
        let known = self.pods.get_mut(key)?;
        if object["metadata"]["deletionTimestamp"].is_string() && !known.terminating {
            known.terminating = true;
            let delay = self.pods_behave.terminate.draw(&mut self.rng);
            let (uid, set) = (known.uid.clone(), known.set.clone());
            self.plan(self.at + delay, Due::PodGone(key.clone(), uid));
            if let Some(entry) = set.as_ref().and_then(|set| self.sets.get_mut(set)) {
                entry.active = entry.active.saturating_sub(1);
            }
            loser = set.or(loser);
        }
        loser
    }

    fn forget_pod(&mut self, store: &mut Store, key: &Key) -> Option<ObjectId> {
        let known = self.pods.remove(key)?;
        if let Some(address) = known.address {
            self.addresses.give_back(address);
        }
        self.waiting.retain(|waiting| waiting != key);
        if let Some(room) = known.node.as_ref().and_then(|node| self.room.get_mut(node)) {
            *room = room.saturating_add(1);
        }
        self.place_waiting(store);
        let set = known.set?;
        if let Some(entry) = self.sets.get_mut(&set) {
            entry.pods.remove(key);
            if !known.terminating {
                entry.active = entry.active.saturating_sub(1);
            }
        }
        Some(set)
    }

    fn adopt(&mut self, store: &mut Store, key: &Key, object: &Arc<Value>) {
        let metadata = &object["metadata"];
        let owner = metadata["ownerReferences"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|owner| owner["controller"] == true)
            .and_then(|owner| owner["uid"].as_str())
            .and_then(|uid| store.by_uid(uid))
            .filter(|owner| self.kinds.contains(&owner.0))
            .cloned();
        if let Some(set) = &owner {
            let entry = self.sets.entry(set.clone()).or_default();
            entry.pods.insert(key.clone());
            entry.active += 1;
            self.stale.insert(set.clone());
        }
        let cost = &metadata["annotations"]["controller.kubernetes.io/pod-deletion-cost"];
        self.pods.insert(
            key.clone(),
            PodState {
                uid: metadata["uid"].as_str().unwrap_or_default().to_owned(),
                set: owner,
                node: None,
                created: self.at,
                ready_since: None,
                terminating: false,
                deletion_cost: cost
                    .as_str()
                    .and_then(|c| c.parse().ok())
                    .unwrap_or_default(),
                address: None,
            },
        );
        if let Some(node) = object["spec"]["nodeName"].as_str() {
            self.settle_in(key, node, object);
        } else {
            self.waiting.push_back(key.clone());
            self.place_waiting(store);
        }
    }

    /// The pod is on `node` now: it takes room and starts.
    fn settle_in(&mut self, key: &Key, node: &str, object: &Value) {
        if let Some(room) = self.room.get_mut(node) {
            *room = room.saturating_sub(1);
        }
        let chosen = object["metadata"]["annotations"][START_UP_ANNOTATION].as_str();
        let delay = match chosen.and_then(|text| text.parse::<HumanDuration>().ok()) {
            Some(HumanDuration(span)) => span,
            None => self.pods_behave.start_up.draw(&mut self.rng),
        };
        if let Some(pod) = self.pods.get_mut(key) {
            pod.node = Some(node.to_owned());
            let uid = pod.uid.clone();
            self.plan(self.at + delay, Due::PodReady(key.clone(), uid));
        }
    }

    fn find_room(&self) -> Option<String> {
        let free = self.room.iter().find(|(_, room)| **room > 0);
        free.map(|(node, _)| node.clone())
    }

    /// Places waiting pods in their order and asks for nodes for those that do not fit.
    pub(super) fn place_waiting(&mut self, store: &mut Store) {
        let pods = id("", "pods");
        while let Some(key) = self.waiting.front().cloned() {
            let Some(live) = store.get(&pods, &key).cloned() else {
                self.waiting.pop_front();
                continue;
            };
            let node = self.find_room();
            let mut pod = (*live).clone();
            objects::place(&mut pod, node.as_deref(), self.at);
            put_if_changed(store, &pods, &key, Some(&live), pod.clone());
            let Some(node) = node else { break };
            self.waiting.pop_front();
            self.settle_in(&key, &node, &pod);
        }
        let Some(nodes) = self.nodes_behave else {
            return;
        };
        let needed = self.waiting.len().div_ceil(nodes.pods_per_node.max(1));
        let allowed = nodes.max.saturating_sub(self.room.len());
        while self.booting < needed.min(allowed) {
            self.booting += 1;
            let delay = nodes.boot.draw(&mut self.rng);
            self.plan(self.at + delay, Due::NodeReady);
        }
    }

    pub(super) fn add_node(&mut self, store: &mut Store) {
        let mut numbers = 1..=self.room.len() + 1;
        let number = numbers.find(|n| !self.room.contains_key(&format!("embedded-{n}")));
        let name = format!("embedded-{}", number.unwrap_or_default());
        // Without a limit the one node takes whatever comes.
        let pods = self
            .nodes_behave
            .map_or(100_000, |nodes| nodes.pods_per_node);
        let uid = store.new_uid();
        let node = objects::node(&name, &uid, pods, self.at);
        self.room.insert(name.clone(), pods);
        store.put(&id("", "nodes"), &(String::new(), name), node);
    }

    pub(super) fn start_pod(&mut self, store: &mut Store, key: &Key, uid: &str) {
        let Some(known) = self.pods.get_mut(key).filter(|pod| pod.uid == uid) else {
            return;
        };
        let pods = id("", "pods");
        let Some(live) = store.get(&pods, key).cloned() else {
            return;
        };
        if known.terminating {
            return;
        }
        known.ready_since = Some(self.at);
        let address = *known.address.get_or_insert_with(|| self.addresses.take());
        let mut pod = (*live).clone();
        objects::start(&mut pod, address, self.at);
        let set = known.set.clone();
        store.put(&pods, key, pod);
        let Some(set) = set else { return };
        let settle_time = store
            .get(&set.0, &set.1)
            .and_then(|object| object["spec"]["minReadySeconds"].as_i64())
            .unwrap_or_default();
        if settle_time > 0 {
            self.plan(
                self.at + TimeDelta::seconds(settle_time),
                Due::Recount(set.clone()),
            );
        }
        // The next pod of an ordered set may have waited for this one.
        self.sync_set(store, &set);
    }
}

/// The kubelet's last act: the pod goes, or waits for its finalizers.
pub(super) fn end_pod(store: &mut Store, key: &Key, now: Timestamp) {
    let pods = id("", "pods");
    let Some(live) = store.get(&pods, key).cloned() else {
        return;
    };
    if live["metadata"]["finalizers"]
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        store.erase(&pods, key, now);
        return;
    }
    let mut pod = (*live).clone();
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    pod["status"]["phase"] = json!("Succeeded");
    put_if_changed(store, &pods, key, Some(&live), pod);
}
