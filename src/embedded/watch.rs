//! Watch streams.
//!
//! Decides which changes a watcher sees, as which event, and when its stream ends. Positions are
//! resource versions: a stream reads the history from where it stands and never buffers more than
//! one round, so a slow reader gets 410 instead of growing the server.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use super::faults::WatchDrop;
use super::resources::Resource;
use super::selector::{FieldSelector, LabelSelector};
use super::shared::Shared;
use super::store::{Change, ChangeKind};
use super::view::View;

/// What a watcher or lister wants to see.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) labels: LabelSelector,
    pub(super) fields: FieldSelector,
}

impl Filter {
    /// True when the object, as the requested version shows it, is wanted.
    pub(super) fn matches(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        self.namespace
            .as_ref()
            .is_none_or(|ns| metadata["namespace"] == ns.as_str())
            && self
                .name
                .as_ref()
                .is_none_or(|name| metadata["name"] == name.as_str())
            && self.labels.matches(object)
            && self.fields.matches(object)
    }
}

/// A watch that was asked for.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) resource: Arc<Resource>,
    pub(super) version: String,
    pub(super) filter: Filter,
    pub(super) view: View,
    /// Changes after this resource version are sent.
    pub(super) position: u64,
    /// Objects sent as `ADDED` before anything else.
    pub(super) initial: Vec<Arc<Value>>,
    /// Mark the end of the initial objects for `sendInitialEvents`.
    pub(super) mark_initial_end: bool,
    pub(super) bookmarks: bool,
    pub(super) timeout: Duration,
}

struct Running {
    shared: Arc<Shared>,
    watch: Watch,
    queue: VecDeque<String>,
    versions: watch::Receiver<u64>,
    drops: broadcast::Receiver<WatchDrop>,
    stop: CancellationToken,
    deadline: Pin<Box<Sleep>>,
    ended: bool,
}

/// The stream of lines for a watch.
pub(super) fn stream(
    shared: Arc<Shared>,
    watch: Watch,
) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static {
    let mut running = Running {
        versions: shared.versions(),
        drops: shared.faults.drops(),
        stop: shared.stop.clone(),
        deadline: Box::pin(tokio::time::sleep(watch.timeout)),
        shared,
        watch,
        queue: VecDeque::new(),
        ended: false,
    };
    running.queue_initial();
    futures::stream::unfold(running, |mut running| async move {
        let chunk = running.next_chunk().await?;
        Some((chunk, running))
    })
}

impl Running {
    async fn next_chunk(&mut self) -> Option<Result<Bytes, io::Error>> {
        loop {
            if !self.queue.is_empty() {
                let lines: String = self.queue.drain(..).collect();
                return Some(Ok(Bytes::from(lines)));
            }
            if self.ended {
                return None;
            }
            // Marked as seen before the history is read: a change in between wakes us at once.
            self.versions.borrow_and_update();
            self.read_history();
            if !self.queue.is_empty() || self.ended {
                continue;
            }
            let bookmark_every = self.shared.bookmark_every;
            tokio::select! {
                changed = self.versions.changed() => self.ended |= changed.is_err(),
                () = self.stop.cancelled() => self.ended = true,
                () = self.deadline.as_mut() => self.ended = true,
                dropped = self.drops.recv() => match dropped {
                    Ok(drop) if drop.concerns(&self.watch.resource.plural) => {
                        self.ended = true;
                        if drop.broken {
                            let text = "watch connection broken on demand";
                            return Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, text)));
                        }
                    }
                    Ok(_) => {}
                    // More drops than the channel holds: one of them was surely ours.
                    Err(_) => self.ended = true,
                },
                () = tokio::time::sleep(bookmark_every), if self.watch.bookmarks => {
                    self.queue_bookmark(false);
                }
            }
        }
    }

    fn queue_initial(&mut self) {
        for object in std::mem::take(&mut self.watch.initial) {
            self.queue_event("ADDED", &object);
        }
        if self.watch.mark_initial_end {
            self.queue_bookmark(true);
        }
    }

    fn read_history(&mut self) {
        let id = self.watch.resource.storage_id();
        let position = self.watch.position;
        let (changes, newest) = self
            .shared
            .with_store(|store, _| (store.changes_since(&id, position), store.version()));
        match changes {
            Ok(changes) => {
                for change in changes {
                    self.queue_change(&change);
                }
                self.watch.position = newest;
            }
            Err(error) => {
                self.queue_line("ERROR", &error.status());
                self.ended = true;
            }
        }
    }

    fn queue_change(&mut self, change: &Change) {
        let watch = &self.watch;
        let show = |object: &Value| watch.resource.present(object, &watch.version);
        let is = show(&change.object);
        let wanted = watch.filter.matches(&is);
        let was_wanted = change
            .previous
            .as_deref()
            .is_some_and(|previous| watch.filter.matches(&show(previous)));
        let event = match change.kind {
            ChangeKind::Deleted => was_wanted.then_some("DELETED"),
            _ if wanted && was_wanted => Some("MODIFIED"),
            _ if wanted => Some("ADDED"),
            _ if was_wanted => Some("DELETED"),
            _ => None,
        };
        if let Some(event) = event {
            let object = Arc::clone(&change.object);
            self.queue_event(event, &object);
        }
    }

    fn queue_event(&mut self, event: &str, object: &Value) {
        let watch = &self.watch;
        let now = self.shared.clock.now();
        let shown = watch.resource.present(object, &watch.version);
        let rendered = watch.view.one(&watch.resource, &watch.version, &shown, now);
        self.queue_line(event, &rendered);
    }

    fn queue_bookmark(&mut self, initial_end: bool) {
        let watch = &self.watch;
        let mut metadata = json!({"resourceVersion": watch.position.to_string()});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let bookmark = json!({
            "kind": watch.resource.kind,
            "apiVersion": watch.resource.api_version(&watch.version),
            "metadata": metadata,
        });
        // A bookmark holds metadata only, so it decodes as any type whose fields are all optional
        // and as the bare type clients decode bookmarks into.
        self.queue_line("BOOKMARK", &bookmark);
    }

    fn queue_line(&mut self, event: &str, object: &Value) {
        let mut line = json!({"type": event, "object": object}).to_string();
        line.push('\n');
        self.queue.push_back(line);
    }
}
