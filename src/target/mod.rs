//! What a size is written to, and who else may write it.
//!
//! Reads and writes only; nothing here decides a size. Every call has its own timeout in real
//! time, because the client has none of its own, and goes through a circuit breaker.

use std::time::Duration;

mod balloon;
pub mod buffer;
pub mod call;
pub mod hpa;
pub mod ready;
pub mod resize;
pub mod scale;

pub use buffer::Buffers;
pub use call::CallError;
pub use hpa::{HpaSight, Hpas};
pub use resize::Resizes;
pub use scale::{ScaleTargets, TargetError, WorkloadSize};

/// Longest a read from the API server may take while nothing else is configured. Its own objective
/// is 1 s for single objects.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest a write of a size may take, retries of the client included, whatever is configured: it
/// has to end while the leader that began it still leads.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(3);
