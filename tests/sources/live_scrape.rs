//! Demand from pods over real sockets: what they counted becomes a sample each second, and no pod
//! that hangs, lies or restarts makes a spike, hides one or costs the others their second.

use std::sync::Arc;

use crate::support::pods::{FakePod, Mood, ready};
use chrono::TimeDelta;
use pretty_assertions::assert_eq;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tipoff::burst::LiveSample;
use tipoff::clock::{Clock as _, ManualClock};
use tipoff::source::exposition::Selector;
use tipoff::source::pods::ReadyPod;
use tipoff::source::scrape::panel::sample_size;
use tipoff::source::scrape::{FleetScraper, Round, TIMEOUT, Wanted};

/// A fleet whose seconds the test makes pass.
struct Stage {
    clock: Arc<ManualClock>,
    fleet: Vec<FakePod>,
    pods: Vec<ReadyPod>,
    scraper: FleetScraper,
}

fn wanted() -> Wanted {
    let requests = || Selector::new("http_requests_total");
    Wanted {
        served: requests().without("code", "503"),
        shed: Some(requests().with("shed", "true")),
        queued: Some(Selector::new("work_queue_depth")),
    }
}

impl Stage {
    async fn new(pods: usize) -> Self {
        let clock = ManualClock::new(crate::support::at("2026-09-13T17:00:00Z"));
        let fleet = FakePod::fleet(pods).await;
        let scraper = FleetScraper::new(clock.clone(), wanted(), None, None);
        Self {
            pods: ready(&fleet),
            clock,
            fleet,
            scraper,
        }
    }

    /// A second passes in which each pod serves as many as `served` says; then they are asked.
    async fn second(&mut self, mut served: impl FnMut(usize) -> f64) -> Round {
        self.clock.advance(TimeDelta::seconds(1));
        for (number, pod) in self.fleet.iter().enumerate() {
            pod.counts(|counted| counted.served += served(number));
        }
        self.scraper.round(&self.pods).await
    }

    /// A second in which each pod serves 100, and the sample of it.
    async fn usual(&mut self) -> LiveSample {
        let round = self.second(|_| 100.0).await;
        round.sample.unwrap_or_else(|| panic!("{round:?}"))
    }
}

fn kinds(round: &Round) -> Vec<&'static str> {
    round.errors.iter().map(|(_, error)| error.kind()).collect()
}

fn offered(sample: &LiveSample) -> f64 {
    sample.offered.as_per_second()
}

#[tokio::test]
async fn demand_is_served_and_shed_and_never_a_bare_503() {
    let mut stage = Stage::new(3).await;
    assert_eq!(
        stage.second(|_| 0.0).await.sample,
        None,
        "nothing to compare with"
    );
    let began = stage.clock.now();
    for pod in &stage.fleet {
        pod.counts(|counted| {
            counted.shed += 20.0;
            counted.failed += 1_000.0;
            counted.queued = 7.0;
        });
    }
    let sample = stage.usual().await;
    assert_eq!(offered(&sample), 360.0);
    assert_eq!(sample.queued, Some(21.0));
    assert_eq!(sample.error, 0.0);
    assert_eq!((sample.from, sample.to), (began, stage.clock.now()));
    // a spike is all there in its first second
    let spike = stage.second(|_| 800.0).await.sample.unwrap();
    assert_eq!(offered(&spike), 2_400.0);
    assert_eq!(spike.from, sample.to);
    // servers that fail are no demand
    for pod in &stage.fleet {
        pod.counts(|counted| counted.failed += 5_000.0);
    }
    assert_eq!(offered(&stage.second(|_| 0.0).await.sample.unwrap()), 0.0);
}

#[tokio::test]
async fn connections_are_kept_and_closed_ones_are_opened_anew() {
    let mut stage = Stage::new(2).await;
    for _ in 0..6 {
        stage.second(|_| 100.0).await;
    }
    assert_eq!(stage.fleet[0].connections(), 1);
    stage.fleet[0].is(Mood::Close);
    for _ in 0..4 {
        assert_eq!(offered(&stage.usual().await), 200.0);
    }
    // the first answer after the change came over the kept connection
    assert_eq!(stage.fleet[0].connections(), 4);
    assert_eq!(stage.fleet[1].connections(), 1);
}

#[tokio::test]
async fn one_sick_pod_of_seven_changes_nothing() {
    let mut stage = Stage::new(7).await;
    stage.second(|_| 100.0).await;
    for (mood, kind) in [
        (Mood::Hang, "timeout"),
        (Mood::Drip, "timeout"),
        (Mood::Broken, "http"),
        (Mood::NotANumber, "not_a_number"),
        (Mood::Huge, "too_large"),
        (Mood::HugeInChunks, "too_large"),
        (Mood::WebPage, "content_type"),
        (Mood::WebPageInDisguise, "no_metric"),
        (Mood::CutOff, "broke_off"),
    ] {
        let well = stage.usual().await;
        assert_eq!(
            (offered(&well), well.error),
            (700.0, 0.0),
            "before {mood:?}"
        );
        stage.fleet[3].is(mood);
        let round = stage.second(|_| 100.0).await;
        assert_eq!(kinds(&round), [kind], "{mood:?}");
        let sample = round.sample.unwrap();
        assert_eq!(offered(&sample), 700.0, "{mood:?}");
        stage.fleet[3].is(Mood::Well);
        // its first answer afterwards covers the seconds it missed
        stage.usual().await;
    }
    // one that counts wildly, or not at all, is set aside
    for lie in [1e9, 0.0] {
        let round = stage.second(|pod| if pod == 3 { lie } else { 100.0 }).await;
        let sample = round.sample.unwrap();
        assert_eq!((round.sick, offered(&sample)), (1, 700.0), "{lie}");
    }
}

#[tokio::test]
async fn a_pod_that_hangs_costs_nobody_their_second() {
    let mut stage = Stage::new(7).await;
    stage.second(|_| 100.0).await;
    stage.usual().await;
    stage.fleet[0].is(Mood::Hang);
    // five rounds would take as many timeouts if they waited for it
    let rounds = async {
        for _ in 0..5 {
            assert_eq!(offered(&stage.usual().await), 700.0);
        }
        stage.second(|_| 100.0).await
    };
    let last = tokio::time::timeout(TIMEOUT * 5, rounds).await.unwrap();
    assert_eq!(kinds(&last), ["resting"], "it is asked less often");
    stage.fleet[0].is(Mood::Well);
    let mut healed = 0;
    while stage.usual().await.error > 0.0 {
        healed += 1;
        assert!(healed < 10, "it counts again");
    }
}

#[tokio::test]
async fn a_restart_is_neither_a_spike_nor_a_hole() {
    let mut stage = Stage::new(7).await;
    stage.second(|_| 5_000.0).await;
    stage.usual().await;
    stage.fleet[2].counts(|counted| counted.served = 4_000.0);
    let round = stage.second(|_| 100.0).await;
    assert_eq!(kinds(&round), ["reset"]);
    assert_eq!(offered(&round.sample.unwrap()), 700.0);
    let next = stage.usual().await;
    assert_eq!((offered(&next), next.error), (700.0, 0.0));
    // all of them at once: nobody knows, so there is no sample, and none of zero
    for pod in &stage.fleet {
        pod.counts(|counted| counted.served = 0.0);
    }
    assert_eq!(stage.second(|_| 100.0).await.sample, None);
}

#[tokio::test]
async fn fewer_than_half_are_no_sample() {
    let mut stage = Stage::new(4).await;
    stage.second(|_| 100.0).await;
    for pod in &stage.fleet[..2] {
        pod.is(Mood::Broken);
    }
    let half = stage.usual().await;
    assert_eq!(offered(&half), 400.0);
    assert!(half.error > 0.0);
    stage.fleet[2].is(Mood::WebPage);
    let round = stage.second(|_| 100.0).await;
    assert_eq!((round.asked, round.told, round.sample), (4, 1, None));
    // a pod whose server is gone, and one without a port
    let gone = stage.fleet.remove(3);
    let address = gone.address;
    gone.vanish().await;
    let mut pods = ready(&stage.fleet);
    pods.push(ReadyPod {
        port: Some(address.port()),
        ..stage.pods[3].clone()
    });
    pods[0].port = None;
    pods[1].scheme = Some("https".into());
    stage.pods = pods;
    let round = stage.second(|_| 100.0).await;
    let mut kinds = kinds(&round);
    kinds.sort_unstable();
    assert_eq!(kinds, ["content_type", "no_port", "scheme", "unreachable"]);
    assert_eq!(round.sample, None);
}

#[tokio::test]
async fn pods_that_just_came_have_served_nothing_yet_and_those_that_went_do_not_count() {
    let mut stage = Stage::new(10).await;
    let all = stage.pods.clone();
    stage.pods.truncate(2);
    stage.second(|_| 100.0).await;
    assert_eq!(offered(&stage.usual().await), 200.0);
    stage.pods.clone_from(&all);
    let sample = stage.usual().await;
    assert_eq!((offered(&sample), sample.error), (200.0, 0.0));
    assert_eq!(offered(&stage.usual().await), 1_000.0);
    stage.pods.truncate(5);
    assert_eq!(offered(&stage.usual().await), 500.0);
    stage.pods.clear();
    assert_eq!(
        stage.second(|_| 100.0).await.sample,
        None,
        "nobody Ready is not zero"
    );
}

#[tokio::test]
async fn five_hundred_pods_are_sampled_with_the_error_known() {
    let mut stage = Stage::new(500).await;
    let mut rng = StdRng::seed_from_u64(7);
    let shares: Vec<f64> = (0..500).map(|_| rng.random_range(60.0..140.0)).collect();
    let truth: f64 = shares.iter().sum();
    stage.second(|pod| shares[pod]).await;
    let (mut squares, mut said, mut rounds) = (0.0, 0.0, 0.0);
    for _ in 0..40 {
        let round = stage.second(|pod| shares[pod]).await;
        assert!(
            round.asked.abs_diff(sample_size(500)) <= 1,
            "{}",
            round.asked
        );
        let sample = round.sample.unwrap();
        let off = offered(&sample) / truth - 1.0;
        assert!(off.abs() < 4.0 * sample.error, "{off} of {}", sample.error);
        squares += off * off;
        said += sample.error;
        rounds += 1.0;
    }
    let (true_error, said) = (f64::sqrt(squares / rounds), said / rounds);
    // a pod differs by 23 % of the mean: over the root of 55 of them 3 %
    assert!((0.025..0.035).contains(&said), "{said}");
    // the panel changes slowly, so forty rounds are fewer than forty samples
    assert!(
        (said / 3.0..said * 2.0).contains(&true_error),
        "{true_error} of {said}"
    );
    let asked: u64 = stage.fleet.iter().map(FakePod::connections).sum();
    assert!(asked < 150, "{asked} connections for 41 rounds");
}
