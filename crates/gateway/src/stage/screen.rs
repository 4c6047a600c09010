//! May this be asked? Input guards belong here: they judge, redact or refuse the request before it
//! can leave.

mod long;

use std::io::ErrorKind;

use http::HeaderMap;
use seaworthy_core::code::Code;
use seaworthy_guard::Place;
use seaworthy_guard::input::path::PathError;

use self::long::Long;
use crate::exchange::Exchange;
use crate::guards::input::{Asked, Purpose, Refused, UnreadPart, Unreadable};
use crate::guards::{MOST_FILES, Who};
use crate::refusal::Refusal;
use crate::routes::Operation;
use crate::stage::admit::Admission;
use crate::stage::beside::{LONG_BYTES, beside};
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
    /// Writes bounds into a request, of its output and of how often it may call which tools of the
    /// provider's, so that what was reserved for it is really the most that it can use.
    pub(crate) fn bound(
        &mut self,
        output: Option<u64>,
        tools: Option<(Vec<String>, u64)>,
    ) -> Result<(), Refusal> {
        if let Some(tokens) = output {
            self.bound_output(tokens)?;
        }
        if let Some((tools, calls)) = tools {
            self.bound_tools(&tools, calls)?;
        }
        Ok(())
    }

    fn bound_output(&mut self, tokens: u64) -> Result<(), Refusal> {
        if let Operation::Chat(dialect) = self.0.operation {
            let Request { body, head, .. } = &mut self.0;
            let (bounded, is_possible) = seaworthy_llm::bound_output(dialect, body, head, tokens);
            match is_possible {
                true => *body = bounded,
                // Says why not.
                false => self.0.replace_body(bounded)?,
            }
        }
        Ok(())
    }

    /// As far as the dialect has such a bound.
    fn bound_tools(&mut self, tools: &[String], calls: u64) -> Result<(), Refusal> {
        if let Operation::Chat(dialect) = self.0.operation {
            for tool in tools {
                let body = seaworthy_llm::bound_tool_calls(dialect, &self.0.body, tool, calls);
                if let Some(body) = body {
                    self.0.replace_body(body)?;
                }
            }
        }
        Ok(())
    }
}

/// Names the tools with effects that the caller confirmed, with commas between them.
const CONFIRMED: &str = "x-seaworthy-confirm-tools";

/// Screens a request. What a guard replaces is replaced in the caller's own bytes.
pub(crate) async fn screen(
    exchange: &mut Exchange,
    mut request: Request,
    headers: &HeaderMap,
    _admission: &Admission,
) -> Result<Screened, Refusal> {
    let Some(rules) = exchange.snapshot.guards.rules.clone() else {
        return Ok(Screened(request));
    };
    // The head was read from it, so that it is UTF-8.
    let body = str::from_utf8(&request.body).map_err(|_| unreadable())?;
    let principal = exchange.principal.clone();
    let configured = exchange.snapshot.model(&request.head.model).cloned();
    let asked = Asked {
        body,
        dialect: request.operation.dialect(),
        purpose: match request.operation {
            Operation::Chat(_) | Operation::CountTokens(_) => Purpose::Conversation,
            Operation::Embeddings(_) => Purpose::Embeddings,
            Operation::Moderations => Purpose::Moderations,
        },
        who: Who {
            model: &request.head.model,
            configured: configured
                .as_ref()
                .map_or(&request.head.model, |model| &model.name),
            user: principal.as_ref().map_or("", |caller| &caller.user_id),
            key: principal.as_ref().map_or("", |caller| &caller.key_id),
            earlier_keys: principal
                .as_ref()
                .map_or(&[], |caller| &caller.earlier_keys),
        },
        confirmed: confirmed(headers),
    };
    let passed = if request.body.len() < LONG_BYTES {
        rules.screen(asked, &mut exchange.verdicts)
    } else {
        let long = Long::of(&asked, request.body.clone());
        let screened = beside(exchange, "request", move || long.screen(&rules));
        let (passed, verdicts) = screened.await?;
        exchange.verdicts.append(verdicts);
        passed
    };
    let passed = passed.map_err(refusal)?;
    if let Some(body) = passed.body {
        request.replace_body(body.into())?;
    }
    if passed.guarding.reads_answers() && request.head.choices > 1 {
        let message = "Answers are guarded here, and only single ones can be: leave `n` out or set \
                       it to 1.";
        let name = seaworthy_llm::setting(request.operation.dialect(), "n");
        let message = message.replace("`n`", &format!("`{name}`"));
        return Err(Refusal::new(Code::InvalidRequest, message).at(name));
    }
    exchange.guarding = Some(passed.guarding);
    Ok(Screened(request))
}

fn confirmed(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(CONFIRMED)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .map(|name| name.trim().to_owned())
        .collect()
}

/// Why a request may not leave, without a word of what it says.
fn refusal(refused: Refused) -> Refusal {
    let filtered = |what: &str, place: Place| {
        let sentence = format!("A text of the request ({}) {what}", place.as_str());
        Refusal::new(Code::ContentFilter, sentence)
    };
    match refused {
        Refused::TooLong(too_long) => Refusal::new(
            Code::ContentTooLong,
            format!(
                "`{}` allows {} characters of text, found {}. Shorten the text.",
                too_long.setting, too_long.allowed, too_long.found
            ),
        ),
        Refused::Injection(place) => filtered(
            "looks like an attempt to take control of the model. Take it out or put it in other \
             words.",
            place,
        ),
        Refused::Blocked(place) => filtered(
            "holds a credential, data about a person or something else that must not leave. Take \
             it out.",
            place,
        ),
        Refused::Harmful(place) => filtered(
            "falls into a category of harmful content. Put it in other words.",
            place,
        ),
        Refused::Pattern(place) => filtered("holds what the operator does not allow.", place),
        Refused::File(error) => {
            let told = match error {
                PathError::Resolve(error) if error.kind() == ErrorKind::QuotaExceeded => {
                    format!("it is one of more than {MOST_FILES}, and no more are looked for")
                }
                // The cause would name paths of this machine.
                PathError::Resolve(_) => "the file cannot be found".to_owned(),
                error => error.to_string(),
            };
            let sentence = format!("A file that the request refers to may not be used: {told}.");
            Refusal::new(Code::ContentFilter, sentence)
        }
        Refused::Scope(error) => Refusal::new(Code::OutOfScope, format!("Out of scope: {error}.")),
        Refused::Unreadable => unreadable(),
        Refused::Unseen(member) => {
            let sentence = format!(
                "`{member}` names a part of the conversation that only the provider has, so that it \
                 cannot be checked here. Send its words themselves, with the calls of tools and their \
                 results."
            );
            Refusal::new(Code::InvalidRequest, sentence).at(member.to_owned())
        }
        Refused::Unread(part) => unread(part),
        Refused::Broken(error) => {
            let sentence = "The guards of this request could not be put together.";
            Refusal::new(Code::Internal, sentence).because(&error)
        }
    }
}

fn unread(part: UnreadPart) -> Refusal {
    let UnreadPart { why, path } = part;
    let (what, remedy) = match why {
        Unreadable::NamedFile => (
            "names a file that only the provider can read",
            "Send its text itself.",
        ),
        Unreadable::PackedFile => (
            "is a document that is no text in UTF-8",
            "Send its text itself.",
        ),
        Unreadable::StoredPrompt => (
            "names a prompt whose words only the provider has",
            "Send them as `instructions` and `input`.",
        ),
        Unreadable::Encrypted => (
            "is a part of the conversation that only the provider can read",
            "Send its words themselves.",
        ),
    };
    let sentence = format!("`{path}` {what}, so that it cannot be checked here. {remedy}");
    Refusal::new(Code::ContentFilter, sentence).at(path)
}

fn unreadable() -> Refusal {
    let message = "A text of the request holds an escape that stands for no character, so that it \
                   cannot be checked. Send valid Unicode.";
    Refusal::new(Code::InvalidRequest, message)
}
