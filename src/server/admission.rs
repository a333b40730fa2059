//! How many connections one address may have. Counts; accepts and refuses nothing itself.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::relay::ConnId;

/// Connections by address, over all loops.
#[derive(Debug)]
pub(super) struct Admission {
    /// Without a limit nothing is counted.
    per_address_max: Option<usize>,
    counts: Mutex<Counts>,
}

#[derive(Default, Debug)]
struct Counts {
    by_address: HashMap<IpAddr, usize>,
    whose: HashMap<ConnId, IpAddr>,
}

impl Admission {
    pub(super) fn new(per_address_max: Option<usize>) -> Self {
        Self { per_address_max, counts: Mutex::default() }
    }

    /// Counts a connection in. False if its address has its share already.
    pub(super) fn admit(&self, conn: ConnId, address: IpAddr) -> bool {
        let Some(max) = self.per_address_max else {
            return true;
        };
        let address = household(address);
        let mut counts = self.counts();
        let count = counts.by_address.entry(address).or_default();
        if *count >= max {
            return false;
        }
        *count += 1;
        counts.whose.insert(conn, address);
        true
    }

    /// Counts a connection out; does nothing for one that was not counted in.
    pub(super) fn leave(&self, conn: ConnId) {
        if self.per_address_max.is_none() {
            return;
        }
        let mut counts = self.counts();
        if let Some(address) = counts.whose.remove(&conn)
            && let Some(count) = counts.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&address);
            }
        }
    }

    /// Counting is done when the lock is given back, panic or not.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subscriber of IPv6 has a whole /64, and could come from a new address each time.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let admission = Admission::new(Some(2));
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(admission.admit(ConnId(1), here));
        assert!(admission.admit(ConnId(2), "::ffff:192.0.2.1".parse().unwrap()));
        assert!(!admission.admit(ConnId(3), here));
        assert!(admission.admit(ConnId(4), "192.0.2.2".parse().unwrap()));
        admission.leave(ConnId(3));
        assert!(!admission.admit(ConnId(3), here));
        admission.leave(ConnId(1));
        assert!(admission.admit(ConnId(5), here));
        for conn in [2, 4, 5] {
            admission.leave(ConnId(conn));
        }
        let counts = admission.counts();
        assert!(counts.by_address.is_empty() && counts.whose.is_empty());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let admission = Admission::new(Some(1));
        assert!(admission.admit(ConnId(1), "2001:db8:1:2::1".parse().unwrap()));
        assert!(!admission.admit(ConnId(2), "2001:db8:1:2:ffff::9".parse().unwrap()));
        assert!(admission.admit(ConnId(3), "2001:db8:1:3::1".parse().unwrap()));
    }
}
