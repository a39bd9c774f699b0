//! h
use super::Outcome;
/// t
pub fn page(_: &Outcome) -> String {
    String::new()
}
