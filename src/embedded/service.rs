//! The two doors: a tower service for `kube::Client`, and HTTP on a socket.
//!
//! Decides nothing; both lead to `server::answer`.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::header::USER_AGENT;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::server::{Incoming, ResponseBody, answer};
use super::shared::Shared;

/// The API as a service in this process: what [`kube::Client::new`] takes.
#[derive(Debug, Clone)]
pub struct ApiService {
    shared: Arc<Shared>,
    agent: Option<HeaderValue>,
}

impl ApiService {
    pub(super) fn new(shared: Arc<Shared>, agent: Option<HeaderValue>) -> Self {
        Self { shared, agent }
    }
}

impl tower::Service<Request<Body>> for ApiService {
    type Response = Response<ResponseBody>;
    type Error = io::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        if let Some(agent) = &self.agent
            && !request.headers().contains_key(USER_AGENT)
        {
            request.headers_mut().insert(USER_AGENT, agent.clone());
        }
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await.map_err(io::Error::other)?;
            let incoming = Incoming {
                method: parts.method,
                uri: parts.uri,
                headers: parts.headers,
                body,
            };
            answer(&shared, incoming).await
        }
        .boxed()
    }
}

/// Serves the API on `listener` until `stop` or the end of the cluster. Connections that are open
/// then are closed.
pub(super) async fn serve(
    shared: Arc<Shared>,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = stop.cancelled() => break,
            () = shared.stop.cancelled() => break,
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let handle = service_fn(move |request: Request<hyper::body::Incoming>| {
                let shared = Arc::clone(&shared);
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
                    let incoming = Incoming {
                        method: parts.method,
                        uri: parts.uri,
                        headers: parts.headers,
                        body,
                    };
                    answer(&shared, incoming).await
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), handle);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to the embedded API ended");
            }
        });
    }
    connections.shutdown().await;
    Ok(())
}
