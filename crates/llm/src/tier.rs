//! The tier of service that a request asks for, and that an answer says it was served in. Some
//! providers charge more for one of them.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::value::RawValue;

/// A tier of service, as far as it makes a difference to what a call costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceTier {
    /// Quicker than others, and dearer.
    Priority,
    /// Any other.
    Other,
}

/// How the field is called.
pub(crate) const NAMES: [&str; 2] = ["service_tier", "serviceTier"];

static KEYS: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| {
    [
        Finder::new("\"service_tier\""),
        Finder::new("\"serviceTier\""),
    ]
});

/// A name as it stands in a request or an answer: a string, or an object with a `type`.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Named {
    Plain(String),
    Typed { r#type: String },
}

impl Named {
    fn tier(&self) -> ServiceTier {
        let (Self::Plain(name) | Self::Typed { r#type: name }) = self;
        match name.eq_ignore_ascii_case("priority") {
            true => ServiceTier::Priority,
            false => ServiceTier::Other,
        }
    }
}

/// The tier that a request names.
pub(crate) fn asked(raw: &RawValue) -> Option<ServiceTier> {
    let named: Named = serde_json::from_str(raw.get()).ok()?;
    Some(named.tier())
}

/// The tier that an answer, or an event of one, says it was served in.
#[must_use]
pub fn told(reply: &[u8]) -> Option<ServiceTier> {
    let values = KEYS.iter().flat_map(|key| {
        let found = key.find_iter(reply);
        found.filter_map(|at| named_at(reply.get(at + key.needle().len()..)?))
    });
    values.fold(None, |told, tier| match told {
        Some(ServiceTier::Priority) => told,
        _ => Some(tier),
    })
}

/// The value that stands behind a key, if it is a tier.
fn named_at(rest: &[u8]) -> Option<ServiceTier> {
    let value = rest.trim_ascii_start().strip_prefix(b":")?;
    let mut values = serde_json::Deserializer::from_slice(value).into_iter::<Named>();
    values.next()?.ok().map(|named| named.tier())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tier_is_read_wherever_providers_tell_it() {
        let tell = |reply: &str| told(reply.as_bytes());
        assert_eq!(
            tell(r#"{"service_tier":"priority"}"#),
            Some(ServiceTier::Priority)
        );
        assert_eq!(
            tell(r#"{"usage":{"service_tier" : "standard"}}"#),
            Some(ServiceTier::Other)
        );
        assert_eq!(
            tell(r#"{"serviceTier":{"type":"priority"}}"#),
            Some(ServiceTier::Priority)
        );
        assert_eq!(tell(r#"{"service_tier":null}"#), None);
        assert_eq!(tell(r#"{"text":"\"service_tier\":\"priority\""}"#), None);
        assert_eq!(tell("{}"), None);
    }
}
