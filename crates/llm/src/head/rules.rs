//! What the requests of a dialect look like, as far as the head is concerned.

/// What a dialect's requests must look like at their top level. Several names of one field are the
/// spellings that the API takes.
#[derive(Debug)]
pub(crate) struct HeadRules {
    /// Where the model is named.
    pub model: ModelPlace,
    /// What the request is about.
    pub conversation: Conversation,
    /// The object that holds the bounds of the output; empty: the top level.
    pub settings: &'static [&'static str],
    /// The fields that bound the output; the largest one counts.
    pub max_tokens: &'static [&'static str],
    /// Whether one of them has to be there.
    pub max_tokens_required: bool,
    /// The least they may be.
    pub max_tokens_least: u64,
    /// The field that multiplies the output.
    pub choices: &'static [&'static str],
    /// Whether the API keeps answers for later requests.
    pub keeps_answers: bool,
    /// Whether usage is streamed only if `stream_options.include_usage` asks for it.
    pub usage_on_request: bool,
}

/// Where a request names its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModelPlace {
    /// In the body, as `model`.
    Body,
    /// In the body; without it the API takes this one.
    BodyOr(&'static str),
    /// In the path, where it also stands whether to stream.
    Path,
}

/// The field with the conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conversation {
    /// Its name.
    pub field: &'static str,
    /// Whether it has to be there.
    pub is_required: bool,
    /// What it looks like.
    pub shape: Shape,
}

/// What a conversation looks like, as far as the head is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// A non-empty array of objects.
    Messages {
        /// The roles a message may have.
        roles: &'static [&'static str],
        /// Whether every message has to have one.
        role_required: bool,
        /// Whether a string will do as well.
        or_text: bool,
        /// Whether one message will do as well that stands in no list.
        or_one: bool,
    },
    /// Any value.
    Anything,
}
