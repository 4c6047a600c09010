//! What a model does with a tool, in whatever form its dialect has: by which names that counts, and which
//! of its texts the tool is given and which it returned.

use seaworthy_config::AfterUntrusted;
use seaworthy_core::call::Native;
use seaworthy_guard::input::scope::is_named;
use seaworthy_guard::{Action, Category, Place, normalise};

use super::arguments::{Guarded, guard_text};
use super::guarding::Guarding;
use super::said::is_result;
use super::texts::{Kind, Outline, Text, replace};
use super::tools::RUNNERS;
use super::verdicts::Verdicts;

const PLACE: Place = Place::ToolArguments;

/// What calls that have no name of their own are called where they are offered.
const OFFERED_AS: [(&str, &[&str]); 3] = [
    ("computer_call", &["computer", "computer_use_preview"]),
    ("executableCode", &["codeExecution", "code_execution"]),
    ("codeExecutionResult", &["codeExecution", "code_execution"]),
];

/// Ends of the names of kinds, without which they are names of tools.
const ENDS: [&str; 3] = ["_call_output", "_tool_result", "_call"];

/// Kinds that call nothing and whose names do not tell.
const NO_CALLS: [&str; 5] = [
    "mcp_list_tools",
    "codeExecutionResult",
    "toolResult",
    "compaction",
    "container_upload",
];

/// Members of a call that hold what its tool returned.
const RETURNED: [&str; 7] = [
    "output", "outputs", "result", "results", "content", "error", "tools",
];

/// A call of a tool, or what one returned.
pub(super) struct Called<'o> {
    /// What the tool is called: by its own name, or by those of its kind.
    names: Vec<&'o str>,
    /// What else it counts by, where it has a name of its own: its kind, and where it is.
    beside: Vec<&'o str>,
    is_call: bool,
}

impl<'o> Called<'o> {
    /// The call of a function.
    pub(super) fn function(name: &'o str) -> Self {
        Self {
            names: vec![name],
            beside: Vec::new(),
            is_call: true,
        }
    }

    /// An item that only its own dialect knows.
    fn native(kind: &'o str, outline: &'o Outline<'_>) -> Self {
        let mut of_kind = vec![kind];
        let offered = OFFERED_AS.iter().find(|(known, _)| *known == kind);
        of_kind.extend(offered.iter().flat_map(|(_, names)| *names));
        of_kind.extend(ENDS.iter().find_map(|end| kind.strip_suffix(end)));
        let told = |key| member(kind, outline, key).map(|text| &*text.value);
        let server = told("server_label").or_else(|| told("server_name"));
        let (names, mut beside) = match told("name") {
            Some(name) => (vec![name], of_kind),
            None => (of_kind, Vec::new()),
        };
        beside.extend(server);
        Self {
            names,
            beside,
            is_call: is_call(kind),
        }
    }

    fn name(&self) -> &'o str {
        self.names.first().copied().unwrap_or_default()
    }
}

fn is_call(kind: &str) -> bool {
    !(kind.ends_with("_result") || kind.ends_with("_output") || NO_CALLS.contains(&kind))
}

/// A text of an item by its name: the item's own, or one of the object that is named like its kind.
fn member<'o, 'a>(kind: &str, outline: &'o Outline<'a>, key: &str) -> Option<&'o Text<'a>> {
    let is_own = |text: &&Text<'_>| match text.object {
        Some(0) => true,
        object => {
            let object = object.and_then(|index| outline.objects.get(index));
            object.is_some_and(|object| object.parent == Some(0) && object.key == kind)
        }
    };
    let mut texts = outline.texts.iter().filter(is_own);
    texts.find(|text| text.kind == Kind::String && text.key == key)
}

/// Whether a text of a call is what its tool returned: the outermost member decides.
fn is_returned(kind: &str, outline: &Outline<'_>, text: &Text<'_>) -> bool {
    let around = outline.ancestors(text.object).map(|object| &*object.key);
    let names: Vec<&str> = std::iter::once(&*text.key).chain(around).collect();
    // The last one is that of the item, which has none.
    let mut outer = names.iter().rev().skip(1).filter(|name| **name != kind);
    outer.next().is_some_and(|name| RETURNED.contains(name))
}

impl Guarding {
    /// Whether a tool may be called; what is decided is counted. `returned` tells that the answer itself
    /// holds what a tool returned.
    pub(super) fn admits(
        &self,
        called: &Called<'_>,
        returned: bool,
        verdicts: &mut Verdicts,
    ) -> bool {
        let rules = &self.rules;
        let scope = &rules.scope;
        let names_one = |globs: &[String], names: &[&str]| {
            let mut names = names.iter();
            names.any(|name| is_named(globs, name))
        };
        // Some callers read letters of other widths, and those that nobody sees, as plain ones.
        let plain = normalise::normalise(called.name());
        let mut names = called.names.clone();
        names.push(plain.text.trim());
        let is_allowed = match called.is_call {
            true => scope.check_tool(&names).is_ok(),
            false => !names_one(&scope.denied_tools, &names),
        };
        if !is_allowed || names_one(&scope.denied_tools, &called.beside) {
            verdicts.judge(Category::Scope, PLACE, Action::Block);
            return false;
        }
        let runs = |names: &[&str], known: &[&str]| {
            names.iter().any(|name| is_named(&RUNNERS, name)) && !scope.names_allowed(known)
        };
        let is_run = || runs(&names, &called.names) || runs(&called.beside, &called.beside);
        if rules.sandbox_only && is_run() {
            verdicts.judge(Category::Code, PLACE, Action::Block);
            return false;
        }
        let has_effects = called.is_call && names_one(&rules.side_effect_tools, &names);
        if has_effects && (self.holds_untrusted || returned) {
            let confirmed = &self.confirmed;
            let may = match rules.after_untrusted {
                AfterUntrusted::Allow => true,
                AfterUntrusted::Confirm => confirmed.iter().any(|tool| tool == called.name()),
                AfterUntrusted::Block => false,
            };
            if !may {
                verdicts.add("provenance", PLACE, "block");
                return false;
            }
        }
        // A name carries nothing but a name.
        self.outbound.as_ref().is_none_or(|engine| {
            guard_text(engine, PLACE, called.name(), verdicts) == Guarded::Same
        })
    }

    /// Guards an item that only its own dialect knows, and what its tool is given beside it; false where it
    /// goes no further.
    pub(super) fn guard_native(
        &self,
        native: &mut Native,
        given: &mut String,
        returned: &mut bool,
        verdicts: &mut Verdicts,
    ) -> bool {
        let kind = native.kind.clone();
        let json = std::mem::take(&mut native.json);
        let outline = Outline::read_leniently(&json);
        let called = Called::native(&kind, &outline);
        if !self.admits(&called, *returned, verdicts)
            || (called.is_call && !self.admits_split_commands(&outline, verdicts))
        {
            return false;
        }
        let name = called.name();
        match self.guard_arguments(name, given, verdicts) {
            Guarded::Same => {}
            Guarded::Changed(new) => *given = new,
            Guarded::Blocked => return false,
        }
        let document = ["arguments", "input"];
        let document = document.iter().find_map(|key| member(&kind, &outline, key));
        let mut edits = Vec::new();
        for text in &outline.texts {
            let guarded = match document {
                Some(document) if document.at == text.at => {
                    self.guard_arguments(name, &text.value, verdicts)
                }
                _ if !called.is_call || is_returned(&kind, &outline, text) => {
                    self.guard_returned(text, verdicts)
                }
                _ => self.guard_argument(name, text, verdicts),
            };
            match guarded {
                Guarded::Same => {}
                Guarded::Changed(new) => edits.push((text.at.clone(), new)),
                Guarded::Blocked => return false,
            }
        }
        *returned |= is_result(&kind) || !called.is_call;
        native.json = match edits.is_empty() {
            true => json,
            false => replace(&json, &edits),
        };
        true
    }
}
