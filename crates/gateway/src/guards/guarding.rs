//! The guards of one exchange: what the configuration asks for, for this caller and this request.

use std::sync::Arc;

use seaworthy_guard::{Action, Category, Engine, Place, Policy, Severity, Shown, Vault};
use seaworthy_guard_code::fence::FenceRules;

use super::Rules;
use super::links::RealLinks;
use super::moderate::{Moderated, moderate};

/// What guards the answer to one request.
#[derive(Debug)]
pub(crate) struct Guarding {
    pub(super) rules: Arc<Rules>,
    /// What follows matches, for this caller.
    pub(super) policy: Policy,
    pub(super) outbound: Option<Arc<Engine>>,
    pub(super) fences: Option<FenceRules>,
    /// What was replaced in the request and is put back.
    pub(super) vault: Option<Arc<Vault>>,
    /// Whether the conversation holds what a tool or a retrieval returned.
    pub(super) holds_untrusted: bool,
    /// Tools that the caller confirmed.
    pub(super) confirmed: Vec<String>,
    /// The files that were looked for.
    pub(super) links: RealLinks,
    /// What users and tools say, for others to judge; empty where nobody is asked.
    pub(crate) heard: Vec<Heard>,
}

/// What was said at one place.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) place: Place,
    /// As it leaves.
    pub(crate) text: String,
    /// Whether our own judge of injections finds it likely that it tries to take control.
    pub(crate) is_suspicious: bool,
}

impl Guarding {
    /// What holds for this caller, as a text that differs where it does.
    pub(crate) fn policy_text(&self) -> String {
        format!("{:?}", self.policy)
    }

    /// Whether something of the request was replaced that is put back into the answer.
    pub(crate) fn puts_back(&self) -> bool {
        self.vault.is_some()
    }

    /// Whether answers have to be read: something of them may change or go no further.
    pub(crate) fn reads_answers(&self) -> bool {
        self.outbound.is_some()
            || self.vault.is_some()
            || self.fences.is_some()
            || self.guards_tools()
            || [Place::OutputText, Place::ToolArguments, Place::Reasoning]
                .into_iter()
                .any(|place| self.moderates(place))
    }

    /// What follows a match of a family at a place.
    pub(super) fn action(&self, place: Place, category: Category) -> Action {
        self.policy.action(place, category, category.as_str())
    }

    pub(super) fn moderates(&self, place: Place) -> bool {
        let follows = |line: &seaworthy_guard::policy::PolicyLine| {
            line.action != Action::Allow && line.places.contains(&place)
        };
        self.rules.moderation.is_some()
            && self
                .policy
                .lines
                .iter()
                .filter(|line| self.rules.is_of_moderation(&line.selector))
                .any(follows)
    }

    pub(super) fn moderate(&self, place: Place, text: &str) -> Moderated {
        let mut moderated = Moderated::default();
        if let Some(judge) = &self.rules.moderation {
            for shown in Shown::pieces(text) {
                let least = self.least_severity();
                moderated.add(moderate(judge, least, &self.policy, place, &shown));
            }
        }
        moderated
    }

    fn least_severity(&self) -> Severity {
        self.rules.least_severity
    }

    fn guards_tools(&self) -> bool {
        let rules = &self.rules;
        !rules.scope.allowed_tools.is_empty()
            || !rules.scope.denied_tools.is_empty()
            || !rules.side_effect_tools.is_empty()
            || rules.lengths.max_tool_param_length.is_some()
            || rules.files.is_some()
            || rules.sandbox_only
            || self.action(Place::ToolArguments, Category::Shell) != Action::Allow
    }
}
