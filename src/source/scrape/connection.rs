//! One pod's `/metrics` over one HTTP/1.1 connection that is kept between scrapes.
//!
//! The connection is driven by whoever asks, not by a task of its own: between two scrapes it
//! costs nothing. A server may close it at any time, so a request that fails on a kept connection
//! before an answer began is sent once more on a new one.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{LARGEST_PAGE, ScrapeError};
use crate::source::exposition::{Page, Selector};

/// Longest head of an answer, bytes; the body is not kept in this buffer whole.
const BUFFER: usize = 64 << 10;

/// What is asked for, the plain text first: it is the cheapest to make and to read.
const ACCEPTED: &str = "text/plain;version=0.0.4,application/openmetrics-text;q=0.5";

type Driver = http1::Connection<TokioIo<TcpStream>, Empty<Bytes>>;

/// An open connection to one pod.
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: Pin<Box<Driver>>,
    ended: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// The sums of a page, asked for over the kept connection if there is one. Leaves the connection
/// in `kept` when it can be used again.
///
/// # Errors
/// [`ScrapeError`]; the connection is closed then. The caller bounds the time.
pub(super) async fn scrape(
    kept: &mut Option<Connection>,
    address: SocketAddr,
    path: &str,
    selectors: &[Selector],
) -> Result<Vec<Option<f64>>, ScrapeError> {
    let mut answer = None;
    if let Some(mut connection) = kept.take() {
        // a failure here most likely is a server that closed an idle connection
        if let Ok(response) = connection.ask(address, path).await {
            answer = Some((connection, response));
        }
    }
    let (mut connection, response) = if let Some(answer) = answer {
        answer
    } else {
        let mut connection = Connection::open(address).await?;
        let response = connection.ask(address, path).await?;
        (connection, response)
    };
    let sums = connection.page(response, selectors).await?;
    if !connection.ended {
        *kept = Some(connection);
    }
    Ok(sums)
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, ScrapeError> {
        let unreachable = |error: std::io::Error| ScrapeError::Unreachable {
            reason: error.to_string(),
        };
        let stream = TcpStream::connect(address).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broke_off(&error))?;
        Ok(Self {
            sender,
            driver: Box::pin(driver),
            ended: false,
        })
    }

    /// Sends the request and waits for the head of the answer.
    async fn ask(
        &mut self,
        address: SocketAddr,
        path: &str,
    ) -> Result<Response<Incoming>, ScrapeError> {
        let request = Request::get(path)
            .header(HOST, address.to_string())
            .header(ACCEPT, ACCEPTED)
            .header(USER_AGENT, concat!("tipoff/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| ScrapeError::BrokeOff {
                reason: format!("the path {path:?} cannot be asked for: {error}"),
            })?;
        let Self {
            sender,
            driver,
            ended,
        } = self;
        let exchange = async {
            sender.ready().await?;
            sender.send_request(request).await
        };
        match drive(driver, ended, exchange).await {
            Some(answer) => answer.map_err(|error| broke_off(&error)),
            None => Err(closed()),
        }
    }

    /// Reads the page as it comes in; nothing of it is kept.
    async fn page(
        &mut self,
        response: Response<Incoming>,
        selectors: &[Selector],
    ) -> Result<Vec<Option<f64>>, ScrapeError> {
        if response.status() != StatusCode::OK {
            return Err(ScrapeError::Http {
                status: response.status().as_u16(),
            });
        }
        let header = |name| {
            let value = response.headers().get(name);
            value.and_then(|value| value.to_str().ok())
        };
        let content_type = header(CONTENT_TYPE).unwrap_or_default();
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if !matches!(kind, "text/plain" | "application/openmetrics-text") {
            return Err(ScrapeError::ContentType {
                content_type: content_type.chars().take(100).collect(),
            });
        }
        let length = header(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
        if length.is_some_and(|length| length > LARGEST_PAGE) {
            return Err(ScrapeError::TooLarge);
        }
        let mut body = response.into_body();
        let (mut page, mut read) = (Page::new(selectors), 0);
        loop {
            let frame = drive(&mut self.driver, &mut self.ended, body.frame()).await;
            let Some(frame) = frame.ok_or_else(closed)? else {
                return Ok(page.end()?);
            };
            let frame = frame.map_err(|error| broke_off(&error))?;
            let Some(bytes) = frame.data_ref() else {
                continue;
            };
            read += bytes.len();
            if read > LARGEST_PAGE {
                return Err(ScrapeError::TooLarge);
            }
            page.read(bytes)?;
        }
    }
}

/// Completes `exchange` by driving its connection; `None` when the connection ended before it did.
async fn drive<F: Future>(
    driver: &mut Pin<Box<Driver>>,
    ended: &mut bool,
    exchange: F,
) -> Option<F::Output> {
    let mut exchange = pin!(exchange);
    poll_fn(|context| {
        if let Poll::Ready(output) = exchange.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if !*ended {
            // its errors reach the exchange, in more words
            *ended = driver.as_mut().poll(context).is_ready();
        }
        match exchange.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if *ended => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn closed() -> ScrapeError {
    ScrapeError::BrokeOff {
        reason: "the connection was closed".to_owned(),
    }
}

/// The cause at the bottom, which says more than what it ended up as.
fn broke_off(error: &hyper::Error) -> ScrapeError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    ScrapeError::BrokeOff {
        reason: cause.to_string(),
    }
}
