//! Guards the calls of tools that a model makes: which tool, and what it is given. This is control,
//! not detection: what is not allowed does not reach the caller, whoever talked the model into it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use seaworthy_config::AfterUntrusted;
use seaworthy_guard::input::reference::names_a_file;
use seaworthy_guard::input::scope::{covers, is_named};
use seaworthy_guard::input::shell::{self, Danger};
use seaworthy_guard::{Action, Category, Place, normalise};
use seaworthy_guard_code::Language;
use seaworthy_guard_code::fence::{self, Outcome};

use super::arguments::{Guarded, guard_member, guard_text};
use super::guarding::Guarding;
use super::texts::{Kind, Outline, Text, replace, unescape};
use super::verdicts::Verdicts;

const PLACE: Place = Place::ToolArguments;

/// So many layers of escapes of JSON are taken off a value: documents in documents.
const ESCAPED_DEPTH: usize = 3;

/// Arguments that are commands of a shell.
const COMMANDS: [&str; 14] = [
    "command",
    "cmd",
    "commands",
    "shell",
    "script",
    "bash",
    "sh",
    "commandline",
    "command_line",
    "cmdline",
    "bash_command",
    "shell_command",
    "argv",
    "exec",
];

/// Arguments that are the words of a command beside its name.
const WORDS: [&str; 5] = ["args", "arguments", "params", "parameters", "options"];

/// Tools whose arguments are commands, whatever they are called.
const SHELL_TOOLS: [&str; 10] = [
    "bash*",
    "sh",
    "shell*",
    "*run_shell*",
    "*run_command*",
    "*execute_command*",
    "*exec_command*",
    "exec",
    "terminal",
    "local_shell*",
];

/// Tools that run code where the gateway does not see it.
const RUNNERS: [&str; 16] = [
    "python*",
    "*run_code*",
    "*execute_code*",
    "*code_execution*",
    "code_interpreter*",
    "*run_python*",
    "*run_javascript*",
    "bash*",
    "shell*",
    "*run_shell*",
    "*run_command*",
    "*execute_command*",
    "exec",
    "eval",
    "terminal",
    "local_shell*",
];

/// Tools that run code at their provider, as they are offered.
const RUN_AT_PROVIDERS: [&str; 3] = ["*code_execution*", "code_interpreter*", "*hosted_shell*"];

/// Whether a tool of this name runs code at its provider.
pub(super) fn runs_at_provider(name: &str) -> bool {
    RUN_AT_PROVIDERS.iter().any(|glob| covers(glob, name))
}

impl Guarding {
    /// Whether a tool of this name may be called; what is decided is counted.
    pub(super) fn admits_tool(&self, name: &str, verdicts: &mut Verdicts) -> bool {
        let rules = &self.rules;
        // Some callers read letters of other widths, and those that nobody sees, as plain ones.
        let plain = normalise::normalise(name);
        let names = [name, plain.text.trim()];
        if rules.scope.check_tool(&names).is_err() {
            verdicts.judge(Category::Scope, PLACE, Action::Block);
            return false;
        }
        let runs = rules.sandbox_only && names.iter().any(|name| is_named(&RUNNERS, name));
        if runs && !rules.scope.names_allowed(&[name]) {
            verdicts.judge(Category::Code, PLACE, Action::Block);
            return false;
        }
        let has_effects = |name: &&str| is_named(&rules.side_effect_tools, name);
        if self.holds_untrusted && names.iter().any(has_effects) {
            let is_confirmed = self.confirmed.iter().any(|tool| tool == name);
            let may = match rules.after_untrusted {
                AfterUntrusted::Allow => true,
                AfterUntrusted::Confirm => is_confirmed,
                AfterUntrusted::Block => false,
            };
            if !may {
                verdicts.add("provenance", PLACE, "block");
                return false;
            }
        }
        // A name carries nothing but a name.
        match &self.outbound {
            Some(engine) => match guard_text(engine, PLACE, name, verdicts) {
                Guarded::Same => true,
                Guarded::Changed(_) | Guarded::Blocked => false,
            },
            None => true,
        }
    }

    /// Guards a whole call.
    pub(super) fn guard_call(
        &self,
        name: &str,
        arguments: &str,
        verdicts: &mut Verdicts,
    ) -> Guarded {
        match self.admits_tool(name, verdicts) {
            true => self.guard_arguments(name, arguments, verdicts),
            false => Guarded::Blocked,
        }
    }

    /// Guards an item that only its provider knows. It may be a call, and then it has the name of its tool and
    /// perhaps arguments that are a text.
    pub(super) fn guard_native(&self, kind: &str, json: &str, verdicts: &mut Verdicts) -> Guarded {
        let outline = Outline::read_leniently(json);
        let member = |key: &str| {
            let mut texts = outline.texts.iter();
            let is_own = |text: &&Text<'_>| text.object == Some(0) && text.key == key;
            texts.find(|text| text.kind == Kind::String && is_own(text))
        };
        let name = member("name").map_or(kind, |text| &*text.value);
        if !self.admits_tool(name, verdicts) || !self.admits_kind(kind, verdicts) {
            return Guarded::Blocked;
        }
        let mut whole = Cow::Borrowed(json);
        if let Some(text) = member("arguments").or_else(|| member("input")) {
            match self.guard_arguments(name, &text.value, verdicts) {
                Guarded::Same => {}
                Guarded::Changed(new) => whole = replace(json, &[(text.at.clone(), new)]).into(),
                Guarded::Blocked => return Guarded::Blocked,
            }
        }
        match (self.guard_arguments(name, &whole, verdicts), whole) {
            (Guarded::Same, Cow::Owned(new)) => Guarded::Changed(new),
            (guarded, _) => guarded,
        }
    }

    /// Whether items of this kind may pass, whatever their tools are called.
    fn admits_kind(&self, kind: &str, verdicts: &mut Verdicts) -> bool {
        let rules = &self.rules;
        if is_named(&rules.scope.denied_tools, kind) {
            verdicts.judge(Category::Scope, PLACE, Action::Block);
            return false;
        }
        let runs = rules.sandbox_only && is_named(&RUNNERS, kind);
        if runs && !rules.scope.names_allowed(&[kind]) {
            verdicts.judge(Category::Code, PLACE, Action::Block);
            return false;
        }
        true
    }

    /// Guards arguments as a model wrote them: mostly JSON, sometimes plain text.
    pub(super) fn guard_arguments(
        &self,
        tool: &str,
        written: &str,
        verdicts: &mut Verdicts,
    ) -> Guarded {
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(written).is_ok();
        let mut guarded = Guarded::Same;
        if is_json || written.trim_start().starts_with(['{', '[']) {
            // Not every reader refuses half a character, or a comma too many.
            let outline = Outline::read_leniently(written);
            if !self.admits_split_commands(&outline, verdicts) {
                return Guarded::Blocked;
            }
            let mut edits = Vec::new();
            for text in &outline.texts {
                match self.guard_argument(tool, text, verdicts) {
                    Guarded::Same => {}
                    Guarded::Changed(new) => edits.push((text.at.clone(), new)),
                    Guarded::Blocked => return Guarded::Blocked,
                }
            }
            if !edits.is_empty() {
                guarded = Guarded::Changed(replace(written, &edits));
            }
        }
        if is_json {
            return guarded;
        }
        let whole = match &guarded {
            Guarded::Changed(new) => new,
            _ => written,
        };
        match self.guard_argument(tool, &alone(whole), verdicts) {
            Guarded::Same => guarded,
            outcome => outcome,
        }
    }

    fn guard_argument(&self, tool: &str, text: &Text<'_>, verdicts: &mut Verdicts) -> Guarded {
        if text.kind != Kind::Key && !self.admits_argument(text, verdicts) {
            return Guarded::Blocked;
        }
        if text.kind != Kind::Key && !self.admits_unescaped(text, verdicts) {
            return Guarded::Blocked;
        }
        let mut value = Cow::Borrowed(&*text.value);
        let mut is_changed = false;
        if let Some(engine) = &self.outbound {
            match guard_member(engine, PLACE, text, verdicts) {
                Guarded::Same => {}
                Guarded::Changed(new) => (value, is_changed) = (new.into(), true),
                Guarded::Blocked => return Guarded::Blocked,
            }
        }
        if text.kind == Kind::String && self.moderates(PLACE) {
            let found = self.moderate(PLACE, &value);
            for (_, action) in &found.all {
                verdicts.judge(Category::Moderation, PLACE, *action);
            }
            match found.worst {
                Some((Action::Block, _)) => return Guarded::Blocked,
                Some((Action::Redact | Action::Tokenize, category)) => {
                    (value, is_changed) = (format!("[REDACTED:{category}]").into(), true);
                }
                _ => {}
            }
        }
        if text.kind == Kind::String {
            match self.guard_commands(tool, &text.key, &value, verdicts) {
                Guarded::Same => {}
                Guarded::Changed(new) => (value, is_changed) = (new.into(), true),
                Guarded::Blocked => return Guarded::Blocked,
            }
        }
        if let Some(vault) = self.vault.as_ref().filter(|_| value.contains('[')) {
            let restored = vault.restore(&value);
            if restored != *value {
                (value, is_changed) = (restored.into(), true);
            }
        }
        match is_changed {
            true => Guarded::Changed(value.into_owned()),
            false => Guarded::Same,
        }
    }

    /// Whether a value that holds escapes of characters may be given to a tool that resolves them. What stands
    /// behind them cannot be replaced, so that a match blocks.
    fn admits_unescaped(&self, text: &Text<'_>, verdicts: &mut Verdicts) -> bool {
        let judge = |value: &str, verdicts: &mut Verdicts| {
            let text = text.saying(value);
            let engine = self.outbound.as_ref();
            self.admits_argument(&text, verdicts)
                && engine.is_none_or(|engine| {
                    guard_member(engine, PLACE, &text, verdicts) == Guarded::Same
                })
        };
        let mut inner = Cow::Borrowed(&*text.value);
        for _ in 0..ESCAPED_DEPTH {
            if !inner.contains("\\u") {
                return true;
            }
            inner = Cow::Owned(unescape(&inner).into_owned());
            let mut found = Verdicts::default();
            if !judge(&inner, &mut found) && judge(&text.value, &mut Verdicts::default()) {
                verdicts.append(found);
                return false;
            }
        }
        true
    }

    /// Whether a value may be given to a tool, by its length and by the files that it names.
    fn admits_argument(&self, text: &Text<'_>, verdicts: &mut Verdicts) -> bool {
        if self.rules.lengths.check_tool_param(&text.value).is_err() {
            verdicts.add("length", PLACE, "block");
            return false;
        }
        let action = self.action(PLACE, Category::File);
        let Some(files) = self
            .rules
            .files
            .as_ref()
            .filter(|_| action != Action::Allow)
        else {
            return true;
        };
        let checked = match text.kind == Kind::String && names_a_file(&text.key) {
            true => files.check(&text.value, &self.links),
            false => files.check_text(&text.value, &self.links),
        };
        if checked.is_err() {
            verdicts.judge(Category::File, PLACE, action);
        }
        checked.is_ok() || action == Action::Flag
    }

    /// Whether commands may be given to a tool that come word by word, as in `["rm", "-rf", "/"]`, or with
    /// their arguments beside them.
    fn admits_split_commands(&self, outline: &Outline<'_>, verdicts: &mut Verdicts) -> bool {
        let action = self.action(PLACE, Category::Shell);
        if action == Action::Allow {
            return true;
        }
        let is_one_of = |names: &[&str], text: &Text<'_>| {
            let fits = |name: &&str| text.key.eq_ignore_ascii_case(name);
            text.kind == Kind::String && names.iter().any(fits)
        };
        let is_part = |text: &Text<'_>| is_one_of(&COMMANDS, text) || is_one_of(&WORDS, text);
        let parts = outline.texts.iter().filter(|text| is_part(text));
        let mut commands: BTreeMap<Option<usize>, Vec<&Text<'_>>> = BTreeMap::new();
        for part in parts {
            commands.entry(part.object).or_default().push(part);
        }
        let is_grave = |parts: &Vec<&Text<'_>>| {
            let is_split = parts.len() > 1 && parts.iter().any(|text| is_one_of(&COMMANDS, text));
            let joined = |parts: &[&Text<'_>]| {
                let words: Vec<&str> = parts.iter().map(|text| &*text.value).collect();
                words.join(" ")
            };
            // Arguments may be written before the command that they belong to.
            let ordered = || {
                let (commands, words): (Vec<_>, Vec<_>) =
                    parts.iter().partition(|text| is_one_of(&COMMANDS, text));
                joined(&[commands, words].concat())
            };
            is_split && fence::dangers(&ordered())
        };
        if !commands.values().any(is_grave) {
            return true;
        }
        let is_told_only = action == Action::Flag;
        let follows = if is_told_only { action } else { Action::Block };
        verdicts.judge(Category::Shell, PLACE, follows);
        is_told_only
    }

    /// Guards commands and code that a tool is given.
    fn guard_commands(
        &self,
        tool: &str,
        key: &str,
        value: &str,
        verdicts: &mut Verdicts,
    ) -> Guarded {
        let key = key.to_ascii_lowercase();
        let action = self.action(PLACE, Category::Shell);
        if action != Action::Allow {
            let told = shell::dangers(value);
            let is_grave = told.iter().any(|danger| *danger != Danger::Composition);
            let runs = || {
                is_named(&SHELL_TOOLS, tool)
                    || is_named(&SHELL_TOOLS, &normalise::normalise(tool).text)
            };
            let is_command = COMMANDS.contains(&key.as_str()) || runs();
            let is_smuggled = is_grave && told.contains(&Danger::Composition);
            if is_grave && is_command && action != Action::Flag {
                verdicts.judge(Category::Shell, PLACE, Action::Block);
                return Guarded::Blocked;
            }
            if (is_grave && is_command) || is_smuggled {
                verdicts.judge(Category::Shell, PLACE, action);
                match action {
                    Action::Block => return Guarded::Blocked,
                    // Nothing but an argument, whatever the tool does with it.
                    Action::Redact | Action::Tokenize => {
                        return Guarded::Changed(shell::quote(value).into_owned());
                    }
                    Action::Allow | Action::Flag => {}
                }
            }
        }
        let Some(language) = language(tool, &key) else {
            return Guarded::Same;
        };
        let Some(rules) = &self.fences else {
            return Guarded::Same;
        };
        let mut judged = Vec::new();
        let outcome = fence::judge(rules, language, value, &mut judged);
        for (category, action) in judged {
            if category != Category::Shell {
                verdicts.judge(category, PLACE, action);
            }
        }
        match outcome {
            Outcome::Blocked => Guarded::Blocked,
            // Commands were judged above.
            Outcome::Changed(_) if language == Language::Shell => Guarded::Same,
            Outcome::Changed(new) => Guarded::Changed(new),
            Outcome::Same => Guarded::Same,
        }
    }
}

/// A text that is no member of anything.
fn alone(written: &str) -> Text<'_> {
    Text {
        kind: Kind::String,
        at: 0..written.len(),
        value: Cow::Borrowed(written),
        packing: None,
        key: Cow::Borrowed(""),
        object: None,
    }
}

/// The language of an argument, where its name or that of the tool says so.
fn language(tool: &str, key: &str) -> Option<Language> {
    let named = Language::of_fence(key);
    if named.is_some() || COMMANDS.contains(&key) {
        return named.or(Some(Language::Shell));
    }
    if !matches!(key, "code" | "source" | "query" | "program") {
        return None;
    }
    let tool = tool.to_ascii_lowercase();
    [
        ("python", Language::Python),
        ("javascript", Language::JavaScript),
        ("sql", Language::Sql),
    ]
    .into_iter()
    .find_map(|(name, language)| tool.contains(name).then_some(language))
}
