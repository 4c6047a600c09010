//! The members of an object of which only a few matter: the others are passed over at the speed of
//! memory, and what is within them is not judged.
//!
//! For what providers answer. A caller's request is read by a parser that judges all of it.

use memchr::memchr2;

/// The members of one object, in their order. It ends early where the text is no JSON, which
/// [`Scan::is_whole`] tells.
pub(crate) struct Scan<'a> {
    json: &'a [u8],
    at: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    First,
    Next,
    Whole,
    Broken,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(json: &'a [u8]) -> Self {
        let mut scan = Self {
            json,
            at: 0,
            state: State::First,
        };
        if scan.after_space() == Some(b'{') {
            scan.at += 1;
        } else {
            scan.state = State::Broken;
        }
        scan
    }

    /// Whether the object has been read to its end, and nothing follows it.
    pub(crate) fn is_whole(&self) -> bool {
        let rest = self.json.get(self.at..).unwrap_or_default();
        self.state == State::Whole && rest.trim_ascii().is_empty()
    }

    /// The value of a member as it is written; the last one, should there be several.
    pub(crate) fn member(mut self, name: &str) -> Option<&'a [u8]> {
        let mut found = None;
        for (key, value) in self.by_ref() {
            if key == name.as_bytes() {
                found = Some(value);
            }
        }
        found.filter(|_| self.is_whole())
    }

    fn after_space(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.after_space()? == byte).then(|| self.at += 1)
    }

    /// The next member, `None` at the end; `Err` where there is none and no end either.
    fn step(&mut self) -> Option<Option<(&'a [u8], &'a [u8])>> {
        let is_first = self.state == State::First;
        match self.after_space()? {
            b'}' => {
                self.at += 1;
                return Some(None);
            }
            b',' if !is_first => self.at += 1,
            _ if is_first => {}
            _ => return None,
        }
        if self.after_space()? != b'"' {
            return None;
        }
        let from = self.at + 1;
        self.at = after_string(self.json, self.at)?;
        let key = self.json.get(from..self.at - 1)?;
        self.expect(b':')?;
        self.after_space()?;
        let from = self.at;
        self.at = after_value(self.json, from)?;
        Some(Some((key, self.json.get(from..self.at)?)))
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if matches!(self.state, State::Whole | State::Broken) {
            return None;
        }
        let member = self.step();
        self.state = match &member {
            Some(Some(_)) => State::Next,
            Some(None) => State::Whole,
            None => State::Broken,
        };
        member.flatten()
    }
}

/// Names and most values are shorter than what a search through memory costs to begin.
const SHORT_WORDS: usize = 4;
const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH_BITS: u64 = u64::from_ne_bytes([0x80; 8]);

/// Where the next quote or backslash stands, from `at` on.
fn quote_or_escape(json: &[u8], at: usize) -> Option<usize> {
    let rest = json.get(at..)?;
    let (words, _) = rest.as_chunks::<8>();
    for (index, word) in words.iter().take(SHORT_WORDS).enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zero_bytes(word ^ (ONES * u64::from(b'"')))
            | zero_bytes(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return Some(at + index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let passed = words.len().min(SHORT_WORDS) * 8;
    Some(at + passed + memchr2(b'"', b'\\', rest.get(passed..)?)?)
}

/// The high bit of each byte that is zero; of the bytes behind the first one, maybe of more.
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGH_BITS
}

/// Where the string that begins at `at` has ended.
fn after_string(json: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at = quote_or_escape(json, at)?;
        match json.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// Where the value that begins at `at` has ended.
fn after_value(json: &[u8], at: usize) -> Option<usize> {
    match json.get(at)? {
        b'"' => after_string(json, at),
        b'{' | b'[' => after_nest(json, at),
        b',' | b'}' | b']' | b':' => None,
        _ => {
            let rest = json.get(at..)?;
            let is_end =
                |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
            let length = rest.iter().position(is_end)?;
            Some(at + length)
        }
    }
}

/// Where the object or array that begins at `at` has ended.
fn after_nest(json: &[u8], at: usize) -> Option<usize> {
    let (mut at, mut depth) = (at, 0_usize);
    loop {
        match json.get(at)? {
            b'"' => at = after_string(json, at)?,
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' => {
                (at, depth) = (at + 1, depth - 1);
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;
    use std::collections::BTreeMap;

    fn scanned(json: &str) -> Option<BTreeMap<String, String>> {
        let mut scan = Scan::new(json.as_bytes());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let members = scan.by_ref().map(|(key, value)| (text(key), text(value)));
        let members = members.collect();
        scan.is_whole().then_some(members)
    }

    fn parsed(json: &str) -> Option<BTreeMap<String, String>> {
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).ok()?;
        let members = members.into_iter();
        Some(
            members
                .map(|(key, raw)| (key, raw.get().to_owned()))
                .collect(),
        )
    }

    #[test]
    fn members_are_those_that_a_parser_finds() {
        let object = r#" { "a" : "x\"},{\\" , "b":[{"c":"]"},[ ]], "usage":{"n":1,"d":{"e":null}},
            "t":true,"f" : -1.5e3 , "u":"ü\u0000\\\\" } "#;
        assert_eq!(scanned(object), parsed(object));
        assert_eq!(scanned("{}"), parsed("{}"));
        assert_eq!(scanned(" { } "), parsed("{}"));
    }

    #[test]
    fn strings_end_where_they_do_at_every_length_and_after_any_bytes() {
        for length in 0..80 {
            for filler in ['a', '!', '#', '[', ']', '\u{a2}', '\u{7f}'] {
                let text = filler.to_string().repeat(length);
                for json in [
                    format!(r#"{{"{text}":"{text}","b":1}}"#),
                    format!(r#"{{"k":"{text}\"{text}\\","b":1}}"#),
                ] {
                    assert_eq!(scanned(&json), parsed(&json), "{json}");
                }
            }
        }
    }

    #[test]
    fn what_is_cut_anywhere_or_goes_on_is_not_whole() {
        let object = r#"{"a":"x\"y","b":[{"c":1}],"d":12}"#;
        for end in 0..object.len() {
            assert_eq!(scanned(&object[..end]), None, "{}", &object[..end]);
        }
        for broken in [
            "[]",
            "1",
            "\"a\"",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1 "b":2}"#,
            r#"{,"a":1}"#,
            r#"{"a":1}}"#,
            r#"{"a":1} {}"#,
            r#"{a:1}"#,
            r#"{"a":1,}x"#,
        ] {
            assert_eq!(scanned(broken), None, "{broken}");
        }
    }

    #[test]
    fn of_several_members_of_a_name_the_last_one_counts() {
        let member = |json: &str| {
            let member = Scan::new(json.as_bytes()).member("usage");
            member.map(|value| String::from_utf8(value.to_vec()).unwrap())
        };
        assert_eq!(member(r#"{"usage":1,"usage":2}"#).as_deref(), Some("2"));
        assert_eq!(member(r#"{"choices":[{"usage":1}]}"#), None);
        assert_eq!(member(r#"{"usage":1"#), None);
    }
}
