//! The most tokens that a request can be as input, counted where its size in bytes says too little.
//!
//! What is counted is the request as it stands, JSON and all: names, braces and escapes stand for
//! what a provider's template puts around the texts. See [`most_input_tokens`] for what is added.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::{memchr_iter, memmem::Finder};

/// The vocabulary that a model reads its input with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    /// `o200k_base`, of OpenAI's models since GPT-4o.
    O200k,
    /// `cl100k_base`, of GPT-4, GPT-3.5 and the embeddings.
    Cl100k,
    /// One that is not known here.
    Unknown,
}

impl Vocabulary {
    /// That of a model of OpenAI, by its name.
    #[must_use]
    pub fn of_openai(model: &str) -> Self {
        const O200K: [&str; 8] = [
            "gpt-4o",
            "gpt-4.1",
            "gpt-4.5",
            "gpt-5",
            "chatgpt-4o",
            "o1",
            "o3",
            "o4",
        ];
        const CL100K: [&str; 3] = ["gpt-4", "gpt-3.5", "text-embedding"];
        let begins = |names: &[&str]| names.iter().any(|name| model.starts_with(name));
        if begins(&O200K) {
            Self::O200k
        } else if begins(&CL100K) {
            Self::Cl100k
        } else {
            Self::Unknown
        }
    }
}

/// Bytes that are counted; what is beyond counts a token for each byte.
const COUNTED_BYTES: usize = 1 << 20;
/// A run of so many bytes without a break is data, not text: a token for each byte.
const LONGEST_WORD: usize = 512;
/// What a provider may put in front of a request with tools.
const TOKENS_OF_TOOL_USE: u64 = 1_024;
/// What a picture or a page behind a URL or a file ID may be read as.
const TOKENS_PER_LINK: u64 = 2_048;
/// What a provider puts around a request.
const TOKENS_OF_FRAME: u64 = 16;

/// The most tokens that a request can be, from its size alone: no tokenizer makes more tokens of a
/// text than it has bytes.
#[must_use]
pub fn most_by_size(body: &[u8]) -> u64 {
    wide(body.len()).saturating_add(unseen(body))
}

/// The most tokens that a request can be: counted in its vocabulary with 3 % more, or twice the
/// count where the vocabulary is not known; never less than [`least_by_size`] says and never more
/// than [`most_by_size`].
#[must_use]
pub fn most_input_tokens(vocabulary: Vocabulary, body: &[u8]) -> u64 {
    let counted = counted(vocabulary, body);
    let counted = match vocabulary {
        Vocabulary::O200k | Vocabulary::Cl100k => counted + counted / 32,
        Vocabulary::Unknown => counted.saturating_mul(2),
    };
    counted
        .max(wide(body.len().div_ceil(4)))
        .saturating_add(TOKENS_OF_FRAME)
        .min(wide(body.len()))
        .saturating_add(unseen(body))
}

/// What [`most_input_tokens`] certainly comes to, without counting: a token for four bytes.
#[must_use]
pub fn least_by_size(body: &[u8]) -> u64 {
    wide(body.len().div_ceil(4)).saturating_add(unseen(body))
}

/// The request with letters, digits and low lines as such that stand in it as `\u0061`: a name that
/// is looked for must not hide behind escapes.
#[must_use]
pub fn without_escaped_names(body: &[u8]) -> Cow<'_, [u8]> {
    static ESCAPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\\u00"));
    let length = ESCAPE.needle().len();
    let named = |at: usize| {
        let digits = body.get(at + length..at + length + 2)?;
        let byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        let is_name = byte.is_ascii_alphanumeric() || b"_:/".contains(&byte);
        is_name.then_some((at, byte))
    };
    let mut found = ESCAPE.find_iter(body).filter_map(named).peekable();
    if found.peek().is_none() {
        return Cow::Borrowed(body);
    }
    let (mut plain, mut copied) = (Vec::with_capacity(body.len()), 0);
    for (at, byte) in found {
        plain.extend_from_slice(body.get(copied..at).unwrap_or_default());
        plain.push(byte);
        copied = at + length + 2;
    }
    plain.extend_from_slice(body.get(copied..).unwrap_or_default());
    Cow::Owned(plain)
}

/// What a request offers tools with.
const TOOLS: [&[u8]; 2] = [b"\"tools\"", b"\"functions\""];
/// What leads to something that is not in the request.
const LINKS: [&[u8]; 6] = [
    b"\"http",
    b"\"file_id\"",
    b"\"file_uri\"",
    b"\"fileUri\"",
    b"\"gs://",
    b"\"s3://",
];

/// Tokens that the bytes of the request do not show.
fn unseen(body: &[u8]) -> u64 {
    let body = &*without_escaped_names(body);
    let (mut tools, mut links) = (0, 0_u64);
    // All names begin with a quote: one pass, however many there are.
    for at in memchr_iter(b'"', body) {
        let rest = body.get(at..).unwrap_or_default();
        let begins = |name: &&[u8]| rest.starts_with(name);
        if TOOLS.iter().any(begins) {
            tools = TOKENS_OF_TOOL_USE;
        } else if LINKS.iter().any(begins) {
            links += 1;
        }
    }
    links.saturating_mul(TOKENS_PER_LINK).saturating_add(tools)
}

fn counted(vocabulary: Vocabulary, body: &[u8]) -> u64 {
    let name = match vocabulary {
        Vocabulary::Cl100k => "cl100k_base",
        Vocabulary::O200k | Vocabulary::Unknown => "o200k_base",
    };
    let (Some(encoding), Ok(text)) = (tiktoken::get_encoding(name), str::from_utf8(body)) else {
        return wide(body.len());
    };
    let cut = text.floor_char_boundary(COUNTED_BYTES);
    let (text, rest) = text.split_at(cut);
    let mut tokens = wide(rest.len());
    let mut counted_to = 0;
    for data in runs_of_data(text) {
        let before = text.get(counted_to..data.start).unwrap_or_default();
        tokens += wide(encoding.count(before)) + wide(data.len());
        counted_to = data.end;
    }
    let last = text.get(counted_to..).unwrap_or_default();
    tokens + wide(encoding.count(last))
}

/// The long runs of base64 and the like.
fn runs_of_data(text: &str) -> impl Iterator<Item = std::ops::Range<usize>> {
    let is_data = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=_-".contains(byte);
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let rest = bytes.get(at..)?;
            let length = rest.iter().take_while(|byte| is_data(byte)).count();
            let start = at;
            at += length.max(1);
            if length >= LONGEST_WORD {
                return Some(start..start + length);
            }
        }
        None
    })
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chat(text: &str) -> String {
        format!(r#"{{"model":"gpt-5","messages":[{{"role":"user","content":"{text}"}}]}}"#)
    }

    #[test]
    fn prose_is_counted_well_below_its_bytes_and_above_what_it_is() {
        let prose = "The harbour pilot boards two miles out and brings the ship in. ".repeat(40);
        let body = chat(&prose);
        let exact = wide(tiktoken::get_encoding("o200k_base").unwrap().count(&prose));
        let most = most_input_tokens(Vocabulary::O200k, body.as_bytes());
        assert!(most >= exact + 7, "{most} {exact}");
        assert!(most < wide(body.len()) / 3, "{most} of {}", body.len());
        let unknown = most_input_tokens(Vocabulary::Unknown, body.as_bytes());
        assert!(unknown > most && unknown < wide(body.len()), "{unknown}");
    }

    #[test]
    fn data_tools_and_links_are_never_taken_for_little() {
        let data = chat(&"QUJD".repeat(500));
        assert!(most_input_tokens(Vocabulary::O200k, data.as_bytes()) > 2_000);
        let tools = br#"{"tools":[],"x":"https://a.example/b.png"}"#;
        let unseen = TOKENS_OF_TOOL_USE;
        assert!(most_input_tokens(Vocabulary::O200k, tools) > unseen);
        let link = br#"{"url":"https://a.example/b.png","file_id":"f"}"#;
        assert!(most_by_size(link) >= 2 * TOKENS_PER_LINK);
    }

    #[test]
    fn names_do_not_hide_behind_escapes() {
        let hidden = br#"{"to\u006fls":[],"x":"htt\u0070s://a.example","text":"\u003cb\u003e"}"#;
        let plain = br#"{"tools":[],"x":"https://a.example","text":"\u003cb\u003e"}"#;
        assert_eq!(&*without_escaped_names(hidden), plain);
        assert_eq!(unseen(hidden), unseen(plain));
        assert!(matches!(without_escaped_names(plain), Cow::Borrowed(_)));
    }

    #[test]
    fn models_are_known_by_their_names() {
        for (model, vocabulary) in [
            ("gpt-4o-mini", Vocabulary::O200k),
            ("o3", Vocabulary::O200k),
            ("gpt-4-turbo", Vocabulary::Cl100k),
            ("text-embedding-3-small", Vocabulary::Cl100k),
            ("claude-opus-4-8", Vocabulary::Unknown),
        ] {
            assert_eq!(Vocabulary::of_openai(model), vocabulary, "{model}");
        }
    }

    #[test]
    fn each_name_is_seen_wherever_it_stands() {
        let names = TOOLS.into_iter().chain(LINKS);
        for (at, name) in names.enumerate() {
            let name = str::from_utf8(name).unwrap();
            let alone = unseen(name.as_bytes());
            assert!(alone >= TOKENS_OF_TOOL_USE, "{name}");
            for body in [format!(r#"{{"a":"b",{name}"#), format!("{name}:1}}")] {
                assert_eq!(unseen(body.as_bytes()), alone, "{body}");
            }
            let twice = unseen(format!("{name} {name}").as_bytes());
            let is_link = at >= TOOLS.len();
            assert_eq!(twice, if is_link { 2 * alone } else { alone }, "{name}");
            let cut = name.get(..name.len() - 1).unwrap();
            assert_eq!(unseen(cut.as_bytes()), 0, "{cut}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_count_lies_between_the_bounds_of_size(body in "\\PC{0,300}") {
            let body = body.as_bytes();
            for vocabulary in [Vocabulary::O200k, Vocabulary::Cl100k, Vocabulary::Unknown] {
                let most = most_input_tokens(vocabulary, body);
                prop_assert!(most <= most_by_size(body));
                prop_assert!(most >= least_by_size(body).min(most_by_size(body)));
            }
        }
    }
}
