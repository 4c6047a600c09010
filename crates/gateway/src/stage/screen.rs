//! May this be asked? Input guards belong here: they judge, redact or refuse the request before it
//! can leave.

use std::sync::Arc;

use seaworthy_core::code::Code;

use crate::exchange::Exchange;
use crate::guards::input::Refused;
use crate::refusal::Refusal;
use crate::routes::Operation;
use crate::stage::admit::Admission;
use crate::stage::decode::Request;

/// A request that passed every input guard.
#[derive(Debug)]
pub(crate) struct Screened(Request);

impl std::ops::Deref for Screened {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.0
    }
}

impl Screened {
    /// Writes a bound of the output into a request that has none, so that what was reserved for it
    /// is really the most that it can use.
    pub(crate) fn bound_output(&mut self, tokens: u64) -> Result<(), Refusal> {
        if let Operation::Chat(dialect) = self.0.operation {
            let body = seaworthy_llm::bound_output(dialect, &self.0.body, &self.0.head, tokens);
            self.0.replace_body(body)?;
        }
        Ok(())
    }
}

/// Screens a request. What a guard replaces is replaced in the caller's own bytes.
pub(crate) fn screen(
    exchange: &mut Exchange,
    mut request: Request,
    _admission: &Admission,
) -> Result<Screened, Refusal> {
    if exchange.snapshot.guards.are_off() {
        return Ok(Screened(request));
    }
    let guards = Arc::clone(&exchange.snapshot.guards);
    if guards.output.is_some() && request.head.choices > 1 {
        let message = "Answers are guarded here, and only single ones can be: leave `n` out or set \
                       it to 1.";
        return Err(Refusal::new(Code::InvalidRequest, message).at("n".to_owned()));
    }
    if let Some(guard) = &guards.input {
        // The head was read from it, so that it is UTF-8.
        let body = str::from_utf8(&request.body).map_err(|_| unreadable())?;
        let is_conversation = matches!(
            request.operation,
            Operation::Chat(_) | Operation::CountTokens(_)
        );
        let screened = guard.screen(body, is_conversation, &mut exchange.verdicts);
        if let Some(body) = screened.map_err(refusal)? {
            request.replace_body(body.into())?;
        }
    }
    Ok(Screened(request))
}

/// Why a request may not leave, without a word of what it says.
fn refusal(refused: Refused) -> Refusal {
    match refused {
        Refused::TooLong(too_long) => Refusal::new(
            Code::ContentTooLong,
            format!(
                "`{}` allows {} characters of text, found {}. Shorten the text.",
                too_long.setting, too_long.allowed, too_long.found
            ),
        ),
        Refused::Injection(place) => Refusal::new(
            Code::ContentFilter,
            format!(
                "A text of the request ({}) looks like an attempt to take control of the model. \
                 Take it out or put it in other words.",
                place.as_str()
            ),
        ),
        Refused::Blocked(place) => Refusal::new(
            Code::ContentFilter,
            format!(
                "A text of the request ({}) holds a credential or data about a person, which must \
                 not leave. Take it out.",
                place.as_str()
            ),
        ),
        Refused::Unreadable => unreadable(),
    }
}

fn unreadable() -> Refusal {
    let message = "A text of the request holds an escape that stands for no character, so that it \
                   cannot be checked. Send valid Unicode.";
    Refusal::new(Code::InvalidRequest, message)
}
