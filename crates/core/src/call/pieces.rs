//! A whole reply told piece by piece, and pieces put together to a whole reply.

use super::{Block, BlockOpening, Delta, Reply, StopReason};

impl Reply {
    /// The pieces of a stream that says the same; `None` for what streams have no place for.
    #[must_use]
    pub fn pieces(&self) -> Option<Vec<Delta>> {
        let mut out = vec![Delta::Start {
            id: self.id.clone(),
            model: self.model.clone(),
        }];
        for block in &self.blocks {
            match block.clone() {
                Block::Text(text) => {
                    out.push(Delta::Open(BlockOpening::Text));
                    out.push(Delta::Text(text));
                }
                Block::Refusal(text) => {
                    out.push(Delta::Open(BlockOpening::Refusal));
                    out.push(Delta::Text(text));
                }
                Block::ToolUse {
                    id,
                    name,
                    arguments,
                } => {
                    out.push(Delta::Open(BlockOpening::ToolUse { id, name }));
                    out.push(Delta::Arguments(arguments));
                }
                Block::Thinking { text, signature } => {
                    out.push(Delta::Open(BlockOpening::Thinking));
                    out.push(Delta::Thinking(text));
                    out.extend(signature.map(Delta::Signature));
                }
                Block::EncryptedThinking(sealed) => {
                    out.push(Delta::Open(BlockOpening::EncryptedThinking(sealed)));
                }
                Block::Media(_)
                | Block::ToolResult { .. }
                | Block::CachePoint(_)
                | Block::Native(_) => return None,
            }
            out.push(Delta::Close);
        }
        out.extend(self.usage.map(Delta::Usage));
        out.push(Delta::Finish {
            stop_reason: self.stop_reason,
            stop_sequence: self.stop_sequence.clone(),
        });
        Some(out)
    }

    /// The reply that the pieces of a stream tell; `None` where it did not come to its end, or
    /// something was left out on the way.
    #[must_use]
    pub fn gathered(pieces: Vec<Delta>) -> Option<Self> {
        let mut reply = Self {
            id: String::new(),
            model: String::new(),
            blocks: Vec::new(),
            stop_reason: StopReason::EndTurn,
            stop_sequence: None,
            usage: None,
            unknown_fields: Vec::new(),
        };
        let mut is_finished = false;
        for piece in pieces {
            match (piece, reply.blocks.last_mut()) {
                (Delta::Start { id, model }, _) => (reply.id, reply.model) = (id, model),
                (Delta::Open(opening), _) => reply.blocks.push(begun(opening)?),
                (Delta::Text(piece), Some(Block::Text(text) | Block::Refusal(text)))
                | (Delta::Thinking(piece), Some(Block::Thinking { text, .. })) => {
                    text.push_str(&piece);
                }
                (Delta::Arguments(piece), Some(Block::ToolUse { arguments, .. })) => {
                    arguments.push_str(&piece);
                }
                (Delta::Signature(sealed), Some(Block::Thinking { signature, .. })) => {
                    *signature = Some(sealed);
                }
                (Delta::Usage(usage), _) => reply.usage = Some(usage),
                (
                    Delta::Finish {
                        stop_reason,
                        stop_sequence,
                    },
                    _,
                ) => {
                    (reply.stop_reason, reply.stop_sequence) = (stop_reason, stop_sequence);
                    is_finished = true;
                }
                (Delta::Close | Delta::Ping, _) => {}
                _ => return None,
            }
        }
        is_finished.then_some(reply)
    }
}

/// `None` for a block that is told in the pieces of its own dialect.
fn begun(opening: BlockOpening) -> Option<Block> {
    Some(match opening {
        BlockOpening::Text => Block::Text(String::new()),
        BlockOpening::Refusal => Block::Refusal(String::new()),
        BlockOpening::ToolUse { id, name } => Block::ToolUse {
            id,
            name,
            arguments: String::new(),
        },
        BlockOpening::Thinking => Block::Thinking {
            text: String::new(),
            signature: None,
        },
        BlockOpening::EncryptedThinking(sealed) => Block::EncryptedThinking(sealed),
        BlockOpening::Native(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_reply_are_the_same_reply_when_they_are_put_together() {
        let reply = Reply {
            id: "id".into(),
            model: "m".into(),
            blocks: vec![
                Block::Thinking {
                    text: "hm".into(),
                    signature: None,
                },
                Block::Text("ahoy".into()),
                Block::ToolUse {
                    id: "t".into(),
                    name: "look".into(),
                    arguments: "{}".into(),
                },
            ],
            stop_reason: StopReason::ToolUse,
            stop_sequence: None,
            usage: None,
            unknown_fields: Vec::new(),
        };
        let mut pieces = reply.pieces().unwrap();
        assert_eq!(Reply::gathered(pieces.clone()), Some(reply));
        pieces.pop();
        assert_eq!(Reply::gathered(pieces.clone()), None, "without its end");
        pieces.push(Delta::Dropped("citations".into()));
        assert_eq!(Reply::gathered(pieces), None, "with something left out");
    }
}
