//! OpenAI's form: texts in `input`, vectors as numbers or as base64 of them.

use super::{Beside, Embed, vector};
use crate::{
    fault::Fault,
    json::{self, Node},
    loss::{Feature, Losses},
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(super) fn decode(root: Node<'_>) -> Result<Embed, Fault> {
    root.whole(|fields| {
        fields.skip(&["model"]);
        let mut lost = Vec::new();
        let texts = fields.required("input", "a text or a list of texts", |node| {
            if node.is_string() {
                return Ok(vec![node.string()?]);
            }
            let texts = node.each(|item| Ok(item.is_string().then(|| item.string())))?;
            // Numbers are tokens of one vocabulary.
            let texts: Option<Vec<_>> = texts.into_iter().collect();
            let Some(texts) = texts else {
                lost.push((Feature::NativeBlock, "input".to_owned()));
                return Ok(Vec::new());
            };
            texts.into_iter().collect()
        })?;
        let encoding = fields.optional("encoding_format", |node| {
            node.one_of(&[("float", false), ("base64", true)])
        })?;
        Ok(Embed {
            texts,
            dimensions: fields.optional("dimensions", |node| node.u64())?,
            as_base64: encoding.unwrap_or(false),
            user: fields.optional("user", |node| node.string())?,
            lost,
            ..Embed::default()
        })
    })
}

pub(super) fn encode(embed: &Embed, losses: &mut Losses) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    if embed.purpose.is_some() {
        losses.add(Feature::UnknownField, embed.purpose_name());
    }
    json::object(&mut out, |body| {
        body.str("model", &embed.model)
            .array("input", |items| {
                embed.texts.iter().for_each(|text| items.str(text));
            })
            .str("encoding_format", "float");
        if let Some(dimensions) = embed.dimensions {
            body.num("dimensions", dimensions);
        }
        if let Some(user) = &embed.user {
            body.str("user", user);
        }
    });
    out
}

pub(super) fn vectors(root: Node<'_>) -> Result<Vec<String>, Fault> {
    let mut listed = root.object()?.required("data", "an array", |node| {
        node.each(|item| {
            let mut fields = item.object()?;
            let index = fields.optional("index", |node| Ok(node.u64().ok()))?;
            let vector = fields.required("embedding", "an array of numbers", vector)?;
            Ok((index.flatten().unwrap_or(u64::MAX), vector))
        })
    })?;
    // Which text a vector belongs to is said by its number; where there is none, by its place.
    listed.sort_by_key(|(index, _)| *index);
    Ok(listed.into_iter().map(|(_, vector)| vector).collect())
}

pub(super) fn answer(vectors: &[String], beside: Beside<'_>) -> Result<Vec<u8>, Fault> {
    let written: Result<Vec<String>, Fault> = vectors
        .iter()
        .map(|vector| match beside.as_base64 {
            true => in_base64(vector).map(|text| format!("\"{text}\"")),
            false => Ok(vector.clone()),
        })
        .collect();
    let written = written?;
    let mut out = Vec::with_capacity(1024);
    json::object(&mut out, |body| {
        body.str("object", "list").array("data", |items| {
            for (index, vector) in (0_u64..).zip(&written) {
                items.object(|item| {
                    item.str("object", "embedding")
                        .num("index", index)
                        .raw("embedding", vector);
                });
            }
        });
        body.str("model", beside.model).object("usage", |usage| {
            usage
                .num("prompt_tokens", beside.input_tokens)
                .num("total_tokens", beside.input_tokens);
        });
    });
    Ok(out)
}

/// Numbers of 32 bits, the lowest byte first, as clients expect them.
fn in_base64(vector: &str) -> Result<String, Fault> {
    let numbers: Vec<f32> = serde_json::from_str(vector)
        .map_err(|_| Fault::at("embedding", "expected an array of numbers"))?;
    let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
    Ok(STANDARD.encode(bytes))
}
