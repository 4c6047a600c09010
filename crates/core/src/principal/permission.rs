//! The closed list of what can be allowed, and sets of it.

macro_rules! permissions {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        /// Something that can be allowed. Every route that is not for everyone needs one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Permission {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Permission {
            /// Every permission, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name in the configuration and on pages.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// What it allows, in one sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii()),+ }
            }
        }
    };
}

permissions! {
    /// Calling models.
    CallModels = "call_models";
    /// Listing the models that can be called.
    ListModels = "list_models";
    /// Exchanging the credential for a short-lived token.
    CreateTokens = "create_tokens";
    /// Reading what all callers used.
    ReadUsage = "read_usage";
    /// Reading what the caller itself used.
    ReadOwnUsage = "read_own_usage";
    /// Reading how the process is doing.
    ReadStatus = "read_status";
    /// Choosing a degradation tier and switching features.
    WriteSwitches = "write_switches";
    /// Reading the configuration in force, secrets redacted.
    ReadConfig = "read_config";
    /// Listing API keys, without the keys themselves.
    ReadKeys = "read_keys";
    /// Making, rotating and revoking API keys.
    WriteKeys = "write_keys";
    /// Forgetting all remembered answers.
    PurgeCache = "purge_cache";
    /// Running code in the sandbox.
    RunCode = "run_code";
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u64);

impl Permissions {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self::of(Permission::ALL);

    /// Exactly these.
    #[must_use]
    pub const fn of(permissions: &[Permission]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < permissions.len() {
            bits |= 1 << permissions[index] as u64;
            index += 1;
        }
        Self(bits)
    }

    /// All but one.
    #[must_use]
    pub const fn without(self, permission: Permission) -> Self {
        Self(self.0 & !(1 << permission as u64))
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether something is allowed.
    #[must_use]
    pub const fn allows(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u64) != 0
    }

    /// Whether everything in `other` is allowed.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_allows_what_it_was_made_of_and_nothing_else() {
        for one in Permission::ALL {
            let set = Permissions::of(&[*one]);
            for other in Permission::ALL {
                assert_eq!(set.allows(*other), one == other);
            }
            assert!(Permissions::ALL.covers(set) && set.covers(Permissions::NONE));
            assert!(!Permissions::ALL.without(*one).covers(set));
            assert!(Permissions::NONE.and(set).covers(set));
            assert!(one.meaning().ends_with('.'));
        }
    }
}
