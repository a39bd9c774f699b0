//! What was heard of spikes before traffic moved: every word counts as long as it lasts.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::units::{Rate, Timestamp};

/// Words kept; of more the largest count. A feed that says so much says nothing.
const MOST: usize = 32;

/// One word of a spike to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Word {
    /// What it was, for people.
    pub(super) kind: String,
    pub(super) at: Timestamp,
    pub(super) until: Timestamp,
    /// Load to be ready for.
    pub(super) wanted: Rate,
}

/// All words in force. A smaller one that lasts longer takes nothing from a larger one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Heard(Vec<Word>);

impl Heard {
    /// Keeps a word, unless a larger one outlasts it.
    pub(super) fn add(&mut self, word: Word) {
        let says_no_more =
            |less: &Word, than: &Word| less.until <= than.until && less.wanted <= than.wanted;
        if self.0.iter().any(|known| says_no_more(&word, known)) {
            return;
        }
        self.0.retain(|known| !says_no_more(known, &word));
        self.0.push(word);
        if self.0.len() > MOST {
            self.0.sort_by(|a, b| {
                b.wanted
                    .as_per_second()
                    .total_cmp(&a.wanted.as_per_second())
            });
            self.0.truncate(MOST);
        }
    }

    /// The largest word in force at `now`.
    pub(super) fn largest(&self, now: Timestamp) -> Option<&Word> {
        let in_force = self.0.iter().filter(|word| now < word.until);
        in_force.reduce(|best, next| {
            if next.wanted > best.wanted {
                next
            } else {
                best
            }
        })
    }

    /// Forgets what is over at `now`.
    pub(super) fn let_go(&mut self, now: Timestamp) {
        self.0.retain(|word| now < word.until);
    }

    /// Moves all words to a clock that was set back by so much.
    pub(super) fn set_back(&mut self, by: TimeDelta) {
        for word in &mut self.0 {
            word.at -= by;
            word.until -= by;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(n: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(n)
    }

    fn word(wanted: f64, until: i64) -> Word {
        Word {
            kind: "push".to_owned(),
            at: second(0),
            until: second(until),
            wanted: Rate::per_second(wanted),
        }
    }

    #[test]
    fn a_smaller_word_that_lasts_longer_waits_for_the_larger_one_to_end() {
        for words in [
            [word(500.0, 120), word(110.0, 600)],
            [word(110.0, 600), word(500.0, 120)],
        ] {
            let mut heard = Heard::default();
            for word in words {
                heard.add(word);
            }
            let wanted = |at: i64| heard.largest(second(at)).map(|word| word.wanted);
            assert_eq!(wanted(119), Some(Rate::per_second(500.0)));
            assert_eq!(wanted(120), Some(Rate::per_second(110.0)));
            assert_eq!(wanted(600), None);
            heard.let_go(second(120));
            assert_eq!(heard.0.len(), 1);
        }
    }

    #[test]
    fn words_without_number_leave_the_largest() {
        let mut heard = Heard::default();
        for n in 0..1_000_i32 {
            // each smaller and longer than the last, so that none says all another does
            heard.add(word(f64::from(2_000 - n), i64::from(n) + 1));
        }
        assert_eq!(heard.0.len(), MOST);
        assert_eq!(
            heard.largest(second(0)).unwrap().wanted,
            Rate::per_second(2_000.0)
        );
        heard.add(word(9_000.0, 5_000));
        assert_eq!(heard.0, [word(9_000.0, 5_000)]);
    }
}
