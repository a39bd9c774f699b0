//! Faults on demand.
//!
//! Decides which requests fail, wait or lose their connection, so that a test can show what a
//! controller does then. It must not touch stored objects.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::broadcast;

use super::router::{ResourceRequest, Verb};

/// Which requests a fault concerns; an empty one concerns all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matcher {
    verb: Option<Verb>,
    resource: Option<String>,
    name: Option<String>,
    agent: Option<String>,
}

impl Matcher {
    /// Every request for a resource (discovery is never disturbed by a matcher).
    pub fn any() -> Self {
        Self::default()
    }

    /// Only this verb.
    #[must_use]
    pub fn verb(mut self, verb: Verb) -> Self {
        self.verb = Some(verb);
        self
    }

    /// Only this resource, as RBAC writes it: `deployments` or `deployments/scale`.
    #[must_use]
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Only the object of this name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Only clients whose user agent starts so.
    #[must_use]
    pub fn agent(mut self, agent: &str) -> Self {
        self.agent = Some(agent.to_owned());
        self
    }

    fn matches(&self, request: &ResourceRequest, agent: &str) -> bool {
        self.verb.is_none_or(|verb| verb == request.verb)
            && self
                .resource
                .as_ref()
                .is_none_or(|resource| *resource == request.resource())
            && self
                .name
                .as_ref()
                .is_none_or(|name| request.name.as_ref() == Some(name))
            && self
                .agent
                .as_ref()
                .is_none_or(|prefix| agent.starts_with(prefix.as_str()))
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request is refused with this code; nothing is read or written.
    Status {
        /// HTTP status, for example 429, 500 or 409.
        code: u16,
        /// Sent as `Retry-After`.
        retry_after_seconds: Option<u32>,
    },
    /// The request waits this long (real time) and is then carried out.
    Delay(Duration),
    /// The connection breaks before anything is done.
    Disconnect,
    /// The request is carried out and the connection breaks before the answer.
    LoseAnswer,
}

impl Fault {
    /// A plain refusal.
    pub fn status(code: u16) -> Self {
        Self::Status {
            code,
            retry_after_seconds: None,
        }
    }

    /// 429 with `Retry-After`.
    pub fn too_many_requests(retry_after_seconds: u32) -> Self {
        Self::Status {
            code: StatusCode::TOO_MANY_REQUESTS.as_u16(),
            retry_after_seconds: Some(retry_after_seconds),
        }
    }
}

#[derive(Debug)]
struct Rule {
    matcher: Matcher,
    fault: Fault,
    /// Requests left; `None` for all.
    left: Option<u32>,
}

/// How open watches end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WatchDrop {
    /// Only watches of this plural.
    pub(super) plural: Option<String>,
    /// With a broken connection instead of a clean end.
    pub(super) broken: bool,
}

impl WatchDrop {
    /// True when a watch of `plural` has to end.
    pub(super) fn concerns(&self, plural: &str) -> bool {
        self.plural.as_deref().is_none_or(|wanted| wanted == plural)
    }
}

/// The fault switchboard of a cluster.
#[derive(Debug)]
pub struct Faults {
    rules: Mutex<Vec<Rule>>,
    down: Mutex<bool>,
    drops: broadcast::Sender<WatchDrop>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            rules: Mutex::default(),
            down: Mutex::default(),
            drops: broadcast::channel(64).0,
        }
    }
}

impl Faults {
    /// Lets the next `count` matching requests suffer `fault`.
    pub fn next(&self, count: u32, matcher: Matcher, fault: Fault) {
        self.add(matcher, fault, Some(count));
    }

    /// Lets every matching request suffer `fault` until [`Self::clear`].
    pub fn always(&self, matcher: Matcher, fault: Fault) {
        self.add(matcher, fault, None);
    }

    fn add(&self, matcher: Matcher, fault: Fault, left: Option<u32>) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.push(Rule {
            matcher,
            fault,
            left,
        });
    }

    /// Takes all rules away and brings the API back up.
    pub fn clear(&self) {
        self.rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.set_down(false);
    }

    /// Refuses every connection, and breaks the open watches, until set back.
    pub fn set_down(&self, down: bool) {
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = down;
        if down {
            self.break_watches();
        }
    }

    /// Ends the open watches cleanly, of one plural or of all, as a server does on its timeout.
    pub fn end_watches(&self, plural: Option<&str>) {
        self.send(plural, false);
    }

    /// Breaks the connection of every open watch.
    pub fn break_watches(&self) {
        self.send(None, true);
    }

    fn send(&self, plural: Option<&str>, broken: bool) {
        // Nobody listening means that no watch is open.
        let _ = self.drops.send(WatchDrop {
            plural: plural.map(str::to_owned),
            broken,
        });
    }

    pub(super) fn is_down(&self) -> bool {
        *self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn drops(&self) -> broadcast::Receiver<WatchDrop> {
        self.drops.subscribe()
    }

    /// The fault this request has to suffer; the oldest matching rule counts.
    pub(super) fn strike(&self, request: &ResourceRequest, agent: &str) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let at = rules
            .iter()
            .position(|rule| rule.left != Some(0) && rule.matcher.matches(request, agent))?;
        let rule = &mut rules[at];
        let fault = rule.fault;
        if let Some(left) = &mut rule.left {
            *left -= 1;
            if *left == 0 {
                rules.remove(at);
            }
        }
        Some(fault)
    }
}
