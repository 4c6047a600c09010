//! The tool calls of a streamed chat completion, one after another, however a server mixes their
//! pieces: some write several at a time, leave out IDs, or give every call the same index.

use crate::{fault::Fault, json, wire::shared::native_opening};
use seaworthy_core::{
    call::{BlockOpening, Delta},
    dialect::Dialect,
};

/// How much of calls is held back while another one is open.
const MOST_HELD_BYTES: usize = 4 << 20;

/// How a call is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Form {
    #[default]
    Function,
    /// The call of a tool that takes any text.
    Custom,
    /// The one call of a function of the time before tools.
    Legacy,
}

/// What a chunk says of a call.
#[derive(Default)]
pub(super) struct ToolPiece {
    pub(super) form: Form,
    pub(super) index: u64,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) arguments: Option<String>,
}

/// The calls of an answer.
#[derive(Default)]
pub(super) struct Tools {
    open: Option<Call>,
    held: Vec<Held>,
    held_bytes: usize,
    made: usize,
}

/// A call that has begun.
struct Call {
    form: Form,
    index: u64,
    id: String,
    arguments: Progress,
}

/// A call that has to wait for the one that is open.
struct Held {
    call: Call,
    name: String,
    arguments: String,
}

impl Call {
    /// Whether a piece goes on with this call: a new ID is a new call, and so is a name with
    /// arguments behind those that are complete.
    fn goes_on_with(&self, piece: &ToolPiece) -> bool {
        let begins = piece.name.is_some() && piece.arguments.is_some();
        (self.form, self.index) == (piece.form, piece.index)
            && match &piece.id {
                Some(id) => *id == self.id,
                None => !(begins && self.arguments.is_complete()),
            }
    }
}

impl Tools {
    /// Whether a call is open now.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether there was any call.
    pub(super) fn any(&self) -> bool {
        self.made > 0
    }

    /// Takes a piece. `answer` is the ID of the answer, for calls that have none of their own.
    pub(super) fn push(
        &mut self,
        piece: ToolPiece,
        answer: &str,
        out: &mut Vec<Delta>,
    ) -> Result<(), Fault> {
        // The latest first: the index may be the same for all of them.
        let held = self.held.iter_mut().rev();
        let mut held = held.filter(|held| held.call.goes_on_with(&piece));
        if let Some(held) = held.next() {
            let more = piece.arguments.unwrap_or_default();
            held.call.arguments.feed(&more);
            held.arguments.push_str(&more);
            return self.count_held(more.len());
        }
        if let Some(open) = self.open.as_mut().filter(|open| open.goes_on_with(&piece)) {
            if let Some(more) = piece.arguments {
                open.arguments.feed(&more);
                out.push(Delta::Arguments(more));
            }
            self.go_on(out);
            return Ok(());
        }
        let Some(name) = piece.name else {
            return Err(Fault::whole(format!(
                "expected the name of a tool at the beginning of call {}",
                piece.index
            )));
        };
        let made = self.made;
        self.made += 1;
        let arguments = piece.arguments.unwrap_or_default();
        let mut call = Call {
            form: piece.form,
            index: piece.index,
            id: piece.id.unwrap_or_else(|| made_up_id(answer, made)),
            arguments: Progress::of(piece.form),
        };
        call.arguments.feed(&arguments);
        let length = arguments.len();
        self.held.push(Held {
            call,
            name,
            arguments,
        });
        self.count_held(length)?;
        self.go_on(out);
        Ok(())
    }

    /// Closes what is open and writes what waits: nothing more comes.
    pub(super) fn finish(&mut self, out: &mut Vec<Delta>) {
        for held in std::mem::take(&mut self.held) {
            self.begin(held, out);
        }
        self.close(out);
    }

    /// Lets those that wait follow, as soon as the arguments of the one that is open are complete.
    fn go_on(&mut self, out: &mut Vec<Delta>) {
        while !self.held.is_empty() {
            let open = self.open.as_ref();
            if open.is_some_and(|open| !open.arguments.is_complete()) {
                return;
            }
            let next = self.held.remove(0);
            self.begin(next, out);
        }
    }

    fn begin(&mut self, held: Held, out: &mut Vec<Delta>) {
        self.close(out);
        self.held_bytes = self.held_bytes.saturating_sub(held.arguments.len());
        out.push(Delta::Open(opening(&held.call, held.name)));
        if !held.arguments.is_empty() {
            out.push(Delta::Arguments(held.arguments));
        }
        self.open = Some(held.call);
    }

    fn close(&mut self, out: &mut Vec<Delta>) {
        if self.open.take().is_some() {
            out.push(Delta::Close);
        }
    }

    fn count_held(&mut self, more: usize) -> Result<(), Fault> {
        self.held_bytes += more;
        match self.held_bytes <= MOST_HELD_BYTES {
            true => Ok(()),
            false => Err(Fault::whole(
                "expected the pieces of one tool call after another, found too much of several",
            )),
        }
    }
}

/// The beginning of a call, whose arguments follow.
fn opening(call: &Call, name: String) -> BlockOpening {
    let mut written = Vec::new();
    let kind = match call.form {
        Form::Function => {
            let id = call.id.clone();
            return BlockOpening::ToolUse { id, name };
        }
        Form::Custom => {
            json::object(&mut written, |item| {
                item.str("id", &call.id).str("type", CUSTOM);
                item.object(CUSTOM, |custom| {
                    custom.str("name", &name).str("input", "");
                });
            });
            CUSTOM
        }
        Form::Legacy => {
            json::object(&mut written, |item| {
                item.str("name", &name).str("arguments", "");
            });
            LEGACY
        }
    };
    let written = String::from_utf8_lossy(&written);
    native_opening(Dialect::OpenAiChat, kind, &written)
}

/// The kind of a call of a custom tool.
pub(super) const CUSTOM: &str = "custom";
/// The kind of a call of the time before tools, by the member that holds it.
pub(super) const LEGACY: &str = "function_call";

/// The ID of a call that has none: different from those of other answers, by the end of their ID, and
/// no longer than every API takes.
pub(super) fn made_up_id(answer: &str, number: usize) -> String {
    let beginning = answer.len().saturating_sub(MOST_OF_AN_ANSWERS_ID);
    let answer = &answer[answer.ceil_char_boundary(beginning)..];
    format!("call_{answer}_{number}")
}

/// OpenAI takes IDs of at most 40 signs.
const MOST_OF_AN_ANSWERS_ID: usize = 30;

/// How far the JSON object of some arguments has come.
#[derive(Default)]
struct Progress {
    has_begun: bool,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// It is no JSON, and does not tell its end.
    is_text: bool,
}

impl Progress {
    fn of(form: Form) -> Self {
        Self {
            is_text: form == Form::Custom,
            ..Self::default()
        }
    }

    fn feed(&mut self, text: &str) {
        for byte in text.bytes() {
            if self.in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.has_begun = true;
                    self.depth += 1;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.has_begun && self.depth == 0 && !self.is_text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Written = (
        u64,
        Option<&'static str>,
        Option<&'static str>,
        &'static str,
    );

    /// The calls that come of some pieces: index, ID, name, arguments.
    fn calls(pieces: &[Written]) -> Vec<String> {
        let mut tools = Tools::default();
        let mut out = Vec::new();
        for (index, id, name, arguments) in pieces {
            let piece = ToolPiece {
                index: *index,
                id: id.map(str::to_owned),
                name: name.map(str::to_owned),
                arguments: Some(*arguments)
                    .filter(|text| !text.is_empty())
                    .map(str::to_owned),
                ..ToolPiece::default()
            };
            tools.push(piece, "c", &mut out).unwrap();
        }
        tools.finish(&mut out);
        let mut calls: Vec<String> = Vec::new();
        let mut is_open = false;
        for delta in out {
            match delta {
                Delta::Open(BlockOpening::ToolUse { id, name }) => {
                    assert!(!std::mem::replace(&mut is_open, true));
                    calls.push(format!("{id} {name} "));
                }
                Delta::Arguments(text) => calls.last_mut().unwrap().push_str(&text),
                Delta::Close => assert!(std::mem::take(&mut is_open)),
                other => panic!("{other:?}"),
            }
        }
        assert!(!is_open);
        calls
    }

    #[test]
    fn calls_that_are_mixed_come_one_after_another() {
        let mixed = [
            (0, Some("x"), Some("a"), ""),
            (1, Some("y"), Some("b"), ""),
            (0, None, None, r#"{"s":"}"#),
            (1, None, None, r#"{"t":"#),
            (0, None, None, r#"\""}"#),
            (1, None, None, "2}"),
            (2, Some("z"), Some("a"), "{}"),
        ];
        let expected = [r#"x a {"s":"}\""}"#, r#"y b {"t":2}"#, "z a {}"];
        assert_eq!(calls(&mixed), expected);
    }

    #[test]
    fn calls_without_ids_or_with_one_index_are_told_apart() {
        let nameless = [
            (0, None, Some("a"), "{}"),
            (0, None, Some("b"), r#"{"x":"#),
            (0, None, Some("b"), "1}"),
            (1, None, Some("a"), "{}"),
        ];
        assert_eq!(
            calls(&nameless),
            ["call_c_0 a {}", r#"call_c_1 b {"x":1}"#, "call_c_2 a {}"]
        );
        let same_index = [
            (0, Some("x"), Some("a"), ""),
            (0, Some("y"), Some("b"), ""),
            (0, None, None, "{}"),
        ];
        assert_eq!(calls(&same_index), ["x a ", "y b {}"]);
    }

    #[test]
    fn an_id_that_is_made_up_is_one_that_every_api_takes() {
        assert_eq!(made_up_id("c", 1), "call_c_1");
        let [one, other] = ["1", "2"].map(|end| format!("chatcmpl-{}{end}", "é".repeat(40)));
        assert!(made_up_id(&one, 9_999).len() <= 40);
        assert_ne!(made_up_id(&one, 0), made_up_id(&other, 0));
    }

    #[test]
    fn a_piece_of_a_call_that_never_began_is_a_fault() {
        let piece = ToolPiece {
            index: 1,
            id: None,
            name: None,
            arguments: Some("{}".to_owned()),
            ..ToolPiece::default()
        };
        let pushed = Tools::default().push(piece, "c", &mut Vec::new());
        assert!(pushed.is_err());
    }
}
