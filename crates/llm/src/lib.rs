//! Wire formats of the providers, bytes to and from one canonical model call. No I/O.
//!
//! A request in the dialect of its provider is never decoded: [`head`] reads what routing needs,
//! [`splice`] changes the few bytes that must change, [`usage::UsageMeter`] watches the answer go
//! by. Between two dialects everything goes through [`seaworthy_core::call`]: [`decode_call`] and
//! [`encode_call`] on the way out, [`decode_reply`] and [`encode_reply`] (or [`StreamDecoder`] and
//! [`StreamEncoder`]) on the way back. What a dialect cannot say is in the table of [`Feature`].
//!
//! A new dialect is a file in `wire/` and a line in `wire.rs`. How its streams are framed is known to
//! [`Framer`] alone; what stands in the path of a request comes in as [`InPath`].

mod answered;
mod buffer;
mod counted;
mod depth;
pub mod embed;
mod endpoint;
mod error;
mod event;
mod event_stream;
mod fault;
mod framing;
mod head;
mod json;
mod json_array;
mod loss;
mod plain;
mod seal;
mod spoken;
pub mod sse;
mod stream;
pub mod tier;
pub mod tokens;
pub mod usage;
mod waiting;
mod wire;
mod words;

pub use answered::{is_reply, is_vectors};
pub use counted::{unwrap_counted, wrap_counted};
pub use endpoint::{count_endpoint, endpoint, path_segment};
pub use error::{
    ErrorView, ProviderError, decode_error, encode_error, encode_stream_error, error_kind,
    error_status,
};
pub use event::Event;
pub use fault::Fault;
pub use framing::{Framer, Framing, FramingError};
pub use head::{
    Head, InPath, TypedTools, bound_output, bound_tool_calls, count_tokens_head, head,
    head_in_path, splice, typed_tools,
};
pub use loss::{Encoded, Feature, Loss, Lost, Verdict};
pub use plain::moderation_head;
pub use stream::{StreamDecoder, StreamEncoder, StreamSettings};
pub use waiting::waiting_sign;
pub use words::setting;

use loss::Losses;
use seaworthy_core::{
    call::{Call, Message, Reply, Role, ToolChoice},
    dialect::Dialect,
};

/// Reads a whole request. Numbers stay exact and JSON within it stays text.
///
/// # Errors
/// Names the first field that is not what the dialect expects there.
pub fn decode_call(dialect: Dialect, body: &[u8]) -> Result<Call, Fault> {
    wire::of(dialect)
        .decode_call(body)
        .map(without_rules_of_nothing)
}

/// Rules about tools say nothing where there are none, and most providers refuse them then.
fn without_rules_of_nothing(mut call: Call) -> Call {
    if call.tools.is_empty() {
        let says_nothing = |rule: &ToolChoice| matches!(rule, ToolChoice::Auto | ToolChoice::None);
        call.tool_choice = call.tool_choice.filter(|rule| !says_nothing(rule));
        call.parallel_tool_calls = None;
    }
    call
}

/// As [`decode_call`], for requests whose path names the model. Where it also says whether to
/// stream, the body has no say in that.
///
/// # Errors
/// As [`decode_call`].
pub fn decode_call_in_path(dialect: Dialect, path: InPath<'_>, body: &[u8]) -> Result<Call, Fault> {
    let wire = wire::of(dialect);
    let mut call = wire.decode_call(body).map(without_rules_of_nothing)?;
    path.model.clone_into(&mut call.model);
    if wire.head_rules().model == head::ModelPlace::Path {
        call.stream = path.stream;
    }
    Ok(call)
}

/// Writes a request for a provider, and says what had to be left out.
///
/// # Errors
/// When something cannot be carried over and leaving it out would change the question.
pub fn encode_call(dialect: Dialect, call: &Call) -> Result<Encoded, Lost> {
    let mut losses = Losses::default();
    let asked = instructions_as_question(dialect, call, &mut losses);
    let call = asked.as_ref().unwrap_or(call);
    let body = wire::of(dialect).encode_call(call, &mut losses);
    losses.verdict(body)
}

/// A call that has instructions and nothing else, for providers that refuse it: they are sent as
/// said by the user. `None`: nothing is to be changed.
fn instructions_as_question(dialect: Dialect, call: &Call, losses: &mut Losses) -> Option<Call> {
    let needs_a_question = matches!(
        dialect,
        Dialect::AnthropicMessages | Dialect::Gemini | Dialect::BedrockConverse
    );
    if !needs_a_question || !call.messages.is_empty() || call.system.is_empty() {
        return None;
    }
    losses.add(Feature::OnlyInstruction, "system[0]");
    let mut asked = call.clone();
    asked.messages.push(Message {
        role: Role::User,
        name: None,
        blocks: std::mem::take(&mut asked.system),
    });
    Some(asked)
}

/// As [`encode_call`], with every loss at the place where a caller of this dialect wrote what is lost.
///
/// # Errors
/// As [`encode_call`].
pub fn encode_call_of(caller: Dialect, provider: Dialect, call: &Call) -> Result<Encoded, Lost> {
    words::in_callers_words(caller, call, encode_call(provider, call))
}

/// Reads a whole reply of a provider.
///
/// # Errors
/// Names the first field that is not what the dialect promises.
pub fn decode_reply(dialect: Dialect, body: &[u8]) -> Result<Reply, Fault> {
    wire::of(dialect).decode_reply(body)
}

/// Writes a reply for a caller, and says what had to be left out: a reply is never refused.
#[must_use]
pub fn encode_reply(dialect: Dialect, reply: &Reply, created_unix_s: i64) -> Encoded {
    let mut losses = Losses::default();
    let body = wire::of(dialect).encode_reply(reply, created_unix_s, &mut losses);
    let dropped = losses.into_dropped();
    Encoded { body, dropped }
}
