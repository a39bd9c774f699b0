//! What is readable but may not be meant so, of which only so much is told.

/// The most doubts that are told one by one.
const MAX_WARNINGS: usize = 20;

/// Doubts, of which only so many are told one by one.
#[derive(Default)]
pub(super) struct Doubts {
    told: Vec<String>,
    more: usize,
}

impl Doubts {
    /// One more.
    pub(super) fn say(&mut self, warning: String) {
        if self.told.len() < MAX_WARNINGS {
            self.told.push(warning);
        } else {
            self.more += 1;
        }
    }

    /// Those that are told, and how many are not.
    pub(super) fn told(mut self, name: &str) -> Vec<String> {
        if self.more > 0 {
            self.told
                .push(format!("{name}: and {} more of the kind", self.more));
        }
        self.told
    }
}
