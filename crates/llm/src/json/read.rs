//! Reading JSON level by level, with the path at hand for messages and a list of what was not read.

use super::describe;
use crate::fault::Fault;
use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    cell::RefCell,
    fmt::{self, Write as _},
};

/// Where a reader is, and what it found that it has no place for.
#[derive(Default)]
pub(crate) struct Trail {
    steps: RefCell<Vec<Step>>,
    unknown: RefCell<Vec<String>>,
}

enum Step {
    Key(&'static str),
    Index(usize),
}

/// How many unknown fields are named, and how much of a name: the caller chooses both.
const UNKNOWN_NAMED_AT_MOST: usize = 64;
const NAME_CHARS: usize = 64;

impl Trail {
    /// A cursor at the root of `body`.
    pub(crate) fn root<'a>(&'a self, body: &'a [u8]) -> Result<Node<'a>, Fault> {
        let text = super::text(body)?;
        if crate::depth::is_too_deep(body) {
            return Err(Fault::whole(crate::depth::TOO_DEEP));
        }
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| Fault::syntax(&error))?;
        Ok(Node {
            json: raw.get(),
            trail: self,
        })
    }

    /// Paths of the fields that nobody took.
    pub(crate) fn into_unknown(self) -> Vec<String> {
        self.unknown.into_inner()
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in self.steps.borrow().iter() {
            // Writing to a String cannot fail.
            let _ = match step {
                Step::Key(key) if path.is_empty() => write!(path, "{key}"),
                Step::Key(key) => write!(path, ".{key}"),
                Step::Index(index) => write!(path, "[{index}]"),
            };
        }
        path
    }

    fn note_unknown(&self, key: &str) {
        let mut path = self.path();
        if !path.is_empty() {
            path.push('.');
        }
        path.extend(key.chars().take(NAME_CHARS));
        self.note(path);
    }

    fn note(&self, path: String) {
        if self.unknown.borrow().len() < UNKNOWN_NAMED_AT_MOST {
            self.unknown.borrow_mut().push(path);
        }
    }

    fn within<T>(&self, step: Step, read: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        self.steps.borrow_mut().push(step);
        let result = read();
        self.steps.borrow_mut().pop();
        result
    }
}

/// One JSON value and the way to it.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    json: &'a str,
    trail: &'a Trail,
}

impl<'a> Node<'a> {
    /// A fault at this value.
    pub(crate) fn fault(&self, reason: impl fmt::Display) -> Fault {
        match self.trail.path() {
            path if path.is_empty() => Fault::whole(reason.to_string()),
            path => Fault::at(path, reason),
        }
    }

    /// This value is not what it should be.
    pub(crate) fn expected(&self, what: &str) -> Fault {
        self.fault(format_args!(
            "expected {what}, found {}",
            describe(self.json)
        ))
    }

    /// Notes this value as one that nobody has a place for.
    pub(crate) fn note_unknown(&self) {
        self.trail.note(self.trail.path());
    }

    /// The value as it was written.
    pub(crate) fn json(&self) -> &'a str {
        self.json
    }

    pub(crate) fn is_null(&self) -> bool {
        self.json == "null"
    }

    pub(crate) fn is_string(&self) -> bool {
        self.json.starts_with('"')
    }

    pub(crate) fn is_array(&self) -> bool {
        self.json.starts_with('[')
    }

    pub(crate) fn string(&self) -> Result<String, Fault> {
        serde_json::from_str(self.json).map_err(|_| match self.is_string() {
            // What else can be wrong in a string was told when the body was read.
            true => self.fault("expected whole characters, found half of a surrogate pair"),
            false => self.expected("a string"),
        })
    }

    pub(crate) fn bool(&self) -> Result<bool, Fault> {
        serde_json::from_str(self.json).map_err(|_| self.expected("true or false"))
    }

    pub(crate) fn u64(&self) -> Result<u64, Fault> {
        serde_json::from_str(self.json).map_err(|_| self.expected("a non-negative integer"))
    }

    pub(crate) fn i64(&self) -> Result<i64, Fault> {
        serde_json::from_str(self.json).map_err(|_| self.expected("an integer"))
    }

    /// The nearest double; by the standard library, which rounds correctly where serde_json's
    /// quick way may be off by one unit.
    pub(crate) fn f64(&self) -> Result<f64, Fault> {
        let looks_like_a_number =
            |json: &&str| json.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        Some(self.json)
            .filter(looks_like_a_number)
            .and_then(|json| json.parse().ok())
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| self.expected("a number"))
    }

    /// The value as text, if it is an object.
    pub(crate) fn object_text(&self) -> Result<String, Fault> {
        if self.json.starts_with('{') {
            return Ok(self.json.to_owned());
        }
        Err(self.expected("an object"))
    }

    /// One of a closed list of words, which stand there in capitals, written in any case.
    pub(crate) fn one_of_in_any_case<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Fault> {
        let word = self.string().unwrap_or_default().to_ascii_uppercase();
        let found = words.iter().find(|(name, _)| *name == word);
        match found {
            Some((_, value)) => Ok(*value),
            None => self.one_of(words),
        }
    }

    /// One of a closed list of words.
    pub(crate) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Fault> {
        let word = self.string().unwrap_or_default();
        let found = words.iter().find(|(name, _)| *name == word);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
            self.expected(&format!("one of {}", names.join(", ")))
        })
    }

    /// The members of an object. Of two members with one name the last counts.
    pub(crate) fn object(&self) -> Result<Object<'a>, Fault> {
        if !self.json.starts_with('{') {
            return Err(self.expected("an object"));
        }
        let members = serde_json::Deserializer::from_str(self.json)
            .deserialize_map(MemberList)
            .map_err(|error| self.fault(error))?;
        Ok(Object {
            members,
            node: *self,
        })
    }

    /// Reads an object to its end: members that nobody asked for are unknown.
    pub(crate) fn whole<T>(
        &self,
        read: impl FnOnce(&mut Object<'a>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut fields = self.object()?;
        let found = read(&mut fields)?;
        fields.finish();
        Ok(found)
    }

    /// Every item of an array, or the one that stands there without a list around it.
    pub(crate) fn each_or_one<T>(
        &self,
        mut read: impl FnMut(Node<'a>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        match self.json.as_bytes().first() {
            Some(b'{' | b'"') => Ok(vec![read(*self)?]),
            _ => self.each(read),
        }
    }

    /// Every item of an array.
    pub(crate) fn each<T>(
        &self,
        mut read: impl FnMut(Node<'a>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        if !self.is_array() {
            return Err(self.expected("an array"));
        }
        let items = serde_json::Deserializer::from_str(self.json)
            .deserialize_seq(ItemList)
            .map_err(|error| self.fault(error))?;
        let mut out = Vec::with_capacity(items.len());
        for (index, raw) in items.into_iter().enumerate() {
            let item = Node {
                json: raw.get(),
                trail: self.trail,
            };
            out.push(self.trail.within(Step::Index(index), || read(item))?);
        }
        Ok(out)
    }
}

/// The members of an object, each to be taken once.
pub(crate) struct Object<'a> {
    members: Vec<(Cow<'a, str>, Option<&'a RawValue>)>,
    node: Node<'a>,
}

impl<'a> Object<'a> {
    /// Reads a member; an absent one and `null` are `None`.
    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Node<'a>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let Some(node) = self.take(key).filter(|node| !node.is_null()) else {
            return Ok(None);
        };
        let step = Step::Key(key);
        self.node.trail.within(step, || read(node)).map(Some)
    }

    /// Reads a member that has to be there.
    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        what: &str,
        read: impl FnOnce(Node<'a>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let trail = self.node.trail;
        match self.take(key) {
            Some(node) => trail.within(Step::Key(key), || read(node)),
            None => trail.within(Step::Key(key), || {
                Err(self.node.fault(format_args!("missing; expected {what}")))
            }),
        }
    }

    /// A required string.
    pub(crate) fn text(&mut self, key: &'static str) -> Result<String, Fault> {
        self.required(key, "a string", |node| node.string())
    }

    /// The same with names in camel case, for APIs that take snake case as well.
    pub(crate) fn in_camel_case(mut self) -> Self {
        for (key, _) in &mut self.members {
            if key.contains('_') {
                *key = Cow::Owned(camel_case(key));
            }
        }
        self
    }

    /// Members that are known and say nothing that has to be kept.
    pub(crate) fn skip(&mut self, keys: &[&str]) {
        for key in keys {
            self.take(key);
        }
    }

    /// Reads every member that is left, as name and value.
    pub(crate) fn entries<T>(
        self,
        mut read: impl FnMut(Node<'a>) -> Result<T, Fault>,
    ) -> Result<Vec<(String, T)>, Fault> {
        let trail = self.node.trail;
        let left = self.members.into_iter();
        left.filter_map(|(key, raw)| Some((key, raw?)))
            .map(|(key, raw)| {
                let json = raw.get();
                read(Node { json, trail }).map(|value| (key.into_owned(), value))
            })
            .collect()
    }

    /// Notes every member that was not taken as unknown, those aside that say nothing.
    pub(crate) fn finish(self) {
        for (key, raw) in &self.members {
            if raw.is_some_and(|raw| !matches!(raw.get(), "null" | "[]")) {
                self.node.trail.note_unknown(key);
            }
        }
    }

    fn take(&mut self, key: &str) -> Option<Node<'a>> {
        let mut found = None;
        for (_, raw) in self.members.iter_mut().filter(|(name, _)| name == key) {
            found = raw.take().or(found);
        }
        found.map(|raw| Node {
            json: raw.get(),
            trail: self.node.trail,
        })
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut chars = word.chars();
        out.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(chars.as_str());
    }
    out
}

struct MemberList;

impl<'de> Visitor<'de> for MemberList {
    type Value = Vec<(Cow<'de, str>, Option<&'de RawValue>)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        #[derive(serde::Deserialize)]
        struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

        let mut members = Vec::new();
        while let Some((Key(key), value)) = map.next_entry()? {
            members.push((key, Some(value)));
        }
        Ok(members)
    }
}

struct ItemList;

impl<'de> Visitor<'de> for ItemList {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(items)
    }
}
