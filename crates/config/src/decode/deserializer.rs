//! A serde deserializer over the tree whose errors know where they happened.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::value::{BorrowedStrDeserializer, StringDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};

use super::fault::{Fault, Place};
use super::{describe, join};
use crate::document::{Key, Node, Value};
use crate::nearest::suggest;
use crate::problem::{Finding, MAX_PROBLEMS};
use crate::reserved;

/// What all deserializers of one attempt share.
pub(super) struct Context<'a> {
    /// Paths to leave out, because they failed before.
    pub cut: &'a BTreeSet<String>,
    /// Problems that do not stop the decoding.
    pub noted: RefCell<Vec<Finding>>,
}

/// One value of the tree.
#[derive(Clone)]
pub(super) struct NodeDeserializer<'a> {
    node: &'a Node,
    key: Option<&'a Key>,
    path: String,
    context: &'a Context<'a>,
}

impl<'a> NodeDeserializer<'a> {
    pub(super) fn root(node: &'a Node, context: &'a Context<'a>) -> Self {
        Self {
            node,
            key: None,
            path: String::new(),
            context,
        }
    }

    /// Names this value as the place of `fault`, unless an inner one is named already.
    fn locate(&self, mut fault: Fault) -> Fault {
        if fault.place.is_none() {
            let missing = fault.is_missing();
            let span = match self.key {
                Some(key) if missing || matches!(self.node.value, Value::Map(_) | Value::Null) => {
                    key.span
                }
                _ => self.node.span,
            };
            let found = describe(self.node, &self.path);
            fault.place = Some(Place {
                path: self.path.clone(),
                span,
                found,
            });
        }
        fault
    }

    fn unexpected(&self, expected: &dyn Expected) -> Fault {
        self.locate(Fault::invalid_type(Unexpected::Unit, expected))
    }

    fn note(&self, finding: impl FnOnce() -> Finding) {
        let mut noted = self.context.noted.borrow_mut();
        if noted.len() < MAX_PROBLEMS {
            noted.push(finding());
        }
    }

    /// The entries to decode: known (when it matters), not repeated, and not cut.
    fn entries(&self, fields: Option<&[&'static str]>) -> Option<Vec<Entry<'a>>> {
        let mut seen = BTreeSet::new();
        let mut kept = Vec::new();
        for (key, node) in self.node.entries()? {
            let path = join(&self.path, &key.name);
            if let Some(fields) = fields.filter(|fields| !fields.contains(&key.name.as_str())) {
                self.note(|| self.unknown(key, node, fields));
            } else if !seen.insert(key.name.as_str()) {
                self.note(|| Finding::duplicate(key.span, &path, &key.name));
            } else if !self.context.cut.contains(&path) {
                kept.push(Entry { key, node, path });
            }
        }
        Some(kept)
    }

    fn unknown(&self, key: &Key, node: &Node, fields: &[&'static str]) -> Finding {
        let path = join(&self.path, &key.name);
        if let Some(later) = reserved::section(&path) {
            let message = format!("`{path}` is not supported by this version yet ({later})");
            return Finding::unknown(key, node, &path, message)
                .with_help("remove it, so that nobody relies on what is not there");
        }
        let owner = match self.path.as_str() {
            "" => String::new(),
            path => format!(" in `{path}`"),
        };
        let kind = if self.path.is_empty() {
            "the sections are"
        } else {
            "the keys are"
        };
        let message = format!("unknown key `{}`{owner}", key.name);
        Finding::unknown(key, node, &path, message).with_help(suggest(&key.name, kind, fields))
    }

    fn visit_entries<V: Visitor<'a>>(
        self,
        fields: Option<&[&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Some(entries) = self.entries(fields) else {
            return Err(self.unexpected(&visitor));
        };
        let access = Entries {
            context: self.context,
            rest: entries.into_iter(),
            value: None,
        };
        visitor
            .visit_map(access)
            .map_err(|fault| self.locate(fault))
    }
}

struct Entry<'a> {
    key: &'a Key,
    node: &'a Node,
    path: String,
}

macro_rules! like_any {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.deserialize_any(visitor)
        })*
    };
}

impl<'a> Deserializer<'a> for NodeDeserializer<'a> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        let located = |fault| self.locate(fault);
        match &self.node.value {
            Value::Null => visitor.visit_unit().map_err(located),
            Value::Bool(value) => visitor.visit_bool(*value).map_err(located),
            Value::Integer(value) => match u64::try_from(*value) {
                Ok(value) => visitor.visit_u64(value).map_err(located),
                Err(_) => visitor.visit_i64(*value).map_err(located),
            },
            Value::Float(value) => visitor.visit_f64(*value).map_err(located),
            Value::String(text) => visitor.visit_borrowed_str(text).map_err(located),
            Value::List(items) => {
                let access = Items {
                    owner: self.clone(),
                    rest: items.iter().enumerate(),
                };
                visitor.visit_seq(access).map_err(located)
            }
            Value::Map(_) => self.visit_entries(None, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit_entries(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.visit_entries(Some(fields), visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let words = variants
            .iter()
            .map(|v| format!("`{v}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let expected = format!("one of {words}");
        let Value::String(text) = &self.node.value else {
            return Err(self.unexpected(&expected.as_str()));
        };
        if !variants.contains(&text.as_str()) {
            let found = describe(self.node, &self.path);
            let message = format!("expected {expected}, found {found}");
            let help = suggest(text, "the choices are", variants);
            return Err(self.locate(Fault::refused(message, Some(help))));
        }
        let choice = Choice(text);
        visitor
            .visit_enum(choice)
            .map_err(|fault| self.locate(fault))
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node.value {
            Value::List(_) => self.deserialize_any(visitor),
            _ => Err(self.unexpected(&visitor)),
        }
    }

    like_any! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32
        deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_unit deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_unit_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_any(visitor)
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }
}

/// The entries of a section, one after the other.
struct Entries<'a> {
    context: &'a Context<'a>,
    rest: std::vec::IntoIter<Entry<'a>>,
    value: Option<Entry<'a>>,
}

impl<'a> MapAccess<'a> for Entries<'a> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some(entry) = self.rest.next() else {
            return Ok(None);
        };
        let (path, span) = (entry.path.clone(), entry.key.span);
        let name = entry.key.name.as_str();
        self.value = Some(entry);
        let key: BorrowedStrDeserializer<'a, Fault> = BorrowedStrDeserializer::new(name);
        seed.deserialize(key).map(Some).map_err(|mut fault| {
            let found = format!("the key `{name}`");
            fault.place = Some(Place { path, span, found });
            fault
        })
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let Some(Entry { key, node, path }) = self.value.take() else {
            return Err(Fault::custom("a value was asked for before its key"));
        };
        let context = self.context;
        seed.deserialize(NodeDeserializer {
            node,
            key: Some(key),
            path,
            context,
        })
    }
}

/// The items of a list, one after the other.
struct Items<'a> {
    owner: NodeDeserializer<'a>,
    rest: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'a> SeqAccess<'a> for Items<'a> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let context = self.owner.context;
        for (index, node) in self.rest.by_ref() {
            let path = format!("{}[{index}]", self.owner.path);
            if !context.cut.contains(&path) {
                return seed
                    .deserialize(NodeDeserializer {
                        node,
                        key: None,
                        path,
                        context,
                    })
                    .map(Some);
            }
        }
        Ok(None)
    }
}

/// One of a closed set of words.
struct Choice<'a>(&'a str);

impl<'a> EnumAccess<'a> for Choice<'a> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'a>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let word: StringDeserializer<Fault> = self.0.to_owned().into_deserializer();
        Ok((seed.deserialize(word)?, self))
    }
}

impl<'a> VariantAccess<'a> for Choice<'a> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, _seed: T) -> Result<T::Value, Fault> {
        Err(Fault::custom("expected a plain choice"))
    }

    fn tuple_variant<V: Visitor<'a>>(self, _len: usize, _visitor: V) -> Result<V::Value, Fault> {
        Err(Fault::custom("expected a plain choice"))
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Fault> {
        Err(Fault::custom("expected a plain choice"))
    }
}
