//! What live signals cost: pods asked per second of one core, pages read, samples taken in.
//!
//! `cargo bench --bench scrape` prints the figures. The pods are real HTTP servers on loopback, on
//! a thread of their own; the scraper's cost is the processor time of its thread (Linux's
//! `/proc/thread-self/schedstat`), so it is one core's whatever else the machine does.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench prints, and has no callers"
)]

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, Response};
use bytes::Bytes;
use chrono::TimeDelta;
use futures::future::join_all;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tipoff::burst::LiveSample;
use tipoff::clock::{SharedClock, SystemClock};
use tipoff::serve::Metrics;
use tipoff::source::exposition::{Page, Selector};
use tipoff::source::pods::ReadyPod;
use tipoff::source::scrape::{FleetScraper, Wanted};
use tipoff::source::{Inbox, LiveSource};
use tipoff::units::{Rate, Timestamp};
use tokio::net::TcpListener;

/// Workloads, and pods of each: all of them are asked.
const WORKLOADS: usize = 20;
const PODS: usize = 10;

/// How long each figure is measured for.
const MEASURED: Duration = Duration::from_secs(4);

fn main() {
    for (name, lines) in [
        ("small page", 20),
        ("usual page", 400),
        ("large page", 5_000),
    ] {
        scrape(name, lines);
    }
    take_in();
}

/// A page of `lines` lines before and after the counter, as a client library writes them.
fn page(lines: usize) -> String {
    let mut page = String::new();
    for half in ["a", "z"] {
        page.push_str("# TYPE lib_duration_seconds_bucket histogram\n");
        for line in 0..lines / 2 {
            writeln!(
                page,
                "lib_duration_seconds_bucket{{handler=\"/{half}\",le=\"{line}\"}} 1234{line}"
            )
            .unwrap();
        }
        if half == "a" {
            page.push_str("# TYPE http_requests_total counter\n");
            for code in [200, 201, 404, 429, 500, 503] {
                writeln!(page, "http_requests_total{{code=\"{code}\"}} 123456").unwrap();
            }
        }
    }
    page
}

fn wanted() -> Wanted {
    Wanted {
        served: Selector::new("http_requests_total").without("code", "503"),
        shed: Some(Selector::new("http_requests_total").with("code", "429")),
        queued: None,
    }
}

/// Serves one page on many ports for ever, on a thread of its own.
fn serve(page: String) -> Vec<SocketAddr> {
    let (tell, addresses) = mpsc::channel();
    std::thread::spawn(move || {
        let page = Bytes::from(page);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            for _ in 0..WORKLOADS * PODS {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                tokio::spawn(accept(listener, page.clone()));
            }
            drop(tell);
            std::future::pending::<()>().await;
        });
    });
    addresses.iter().collect()
}

async fn accept(listener: TcpListener, page: Bytes) {
    while let Ok((stream, _)) = listener.accept().await {
        let page = page.clone();
        let answer = service_fn(move |_: Request<hyper::body::Incoming>| {
            let response = Response::builder()
                .header(CONTENT_TYPE, "text/plain; version=0.0.4")
                .body(Body::from(page.clone()));
            std::future::ready(Ok::<_, Infallible>(response.unwrap()))
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

fn since(clock: &SharedClock, began: Duration) -> Duration {
    clock.monotonic().saturating_sub(began)
}

/// Processor time of this thread since a moment.
struct Busy(Duration);

impl Busy {
    fn begin() -> Self {
        Self(Self::now())
    }

    fn seconds(&self) -> f64 {
        Self::now().saturating_sub(self.0).as_secs_f64()
    }

    fn now() -> Duration {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat");
        let text = text.expect("Linux with scheduler statistics");
        let nanoseconds = text.split_whitespace().next().unwrap();
        Duration::from_nanos(nanoseconds.parse().unwrap())
    }
}

fn scrape(name: &str, lines: usize) {
    let page = page(lines);
    let kilobytes = page.len() as f64 / 1e3;
    let parse = parse(&page);
    let addresses = serve(page);
    let clock = SystemClock::shared();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut fleets: Vec<(FleetScraper, Vec<ReadyPod>)> = addresses
        .chunks(PODS)
        .map(|addresses| {
            let scraper = FleetScraper::new(clock.clone(), wanted(), None, None);
            (scraper, addresses.iter().map(pod).collect())
        })
        .collect();
    let mut round = || {
        runtime.block_on(async {
            let rounds = fleets.iter_mut().map(|(scraper, pods)| scraper.round(pods));
            join_all(rounds).await
        })
    };
    // connections first
    let failed: usize = round().iter().map(|round| round.errors.len()).sum();
    let (began, busy, mut asked) = (clock.monotonic(), Busy::begin(), 0.0);
    while since(&clock, began) < MEASURED {
        round();
        asked += (WORKLOADS * PODS) as f64;
    }
    let wall = since(&clock, began).as_secs_f64();
    let per_core = asked / busy.seconds();
    println!(
        "{name} ({kilobytes:.0} kB): {per_core:.0} targets per second of one core, parsing alone \
         {parse:.1} µs a page; {:.0} per second of wall clock beside the servers, {failed} failed",
        asked / wall
    );
}

fn pod(address: &SocketAddr) -> ReadyPod {
    ReadyPod {
        id: format!("web-{}/uid", address.port()),
        address: address.ip(),
        port: Some(address.port()),
        path: None,
        scheme: None,
    }
}

/// Microseconds of processor time to read a page that is there.
fn parse(page: &str) -> f64 {
    const PAGES: u32 = 5_000;
    let Wanted { served, shed, .. } = wanted();
    let selectors: Vec<Selector> = shed.into_iter().chain([served]).collect();
    let busy = Busy::begin();
    for _ in 0..PAGES {
        let mut reading = Page::new(&selectors);
        reading.read(page.as_bytes()).unwrap();
        assert!(reading.end().unwrap()[1].is_some());
    }
    busy.seconds() * 1e6 / f64::from(PAGES)
}

fn take_in() {
    const MANY: usize = 10_000;
    const SECONDS: i64 = 50;
    let inbox = Inbox::new(Metrics::new().unwrap());
    let names: Vec<String> = (0..MANY).map(|n| format!("dfs/workload-{n}")).collect();
    for name in &names {
        inbox.open(name, LiveSource::Push);
    }
    let start = Timestamp::UNIX_EPOCH + TimeDelta::days(20_000);
    let (mut offering, mut taking, mut taken) = (0.0, 0.0, 0);
    for second in 0..SECONDS {
        let to = start + TimeDelta::seconds(second);
        let sample = LiveSample {
            from: to - TimeDelta::seconds(1),
            to,
            offered: Rate::per_second(100.0),
            queued: None,
            error: 0.0,
        };
        let busy = Busy::begin();
        for name in &names {
            inbox.offer(name, LiveSource::Push, sample, to).unwrap();
        }
        offering += busy.seconds();
        let busy = Busy::begin();
        for name in &names {
            taken += inbox.take(name, start - TimeDelta::seconds(1)).len();
        }
        taking += busy.seconds();
    }
    let many = MANY as f64 * SECONDS as f64;
    assert_eq!(taken as f64, many);
    println!(
        "inbox of {MANY} workloads: {:.2} µs to take a sample in, {:.2} µs to take it out",
        offering * 1e6 / many,
        taking * 1e6 / many
    );
}
