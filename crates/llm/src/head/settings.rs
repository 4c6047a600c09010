//! The object in which some dialects keep the bounds of the output.

use super::fields::{Fields, Key, Reader as FieldsReader, TWICE};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// Reads the bounds into the fields of the request.
pub(super) struct Reader<'r, 'f, 'de>(pub FieldsReader<'r>, pub &'f mut Fields<'de>);

impl<'de> DeserializeSeed<'de> for Reader<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(reader, fields) = self;
        while let Some(Key(key)) = map.next_key()? {
            reader.place.pass(&key, 2)?;
            let Some((name, slot)) = reader.bound(&key, fields) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if slot.replace(map.next_value()?).is_some() {
                reader.place.field.set(Some(name));
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(())
    }
}
