//! What is asked for? The body is read within its limits and its head is understood.

use bytes::Bytes;
use seaworthy_core::call::Call;
use seaworthy_core::code::Code;
use seaworthy_core::dialect::Dialect;
use seaworthy_edge::body::{Error, RequestBody};
use seaworthy_llm::{Fault, Framing, Head, embed};

use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::routes::{Asked, InPath, Operation};

/// A request that is well-formed as far as the gateway looks: the rest is between the caller and
/// the provider.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) head: Head,
    pub(crate) body: Bytes,
    /// The body as it came, whatever guards replace in [`Request::body`].
    pub(crate) received: Bytes,
    /// Whether it came wrapped, in a question for the number of tokens.
    pub(crate) is_wrapped: bool,
    /// What the path says, where it says something.
    in_path: Option<InPath>,
    /// How the caller wants to have a stream.
    pub(crate) framing: Framing,
    /// What the provider should see of the query.
    pub(crate) query: Option<String>,
}

impl Request {
    /// Reads the head of a body.
    pub(crate) fn understand(asked: Asked, received: Bytes) -> Result<Self, Fault> {
        let Asked {
            operation,
            in_path,
            framing,
            query,
        } = asked;
        let unwrapped = match operation {
            Operation::CountTokens(Dialect::Gemini) => seaworthy_llm::unwrap_counted(&received)?,
            _ => None,
        };
        let is_wrapped = unwrapped.is_some();
        let body = unwrapped.unwrap_or_else(|| received.clone());
        let head = head(operation, in_path.as_ref(), &body)?;
        Ok(Self {
            operation,
            head,
            received,
            is_wrapped,
            body,
            in_path,
            framing,
            query,
        })
    }

    /// Puts another body in the place of the caller's.
    pub(crate) fn replace_body(&mut self, body: Bytes) -> Result<(), Fault> {
        self.head = head(self.operation, self.in_path.as_ref(), &body)?;
        self.body = body;
        Ok(())
    }

    /// The request as a canonical call, under the name that the caller has for the model.
    pub(crate) fn decode_call(&self) -> Result<Call, Fault> {
        let dialect = self.operation.dialect();
        let Some(in_path) = &self.in_path else {
            return seaworthy_llm::decode_call(dialect, &self.body);
        };
        let named = seaworthy_llm::splice(&self.body, &self.head, Some(&self.head.model), false);
        seaworthy_llm::decode_call_in_path(dialect, in_path.as_llm(), &named)
    }
}

/// Reads and decodes the body.
pub(crate) async fn decode(
    exchange: &mut Exchange,
    asked: Asked,
    body: RequestBody,
) -> Result<Request, Refusal> {
    let request = Request::understand(asked, read(body).await?)?;
    exchange.stream = request.head.stream;
    exchange.framing = request.framing;
    Ok(request)
}

/// Reads a body within its limits.
pub(crate) async fn read(body: RequestBody) -> Result<Bytes, Refusal> {
    body.read().await.map_err(|error| unread(&error))
}

/// Reads the head of a body.
fn head(operation: Operation, in_path: Option<&InPath>, body: &Bytes) -> Result<Head, Fault> {
    let in_path = in_path.map(InPath::as_llm);
    match (operation, in_path) {
        (Operation::Chat(dialect), None) => seaworthy_llm::head(dialect, body),
        (Operation::Chat(dialect), Some(path)) => seaworthy_llm::head_in_path(dialect, path, body),
        (Operation::CountTokens(dialect), path) => {
            seaworthy_llm::count_tokens_head(dialect, path, body)
        }
        (Operation::Embeddings(form), path) => embed::embed_head(form, path, body),
        (Operation::Moderations, path) => seaworthy_llm::moderation_head(path, body),
    }
}

/// Why a body could not be read.
pub(crate) fn unread(error: &Error) -> Refusal {
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
                "The request body came too slowly. Send it without pauses of {} s, and from then on at \
                 least 1 KiB a second.",
                pause.as_secs()
            ),
        ),
        Error::UnknownCoding => {
            let mut refusal = Refusal::new(
                Code::InvalidRequest,
                "The `content-encoding` of the request is not understood. Send gzip, deflate, br or \
                 zstd, or nothing packed.",
            );
            refusal.status = Some(415);
            refusal.headers.insert(
                http::header::ACCEPT_ENCODING,
                http::HeaderValue::from_static("gzip, deflate, br, zstd"),
            );
            refusal
        }
        Error::BrokenCoding => Refusal::new(
            Code::InvalidRequest,
            "The request body is not what its `content-encoding` says.",
        ),
        Error::Broken(source) => Refusal::new(
            Code::InvalidRequest,
            "The request body broke off before its announced end or is not framed correctly.",
        )
        .because(source),
    }
}
