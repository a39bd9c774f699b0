//! One workload's demand from its pods, each second.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Kitchen, Pace, Silence};
use crate::api::live::ScrapeFeed;
use crate::api::v1alpha1::ScaleTargetRef;
use crate::source::LiveSource;
use crate::source::pods::{self, ReadyPods};
use crate::source::scrape::{FleetScraper, Round};
use crate::target::ScaleTargets;

/// Real time between two tries to learn the pods' selector.
const RETRY: Duration = Duration::from_secs(5);

/// Real time between two looks whether the selector is still the same: a workload deleted and made
/// anew may have another.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What one task works with.
pub(super) struct Task {
    pub(super) kitchen: Kitchen,
    pub(super) targets: Arc<ScaleTargets>,
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) target: ScaleTargetRef,
    pub(super) feed: ScrapeFeed,
    pub(super) pace: Pace,
}

impl Task {
    pub(super) async fn run(self) {
        let (found, pods) = watch::channel(None);
        tokio::join!(self.watch(&found), self.ask(pods));
    }

    /// Follows the workload's pods for ever.
    async fn watch(&self, found: &watch::Sender<Option<ReadyPods>>) {
        loop {
            let selector = self.selector().await;
            tokio::select! {
                () = pods::follow(
                    self.kitchen.client.clone(), &self.namespace, &selector, found,
                ) => tokio::time::sleep(RETRY).await,
                () = self.until_another(&selector) => {}
            }
        }
    }

    async fn selector(&self) -> String {
        let mut told = false;
        loop {
            match self.targets.selector(&self.namespace, &self.target).await {
                Ok(selector) => return selector,
                Err(error) if !told => {
                    tracing::warn!(policy = self.name, %error, "pods to scrape are not known");
                    told = true;
                }
                Err(_) => {}
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn until_another(&self, selector: &str) {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            let now = self.targets.selector(&self.namespace, &self.target).await;
            if now.is_ok_and(|now| now != selector) {
                return;
            }
        }
    }

    /// Asks them each second for ever.
    async fn ask(&self, pods: watch::Receiver<Option<ReadyPods>>) {
        let Kitchen {
            clock,
            inbox,
            metrics,
            ..
        } = &self.kitchen;
        let ScrapeFeed { wanted, port, path } = self.feed.clone();
        let mut scraper = FleetScraper::new(clock.clone(), wanted, port, path);
        let mut silence = Silence::default();
        loop {
            self.pace.tick().await;
            let Some(pods) = pods.borrow().clone() else {
                continue;
            };
            let round = scraper.round(&pods).await;
            for (_, error) in &round.errors {
                metrics.scrape_error(error.kind());
            }
            metrics.pods_set_aside(round.sick);
            let outcome = match round.sample {
                Some(sample) => inbox
                    .offer(&self.name, LiveSource::Scrape, sample, clock.now())
                    .map_err(|refused| refused.to_string()),
                None => Err(why_none(&round, pods.len())),
            };
            silence.note(&self.name, outcome);
        }
    }
}

fn why_none(round: &Round, pods: usize) -> String {
    let Round {
        asked,
        told,
        errors,
        ..
    } = round;
    if pods == 0 {
        return "no pod is Ready, so nobody can tell the load".to_owned();
    }
    match errors.first() {
        Some((pod, error)) => {
            format!("{told} of the {asked} pods asked told their load; {pod}: {error}")
        }
        None => format!("{told} of the {asked} pods asked told their load"),
    }
}
