//! The bytes of a checklist as text and back, so that what nobody judged stays as it was.

/// Where bytes that are no UTF-8 stand in the text, from the last private characters of a plane.
const BYTES: u32 = 0x10_FF00;

/// How a file says its characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Encoding {
    /// UTF-8, where single bytes may be broken.
    #[default]
    Utf8,
    /// One byte a character, the first 256 of Unicode.
    Latin1,
    /// Two bytes a unit, the low one first.
    Utf16Le,
    /// Two bytes a unit, the high one first.
    Utf16Be,
}

/// The text, and how the bytes say it.
pub(super) fn decode(bytes: &[u8]) -> (String, Encoding) {
    match bytes {
        [0xFF, 0xFE, ..] => (units(bytes, u16::from_le_bytes), Encoding::Utf16Le),
        [0xFE, 0xFF, ..] => (units(bytes, u16::from_be_bytes), Encoding::Utf16Be),
        _ if is_latin1(bytes) => (
            bytes.iter().copied().map(char::from).collect(),
            Encoding::Latin1,
        ),
        _ => (with_broken_bytes(bytes), Encoding::Utf8),
    }
}

/// The bytes again.
pub(super) fn encode(text: &str, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Utf8 => {
            let mut out = Vec::with_capacity(text.len());
            for c in text.chars() {
                match broken_byte(c) {
                    Some(byte) => out.push(byte),
                    None => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
                }
            }
            out
        }
        Encoding::Latin1 => {
            let byte = |c: char| u8::try_from(u32::from(c)).unwrap_or(b'?');
            text.chars().map(byte).collect()
        }
        Encoding::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Encoding::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
    }
}

/// Half a character, or half a unit at the end, cannot be kept and is shown as such.
fn units(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let pairs = bytes.chunks(2);
    let units: Vec<u16> = pairs
        .map(|pair| match pair {
            [a, b] => unit([*a, *b]),
            _ => u16::from(b'?'),
        })
        .collect();
    String::from_utf16_lossy(&units)
}

/// Whether there are bytes that are no UTF-8, and no character of UTF-8 beyond ASCII.
fn is_latin1(bytes: &[u8]) -> bool {
    let mut broken = false;
    for chunk in bytes.utf8_chunks() {
        broken |= !chunk.invalid().is_empty();
        if !chunk.valid().is_ascii() {
            return false;
        }
    }
    broken
}

fn with_broken_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        let broken = chunk.invalid().iter();
        out.extend(broken.filter_map(|byte| char::from_u32(BYTES + u32::from(*byte))));
    }
    out
}

/// The byte that stands behind a character of [`with_broken_bytes`]; only the upper half is ever broken.
fn broken_byte(c: char) -> Option<u8> {
    let byte = u32::from(c).checked_sub(BYTES)?;
    u8::try_from(byte).ok().filter(|byte| !byte.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::{Encoding, decode, encode};

    #[test]
    fn every_file_comes_back_byte_for_byte() {
        let utf16 = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            let text = "\u{feff}- [ ] Schl\u{fc}ssel \u{1f511}\r\n";
            text.encode_utf16().flat_map(bytes).collect()
        };
        for (bytes, expected) in [
            (b"- [ ] plain\n".to_vec(), Encoding::Utf8),
            (
                "- \u{2610} Schl\u{fc}ssel\n".as_bytes().to_vec(),
                Encoding::Utf8,
            ),
            (b"\xEF\xBB\xBF- [ ] a\r\n".to_vec(), Encoding::Utf8),
            (b"- [x] Schl\xFCssel \x80\x93\n".to_vec(), Encoding::Latin1),
            (
                b"- [x] \xE2\x98\x90 and \xFC, \xFF\xFE\xC0\n".to_vec(),
                Encoding::Utf8,
            ),
            (utf16(u16::to_le_bytes), Encoding::Utf16Le),
            (utf16(u16::to_be_bytes), Encoding::Utf16Be),
        ] {
            let (text, encoding) = decode(&bytes);
            assert_eq!(encoding, expected, "{text}");
            assert_eq!(encode(&text, encoding), bytes, "{text}");
        }
    }
}
