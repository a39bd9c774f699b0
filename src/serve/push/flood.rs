//! How often one address may send. Pure: it is told the time.
//!
//! For each address only the time is kept at which its allowance is full again (the virtual
//! scheduling form of a token bucket, ITU-T I.371), and only while that lies ahead.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::settings::PushSettings;

/// Most addresses told apart; beyond them the others share one allowance.
const MOST: usize = 4_096;

/// Allowances by address.
#[derive(Debug, Default)]
pub(super) struct Flood {
    full_at: Mutex<HashMap<IpAddr, Duration>>,
}

impl Flood {
    /// Takes one request of an address, or tells how long none will be taken.
    pub(super) fn admit(
        &self,
        client: IpAddr,
        settings: &PushSettings,
        now: Duration,
    ) -> Result<(), Duration> {
        let each = seconds(1.0 / settings.requests_per_second);
        let allowance = seconds(f64::from(settings.burst) / settings.requests_per_second);
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let mut client = network(client);
        if full_at.len() >= MOST && !full_at.contains_key(&client) {
            full_at.retain(|_, full_at| *full_at > now);
            if full_at.len() >= MOST {
                client = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            }
        }
        let before = full_at.get(&client).copied().unwrap_or(now).max(now);
        let after = before.saturating_add(each);
        let over = after.saturating_sub(now).saturating_sub(allowance);
        if over > Duration::ZERO {
            return Err(over);
        }
        full_at.insert(client, after);
        Ok(())
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// Who has one IPv6 address has the whole /64.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> PushSettings {
        PushSettings {
            requests_per_second: 2.0,
            burst: 4,
            ..PushSettings::default()
        }
    }

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(n))
    }

    #[test]
    fn a_burst_then_the_rate_for_each_address() {
        let (flood, settings) = (Flood::default(), settings());
        let admit = |client: u32, second: f64| {
            flood.admit(
                address(client),
                &settings,
                Duration::from_secs_f64(100.0 + second),
            )
        };
        for _ in 0..4 {
            admit(1, 0.0).unwrap();
        }
        assert_eq!(admit(1, 0.0), Err(Duration::from_millis(500)));
        admit(2, 0.0).unwrap();
        assert!(admit(1, 0.4).is_err());
        admit(1, 0.5).unwrap();
        assert!(admit(1, 0.5).is_err());
        // long after, the whole burst again and not more
        assert_eq!((0..9).filter(|_| admit(1, 60.0).is_ok()).count(), 4);
    }

    #[test]
    fn many_addresses_cost_no_memory_without_end() {
        let (flood, settings) = (Flood::default(), settings());
        let now = Duration::from_secs(100);
        for client in 1..20_000 {
            let _ = flood.admit(address(client), &settings, now);
        }
        assert!(flood.full_at.lock().unwrap().len() <= MOST + 1);
        // those beyond share an allowance, which is gone; later there is room again
        assert!(flood.admit(address(30_000), &settings, now).is_err());
        assert!(flood.admit(address(30_000), &settings, now * 2).is_ok());
    }

    #[test]
    fn a_whole_network_of_version_6_is_one_client() {
        let (flood, settings) = (Flood::default(), settings());
        let client = |n: u128| IpAddr::V6(Ipv6Addr::from((0x2001_0db8_u128 << 96) | n));
        let admitted = (0..100).filter(|n| {
            let now = Duration::from_secs(100);
            flood.admit(client(*n), &settings, now).is_ok()
        });
        assert_eq!(admitted.count(), 4);
    }
}
