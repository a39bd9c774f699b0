//! Leader election against an API: one writer at any time, and another one soon after it is gone.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams};
use tipoff::clock::{Clock as _, ManualClock};
use tipoff::controller::leader::{Elector, Leadership, identity};
use tipoff::embedded::{EmbeddedCluster, Fault, Matcher, Verb};
use tipoff::serve::Metrics;
use tipoff::settings::LeaderElectionSettings;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A cluster whose time a test moves by hand.
struct Stage {
    clock: Arc<ManualClock>,
    cluster: EmbeddedCluster,
}

/// One controller process.
struct Process {
    leadership: Leadership,
    metrics: Metrics,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Stage {
    fn new() -> Self {
        let clock = ManualClock::new("2026-09-13T12:00:00Z".parse().unwrap());
        let cluster = EmbeddedCluster::builder().clock(clock.clone()).build();
        Self { clock, cluster }
    }

    fn start(&self, name: &str) -> Process {
        let metrics = Metrics::new().unwrap();
        let (elector, leadership) = Elector::new(
            &self.cluster.client_as(name),
            &LeaderElectionSettings::default(),
            None,
            format!("{name}_{}", identity()),
            self.clock.clone(),
            metrics.clone(),
        );
        let stop = CancellationToken::new();
        let task = tokio::spawn(elector.run(stop.clone()));
        Process {
            leadership,
            metrics,
            stop,
            task,
        }
    }

    /// Lets time pass in steps that every task can keep up with; at no step may two lead.
    async fn pass(&self, seconds: i64, processes: &[&Process]) {
        settle().await;
        for _ in 0..seconds * 4 {
            self.clock.advance(TimeDelta::milliseconds(250));
            settle().await;
            let leaders = processes.iter().filter(|p| p.leads()).count();
            assert!(leaders <= 1, "two leaders at {}", self.clock.now());
        }
    }

    async fn lease(&self) -> Lease {
        self.leases().get("tipoff").await.unwrap()
    }

    fn leases(&self) -> Api<Lease> {
        Api::default_namespaced(self.cluster.client_as("test"))
    }

    fn cut_off(&self, name: &str) {
        let matcher = Matcher::any().agent(name);
        self.cluster.faults().always(matcher, Fault::status(500));
    }
}

impl Process {
    fn leads(&self) -> bool {
        self.leadership.is_leader()
    }

    fn shows_leading(&self) -> bool {
        let text = self.metrics.render().unwrap();
        text.lines()
            .any(|line| line == r#"tipoff_leader{lease="default/tipoff"} 1"#)
    }
}

/// Lets every task run until it waits for the clock again.
async fn settle() {
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn alone_it_leads_at_once_and_goes_on() {
    let stage = Stage::new();
    let a = stage.start("a");
    stage.pass(1, &[&a]).await;
    assert!(a.leads() && a.shows_leading());
    let first = stage.lease().await.spec.unwrap();
    assert!(first.holder_identity.clone().unwrap().starts_with("a_"));
    assert_eq!(first.lease_duration_seconds, Some(15));
    stage.pass(60, &[&a]).await;
    assert!(a.leads());
    let later = stage.lease().await.spec.unwrap();
    assert_eq!(later.acquire_time, first.acquire_time);
    assert!(later.renew_time > first.renew_time);
    assert_eq!(later.lease_transitions, Some(0));
}

#[tokio::test]
async fn of_two_one_leads_and_when_it_is_killed_the_other_follows() {
    let stage = Stage::new();
    let a = stage.start("a");
    stage.pass(1, &[&a]).await;
    let b = stage.start("b");
    stage.pass(30, &[&a, &b]).await;
    assert!(a.leads() && !b.leads());

    a.task.abort();
    stage.pass(12, &[&a, &b]).await;
    assert!(!a.leads(), "a claim nobody renews ends by itself");
    assert!(
        !b.leads(),
        "and nobody takes it over before the lease runs out"
    );
    stage.pass(6, &[&a, &b]).await;
    assert!(b.leads());
    assert_eq!(stage.lease().await.spec.unwrap().lease_transitions, Some(1));
}

#[tokio::test]
async fn a_clean_stop_hands_over_without_the_wait() {
    let stage = Stage::new();
    let a = stage.start("a");
    stage.pass(1, &[&a]).await;
    let b = stage.start("b");
    stage.pass(5, &[&a, &b]).await;
    a.stop.cancel();
    stage.pass(3, &[&a, &b]).await;
    assert!(!a.leads() && b.leads());
    assert!(!a.shows_leading() && b.shows_leading());
    a.task.await.unwrap();
}

#[tokio::test]
async fn a_leader_cut_off_from_the_api_steps_back_before_another_steps_up() {
    let stage = Stage::new();
    let a = stage.start("a");
    stage.pass(1, &[&a]).await;
    let b = stage.start("b");
    stage.pass(5, &[&a, &b]).await;
    stage.cut_off("a");
    stage.pass(8, &[&a, &b]).await;
    assert!(a.leads(), "a short outage is ridden out");
    stage.pass(4, &[&a, &b]).await;
    assert!(!a.leads() && !b.leads());
    stage.pass(6, &[&a, &b]).await;
    assert!(b.leads());
    stage.cluster.faults().clear();
    stage.pass(30, &[&a, &b]).await;
    assert!(
        b.leads() && !a.leads(),
        "who comes back waits like everybody"
    );
}

#[tokio::test]
async fn a_short_outage_changes_nothing() {
    let stage = Stage::new();
    let a = stage.start("a");
    stage.pass(1, &[&a]).await;
    stage.cut_off("a");
    stage.pass(6, &[&a]).await;
    stage.cluster.faults().clear();
    for _ in 0..10 {
        stage.pass(1, &[&a]).await;
        assert!(a.leads());
    }
}

#[tokio::test]
async fn an_api_that_hangs_does_not_keep_a_leader_in_office() {
    let stage = Stage::new();
    let a = stage.start("a");
    stage.pass(3, &[&a]).await;
    let hang = Fault::Delay(Duration::from_secs(3600));
    stage
        .cluster
        .faults()
        .always(Matcher::any().agent("a"), hang);
    stage.pass(11, &[&a]).await;
    assert!(
        !a.leads(),
        "its loop waits for an answer, its claim has run out all the same"
    );
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_found_again() {
    let stage = Stage::new();
    let create = Matcher::any().resource("leases").verb(Verb::Create);
    stage.cluster.faults().next(1, create, Fault::LoseAnswer);
    let a = stage.start("a");
    stage.pass(5, &[&a]).await;
    assert!(a.leads());
}

#[tokio::test]
async fn who_may_not_read_the_lease_never_leads() {
    let stage = Stage::new();
    let read = Matcher::any()
        .agent("blind")
        .resource("leases")
        .verb(Verb::Get);
    stage.cluster.faults().always(read, Fault::status(403));
    let blind = stage.start("blind");
    stage.pass(20, &[&blind]).await;
    assert!(!blind.leads(), "there may be a leader it cannot see");
    let other = stage.start("other");
    stage.pass(20, &[&blind, &other]).await;
    assert!(other.leads() && !blind.leads());
}

#[tokio::test]
async fn many_that_see_the_lease_run_out_make_one_leader() {
    let stage = Stage::new();
    let first = stage.start("first");
    stage.pass(1, &[&first]).await;
    let others: Vec<_> = ["b", "c", "d", "e"].map(|name| stage.start(name)).into();
    let all: Vec<_> = others.iter().chain([&first]).collect();
    stage.pass(3, &all).await;
    first.task.abort();
    stage.pass(20, &all).await;
    assert_eq!(others.iter().filter(|p| p.leads()).count(), 1);
}

#[tokio::test]
async fn a_lease_deleted_under_its_holder_is_made_again_by_the_holder() {
    let stage = Stage::new();
    let a = stage.start("a");
    stage.pass(1, &[&a]).await;
    let b = stage.start("b");
    stage.pass(3, &[&a, &b]).await;
    stage
        .leases()
        .delete("tipoff", &DeleteParams::default())
        .await
        .unwrap();
    stage.pass(20, &[&a, &b]).await;
    assert!(a.leads() && !b.leads());
    let holder = stage.lease().await.spec.unwrap().holder_identity.unwrap();
    assert!(holder.starts_with("a_"), "{holder}");
}

#[tokio::test]
async fn winning_and_losing_are_told_and_renewing_is_not() {
    let stage = Stage::new();
    let a = stage.start("a");
    let mut watched = a.leadership.clone();
    let told = tokio::spawn(async move {
        let mut told = Vec::new();
        for _ in 0..2 {
            told.push(watched.changed().await);
        }
        told
    });
    stage.pass(30, &[&a]).await;
    assert!(!told.is_finished(), "ten renewals are no news");
    stage.cut_off("a");
    stage.pass(15, &[&a]).await;
    assert_eq!(told.await.unwrap(), [true, false]);
}

#[tokio::test]
async fn who_is_certainly_alone_always_leads() {
    let stage = Stage::new();
    assert!(Leadership::always(stage.clock.clone()).is_leader());
}

#[test]
fn no_two_processes_share_a_name() {
    assert_ne!(identity(), identity());
}
