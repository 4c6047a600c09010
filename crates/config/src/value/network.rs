//! Addresses that begin alike: `10.0.0.0/8`, or one alone.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::{Refusal, Text, text_value};

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address is in it. One of IPv4 that is written as one of IPv6 is the same.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(mine), IpAddr::V4(other)) => alike(
                u128::from(mine.to_bits()),
                u128::from(other.to_bits()),
                32 - self.bits,
            ),
            (IpAddr::V6(mine), IpAddr::V6(other)) => {
                alike(mine.to_bits(), other.to_bits(), 128 - self.bits)
            }
            _ => false,
        }
    }
}

/// Whether two addresses differ at most in their last bits.
fn alike(one: u128, other: u128, last: u8) -> bool {
    let differ = one ^ other;
    differ.checked_shr(u32::from(last)).unwrap_or(0) == 0
}

impl Text for Network {
    const KIND: &'static str = "network";
    const EXPECTED: &'static str =
        "a network such as \"10.0.0.0/8\" or \"fd00::/8\", or an address";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| Refusal::Unlike)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|digit| digit.is_ascii_digit()) => {
                bits.parse().map_err(|_| Refusal::Unlike)?
            }
            Some(_) => return Err(Refusal::Unlike),
        };
        if bits > most {
            return Refusal::because(format!("expected at most {most} bits after the `/`"));
        }
        let network = Self { address, bits };
        if network.first() != address {
            return Refusal::because(format!(
                "expected the first address of the network, {}",
                network.first()
            ));
        }
        Ok(network)
    }
}

impl Network {
    fn first(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let last = 32 - u32::from(self.bits);
                let kept = u32::MAX.checked_shl(last).unwrap_or(0);
                IpAddr::V4((address.to_bits() & kept).into())
            }
            IpAddr::V6(address) => {
                let last = 128 - u32::from(self.bits);
                let kept = u128::MAX.checked_shl(last).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & kept))
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

text_value!(Network);
