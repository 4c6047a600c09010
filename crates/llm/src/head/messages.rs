//! The conversation of a request: only that it is one, without reading what is said.

use super::{
    Shape,
    fields::{self, Key},
};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::fmt;

/// Checks that the conversation is a non-empty array of objects with known roles.
pub(super) struct Reader<'r>(pub fields::Reader<'r>);

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a non-empty array of messages")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        match &self.0.rules.conversation.shape {
            Shape::Messages { or_text: true, .. } => Ok(()),
            _ => Err(E::invalid_type(serde::de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        match &self.0.rules.conversation.shape {
            Shape::Messages { or_one: true, .. } => Message(self.0, 2).visit_map(map),
            _ => Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let place = self.0.place;
        let mut count = 0;
        place.message.set(Some(0));
        while seq.next_element_seed(Message(self.0, 3))?.is_some() {
            count += 1;
            place.message.set(Some(count));
        }
        place.message.set(None);
        if count == 0 {
            return Err(A::Error::custom(
                "expected a non-empty array of messages, found an empty one",
            ));
        }
        Ok(())
    }
}

/// A message, and how deep the names of its members stand.
struct Message<'r>(fields::Reader<'r>, usize);

impl<'de> DeserializeSeed<'de> for Message<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Message<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a message as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(fields::Reader { rules, place }, depth) = self;
        let (roles, role_required) = match rules.conversation.shape {
            Shape::Messages {
                roles,
                role_required,
                ..
            } => (roles, role_required),
            Shape::Anything => (&[][..], false),
        };
        let mut role_seen = false;
        while let Some(Key(key)) = map.next_key()? {
            place.pass(&key, depth)?;
            if key != "role" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            place.in_role.set(true);
            let Key(role) = map.next_value()?;
            if !roles.contains(&&*role) {
                return Err(A::Error::custom(format_args!(
                    "expected one of {}, found {role:?}",
                    roles.join(", ")
                )));
            }
            place.in_role.set(false);
            role_seen = true;
        }
        if role_required && !role_seen {
            place.in_role.set(true);
            return Err(A::Error::custom("missing; expected a role"));
        }
        Ok(())
    }
}
