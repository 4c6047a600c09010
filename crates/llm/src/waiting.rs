//! What tells the caller of a stream that it waits, in dialects that have room for such words.

use seaworthy_core::dialect::Dialect;

use crate::Framing;

/// A comment, which clients of server-sent events pass over.
const COMMENT: &[u8] = b": waiting: your request is in the queue\n\n";
/// The same words before the event that says nothing.
const PING: &[u8] =
    b": waiting: your request is in the queue\nevent: ping\ndata: {\"type\": \"ping\"}\n\n";

/// What may be sent any number of times before the first event of a stream, to say that it has to
/// wait; `None` where the official clients of the dialect take nothing but the answer.
#[must_use]
pub fn waiting_sign(dialect: Dialect, framing: Framing) -> Option<&'static [u8]> {
    if framing != Framing::ServerSentEvents {
        return None;
    }
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::CohereChat => Some(COMMENT),
        Dialect::AnthropicMessages => Some(PING),
        // Google's clients read comments as answers and fail; binary frames have none.
        Dialect::Gemini | Dialect::BedrockConverse => None,
    }
}
