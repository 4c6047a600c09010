//! Gemini's two forms: `embedContent` for one text, `batchEmbedContents` for several.

use super::{Beside, Embed, Purpose, vector};
use crate::{
    fault::Fault,
    json::{self, Members, Node},
    loss::Feature,
};

/// One text and what is said about it.
#[derive(Default)]
struct One {
    text: String,
    dimensions: Option<u64>,
    purpose: Option<Purpose>,
    lost: Vec<(Feature, String)>,
}

const PURPOSES: [(&str, Purpose); 4] = [
    ("RETRIEVAL_QUERY", Purpose::Query),
    ("RETRIEVAL_DOCUMENT", Purpose::Document),
    ("CLASSIFICATION", Purpose::Classification),
    ("CLUSTERING", Purpose::Clustering),
];

pub(super) fn decode_one(root: Node<'_>) -> Result<Embed, Fault> {
    let One {
        text,
        dimensions,
        purpose,
        lost,
    } = one(root, "")?;
    Ok(Embed {
        texts: vec![text],
        dimensions,
        purpose,
        lost,
        ..Embed::default()
    })
}

pub(super) fn decode_batch(root: Node<'_>) -> Result<Embed, Fault> {
    root.whole(|fields| {
        let mut index = 0;
        let ones = fields.required("requests", "a list of requests", |node| {
            node.each(|item| {
                let path = format!("requests[{index}].");
                index += 1;
                one(item, &path)
            })
        })?;
        let mut embed = Embed::default();
        for (index, one) in ones.into_iter().enumerate() {
            let settings = (one.dimensions, one.purpose);
            if index == 0 {
                (embed.dimensions, embed.purpose) = settings;
            } else if settings != (embed.dimensions, embed.purpose) {
                // One request of another API has one setting for all its texts.
                let path = format!("requests[{index}]");
                embed.lost.push((Feature::NativeField, path));
            }
            embed.texts.push(one.text);
            embed.lost.extend(one.lost);
        }
        Ok(embed)
    })
}

fn one(node: Node<'_>, path: &str) -> Result<One, Fault> {
    let mut fields = node.object()?.in_camel_case();
    fields.skip(&["model"]);
    let mut one = One::default();
    let content = fields.required("content", "an object", |node| {
        node.whole(|fields| {
            fields.skip(&["role"]);
            fields.required("parts", "an array of parts", |node| {
                node.each_or_one(|part| {
                    let mut fields = part.object()?;
                    let text = fields.optional("text", |node| node.string())?;
                    if text.is_some() {
                        fields.finish();
                    }
                    Ok(text)
                })
            })
        })
    })?;
    let texts: Option<Vec<String>> = content.into_iter().collect();
    match texts {
        // Parts of one content make one vector.
        Some(texts) => one.text = texts.join("\n"),
        None => one
            .lost
            .push((Feature::NativeBlock, format!("{path}content"))),
    }
    one.dimensions = fields.optional("outputDimensionality", |node| node.u64())?;
    if let Some(word) = fields.optional("taskType", |node| node.string())? {
        let known = PURPOSES.iter().find(|(name, _)| *name == word);
        one.purpose = known.map(|(_, purpose)| *purpose);
        if known.is_none() {
            let path = format!("{path}taskType");
            one.lost.push((Feature::UnknownField, path));
        }
    }
    fields.finish();
    Ok(one)
}

pub(super) fn encode(embed: &Embed) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    json::object(&mut out, |body| {
        body.array("requests", |items| {
            for text in &embed.texts {
                items.object(|request| {
                    request
                        .str("model", &format!("models/{}", embed.model))
                        .object("content", |content| {
                            content.array("parts", |parts| {
                                parts.object(|part| {
                                    part.str("text", text);
                                });
                            });
                        });
                    let word = PURPOSES
                        .iter()
                        .find(|(_, known)| Some(*known) == embed.purpose);
                    if let Some((word, _)) = word {
                        request.str("taskType", word);
                    }
                    if let Some(dimensions) = embed.dimensions {
                        request.num("outputDimensionality", dimensions);
                    }
                });
            }
        });
    });
    out
}

pub(super) fn vectors(root: Node<'_>) -> Result<Vec<String>, Fault> {
    let values = |node: Node<'_>| {
        node.object()?
            .required("values", "an array of numbers", vector)
    };
    let mut fields = root.object()?;
    if let Some(only) = fields.optional("embedding", values)? {
        return Ok(vec![only]);
    }
    fields.required("embeddings", "an array", |node| node.each(values))
}

fn usage(beside: Beside<'_>, body: &mut Members<'_>) {
    body.object("usageMetadata", |usage| {
        usage
            .num("promptTokenCount", beside.input_tokens)
            .num("totalTokenCount", beside.input_tokens);
    });
}

pub(super) fn answer_one(vectors: &[String], beside: Beside<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    json::object(&mut out, |body| {
        if let Some(vector) = vectors.first() {
            body.object("embedding", |embedding| {
                embedding.raw("values", vector);
            });
        }
        usage(beside, body);
    });
    out
}

pub(super) fn answer_batch(vectors: &[String], beside: Beside<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    json::object(&mut out, |body| {
        body.array("embeddings", |items| {
            for vector in vectors {
                items.object(|embedding| {
                    embedding.raw("values", vector);
                });
            }
        });
        usage(beside, body);
    });
    out
}
