//! Screens a request in the words of its own dialect: only the texts that a guard changes are
//! replaced, and the rest of the body stays as the caller wrote it.

use std::ops::Range;

use seaworthy_guard::injection::{InjectionJudge, Level};
use seaworthy_guard::input::{Lengths, TooLong, html};
use seaworthy_guard::{Engine, Place};

use super::arguments::{self, Guarded};
use super::texts::{BrokenEscape, Kind, Outline, Text, replace};
use super::verdicts::Verdicts;

/// Members that hold names, references or data in base64, never words. What is sealed by a provider
/// must come back to it unchanged.
const NOT_WORDS: [&str; 15] = [
    "type",
    "role",
    "model",
    "id",
    "call_id",
    "tool_call_id",
    "tool_use_id",
    "previous_response_id",
    "media_type",
    "signature",
    "thoughtSignature",
    "thinking",
    "encrypted_content",
    "file_data",
    "file_id",
];

/// Members that hold what is said.
const SAID: [&str; 8] = [
    "content",
    "text",
    "system",
    "instructions",
    "input",
    "prompt",
    "output",
    "data",
];

/// What is checked in requests.
#[derive(Debug)]
pub(crate) struct InputGuard {
    pub(super) lengths: Lengths,
    pub(super) strip_html_tags: bool,
    pub(super) injection: Option<InjectionJudge>,
    pub(super) engine: Option<Engine>,
}

/// Why a request may not leave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    TooLong(TooLong),
    /// A text tries to take control of the model.
    Injection(Place),
    /// A text holds what the configuration blocks.
    Blocked(Place),
    /// A text cannot be read, so that it cannot be judged.
    Unreadable,
}

impl From<BrokenEscape> for Refused {
    fn from(_: BrokenEscape) -> Self {
        Self::Unreadable
    }
}

/// A text of the request and who stands behind it.
struct Said<'t, 'a> {
    text: &'t Text<'a>,
    place: Place,
    /// The number of the object that says who speaks.
    message: Option<usize>,
    /// Whether a user or a tool says it, and not the operator or the model.
    is_untrusted: bool,
    /// It is inside the arguments of a tool call.
    is_argument: bool,
}

impl InputGuard {
    /// The body to send instead, if a guard changed something. `is_conversation` is false where
    /// texts are only data, as in embeddings: nobody acts on them.
    pub(crate) fn screen(
        &self,
        body: &str,
        is_conversation: bool,
        verdicts: &mut Verdicts,
    ) -> Result<Option<String>, Refused> {
        let outline = Outline::read(body)?;
        let said: Vec<Said<'_, '_>> = outline
            .texts
            .iter()
            .filter_map(|text| who_says(&outline, text))
            .collect();
        self.check_lengths(&said)
            .inspect_err(|_| verdicts.add("length", Place::Input, "block"))
            .map_err(Refused::TooLong)?;
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        for said in &said {
            let judged = is_conversation && said.is_untrusted;
            if let Some(new) = self.screen_text(said, judged, verdicts)? {
                edits.push((said.text.at.clone(), new));
            }
        }
        Ok((!edits.is_empty()).then(|| replace(body, &edits)))
    }

    fn screen_text(
        &self,
        said: &Said<'_, '_>,
        is_judged: bool,
        verdicts: &mut Verdicts,
    ) -> Result<Option<String>, Refused> {
        let mut value = said.text.value.as_ref();
        if let Some(judge) = self.injection.as_ref().filter(|_| is_judged) {
            match judge.assess(value).level {
                Level::Clear => {}
                Level::Flag => verdicts.add("injection", said.place, "flag"),
                Level::Block => {
                    verdicts.add("injection", said.place, "block");
                    return Err(Refused::Injection(said.place));
                }
            }
        }
        let plain;
        let mut changed = false;
        if self.strip_html_tags && is_judged {
            plain = html::strip(value);
            if plain != value {
                verdicts.add("html", said.place, "strip");
                (value, changed) = (&plain, true);
            }
        }
        let guarded = match &self.engine {
            None => Guarded::Same,
            Some(engine) if said.is_argument => {
                arguments::guard_member(engine, said.place, said.text, verdicts)
            }
            Some(engine) if said.text.key == "arguments" => {
                arguments::guard(engine, said.place, value, verdicts)
            }
            Some(engine) => arguments::guard_text(engine, said.place, value, verdicts),
        };
        match guarded {
            Guarded::Blocked => Err(Refused::Blocked(said.place)),
            Guarded::Changed(new) => Ok(Some(new)),
            Guarded::Same => Ok(changed.then(|| value.to_owned())),
        }
    }

    fn check_lengths(&self, said: &[Said<'_, '_>]) -> Result<(), TooLong> {
        if self.lengths == Lengths::default() {
            return Ok(());
        }
        let (mut input, mut question) = (0, 0);
        let mut message = None;
        for said in said.iter().filter(|said| SAID.contains(&&*said.text.key)) {
            let length = said.text.value.chars().count();
            input += length;
            if said.is_untrusted && said.place == Place::Input {
                if message != Some(said.message) {
                    (message, question) = (Some(said.message), 0);
                }
                question += length;
            }
        }
        self.lengths.check_request(input, question)
    }
}

/// Sorts out a text; `None` where it holds no words.
fn who_says<'t, 'a>(outline: &Outline<'a>, text: &'t Text<'a>) -> Option<Said<'t, 'a>> {
    let around = || outline.ancestors(text.object);
    let calls_tool = |kind: &str| matches!(kind, "tool_use" | "server_tool_use");
    let is_argument = around()
        .skip(1)
        .any(|object| object.kind.as_deref().is_some_and(calls_tool));
    if !is_argument && (text.kind != Kind::String || !holds_words(outline, text)) {
        return None;
    }
    let message = outline.indices(text.object).find(|index| {
        let object = outline.objects.get(*index);
        object.is_some_and(|object| object.role.is_some())
    });
    let speaker = message.and_then(|index| outline.objects.get(index)?.role.as_deref());
    let is_tool_result = matches!(speaker, Some("tool" | "function"))
        || around().any(|object| object.kind.as_deref().is_some_and(is_result));
    let is_bare = speaker.is_none() && matches!(&*text.key, "input" | "prompt");
    Some(Said {
        text,
        place: match is_tool_result {
            true => Place::ToolResult,
            false => Place::Input,
        },
        is_untrusted: !is_argument && (is_tool_result || speaker == Some("user") || is_bare),
        message,
        is_argument,
    })
}

/// Whether an object of this type is what a tool or a retrieval returned.
fn is_result(kind: &str) -> bool {
    kind.ends_with("tool_result") || kind.ends_with("_output") || kind == "search_result"
}

fn holds_words(outline: &Outline<'_>, text: &Text<'_>) -> bool {
    let kind = || {
        let object = outline.ancestors(text.object).next();
        object.and_then(|object| object.kind.as_deref())
    };
    match &*text.key {
        "data" => kind() == Some("text"),
        "url" | "image_url" => !text.value.starts_with("data:"),
        key => !NOT_WORDS.contains(&key),
    }
}
