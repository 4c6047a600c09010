//! Messages of Cohere, in requests and in replies, as canonical messages and blocks.

use crate::{
    fault::Fault,
    json::{Node, Object},
    wire::openai_chat,
};
use seaworthy_core::{
    call::{Block, Message, Native, Role},
    dialect::Dialect,
};

/// One message, and whether it is the result of a tool.
pub(super) fn message(node: Node<'_>) -> Result<(bool, Message), Fault> {
    let mut fields = node.object()?;
    let speaker = fields.required("role", "a string", |node| {
        node.one_of(&[
            ("user", Speaker::User),
            ("assistant", Speaker::Assistant),
            ("system", Speaker::Operator),
            ("developer", Speaker::Operator),
            ("tool", Speaker::Tool),
        ])
    })?;
    let (role, blocks) = match speaker {
        Speaker::User => (Role::User, fields.required("content", CONTENT, content)?),
        Speaker::Operator => (Role::System, fields.required("content", CONTENT, content)?),
        Speaker::Assistant => (Role::Assistant, said_by_model(&mut fields)?),
        Speaker::Tool => {
            let result = Block::ToolResult {
                tool_use_id: fields.text("tool_call_id")?,
                blocks: fields.required("content", CONTENT, result)?,
                is_error: false,
            };
            (Role::User, vec![result])
        }
    };
    fields.finish();
    let message = Message {
        role,
        name: None,
        blocks,
    };
    Ok((speaker == Speaker::Tool, message))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    User,
    Assistant,
    Operator,
    Tool,
}

const CONTENT: &str = "a string or an array of content parts";

/// What an assistant message holds: the plan, what is said, and the calls. Replies have the same
/// fields.
pub(super) fn said_by_model(fields: &mut Object<'_>) -> Result<Vec<Block>, Fault> {
    let plan = fields.optional("tool_plan", |node| node.string())?;
    let plan = plan.filter(|plan| !plan.is_empty());
    let mut blocks: Vec<Block> = plan.into_iter().map(thought).collect();
    let said = fields.optional("content", content)?;
    blocks.append(&mut said.unwrap_or_default());
    let calls = fields.optional("tool_calls", |node| node.each(openai_chat::tool_call))?;
    blocks.append(&mut calls.unwrap_or_default());
    Ok(blocks)
}

fn thought(text: String) -> Block {
    Block::Thinking {
        text,
        signature: None,
    }
}

/// Something that only this dialect has.
pub(super) fn native(kind: &str, node: Node<'_>) -> Native {
    Native {
        dialect: Dialect::CohereChat,
        kind: kind.to_owned(),
        json: node.json().to_owned(),
    }
}

/// A string or parts.
fn content(node: Node<'_>) -> Result<Vec<Block>, Fault> {
    if node.is_string() {
        let text = Some(node.string()?).filter(|text| !text.is_empty());
        return Ok(text.map(Block::Text).into_iter().collect());
    }
    if !node.is_array() {
        return Err(node.expected(CONTENT));
    }
    node.each(part)
}

fn part(node: Node<'_>) -> Result<Block, Fault> {
    let mut fields = node.object()?;
    let kind = fields.text("type")?;
    let block = match &*kind {
        "text" => Block::Text(fields.text("text")?),
        "thinking" => thought(fields.text("thinking")?),
        "image_url" => {
            Block::Media(fields.required("image_url", "an object", openai_chat::image)?)
        }
        _ => return Ok(Block::Native(native(&kind, node))),
    };
    fields.finish();
    Ok(block)
}

/// What a tool said. Documents are what citations refer to; to the model they are text.
fn result(node: Node<'_>) -> Result<Vec<Block>, Fault> {
    if !node.is_array() {
        return content(node);
    }
    node.each(|part| {
        let mut fields = part.object()?;
        let document = fields.optional("document", |node| {
            let mut fields = node.object()?;
            fields.skip(&["id"]);
            let data = fields.required("data", "a string or an object", |node| {
                if node.is_string() {
                    return node.string();
                }
                Ok(node.json().to_owned())
            })?;
            fields.finish();
            Ok(Block::Text(data))
        })?;
        match document {
            Some(block) => Ok(block),
            None => self::part(part),
        }
    })
}
