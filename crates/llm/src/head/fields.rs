//! The top-level fields of a request, borrowed from the body in one validated pass.

use super::{HeadRules, ModelPlace, Shape, messages, settings};
use crate::{
    depth::{self, Watch},
    fault::Fault,
    tier,
};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, cell::Cell, fmt};

/// The fields that routing and limits look at, as they stand in the body.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub model: Option<&'a RawValue>,
    pub stream: Option<&'a RawValue>,
    pub stream_options: Option<&'a RawValue>,
    pub choices: Option<&'a RawValue>,
    /// In the order of [`HeadRules::max_tokens`].
    pub max_tokens: [Option<&'a RawValue>; 2],
    pub conversation_seen: bool,
    pub previous_response_id: Option<&'a RawValue>,
    pub store: Option<&'a RawValue>,
    pub background: Option<&'a RawValue>,
    pub tier: Option<&'a RawValue>,
    pub conversation: Option<&'a RawValue>,
    pub prompt: Option<&'a RawValue>,
    pub tools: Option<&'a RawValue>,
    settings_seen: bool,
}

/// Where the reader is, for the error message.
pub(super) struct Place<'a> {
    pub depth: Watch<'a>,
    pub field: Cell<Option<&'static str>>,
    pub message: Cell<Option<usize>>,
    pub in_role: Cell<bool>,
}

impl<'a> Place<'a> {
    pub(super) fn start_of(json: &'a str) -> Self {
        Self {
            depth: Watch::new(json),
            field: Cell::new(None),
            message: Cell::new(None),
            in_role: Cell::new(false),
        }
    }

    /// Notes that a key of an object at this depth has been read.
    pub(super) fn pass<E: serde::de::Error>(&self, key: &str, depth: usize) -> Result<(), E> {
        if self.depth.is_too_deep_before(key, depth) {
            return Err(E::custom(depth::TOO_DEEP));
        }
        Ok(())
    }

    /// serde_json's complaint about a type, in our order of words, with the place it is about.
    pub(super) fn fault(&self, error: &serde_json::Error) -> Fault {
        let text = error.to_string();
        let (complaint, at) = text
            .rsplit_once(" at line ")
            .unwrap_or((&text, "1 column 1"));
        let complaint = match complaint
            .strip_prefix("invalid type: ")
            .and_then(|rest| rest.split_once(", expected "))
        {
            Some((found, expected)) => {
                let found = match found {
                    "map" => "an object",
                    "sequence" => "an array",
                    other => other,
                };
                format!("expected {expected}, found {found}")
            }
            None => complaint.to_owned(),
        };
        let error = format!("{complaint} (line {at})");
        let Some(field) = self.field.get() else {
            return Fault::whole(error);
        };
        let index = self.message.get().map(|index| format!("[{index}]"));
        let role = if self.in_role.get() { ".role" } else { "" };
        Fault::at(format!("{field}{}{role}", index.unwrap_or_default()), error)
    }
}

/// Reads [`Fields`] from a JSON object.
#[derive(Clone, Copy)]
pub(super) struct Reader<'r> {
    pub rules: &'r HeadRules,
    pub place: &'r Place<'r>,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Fields<'de>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Fields<'de>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Fields<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the request as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(Key(key)) = map.next_key()? {
            self.place.field.set(None);
            self.place.pass(&key, 1)?;
            let conversation = &self.rules.conversation;
            if key == conversation.field {
                self.place.field.set(Some(conversation.field));
                if std::mem::replace(&mut fields.conversation_seen, true) {
                    return Err(A::Error::custom(TWICE));
                }
                match &conversation.shape {
                    Shape::Messages { .. } => map.next_value_seed(messages::Reader(self))?,
                    Shape::Anything => map.next_value::<IgnoredAny>().map(|_| ())?,
                }
                continue;
            }
            if let Some(name) = known(self.rules.settings, &key) {
                self.place.field.set(Some(name));
                if std::mem::replace(&mut fields.settings_seen, true) {
                    return Err(A::Error::custom(TWICE));
                }
                map.next_value_seed(settings::Reader(self, &mut fields))?;
                continue;
            }
            let Some((name, slot)) = self.slot(&key, &mut fields) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if slot.replace(map.next_value()?).is_some() {
                self.place.field.set(Some(name));
                return Err(A::Error::custom(TWICE));
            }
        }
        self.place.field.set(None);
        Ok(fields)
    }
}

/// Two readers of one body may each believe another of the two values, so there may be only one.
pub(super) const TWICE: &str = "expected once, found a second time";

/// The name out of a list that the key is.
fn known(names: &[&'static str], key: &str) -> Option<&'static str> {
    names.iter().find(|name| **name == key).copied()
}

/// A field's name and the place for its value.
type Slot<'f, 'de> = (&'static str, &'f mut Option<&'de RawValue>);

impl Reader<'_> {
    fn slot<'f, 'de>(&self, key: &str, fields: &'f mut Fields<'de>) -> Option<Slot<'f, 'de>> {
        if self.rules.model != ModelPlace::Path {
            match key {
                "model" => return Some(("model", &mut fields.model)),
                "stream" => return Some(("stream", &mut fields.stream)),
                "stream_options" => return Some(("stream_options", &mut fields.stream_options)),
                _ => {}
            }
        }
        if let Some(name) = known(&tier::NAMES, key) {
            return Some((name, &mut fields.tier));
        }
        if key == "tools" {
            return Some(("tools", &mut fields.tools));
        }
        if self.rules.keeps_answers {
            match key {
                "previous_response_id" => {
                    return Some(("previous_response_id", &mut fields.previous_response_id));
                }
                "store" => return Some(("store", &mut fields.store)),
                "background" => return Some(("background", &mut fields.background)),
                "conversation" => return Some(("conversation", &mut fields.conversation)),
                "prompt" => return Some(("prompt", &mut fields.prompt)),
                _ => {}
            }
        }
        if self.rules.settings.is_empty() {
            return self.bound(key, fields);
        }
        None
    }

    /// The place for one of the bounds of the output.
    pub(super) fn bound<'f, 'de>(
        &self,
        key: &str,
        fields: &'f mut Fields<'de>,
    ) -> Option<Slot<'f, 'de>> {
        if let Some(name) = known(self.rules.choices, key) {
            return Some((name, &mut fields.choices));
        }
        let mut bounds = self.rules.max_tokens.iter().zip(&mut fields.max_tokens);
        bounds
            .find(|(name, _)| **name == key)
            .map(|(name, slot)| (*name, slot))
    }
}

/// `stream_options`, as far as it concerns us.
#[derive(Default)]
pub(super) struct StreamOptions<'a> {
    pub include_usage: Option<&'a RawValue>,
    pub is_empty: bool,
}

impl<'de> serde::Deserialize<'de> for StreamOptions<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = StreamOptions<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut options = StreamOptions {
                    include_usage: None,
                    is_empty: true,
                };
                while let Some(Key(key)) = map.next_key()? {
                    options.is_empty = false;
                    let value = map.next_value()?;
                    if key == "include_usage" && options.include_usage.replace(value).is_some() {
                        return Err(A::Error::custom(TWICE));
                    }
                }
                Ok(options)
            }
        }
        json.deserialize_map(Object)
    }
}

/// An object's key, borrowed unless it has escapes.
#[derive(serde::Deserialize)]
pub(super) struct Key<'a>(#[serde(borrow)] pub Cow<'a, str>);
