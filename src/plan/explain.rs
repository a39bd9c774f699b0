//! A plan in words: the one sentence for a phone, and the lines behind it.

use super::{Decision, Hold, Plan};

impl Plan {
    /// The sentence a person reads first.
    pub(super) fn sentence(&self) -> String {
        let verb = match self.decision {
            Decision::Raise => format!("raise {} to {}", self.current, self.desired),
            Decision::Lower => format!("lower {} to {}", self.current, self.desired),
            Decision::Hold => format!("hold {}", self.current),
        };
        let why = match self.decision {
            Decision::Raise => self.wanted(),
            Decision::Lower => Some(self.lowered()),
            Decision::Hold => (self.holds.first().map(Hold::text)).or_else(|| self.wanted()),
        };
        match why {
            Some(why) => format!("{verb}: {why}"),
            None => verb,
        }
    }

    /// What is wanted, and the limits that make another number of it.
    fn wanted(&self) -> Option<String> {
        let part = self.leading_part().map(|part| part.reason.clone());
        let cuts = self.limits.iter().map(super::LimitCut::text);
        let said: Vec<String> = part.into_iter().chain(cuts).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// Why fewer do, and why not at once as few as are wanted.
    fn lowered(&self) -> String {
        let enough = format!("{} are enough now", self.wish);
        if self.holds.iter().any(|h| matches!(h, Hold::Rung { .. })) {
            return format!("{enough}, one rung at a time");
        }
        if self.desired < self.wish
            && let Some(cut) = self.limits.last()
        {
            return cut.text();
        }
        match self.holds.first() {
            Some(hold) if self.desired > self.wish => format!("{enough}; {}", hold.text()),
            _ => enough,
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
