//! A plan in words: the one sentence for a phone, and the lines behind it.

use super::{Decision, Plan};

impl Plan {
    /// The sentence a person reads first.
    pub(super) fn sentence(&self) -> String {
        let verb = match self.decision {
            Decision::Raise => format!("raise {} to {}", self.current, self.desired),
            Decision::Lower => format!("lower {} to {}", self.current, self.desired),
            Decision::Hold => format!("hold {}", self.current),
        };
        let why = match self.decision {
            Decision::Raise => self
                .limits
                .last()
                .map(super::LimitCut::text)
                .into_iter()
                .chain(self.leading_part().map(|part| part.reason.clone()))
                .next_back(),
            Decision::Lower => Some(format!("{} are enough now", self.wish)),
            Decision::Hold => self
                .holds
                .first()
                .map(super::Hold::text)
                .or_else(|| self.leading_part().map(|part| part.reason.clone())),
        };
        match why {
            Some(why) => format!("{verb}: {why}"),
            None => verb,
        }
    }

    /// The demand part that decided the wish.
    pub fn leading_part(&self) -> Option<&super::DemandPart> {
        // a later part of equal size says nothing new
        self.parts.iter().rev().max_by_key(|part| part.replicas)
    }

    /// Every reason, one a line: demand first, then limits, then what held the size, then bridges.
    pub fn reasons(&self) -> Vec<String> {
        let demand = self
            .parts
            .iter()
            .map(|p| format!("{}: {}", p.source.name(), p.reason));
        let limits = self
            .limits
            .iter()
            .map(|cut| format!("limit: {}", cut.text()));
        let holds = self
            .holds
            .iter()
            .map(|hold| format!("hold: {}", hold.text()));
        let bridges = self.bridges.iter().map(|why| format!("bridge: {why}"));
        demand.chain(limits).chain(holds).chain(bridges).collect()
    }
}
