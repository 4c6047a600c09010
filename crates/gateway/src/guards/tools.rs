//! Guards the calls of tools that a model makes: which tool, and what it is given. This is control,
//! not detection: what is not allowed does not reach the caller, whoever talked the model into it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use seaworthy_guard::input::reference::names_a_file;
use seaworthy_guard::input::scope::{covers, is_named};
use seaworthy_guard::input::shell::{self, Danger};
use seaworthy_guard::{Action, Category, Place, normalise};
use seaworthy_guard_code::Language;
use seaworthy_guard_code::fence::{self, Outcome};

use super::arguments::{Guarded, guard_member};
use super::called::Called;
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
pub(super) const RUNNERS: [&str; 16] = [
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
    /// Guards the whole call of a function.
    pub(super) fn guard_call(
        &self,
        name: &str,
        arguments: &str,
        returned: bool,
        verdicts: &mut Verdicts,
    ) -> Guarded {
        match self.admits(&Called::function(name), returned, verdicts) {
            true => self.guard_arguments(name, arguments, verdicts),
            false => Guarded::Blocked,
        }
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

    /// Guards one text that a tool is given.
    pub(super) fn guard_argument(
        &self,
        tool: &str,
        text: &Text<'_>,
        verdicts: &mut Verdicts,
    ) -> Guarded {
        let is_value = text.kind != Kind::Key;
        let admits = |verdicts: &mut Verdicts| {
            self.admits_argument(text, verdicts) && self.admits_unescaped(text, verdicts)
        };
        if is_value && !admits(verdicts) {
            return Guarded::Blocked;
        }
        let searched = self.search(text, verdicts);
        let value = match &searched {
            Guarded::Same => &*text.value,
            Guarded::Changed(new) => new,
            Guarded::Blocked => return Guarded::Blocked,
        };
        let commands = match text.kind {
            Kind::String => self.guard_commands(tool, &text.key, value, verdicts),
            Kind::Key | Kind::Number => Guarded::Same,
        };
        let guarded = match commands {
            Guarded::Same => searched,
            other => other,
        };
        self.put_back(&text.value, guarded)
    }

    /// Guards one text that a tool returned, which is given to nothing.
    pub(super) fn guard_returned(&self, text: &Text<'_>, verdicts: &mut Verdicts) -> Guarded {
        let searched = self.search(text, verdicts);
        self.put_back(&text.value, searched)
    }

    /// What is found in a text, wherever it goes.
    fn search(&self, text: &Text<'_>, verdicts: &mut Verdicts) -> Guarded {
        let searched = match &self.outbound {
            Some(engine) => guard_member(engine, PLACE, text, verdicts),
            None => Guarded::Same,
        };
        let value = match &searched {
            Guarded::Same => &*text.value,
            Guarded::Changed(new) => new,
            Guarded::Blocked => return Guarded::Blocked,
        };
        if text.kind != Kind::String || !self.moderates(PLACE) {
            return searched;
        }
        let found = self.moderate(PLACE, value);
        for (_, action) in &found.all {
            verdicts.judge(Category::Moderation, PLACE, *action);
        }
        match found.worst {
            Some((Action::Block, _)) => Guarded::Blocked,
            Some((Action::Redact | Action::Tokenize, category)) => {
                Guarded::Changed(format!("[REDACTED:{category}]"))
            }
            _ => searched,
        }
    }

    /// Puts what placeholders stand for in their place.
    fn put_back(&self, value: &str, guarded: Guarded) -> Guarded {
        let value = match &guarded {
            Guarded::Same => value,
            Guarded::Changed(new) => new,
            Guarded::Blocked => return Guarded::Blocked,
        };
        match self.vault.as_ref().map(|vault| vault.restore(value)) {
            Some(restored) if restored != *value => Guarded::Changed(restored),
            _ => guarded,
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
    pub(super) fn admits_split_commands(
        &self,
        outline: &Outline<'_>,
        verdicts: &mut Verdicts,
    ) -> bool {
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
