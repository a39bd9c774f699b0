//! b
pub mod as_of;
pub mod origin;
pub mod replay;
pub mod scenario;
pub mod score;
