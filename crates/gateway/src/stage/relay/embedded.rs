//! Vectors of a provider in the form that the caller reads.

use http::Response;
use seaworthy_core::code::Code;
use seaworthy_edge::client::UpstreamBody;
use seaworthy_llm::Fault;
use seaworthy_llm::embed::{self, Beside, Embedding};

use super::{ESTIMATED, YES, collect, estimate, joined, provider_name};
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::reply::Answer;

/// A whole answer; there are no others.
pub(super) async fn whole(
    exchange: &mut Exchange,
    response: Response<UpstreamBody>,
    (caller, provider): (Embedding, Embedding),
    (as_base64, texts): (bool, usize),
) -> Result<Answer, Refusal> {
    let frames = collect(exchange, response.into_body()).await?;
    let text = joined(&frames);
    let reported = embed::embed_usage(provider, &text);
    let used = reported.unwrap_or_else(|| estimate(exchange, &text));
    if let Some(call) = &mut exchange.call
        && reported.is_some()
    {
        // It is paid for, whether or not the rest can be read.
        call.note_usage(used);
    }
    let beside = Beside {
        id: exchange.request_id.as_str(),
        model: exchange.model_name(),
        input_tokens: used.input_tokens,
        as_base64,
    };
    let vectors = embed::decode_vectors(provider, &text);
    if let Ok(vectors) = &vectors
        && vectors.count() != texts
    {
        // Nobody could tell which of them belongs to which text.
        return Err(Refusal::new(
            Code::UpstreamInvalid,
            format!(
                "The provider `{}` answered with {} vectors for {texts} texts.",
                provider_name(exchange),
                vectors.count()
            ),
        ));
    }
    let body = vectors.and_then(|vectors| embed::encode_vectors(caller, &vectors, beside));
    let body = body.map_err(|fault| unreadable(exchange, fault))?;
    exchange.note_complete(used);
    let mut answer = Answer::json(200, body);
    if used.estimated {
        answer.headers.insert(ESTIMATED, YES);
    }
    Ok(answer)
}

/// Where the answer is not what it should be, without quoting it.
fn unreadable(exchange: &Exchange, fault: Fault) -> Refusal {
    let place = fault
        .param
        .map_or(String::new(), |param| format!(" at `{param}`"));
    Refusal::new(
        Code::UpstreamInvalid,
        format!(
            "The provider `{}` answered with vectors in a form that its API does not promise{place}.",
            provider_name(exchange)
        ),
    )
}
