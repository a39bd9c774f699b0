//! Who leads: the rules of Kubernetes leader election as a pure function.
//!
//! The rules are client-go's (`tools/leaderelection`). A lease runs out when *we* have seen it
//! unchanged for its whole duration on our own monotonic clock, so that clocks may disagree; a
//! leader counts its deadline from the moment *before* it sent its last renewal, so that its
//! claim ends before anybody else's can begin. Calling the API is done in `controller::leader`.

use std::time::Duration;

/// The durations of an election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long others wait on a lease that nobody renews.
    pub lease_duration: Duration,
    /// How long a leader that cannot renew still counts itself as one; shorter than the lease.
    pub renew_deadline: Duration,
    /// Time between two tries.
    pub retry_period: Duration,
}

/// What a lease says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; `None` when it was released.
    pub holder: Option<String>,
    /// When the holder renewed it, in the holder's own time. Only ever compared for equality.
    pub renewed: Option<String>,
    /// How long the holder asks others to wait.
    pub duration: Option<Duration>,
    /// How often it changed hands.
    pub transitions: i32,
}

/// A lease as we have watched it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSeen {
    /// What it said last.
    pub record: Record,
    /// When, on our monotonic clock, it first said so.
    pub since: Duration,
}

impl LeaseSeen {
    /// Takes in what the lease says at `now`; only a change restarts the wait.
    #[must_use]
    pub fn observe(before: Option<Self>, record: Record, now: Duration) -> Self {
        match before {
            Some(before) if before.record == record => before,
            _ => Self { record, since: now },
        }
    }

    /// When the holder's claim has run out, on our monotonic clock.
    fn expires(&self, timing: &Timing) -> Duration {
        self.since + self.record.duration.unwrap_or(timing.lease_duration)
    }
}

/// A candidate's own side.
///
/// It has one write under way at a time, and does not release the lease while it has one: an
/// answer that comes after the release would make it a leader again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// A name that no other candidate and no former process has.
    pub identity: String,
    /// The durations it goes by.
    pub timing: Timing,
    /// While it leads: when, on its monotonic clock, it sent the last renewal that was taken.
    pub renewed: Option<Duration>,
}

impl Candidate {
    /// Until when its claim to lead holds, if it has one.
    pub fn leads_until(&self) -> Option<Duration> {
        Some(self.renewed? + self.timing.renew_deadline)
    }

    /// True while it may write.
    pub fn leads(&self, now: Duration) -> bool {
        self.leads_until().is_some_and(|until| now < until)
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Write our name into the lease.
    Acquire,
    /// Write a new time into our lease.
    Renew,
    /// Look again at this moment of our monotonic clock.
    Wait(Duration),
    /// Stop leading at once: the claim has run out, or somebody else has it.
    StandDown,
}

/// Decides the next step of a candidate.
///
/// `observed` is the lease as watched so far, `None` if there has never been one. A lease that
/// was seen and then deleted stays in `observed`, so that a candidate waits out the claim of the
/// holder, who may not know yet.
pub fn next(observed: Option<&LeaseSeen>, me: &Candidate, now: Duration) -> Step {
    let holder = observed.and_then(|seen| seen.record.holder.as_deref());
    let mine = holder == Some(me.identity.as_str());
    if let Some(renewed) = me.renewed {
        if !mine || !me.leads(now) {
            return Step::StandDown;
        }
        let due = renewed + me.timing.retry_period;
        return if now >= due {
            Step::Renew
        } else {
            Step::Wait(due)
        };
    }
    match observed {
        Some(seen) if holder.is_some() && !mine => {
            let expires = seen.expires(&me.timing);
            if now >= expires {
                Step::Acquire
            } else {
                Step::Wait(expires.min(now + me.timing.retry_period))
            }
        }
        // nobody's, or ours by a write whose answer was lost
        _ => Step::Acquire,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMING: Timing = Timing {
        lease_duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry_period: Duration::from_secs(2),
    };

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn candidate(identity: &str) -> Candidate {
        Candidate {
            identity: identity.to_owned(),
            timing: TIMING,
            renewed: None,
        }
    }

    fn held_by(holder: &str, renewed: &str) -> Record {
        Record {
            holder: Some(holder.to_owned()),
            renewed: Some(renewed.to_owned()),
            duration: Some(TIMING.lease_duration),
            transitions: 0,
        }
    }

    #[test]
    fn a_fresh_cluster_is_led_at_once() {
        assert_eq!(next(None, &candidate("a"), s(0)), Step::Acquire);
    }

    #[test]
    fn a_leader_renews_every_retry_period() {
        let me = Candidate {
            renewed: Some(s(100)),
            ..candidate("a")
        };
        let seen = LeaseSeen::observe(None, held_by("a", "t0"), s(100));
        assert_eq!(next(Some(&seen), &me, s(101)), Step::Wait(s(102)));
        assert_eq!(next(Some(&seen), &me, s(102)), Step::Renew);
    }

    #[test]
    fn a_leader_that_cannot_renew_stands_down_before_its_lease_runs_out() {
        let me = Candidate {
            renewed: Some(s(100)),
            ..candidate("a")
        };
        let seen = LeaseSeen::observe(None, held_by("a", "t0"), s(100));
        assert!(me.leads(s(109)));
        assert!(!me.leads(s(110)));
        assert_eq!(next(Some(&seen), &me, s(110)), Step::StandDown);
    }

    #[test]
    fn a_leader_that_sees_another_name_stands_down() {
        let me = Candidate {
            renewed: Some(s(100)),
            ..candidate("a")
        };
        let seen = LeaseSeen::observe(None, held_by("b", "t1"), s(101));
        assert_eq!(next(Some(&seen), &me, s(101)), Step::StandDown);
    }

    #[test]
    fn the_wait_begins_when_we_see_a_change_not_when_the_holder_says() {
        let me = candidate("b");
        let seen = LeaseSeen::observe(None, held_by("a", "ten years ago"), s(50));
        assert_eq!(next(Some(&seen), &me, s(50)), Step::Wait(s(52)));
        let seen = LeaseSeen::observe(Some(seen), held_by("a", "ten years ago"), s(64));
        assert_eq!(next(Some(&seen), &me, s(64)), Step::Wait(s(65)));
        let seen = LeaseSeen::observe(Some(seen), held_by("a", "a bit later"), s(64));
        assert_eq!(next(Some(&seen), &me, s(65)), Step::Wait(s(67)), "renewed");
        assert_eq!(next(Some(&seen), &me, s(79)), Step::Acquire);
    }

    #[test]
    fn a_holder_that_asks_for_longer_is_given_longer() {
        let record = Record {
            duration: Some(s(60)),
            ..held_by("a", "t0")
        };
        let seen = LeaseSeen::observe(None, record, s(0));
        assert_eq!(next(Some(&seen), &candidate("b"), s(59)), Step::Wait(s(60)));
        assert_eq!(next(Some(&seen), &candidate("b"), s(60)), Step::Acquire);
    }

    #[test]
    fn a_released_lease_is_taken_at_once() {
        let record = Record {
            holder: None,
            ..held_by("a", "t0")
        };
        let seen = LeaseSeen::observe(None, record, s(0));
        assert_eq!(next(Some(&seen), &candidate("b"), s(0)), Step::Acquire);
    }

    #[test]
    fn a_write_whose_answer_was_lost_is_made_again() {
        let seen = LeaseSeen::observe(None, held_by("a", "t0"), s(0));
        assert_eq!(next(Some(&seen), &candidate("a"), s(1)), Step::Acquire);
    }

    /// What can happen to three candidates around one lease.
    #[derive(Debug, Clone)]
    enum Event {
        Pass(u64),
        Look(usize),
        Send(usize),
        Arrive(usize),
        Answer { who: usize, lost: bool },
        Crash(usize),
        Release(usize),
    }

    /// Single happenings in any order, and whole turns and long pauses among them, without which
    /// few runs would get as far as a lease that runs out.
    fn events() -> impl Strategy<Value = Vec<Event>> {
        let who = || 0_usize..3;
        let pause = prop_oneof![1_u64..4000, 4000_u64..20_000, 14_000_u64..17_000];
        let single = prop_oneof![
            who().prop_map(Event::Look),
            who().prop_map(Event::Send),
            who().prop_map(Event::Arrive),
            (who(), prop::bool::weighted(0.3)).prop_map(|(who, lost)| Event::Answer { who, lost }),
        ];
        let turn = |who| {
            let answer = Event::Answer { who, lost: false };
            vec![
                Event::Look(who),
                Event::Send(who),
                Event::Arrive(who),
                answer,
            ]
        };
        let several = prop_oneof![
            4 => pause.prop_map(|millis| vec![Event::Pass(millis)]),
            4 => single.prop_map(|event| vec![event]),
            6 => who().prop_map(turn),
            1 => who().prop_map(|who| vec![Event::Crash(who)]),
            1 => who().prop_map(|who| vec![Event::Release(who)]),
        ];
        prop::collection::vec(several, 1..100).prop_map(|events| events.concat())
    }

    /// What became of a request that arrived.
    enum Taken {
        As { version: u64 },
        Refused,
    }

    /// A request on its way, based on a version of the lease.
    struct Request {
        identity: String,
        sent: Duration,
        version: u64,
        taken: Option<Taken>,
    }

    struct Actor {
        me: Candidate,
        /// Its monotonic clock is ahead of the others' by this much.
        offset: Duration,
        seen: Option<LeaseSeen>,
        version: u64,
        request: Option<Request>,
        /// A request nobody waits for any more, which may still arrive.
        adrift: Option<Request>,
        lives: u32,
    }

    /// One lease with optimistic locking, as the API server keeps it.
    #[derive(Default)]
    struct Server {
        version: u64,
        record: Option<Record>,
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn there_are_never_two_leaders(events in events()) {
            let mut server = Server::default();
            let mut time = Duration::ZERO;
            let mut actors: Vec<Actor> = (0..3_u64)
                .map(|i| Actor {
                    me: candidate(&format!("{i}/0")),
                    offset: s(i * 1000),
                    seen: None,
                    version: 0,
                    request: None,
                    adrift: None,
                    lives: 0,
                })
                .collect();
            for event in events {
                match event {
                    Event::Pass(millis) => time += Duration::from_millis(millis),
                    Event::Look(who) => {
                        let actor = &mut actors[who];
                        let now = time + actor.offset;
                        if let Some(record) = server.record.clone() {
                            actor.seen = Some(LeaseSeen::observe(actor.seen.take(), record, now));
                        }
                        actor.version = server.version;
                        if next(actor.seen.as_ref(), &actor.me, now) == Step::StandDown {
                            actor.me.renewed = None;
                        }
                    }
                    Event::Send(who) => {
                        let actor = &mut actors[who];
                        let now = time + actor.offset;
                        match next(actor.seen.as_ref(), &actor.me, now) {
                            Step::Acquire | Step::Renew if actor.request.is_none() => {
                                actor.request = Some(Request {
                                    identity: actor.me.identity.clone(),
                                    sent: now,
                                    version: actor.version,
                                    taken: None,
                                });
                            }
                            Step::StandDown => actor.me.renewed = None,
                            _ => {}
                        }
                    }
                    Event::Arrive(who) => {
                        let actor = &mut actors[who];
                        let under_way = actor.request.as_mut().filter(|r| r.taken.is_none());
                        let mut adrift = actor.adrift.take();
                        for request in under_way.into_iter().chain(&mut adrift) {
                            request.taken = Some(if request.version == server.version {
                                server.version += 1;
                                let renewed = format!("{:?}", request.sent);
                                server.record = Some(held_by(&request.identity, &renewed));
                                Taken::As { version: server.version }
                            } else {
                                Taken::Refused
                            });
                        }
                    }
                    Event::Answer { who, lost } => {
                        let actor = &mut actors[who];
                        let now = time + actor.offset;
                        match actor.request.take() {
                            Some(request) if lost => actor.adrift = Some(request),
                            Some(Request { sent, taken: Some(Taken::As { version }), .. }) => {
                                actor.version = version;
                                let record = held_by(&actor.me.identity, &format!("{sent:?}"));
                                actor.seen =
                                    Some(LeaseSeen::observe(actor.seen.take(), record, now));
                                actor.me.renewed = Some(sent);
                            }
                            Some(Request { taken: Some(Taken::Refused), .. }) => {
                                actor.me.renewed = None;
                            }
                            waiting => actor.request = waiting,
                        }
                    }
                    Event::Crash(who) => {
                        let actor = &mut actors[who];
                        actor.lives += 1;
                        actor.me = candidate(&format!("{who}/{}", actor.lives));
                        actor.version = 0;
                        actor.seen = None;
                        actor.adrift = actor.request.take();
                    }
                    Event::Release(who) => {
                        let actor = &mut actors[who];
                        if actor.request.is_none()
                            && actor.me.renewed.take().is_some()
                            && actor.version == server.version
                        {
                            server.version += 1;
                            if let Some(record) = &mut server.record {
                                record.holder = None;
                            }
                        }
                    }
                }
                let leaders: Vec<_> = actors
                    .iter()
                    .filter(|actor| actor.me.leads(time + actor.offset))
                    .map(|actor| actor.me.identity.as_str())
                    .collect();
                prop_assert!(leaders.len() <= 1, "two leaders at {:?}: {:?}", time, leaders);
            }
        }

        #[test]
        fn a_lone_candidate_comes_to_lead(start in 0_u64..1000, expired in 0_u64..100) {
            let me = candidate("b");
            let seen = LeaseSeen::observe(None, held_by("a", "t0"), s(start));
            prop_assert_eq!(next(Some(&seen), &me, s(start + 15 + expired)), Step::Acquire);
        }
    }
}
