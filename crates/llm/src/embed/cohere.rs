//! Cohere's form: texts in `texts`, what they are for in `input_type`, vectors by their type.

use super::{Beside, Embed, Purpose, vector};
use crate::{
    fault::Fault,
    json::{self, Node},
    loss::Feature,
};

const PURPOSES: [(&str, Purpose); 4] = [
    ("search_query", Purpose::Query),
    ("search_document", Purpose::Document),
    ("classification", Purpose::Classification),
    ("clustering", Purpose::Clustering),
];

/// The API wants a purpose in every request; this one is sent if the caller has none.
const DEFAULT_PURPOSE: &str = "search_document";

pub(super) fn decode(root: Node<'_>) -> Result<Embed, Fault> {
    root.whole(|fields| {
        fields.skip(&["model"]);
        let mut lost = Vec::new();
        if fields.optional("images", |_| Ok(()))?.is_some() {
            lost.push((Feature::NativeBlock, "images".to_owned()));
        }
        let inputs = fields.optional("inputs", |node| node.each(input))?;
        let inputs: Option<Vec<String>> = inputs.unwrap_or_default().into_iter().collect();
        if inputs.is_none() {
            lost.push((Feature::NativeBlock, "inputs".to_owned()));
        }
        let word = fields.optional("input_type", |node| node.string())?;
        let known = PURPOSES
            .iter()
            .find(|(name, _)| word.as_deref() == Some(name));
        if word.is_some() && known.is_none() {
            lost.push((Feature::UnknownField, "input_type".to_owned()));
        }
        let types = fields.optional("embedding_types", |node| node.each(|item| item.string()))?;
        if types.is_some_and(|types| types.iter().any(|name| name != "float")) {
            lost.push((Feature::NativeField, "embedding_types".to_owned()));
        }
        let texts = fields.optional("texts", |node| node.each(|item| item.string()))?;
        let texts = texts.unwrap_or_default().into_iter();
        Ok(Embed {
            texts: texts.chain(inputs.unwrap_or_default()).collect(),
            dimensions: fields.optional("output_dimension", |node| node.u64())?,
            purpose: known.map(|(_, purpose)| *purpose),
            lost,
            ..Embed::default()
        })
    })
}

/// What one vector is made of, as newer clients say it; `None` if it is not text alone.
fn input(node: Node<'_>) -> Result<Option<String>, Fault> {
    let parts = node.object()?.required("content", "an array", |node| {
        node.each(|part| part.object()?.optional("text", |node| node.string()))
    })?;
    let texts: Option<Vec<String>> = parts.into_iter().collect();
    Ok(texts.map(|texts| texts.join("\n")))
}

pub(super) fn encode(embed: &Embed) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let word = PURPOSES
        .iter()
        .find(|(_, known)| Some(*known) == embed.purpose);
    json::object(&mut out, |body| {
        body.str("model", &embed.model)
            .array("texts", |items| {
                embed.texts.iter().for_each(|text| items.str(text));
            })
            .str("input_type", word.map_or(DEFAULT_PURPOSE, |(word, _)| word))
            .array("embedding_types", |types| types.str("float"));
        if let Some(dimensions) = embed.dimensions {
            body.num("output_dimension", dimensions);
        }
    });
    out
}

pub(super) fn vectors(root: Node<'_>) -> Result<Vec<String>, Fault> {
    root.object()?.required("embeddings", "an object", |node| {
        node.object()?
            .required("float", "an array of vectors", |node| node.each(vector))
    })
}

pub(super) fn answer(vectors: &[String], beside: Beside<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    json::object(&mut out, |body| {
        body.str("id", beside.id)
            .object("embeddings", |embeddings| {
                embeddings.array("float", |items| {
                    vectors.iter().for_each(|vector| items.raw(vector));
                });
            })
            .object("meta", |meta| {
                meta.object("api_version", |version| {
                    version.str("version", "2");
                })
                .object("billed_units", |units| {
                    units.num("input_tokens", beside.input_tokens);
                });
            })
            .str("response_type", "embeddings_by_type");
    });
    out
}
