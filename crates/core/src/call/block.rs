//! Messages and the blocks of content they are made of.

use super::Native;
use crate::dialect::Dialect;

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// A name for the speaker, where the dialect has one.
    pub name: Option<String>,
    /// What is said, in order.
    pub blocks: Vec<Block>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The operator, in the middle of a conversation. Instructions before it are `Call::system`.
    System,
    /// The person or program that talks to the model; tool results are said by the user too.
    User,
    /// The model.
    Assistant,
}

/// One piece of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// Plain text.
    Text(String),
    /// The model declines, in its own words.
    Refusal(String),
    /// A picture, a sound, or a file.
    Media(Media),
    /// The model calls a tool.
    ToolUse {
        /// Joins the call to its result.
        id: String,
        /// Which tool.
        name: String,
        /// The arguments as JSON text, as the model wrote them: possibly empty, possibly not valid.
        arguments: String,
    },
    /// What a tool answered.
    ToolResult {
        /// The `id` of the call.
        tool_use_id: String,
        /// The answer.
        blocks: Vec<Block>,
        /// Whether the tool failed.
        is_error: bool,
    },
    /// The model's reasoning.
    Thinking {
        /// Reasoning that may be read.
        text: String,
        /// The provider's proof that the text is its own; needed to hand it back.
        signature: Option<Sealed>,
    },
    /// Reasoning that only the provider can read.
    EncryptedThinking(Sealed),
    /// The prompt up to here should be cached. On the wire this is mostly a mark of the block before.
    CachePoint(CacheTtl),
    /// A block that only its own dialect knows.
    Native(Native),
}

/// Something that only the provider that wrote it can read; callers hand it back as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The dialect of that provider.
    pub dialect: Dialect,
    /// What it wrote.
    pub text: String,
}

/// How long a cached prompt should be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheTtl {
    /// The provider's default, about five minutes.
    Short,
    /// About an hour.
    Hour,
}

/// A picture, a sound, or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// What it is.
    pub kind: MediaKind,
    /// Where it is.
    pub source: MediaSource,
    /// A file name or title.
    pub name: Option<String>,
    /// How closely to look at a picture (`low`, `high`, …).
    pub detail: Option<String>,
}

/// What kind of thing a medium is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A sound.
    Audio,
    /// A document: PDF, plain text, …
    Document,
}

/// Where a medium is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaSource {
    /// Within the request.
    Base64 {
        /// For example `image/png`.
        media_type: String,
        /// Base64 without line breaks.
        data: String,
    },
    /// On the web.
    Url(String),
    /// Plain text within the request (documents only).
    Text(String),
    /// In the provider's own file store.
    FileId {
        /// The dialect of that provider.
        dialect: Dialect,
        /// The provider's name of the file.
        id: String,
    },
}
