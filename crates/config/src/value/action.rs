//! What a degradation tier does: `Switch to sonnet model`, `Disable non-critical features`.

use std::fmt;

use super::{Refusal, Text, text_value};

/// One thing that a tier does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TierAction {
    /// Calls go to this model instead.
    SwitchModel(String),
    /// Features that are declared not to be critical are switched off.
    DisableNonCritical,
    /// One feature is switched off.
    DisableFeature(String),
    /// Calls wait for a provider that refuses them because too many come, instead of failing.
    QueueRequests,
    /// Answers come from the cache only.
    ReadOnly,
}

/// What a tier does, one action or several separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Actions(pub Vec<TierAction>);

impl Text for Actions {
    const KIND: &'static str = "actions";
    const EXPECTED: &'static str = "actions separated by commas, out of \"Switch to NAME model\", \
         \"Disable non-critical features\", \"Disable feature NAME\", \"Queue requests\", \
         \"Show waiting message\", \"Read-only mode\" and \"Cached responses only\"";

    fn parse(text: &str) -> Result<Self, Refusal> {
        let mut actions = Vec::new();
        for phrase in text.split([',', ';']) {
            let action = action(phrase).ok_or(Refusal::Unlike)?;
            if !actions.contains(&action) {
                actions.push(action);
            }
        }
        Ok(Self(actions))
    }
}

fn action(phrase: &str) -> Option<TierAction> {
    let words: Vec<&str> = phrase.split_whitespace().collect();
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let name = |at: usize| {
        words
            .get(at)
            .map(|name| (*name).trim_matches('`').to_owned())
    };
    Some(match lower.as_slice() {
        ["switch", "to", "the", _, "model"] | ["switch", "to", "model", _] => {
            TierAction::SwitchModel(name(3)?)
        }
        ["switch", "to", _, "model"] | ["switch", "to", _] => TierAction::SwitchModel(name(2)?),
        ["disable", "non-critical", "features"] | ["disable", "noncritical", "features"] => {
            TierAction::DisableNonCritical
        }
        ["disable", "feature", _] => TierAction::DisableFeature(name(2)?),
        ["disable", _, "feature"] => TierAction::DisableFeature(name(1)?),
        // People who wait are told so wherever the dialect allows it.
        ["queue", "requests"] | ["show", "waiting", "message"] => TierAction::QueueRequests,
        ["read-only", "mode"]
        | ["read-only"]
        | ["cached", "responses", "only"]
        | ["read-only", "from", "the", "cache"] => TierAction::ReadOnly,
        _ => return None,
    })
}

impl fmt::Display for TierAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SwitchModel(name) => write!(f, "switch to {name} model"),
            Self::DisableNonCritical => f.write_str("disable non-critical features"),
            Self::DisableFeature(name) => write!(f, "disable feature {name}"),
            Self::QueueRequests => f.write_str("queue requests"),
            Self::ReadOnly => f.write_str("read-only mode"),
        }
    }
}

impl fmt::Display for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, action) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{action}")?;
        }
        Ok(())
    }
}

text_value!(Actions);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_read_as_people_write_them() {
        for (text, canonical) in [
            ("Switch to sonnet model", "switch to sonnet model"),
            (
                "Switch to model `cheap/Fast-1`",
                "switch to cheap/Fast-1 model",
            ),
            (
                "Disable non-critical features",
                "disable non-critical features",
            ),
            ("Queue requests, show waiting message", "queue requests"),
            ("Read-only mode, cached responses only", "read-only mode"),
            (
                "Disable feature search; queue requests",
                "disable feature search, queue requests",
            ),
        ] {
            let shown = Actions::parse(text).map(|actions| actions.to_string());
            assert_eq!(shown, Ok(canonical.to_owned()), "{text}");
        }
        for text in ["", "panic", "Queue requests,", "Switch model"] {
            assert!(Actions::parse(text).is_err(), "{text}");
        }
    }
}
