//! What comes with 200 and is no answer: an error, something else, or a whole answer to a request for
//! a stream. The caller gets the provider's own sentence, if there is one, and another target may be
//! asked.

use http::Response;
use seaworthy_core::code::Code;
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_edge::client::UpstreamBody;
use seaworthy_llm::usage::{self, UsageMeter};
use seaworthy_llm::{Fault, decode_error, is_reply, is_vectors};

use super::{collect, joined, provider_name, unexpected};
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::routes::Operation;

/// How much of a provider's sentence is told.
const MOST_OF_A_SENTENCE: usize = 1_000;

/// Refuses a whole answer in the caller's dialect that is none. Asked only where there is no usage,
/// which nearly every answer has.
pub(super) fn verify(exchange: &mut Exchange, text: &[u8]) -> Result<(), Refusal> {
    let operation = exchange.operation();
    let is_answer = match operation {
        Some(Operation::Chat(dialect)) => is_reply(dialect, text),
        Some(Operation::Embeddings(form)) => is_vectors(form, text),
        Some(Operation::CountTokens(_) | Operation::Moderations) | None => true,
    };
    if is_answer {
        return Ok(());
    }
    let family = operation.map_or(Family::OpenAi, |operation| operation.dialect().family());
    let provider = provider_name(exchange).to_owned();
    let message = if serde_json::from_slice::<serde::de::IgnoredAny>(text).is_err() {
        format!("The provider `{provider}` answered with something that is not JSON.")
    } else if let Some(sentence) = sentence(exchange, family, text) {
        note_nothing_written(exchange);
        an_error(&provider, &sentence)
    } else {
        format!("The provider `{provider}` answered with something that its API does not promise.")
    };
    Err(Refusal::new(Code::UpstreamInvalid, message))
}

/// The refusal of a whole answer to a request for a stream, which no client would read.
pub(super) async fn not_a_stream(
    exchange: &mut Exchange,
    response: Response<UpstreamBody>,
    provider: Dialect,
) -> Refusal {
    let (head, body) = response.into_parts();
    let unexpected = unexpected(exchange, head.status, &head.headers);
    let frames = match collect(exchange, body).await {
        Ok(frames) => frames,
        Err(refusal) => return refusal,
    };
    let text = joined(&frames);
    if let Some(used) = usage::from_reply(provider, &text)
        && let Some(call) = &mut exchange.call
    {
        // It is paid for all the same.
        call.note_usage(used);
    }
    if is_reply(provider, &text) {
        return unexpected;
    }
    match sentence(exchange, provider.family(), &text) {
        Some(sentence) => {
            note_nothing_written(exchange);
            let message = an_error(provider_name(exchange), &sentence);
            Refusal::new(Code::UpstreamInvalid, message)
        }
        None => unexpected,
    }
}

/// The refusal of a stream that is none, as far as it has come: it is in the words of another API, or
/// has ended without a word.
pub(crate) fn no_stream(exchange: &Exchange, meter: &UsageMeter) -> Option<Refusal> {
    let message = match meter.foreign() {
        Some(dialect) => {
            let provider = provider_name(exchange);
            format!(
                "The provider `{provider}` answered with the events of another API, `{}`. Check \
                 `providers.{provider}.kind` and `providers.{provider}.base_url`.",
                dialect.as_str()
            )
        }
        None if meter.is_empty() => "The provider ended its answer without one.".to_owned(),
        None => return None,
    };
    Some(Refusal::new(Code::UpstreamInvalid, message))
}

/// The refusal of a whole answer in the provider's dialect that cannot be read. The fault's own
/// sentence may quote the answer; where it is does not.
pub(super) fn unreadable(
    exchange: &mut Exchange,
    family: Family,
    text: &[u8],
    fault: &Fault,
) -> Refusal {
    let provider = provider_name(exchange).to_owned();
    let sentence = sentence(exchange, family, text);
    if fault.broke_off.is_none() && sentence.is_some() {
        note_nothing_written(exchange);
    }
    let message = match (&fault.broke_off, sentence) {
        (Some(word), Some(sentence)) => {
            format!("The provider `{provider}` broke its answer off: `{word}`: {sentence}")
        }
        (Some(word), None) => format!("The provider `{provider}` broke its answer off: `{word}`."),
        (None, Some(sentence)) => an_error(&provider, &sentence),
        (None, None) => {
            let place = fault.param.as_ref();
            let place = place.map_or(String::new(), |param| format!(" at `{param}`"));
            format!(
                "The provider `{provider}` answered with something that its API does not \
                 promise{place}."
            )
        }
    };
    Refusal::new(Code::UpstreamInvalid, message)
}

/// An error is nothing that a model wrote.
fn note_nothing_written(exchange: &mut Exchange) {
    if let Some(call) = &mut exchange.call {
        call.note_written(0);
    }
}

fn an_error(provider: &str, sentence: &str) -> String {
    format!("The provider `{provider}` answered with HTTP status 200 and an error: {sentence}")
}

/// What the provider says of its error, guarded like all that it says.
fn sentence(exchange: &mut Exchange, family: Family, text: &[u8]) -> Option<String> {
    let sentence = decode_error(family, text).message;
    let sentence: String = sentence.chars().take(MOST_OF_A_SENTENCE).collect();
    if sentence.is_empty() {
        return None;
    }
    Some(match exchange.answer_guard().cloned() {
        Some(guarding) => guarding.guard_error(&sentence, &mut exchange.verdicts),
        None => sentence,
    })
}
