//! How long are the texts of a request?

use seaworthy_guard::Place;
use seaworthy_guard::input::{Lengths, TooLong};

use super::{Outline, SAID};
use crate::guards::said::{Said, Speaker};
use crate::guards::texts::Kind;

/// Measures what is said, and the arguments of calls.
pub(super) fn measure(
    lengths: &Lengths,
    said: &[Said<'_, '_>],
    has_question: bool,
) -> Result<(), (Place, TooLong)> {
    let (mut input, mut question, mut beside) = (0, 0, 0);
    let mut message = None;
    for said in said {
        if said.is_argument {
            let checked = lengths.check_tool_param(&said.text.value);
            checked.map_err(|error| (Place::ToolArguments, error))?;
        } else if said.text.key == "arguments"
            && let Ok(outline) = Outline::read(&said.text.value)
        {
            for text in outline.texts.iter().filter(|text| text.kind != Kind::Key) {
                let checked = lengths.check_tool_param(&text.value);
                checked.map_err(|error| (Place::ToolArguments, error))?;
            }
        }
        if !counts(said) {
            continue;
        }
        let length = said.text.value.chars().count();
        input += length;
        // A file that goes with a question is none.
        let is_question = said.place == Place::Input && said.text.packing.is_none();
        if has_question && said.is_untrusted() && is_question {
            if said.is_beside {
                beside += length;
                continue;
            }
            if message != Some(said.message) {
                (message, question) = (Some(said.message), 0);
            }
            question += length;
        }
    }
    let question = match message {
        Some(_) => question,
        None => beside,
    };
    let checked = lengths.check_request(input, question);
    checked.map_err(|error| (Place::Input, error))
}

/// Whether a text is part of what is said, however its dialect calls the member that holds it: a file that goes
/// with it and everything that a tool returned is.
fn counts(said: &Said<'_, '_>) -> bool {
    let is_text = SAID.contains(&&*said.text.key) || said.text.packing.is_some() || said.is_free;
    let is_returned = said.place == Place::ToolResult && said.text.kind == Kind::String;
    (is_text || is_returned)
        && !said.is_argument
        && said.text.key != "arguments"
        && said.speaker != Speaker::Setting
}
