//! What is asked for? The body is read within its limits and its head is understood.

use bytes::Bytes;
use seaworthy_core::code::Code;
use seaworthy_edge::body::{Error, RequestBody};
use seaworthy_llm::{Fault, Head, PlainOperation};

use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::routes::Operation;

/// A request that is well-formed as far as the gateway looks: the rest is between the caller and
/// the provider.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) head: Head,
    pub(crate) body: Bytes,
    /// The body as it came, whatever guards replace in [`Request::body`].
    pub(crate) received: Bytes,
}

/// Reads and decodes the body.
pub(crate) async fn decode(
    exchange: &mut Exchange,
    operation: Operation,
    body: RequestBody,
) -> Result<Request, Refusal> {
    let body = read(body).await?;
    let head = head(operation, &body)?;
    if head.previous_response_id.is_some() {
        // Answers are not kept here, and a provider's own are not the caller's to name.
        let message = "Answers are not stored, so that there is none to continue: send the whole \
                       conversation in `input`.";
        let param = "previous_response_id".to_owned();
        return Err(Refusal::new(Code::InvalidRequest, message).at(param));
    }
    exchange.stream = head.stream;
    Ok(Request {
        operation,
        head,
        received: body.clone(),
        body,
    })
}

/// Reads a body within its limits.
pub(crate) async fn read(body: RequestBody) -> Result<Bytes, Refusal> {
    body.read().await.map_err(|error| unread(&error))
}

/// Reads the head of a body.
pub(crate) fn head(operation: Operation, body: &Bytes) -> Result<Head, Fault> {
    match operation {
        Operation::Chat(dialect) => seaworthy_llm::head(dialect, body),
        Operation::CountTokens => seaworthy_llm::count_tokens_head(operation.dialect(), body),
        Operation::Embeddings => seaworthy_llm::plain_head(PlainOperation::Embeddings, body),
        Operation::Moderations => seaworthy_llm::plain_head(PlainOperation::Moderations, body),
    }
}

fn unread(error: &Error) -> Refusal {
    match error {
        Error::TooLarge { max_bytes } => Refusal::new(
            Code::RequestTooLarge,
            format!(
                "The request body is larger than the {max_bytes} bytes that are accepted. Send \
                 less, or have the operator raise `server.max_request_size`."
            ),
        ),
        Error::TooSlow(pause) => Refusal::new(
            Code::RequestTimeout,
            format!(
                "No part of the request body came for {} seconds. Send it without pauses.",
                pause.as_secs()
            ),
        ),
        Error::Broken(source) => Refusal::new(
            Code::InvalidRequest,
            "The request body broke off before its announced end or is not framed correctly.",
        )
        .because(source),
    }
}
