//! What the options of guards must be together.

use super::Check;
use crate::config::{Filter, GuardAction, GuardPlace, GuardPolicy, Opinion};

/// The most that is read of a pattern, in characters.
const MAX_PATTERN: usize = 4096;

impl Check<'_> {
    pub(super) fn guards(&mut self) {
        let config = self.config;
        let (output, agent) = (&config.output_handling, &config.agent.security.output);
        for (section, rules) in [
            (&["output_handling"][..], output),
            (&["agent", "security", "output"], agent),
        ] {
            for (key, filter) in [
                ("filter_secrets", rules.filter_secrets),
                ("redact_pii", rules.redact_pii),
                ("sanitize_paths", rules.sanitize_paths),
                ("escape_shell_commands", rules.escape_shell_commands),
                ("validate_generated_code", rules.validate_generated_code.0),
            ] {
                self.no_tokens(&[section, &[key]].concat(), filter);
            }
        }
        self.no_tokens(
            &["input_validation", "filter_secrets"],
            config.input_validation.filter_secrets,
        );
        self.no_tokens(
            &["guards", "moderation", "input"],
            config.guards.moderation.input,
        );
        self.no_tokens(
            &["guards", "moderation", "output"],
            config.guards.moderation.output,
        );
        for (path, patterns) in [
            (
                &["input_validation", "blocked_patterns"][..],
                &config.input_validation.blocked_patterns,
            ),
            (
                &["agent", "security", "validation", "blocked_patterns"],
                &config.agent.security.validation.blocked_patterns,
            ),
        ] {
            if patterns.iter().any(|pattern| pattern.len() > MAX_PATTERN) {
                let message = format!("expected patterns of at most {MAX_PATTERN} characters");
                self.error(path, message, "split the pattern into several");
            }
        }
        let overlap = config.guards.prompt_leaks.overlap_words;
        if let Some(words) = overlap.filter(|words| !(6..=150).contains(&words.get())) {
            let path = ["guards", "prompt_leaks", "overlap_words"];
            let message = format!("expected 6 to 150 words, found {words}");
            let help = "fewer are said by chance, more cannot be held back; the usual number is 12";
            self.error(&path, message, help);
        }
        for (name, policy) in &config.guards.policies {
            self.name("policy", name, &["guards", "policies", name]);
            self.guard_policy(name, policy);
        }
        for (name, opinion) in &config.guards.opinions {
            self.name("opinion", name, &["guards", "opinions", name]);
            self.opinion(name, opinion);
        }
    }

    fn no_tokens(&mut self, path: &[&str], filter: Filter) {
        if filter == Filter::Tokenize {
            let message = "`tokenize` is for data about persons on its way to a provider";
            self.error(path, message, "use `redact` or `block` here");
        }
    }

    fn guard_policy(&mut self, name: &str, policy: &GuardPolicy) {
        let path = ["guards", "policies", name, "action"];
        let is_inbound =
            |place: &GuardPlace| matches!(place, GuardPlace::Input | GuardPlace::ToolResult);
        let inbound = !policy.places.is_empty() && policy.places.iter().all(is_inbound);
        if policy.action == GuardAction::Tokenize && !inbound {
            let message = "`tokenize` holds only for the places `input` and `tool_result`";
            self.error(&path, message, "name these places, or use `redact`");
        }
    }

    fn opinion(&mut self, name: &str, opinion: &Opinion) {
        let path = ["guards", "opinions", name];
        let asked = [&opinion.model, &opinion.moderation_model, &opinion.url];
        let count = asked.into_iter().flatten().count();
        if count != 1 {
            let message =
                format!("expected one of `model`, `moderation_model` and `url`, found {count}");
            self.error(&path, message, "say who is asked");
        }
        for (key, model) in [
            ("model", &opinion.model),
            ("moderation_model", &opinion.moderation_model),
        ] {
            let Some(model) = model else { continue };
            let models = &self.config.models;
            let is_known = models.contains_key(model)
                || models.values().any(|known| known.aliases.contains(model));
            if !is_known {
                let message = format!("no model is named `{model}`");
                let path = ["guards", "opinions", name, key];
                self.error(&path, message, "name one of `models`");
            }
        }
        if !(0.0..=1.0).contains(&opinion.threshold) {
            let path = ["guards", "opinions", name, "threshold"];
            let message = format!("expected 0 to 1, found {}", opinion.threshold);
            self.error(&path, message, "the usual threshold is 0.5");
        }
        if opinion.url.is_none() && opinion.authorization.is_some() {
            let path = ["guards", "opinions", name, "authorization"];
            self.error(
                &path,
                "`authorization` is sent to a `url` only",
                "leave it out",
            );
        }
    }
}
