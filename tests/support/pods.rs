//! Real HTTP servers that stand for pods: their counters are set by the test, and they can be told
//! to fail in each way a real one does.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{Request, Response, StatusCode};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tipoff::source::pods::ReadyPod;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// How a pod answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    Well,
    /// Not at all, while the connection stays open.
    Hang,
    /// A byte now and then.
    Drip,
    /// With HTTP 500.
    Broken,
    /// With NaN.
    NotANumber,
    /// With ten megabytes.
    Huge,
    /// The same without saying so beforehand.
    HugeInChunks,
    /// With a web page.
    WebPage,
    /// With a web page that claims to be plain text.
    WebPageInDisguise,
    /// With less than it promised.
    CutOff,
    /// As it should, closing the connection each time.
    Close,
}

/// What it has counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counted {
    /// Requests served well.
    pub served: f64,
    /// Requests shed on purpose.
    pub shed: f64,
    /// Requests answered 503 without a mark.
    pub failed: f64,
    /// Requests waiting.
    pub queued: f64,
}

struct Shared {
    mood: Mutex<Mood>,
    counted: Mutex<Counted>,
    connections: AtomicU64,
}

/// A running one; it ends when it is dropped.
pub struct FakePod {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for FakePod {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakePod {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            mood: Mutex::new(Mood::Well),
            counted: Mutex::default(),
            connections: AtomicU64::new(0),
        });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            // they end with this task
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                serving.connections.fetch_add(1, Ordering::Relaxed);
                let shared = Arc::clone(&serving);
                let answer = service_fn(move |request| answer(Arc::clone(&shared), request));
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                connections.spawn(async move {
                    // a scraper that goes away is no fault of the pod
                    let _ = connection.await;
                });
            }
        });
        Self {
            address,
            shared,
            task,
        }
    }

    /// Many of them.
    pub async fn fleet(pods: usize) -> Vec<Self> {
        let mut fleet = Vec::with_capacity(pods);
        for _ in 0..pods {
            fleet.push(Self::start().await);
        }
        fleet
    }

    /// Ends it as a node that fails does: connections break, and nobody listens any more.
    pub async fn vanish(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
        // the connections' tasks end when the runtime comes to them
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    /// How it answers from now on.
    pub fn is(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// Changes what it has counted.
    pub fn counts(&self, change: impl FnOnce(&mut Counted)) {
        change(&mut self.shared.counted.lock().unwrap());
    }

    /// Sets the count of requests served, from any task.
    pub fn counter(&self) -> impl Fn(f64) + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move |served| shared.counted.lock().unwrap().served = served
    }

    /// Connections that were ever opened to it.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

/// The servers as the Ready pods of a workload, named `web-0` and so on.
pub fn ready(fleet: &[FakePod]) -> Vec<ReadyPod> {
    let pods = fleet.iter().enumerate();
    pods.map(|(number, pod)| ReadyPod {
        id: format!("web-{number}/uid"),
        address: pod.address.ip(),
        port: Some(pod.address.port()),
        path: None,
        scheme: None,
    })
    .collect()
}

fn page(counted: Counted) -> String {
    let Counted {
        served,
        shed,
        failed,
        queued,
    } = counted;
    format!(
        "# HELP http_requests_total Requests by how they ended.
# TYPE http_requests_total counter
http_requests_total{{code=\"200\",path=\"/enter\"}} {served}
http_requests_total{{code=\"503\",path=\"/enter\"}} {failed}
http_requests_total{{code=\"503\",path=\"/enter\",shed=\"true\"}} {shed}
# TYPE work_queue_depth gauge
work_queue_depth {queued}
# TYPE process_open_fds gauge
process_open_fds 12
"
    )
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<Body>, Infallible> {
    let mood = *shared.mood.lock().unwrap();
    let page = page(*shared.counted.lock().unwrap());
    let text = "text/plain; version=0.0.4";
    let well = |kind: &str, body: Body| {
        let response = Response::builder().header(CONTENT_TYPE, kind);
        response.body(body).unwrap()
    };
    if request.uri().path() != "/metrics" {
        let missing = Response::builder().status(StatusCode::NOT_FOUND);
        return Ok(missing.body(Body::empty()).unwrap());
    }
    Ok(match mood {
        Mood::Well => well(text, Body::from(page)),
        Mood::Hang => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            well(text, Body::from(page))
        }
        Mood::Drip => {
            let bytes = stream::iter(page.into_bytes()).then(|byte| async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok::<_, Infallible>(Bytes::from(vec![byte]))
            });
            well(text, Body::from_stream(bytes))
        }
        Mood::Broken => {
            let broken = Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR);
            broken.body(Body::from(page)).unwrap()
        }
        Mood::NotANumber => well(text, Body::from("http_requests_total NaN\n")),
        Mood::Huge => well(text, Body::from("a_metric 1\n".repeat(1_000_000))),
        Mood::HugeInChunks => {
            let chunk = Bytes::from("a_metric 1\n".repeat(1_000));
            let chunks = stream::repeat(chunk).take(1_000).map(Ok::<_, Infallible>);
            well(text, Body::from_stream(chunks))
        }
        Mood::WebPage => well("text/html; charset=utf-8", Body::from("<html></html>")),
        Mood::WebPageInDisguise => well(text, Body::from("<html>\n</html>\n")),
        Mood::CutOff => {
            let half = page.len() / 2;
            let chunks = stream::iter([
                Ok(Bytes::from(page[..half].to_owned())),
                Err(std::io::Error::other("out of memory")),
            ]);
            well(text, Body::from_stream(chunks))
        }
        Mood::Close => {
            let response = Response::builder()
                .header(CONTENT_TYPE, text)
                .header(CONNECTION, "close");
            response.body(Body::from(page)).unwrap()
        }
    })
}
