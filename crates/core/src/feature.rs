//! Features that can be switched: whether one is on for a caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// A feature as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Whether it stays on when what is not critical is given up.
    pub is_critical: bool,
    /// Whether it is on.
    pub is_enabled: bool,
    /// For which share of users it is on, in ten thousandths.
    pub share: u64,
    /// Keys, users and teams for whom it is on or off, whatever `is_enabled` and `share` say.
    pub tenants: BTreeMap<String, bool>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Tenant<'a> {
    /// The ID of the key.
    pub key: &'a str,
    /// Those of the keys that it took the place of by rotation, latest first.
    pub earlier_keys: &'a [Arc<str>],
    /// The user.
    pub user: &'a str,
    /// The team, if there is one.
    pub team: Option<&'a str>,
}

/// What people and tiers say of a feature at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Now {
    /// What a person has switched it to.
    pub switched: Option<bool>,
    /// Whether a degradation tier gives it up.
    pub is_given_up: bool,
}

/// Why a feature is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Off {
    /// A person has switched it off.
    Switched,
    /// A degradation tier gives it up: it comes back by itself.
    GivenUp,
    /// It is off for this tenant.
    Tenant,
    /// It is off in the configuration.
    Disabled,
    /// The user is not of the share that has it.
    Share,
}

impl Off {
    /// The reason, in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Switched => "switched_off",
            Self::GivenUp => "degraded",
            Self::Tenant => "tenant",
            Self::Disabled => "disabled",
            Self::Share => "percentage",
        }
    }
}

impl Feature {
    /// Whether the feature, whose name is `name`, is on for a caller. What protects the whole goes
    /// before what is promised to one.
    ///
    /// # Errors
    /// Why it is off.
    pub fn check(&self, name: &str, tenant: Tenant<'_>, now: Now) -> Result<(), Off> {
        if now.switched == Some(false) {
            return Err(Off::Switched);
        }
        if now.is_given_up {
            return Err(Off::GivenUp);
        }
        let of = |id: &str| self.tenants.get(id).copied();
        let earlier = || tenant.earlier_keys.iter().find_map(|key| of(key));
        let said = of(tenant.key)
            .or_else(earlier)
            .or_else(|| of(tenant.user))
            .or_else(|| tenant.team.and_then(of));
        match said.or(now.switched) {
            Some(true) => Ok(()),
            Some(false) => Err(Off::Tenant),
            None if !self.is_enabled => Err(Off::Disabled),
            None if place(name, tenant.user) >= self.share => Err(Off::Share),
            None => Ok(()),
        }
    }
}

/// Where a user stands among ten thousand: always the same place for a feature, another one for
/// another feature, so that it is not always the same people who try things out.
fn place(name: &str, user: &str) -> u64 {
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update([0])
        .chain_update(user)
        .finalize();
    let bytes: [u8; 8] = std::array::from_fn(|at| digest[at]);
    u64::from_be_bytes(bytes) % 10_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature() -> Feature {
        Feature {
            is_critical: false,
            is_enabled: true,
            share: 10_000,
            tenants: [("ada".to_owned(), true), ("crew".to_owned(), false)].into(),
        }
    }

    const ADA: Tenant<'_> = Tenant {
        key: "k1",
        earlier_keys: &[],
        user: "ada",
        team: Some("crew"),
    };
    const BOB: Tenant<'_> = Tenant {
        key: "k2",
        earlier_keys: &[],
        user: "bob",
        team: Some("crew"),
    };
    const EVE: Tenant<'_> = Tenant {
        key: "k3",
        earlier_keys: &[],
        user: "eve",
        team: None,
    };

    #[test]
    fn a_user_goes_before_a_team_and_both_before_the_configuration() {
        let off = Feature {
            is_enabled: false,
            ..feature()
        };
        let now = Now::default();
        assert_eq!(off.check("f", ADA, now), Ok(()));
        assert_eq!(feature().check("f", BOB, now), Err(Off::Tenant));
        assert_eq!(off.check("f", EVE, now), Err(Off::Disabled));
        assert_eq!(feature().check("f", EVE, now), Ok(()));
    }

    #[test]
    fn what_is_said_of_a_key_holds_for_those_that_take_its_place() {
        let said = Feature {
            tenants: [("k1".to_owned(), false), ("k2".to_owned(), true)].into(),
            ..feature()
        };
        let earlier = ["k2", "k1"].map(Arc::from);
        let check = |key, earlier_keys| {
            let tenant = Tenant {
                key,
                earlier_keys,
                ..EVE
            };
            said.check("f", tenant, Now::default())
        };
        assert_eq!(
            check("k2", &earlier[1..]),
            Ok(()),
            "its own word goes first"
        );
        assert_eq!(check("k3", &earlier), Ok(()), "then that of the latest");
        assert_eq!(check("k4", &earlier[1..]), Err(Off::Tenant));
    }

    #[test]
    fn tiers_and_people_go_before_promises() {
        let given_up = Now {
            is_given_up: true,
            switched: Some(true),
        };
        assert_eq!(feature().check("f", ADA, given_up), Err(Off::GivenUp));
        let switched = |on| Now {
            switched: Some(on),
            ..Now::default()
        };
        assert_eq!(
            feature().check("f", ADA, switched(false)),
            Err(Off::Switched)
        );
        assert_eq!(feature().check("f", BOB, switched(true)), Err(Off::Tenant));
        let off = Feature {
            is_enabled: false,
            ..feature()
        };
        assert_eq!(off.check("f", EVE, switched(true)), Ok(()));
    }

    #[test]
    fn a_share_holds_the_same_users_and_grows_by_adding() {
        let with = |share| Feature { share, ..feature() };
        let users: Vec<String> = (0..2000).map(|n| format!("user-{n}")).collect();
        let has = |share, user: &str| {
            let tenant = Tenant {
                key: "k",
                earlier_keys: &[],
                user,
                team: None,
            };
            with(share).check("f", tenant, Now::default()).is_ok()
        };
        let quarter: Vec<_> = users.iter().filter(|user| has(2500, user)).collect();
        assert!((400..600).contains(&quarter.len()), "{}", quarter.len());
        assert!(quarter.iter().all(|user| has(5000, user)));
        assert!(!users.iter().any(|user| has(0, user)));
        assert!(users.iter().all(|user| has(10_000, user)));
    }
}
