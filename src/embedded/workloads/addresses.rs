//! Which addresses pods have: made-up ones of a private network, or those of real servers that
//! stand for pods.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What a pod has while it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// Leads nowhere.
    Made(Ipv4Addr),
    /// Leads to a server that another pod may have later.
    Lent(SocketAddr),
}

impl Address {
    pub(super) fn ip(self) -> IpAddr {
        match self {
            Self::Made(ip) => IpAddr::V4(ip),
            Self::Lent(server) => server.ip(),
        }
    }

    /// The port of its metrics, when it has any.
    pub(super) fn port(self) -> Option<u16> {
        match self {
            Self::Made(_) => None,
            Self::Lent(server) => Some(server.port()),
        }
    }
}

/// The addresses that are left.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    made: u32,
    free: VecDeque<SocketAddr>,
}

impl Addresses {
    pub(super) fn lent(servers: Vec<SocketAddr>) -> Self {
        Self {
            made: 0,
            free: servers.into(),
        }
    }

    pub(super) fn take(&mut self) -> Address {
        if let Some(server) = self.free.pop_front() {
            return Address::Lent(server);
        }
        self.made += 1;
        let [_, b, c, d] = self.made.to_be_bytes();
        Address::Made(Ipv4Addr::new(10, b, c, d))
    }

    pub(super) fn give_back(&mut self, address: Address) {
        if let Address::Lent(server) = address {
            self.free.push_back(server);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_one_pods_at_a_time() {
        let server: SocketAddr = "127.0.0.1:4000".parse().unwrap();
        let mut addresses = Addresses::lent(vec![server]);
        let first = addresses.take();
        assert_eq!((first.ip(), first.port()), (server.ip(), Some(4000)));
        assert_eq!(addresses.take().ip().to_string(), "10.0.0.1");
        addresses.give_back(first);
        assert_eq!(addresses.take(), first);
        assert_eq!(addresses.take().port(), None);
    }
}
