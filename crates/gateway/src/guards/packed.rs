//! Files that are sent within a request, in base64 or as a `data:` URL: those that are texts are judged
//! as texts, because that is what the model reads.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::general_purpose::STANDARD as STANDARD_PADDED;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use seaworthy_guard::normalise::decode::percent_always;

/// So many characters tell whether a file is a text, before all of it is unpacked: a multiple of four.
const PROBE_LENGTH: usize = 1024;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const FOR_URLS: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// How a file is written in the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packing {
    /// What stands before the data: `data:text/plain;base64,`, or nothing.
    prefix: String,
}

impl Packing {
    /// Another text, packed in the same way.
    pub(crate) fn pack(&self, text: &str) -> String {
        format!("{}{}", self.prefix, STANDARD_PADDED.encode(text))
    }
}

/// The text that is packed in a value; `None` where it is no file, or no text.
pub(crate) fn unpack(value: &str) -> Option<(Packing, String)> {
    let head = value.get(..5).unwrap_or_default();
    let (prefix, text) = match head.eq_ignore_ascii_case("data:") {
        false => (String::new(), decode(value)?),
        true => {
            let (head, data) = value.split_once(',')?;
            let plain = head.len().checked_sub(";base64".len());
            let ending = plain.and_then(|at| Some((head.get(..at)?, head.get(at..)?)));
            match ending.filter(|(_, ending)| ending.eq_ignore_ascii_case(";base64")) {
                Some((kind, _)) => (format!("{kind};base64,"), decode(data)?),
                None => (format!("{head};base64,"), percent_always(data)?),
            }
        }
    };
    is_text(&text).then_some((Packing { prefix }, text))
}

fn decode(data: &str) -> Option<String> {
    let is_space = |c: char| c.is_ascii_whitespace();
    let joined;
    let data = match data.contains(is_space) {
        true => {
            joined = data.replace(is_space, "");
            &joined
        }
        false => data,
    };
    let engine = match data.contains(['-', '_']) {
        true => FOR_URLS,
        false => PLAIN,
    };
    let probe = data.get(..PROBE_LENGTH).unwrap_or(data);
    let probe = engine.decode(probe).ok()?;
    if !begins_as_text(&probe) {
        return None;
    }
    String::from_utf8(engine.decode(data).ok()?).ok()
}

/// Pictures, sounds and most documents show within their first bytes that they are none.
fn begins_as_text(bytes: &[u8]) -> bool {
    let valid = match str::from_utf8(bytes) {
        Ok(text) => text,
        // The last character may be cut.
        Err(error) if error.error_len().is_none() => {
            str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    is_text(valid)
}

fn is_text(text: &str) -> bool {
    let is_control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}');
    // The parts of a PDF are found by their places: none can be replaced.
    !text.is_empty() && !text.starts_with("%PDF-") && !text.contains(is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_unpacked_however_they_are_packed() {
        let text = "Grüße an den Hafen, und <b>mehr</b>?>";
        let plain = STANDARD_PADDED.encode(text);
        for (packed, prefix) in [
            (plain.clone(), ""),
            (plain.trim_end_matches('=').to_owned(), ""),
            (plain.replace('+', "-").replace('/', "_"), ""),
            (format!("{}\n{}", &plain[..8], &plain[8..]), ""),
            (
                format!("data:text/plain;base64,{plain}"),
                "data:text/plain;base64,",
            ),
            (
                format!("DATA:text/html;BASE64,{plain}"),
                "DATA:text/html;base64,",
            ),
            (
                format!("data:text/plain;charset=utf-8,{}", text.replace('<', "%3C")),
                "data:text/plain;charset=utf-8;base64,",
            ),
        ] {
            let (packing, found) = unpack(&packed).unwrap();
            assert_eq!(found, text, "{packed}");
            assert_eq!(packing.pack("x"), format!("{prefix}eA=="), "{packed}");
        }
    }

    #[test]
    fn what_is_no_text_stays_packed() {
        let picture = STANDARD_PADDED.encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
        let late = [&b"a".repeat(4000)[..], b"\0\xff"].concat();
        for value in [
            "https://harbour.example/a.png",
            "Hello, harbour!",
            "data:image/png,%89PNG",
            "data:",
            "",
            &picture,
            &format!("data:image/png;base64,{picture}"),
            &STANDARD_PADDED.encode("%PDF-1.7 plain"),
            &STANDARD_PADDED.encode(late),
        ] {
            assert_eq!(unpack(value), None, "{value}");
        }
    }

    #[test]
    fn a_character_at_the_end_of_the_probe_may_be_cut() {
        let text = "ü".repeat(2000);
        for padding in ["", "a", "ab"] {
            let packed = STANDARD_PADDED.encode(format!("{padding}{text}"));
            assert!(unpack(&packed).is_some(), "{padding}");
        }
    }
}
