//! Places of the canonical conversation in the caller's own.

use super::numbered;
use seaworthy_core::{
    call::{Block, Call, Origin},
    dialect::Dialect,
};

/// A piece of a message and where it came from.
struct Piece<'c> {
    blocks: &'c [Block],
    /// Its number among the blocks of the canonical message, marks left out.
    number: usize,
    /// The caller's message or item, and the first block that came from it.
    source: usize,
    first: usize,
}

/// The caller's place of something in the instructions or the conversation; `None` if the path is of
/// something else.
pub(super) fn in_conversation(caller: Dialect, call: &Call, path: &str) -> Option<String> {
    if let Some(rest) = path.strip_prefix("messages") {
        let (index, rest) = numbered(rest)?;
        let blocks = &call.messages.get(index)?.blocks;
        return Some(in_message(
            caller,
            call.origins.get(index),
            (index, blocks),
            rest,
        ));
    }
    let (number, rest) = numbered(path.strip_prefix("system")?)?;
    Some(match caller {
        Dialect::AnthropicMessages | Dialect::BedrockConverse => path.to_owned(),
        Dialect::Gemini => format!("systemInstruction.parts[{number}]{rest}"),
        Dialect::OpenAiChat | Dialect::CohereChat | Dialect::OpenAiResponses => {
            let origin = call.system_origins.iter().rev().find(|o| o.first <= number);
            match origin {
                Some(Origin { source, first }) => {
                    let within = number - first;
                    format!("{}[{source}].content[{within}]{rest}", conversation(caller))
                }
                None => "instructions".to_owned(),
            }
        }
    })
}

fn conversation(caller: Dialect) -> &'static str {
    match caller {
        Dialect::OpenAiResponses => "input",
        Dialect::Gemini => "contents",
        _ => "messages",
    }
}

fn in_message(
    caller: Dialect,
    origins: Option<&Vec<Origin>>,
    (index, blocks): (usize, &[Block]),
    rest: &str,
) -> String {
    let origins = origins.map(Vec::as_slice).unwrap_or_default();
    let list = conversation(caller);
    let content = rest.strip_prefix(".content").and_then(numbered);
    let Some((number, rest)) = content else {
        let source = origins.first().map_or(index, |origin| origin.source);
        return format!("{list}[{source}]{rest}");
    };
    let origin = origins.iter().rev().find(|origin| origin.first <= number);
    let piece = Piece {
        blocks,
        number,
        source: origin.map_or(index, |origin| origin.source),
        first: origin.map_or(0, |origin| origin.first),
    };
    let message = format!("{list}[{}]", piece.source);
    match caller {
        Dialect::AnthropicMessages => {
            let rest = rest.replacen(".file.filename", ".title", 1);
            format!("{message}.content[{number}]{rest}")
        }
        Dialect::OpenAiChat => format!("{message}{}{rest}", in_chat(&piece)),
        Dialect::CohereChat => format!("{message}{}{rest}", in_cohere(&piece)),
        Dialect::OpenAiResponses => {
            let rest = rest.replacen(".content", ".output", 1);
            let rest = rest.replacen(".image_url.detail", ".detail", 1);
            let rest = rest.replacen(".file.filename", ".filename", 1);
            match piece.block() {
                Some(Block::Text(_) | Block::Refusal(_) | Block::Media(_)) => {
                    format!("{message}.content[{}]{rest}", number - piece.first)
                }
                _ => format!("{message}{rest}"),
            }
        }
        Dialect::Gemini => format!("{message}.parts[{}]", piece.part()),
        Dialect::BedrockConverse => {
            let rest = match rest {
                ".is_error" => ".toolResult.status".to_owned(),
                _ => rest
                    .replacen(".content", ".toolResult.content", 1)
                    .replacen(".file.filename", ".document.name", 1),
            };
            format!("{message}.content[{number}]{rest}")
        }
    }
}

impl Piece<'_> {
    /// The blocks that have a number.
    fn numbered(&self) -> impl Iterator<Item = &Block> {
        let is_mark = |block: &&Block| matches!(block, Block::CachePoint(_));
        self.blocks.iter().filter(move |block| !is_mark(block))
    }

    fn block(&self) -> Option<&Block> {
        self.numbered().nth(self.number)
    }

    /// How many blocks from the same source stand before this one, of those that count.
    fn before(&self, counts: impl Fn(&Block) -> bool) -> usize {
        let from_here = self.numbered().take(self.number).skip(self.first);
        from_here.filter(|block| counts(block)).count()
    }

    /// The part of a content: a signature has none of its own where another block follows it.
    fn part(&self) -> usize {
        self.before(|block| match block {
            Block::Thinking { text, .. } => !text.is_empty(),
            Block::EncryptedThinking(_) => false,
            _ => true,
        })
    }
}

fn is_call(block: &Block) -> bool {
    matches!(block, Block::ToolUse { .. } | Block::Native(_))
}

fn is_thought(block: &Block) -> bool {
    matches!(block, Block::Thinking { .. })
}

fn in_chat(piece: &Piece<'_>) -> String {
    match piece.block() {
        Some(Block::ToolResult { .. }) => String::new(),
        Some(Block::Thinking { .. }) => ".reasoning_content".to_owned(),
        Some(block) if is_call(block) => format!(".tool_calls[{}]", piece.before(is_call)),
        _ => format!(".content[{}]", piece.before(|block| !is_thought(block))),
    }
}

fn in_cohere(piece: &Piece<'_>) -> String {
    let has_plan = piece.numbered().skip(piece.first).any(is_call)
        && piece.numbered().nth(piece.first).is_some_and(is_thought);
    let is_first = piece.number == piece.first;
    match piece.block() {
        Some(Block::ToolResult { .. }) => String::new(),
        Some(Block::ToolUse { .. }) => format!(".tool_calls[{}]", piece.before(is_call)),
        Some(Block::Thinking { .. }) if has_plan && is_first => ".tool_plan".to_owned(),
        _ => {
            let within = piece.number - piece.first - usize::from(has_plan);
            format!(".content[{within}]")
        }
    }
}
