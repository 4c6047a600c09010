//! The `content` of a chunk: text, and with some servers parts, among them what the model thinks.

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use std::{borrow::Cow, fmt};

/// What a chunk says.
pub(super) enum Said<'a> {
    Text(Cow<'a, str>),
    Parts { text: String, thought: String },
}

impl<'a> Said<'a> {
    /// The text and the thoughts.
    pub(super) fn into_parts(self) -> (Option<Cow<'a, str>>, Option<Cow<'a, str>>) {
        match self {
            Self::Text(text) => (Some(text), None),
            Self::Parts { text, thought } => {
                let thought = (!thought.is_empty()).then_some(Cow::Owned(thought));
                (Some(Cow::Owned(text)), thought)
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
    #[serde(default)]
    thinking: Vec<Thought>,
}

#[derive(serde::Deserialize)]
struct Thought {
    #[serde(default)]
    text: String,
}

impl<'de: 'a, 'a> Deserialize<'de> for Said<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Said<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string or an array of parts")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Said<'de>, E> {
        Ok(Said::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Said<'de>, E> {
        Ok(Said::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Said<'de>, A::Error> {
        let (mut text, mut thought) = (String::new(), String::new());
        while let Some(part) = parts.next_element::<Part>()? {
            text.push_str(&part.text);
            part.thinking.iter().for_each(|t| thought.push_str(&t.text));
        }
        Ok(Said::Parts { text, thought })
    }
}
