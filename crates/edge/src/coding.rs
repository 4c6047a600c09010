//! Content codings: bodies of requests and of providers' answers unpacked within a size, answers
//! packed as callers ask for.
//!
//! Both go in slices and let other requests of the thread have their turn in between.

mod unpacker;

use std::io::{Cursor, Read, Write};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

pub use unpacker::Unpacker;

/// How much is worked on at a time: about a millisecond.
const SLICE_BYTES: usize = 64 * 1024;
/// More than one coding on top of another is legal, and nobody needs many.
const MAX_CODINGS: usize = 2;
/// The largest window of zstd that is given memory, as a power of two: what RFC 8878 asks for.
const MAX_ZSTD_WINDOW: u32 = 23;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`
    Gzip,
    /// `deflate`, with or without the frame of zlib.
    Deflate,
    /// `br`
    Brotli,
    /// `zstd`
    Zstd,
}

/// Why a body was not unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unpackable {
    /// Not a coding that is understood.
    Unknown,
    /// Larger than the limit.
    TooLarge,
    /// Not what the coding says it is.
    Broken,
}

impl Coding {
    /// Those that answers are packed with, the preferred one first.
    const PACKING: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// The name, as in headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    fn read(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Deflate),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// The codings of a body, in the order in which they were applied.
///
/// # Errors
/// When one of them is not understood, or there are too many.
pub fn codings_of(headers: &HeaderMap) -> Result<Vec<Coding>, Unpackable> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = value.to_str().map_err(|_| Unpackable::Unknown)?;
        for name in value.split(',').map(str::trim) {
            if !name.is_empty() && !name.eq_ignore_ascii_case("identity") {
                codings.push(Coding::read(name).ok_or(Unpackable::Unknown)?);
            }
        }
    }
    match codings.len() > MAX_CODINGS {
        true => Err(Unpackable::Unknown),
        false => Ok(codings),
    }
}

/// Takes codings off a body. What comes out is never larger than `max_bytes`.
///
/// # Errors
/// When the body is too large, or not what the codings say.
pub async fn unpack(
    mut body: Bytes,
    codings: &[Coding],
    max_bytes: usize,
) -> Result<Bytes, Unpackable> {
    for coding in codings.iter().rev() {
        // Nothing packed is shorter than a few bytes; an empty body has no coding to take off.
        if !body.is_empty() {
            body = unpack_one(body, *coding, max_bytes).await?;
        }
    }
    Ok(body)
}

async fn unpack_one(body: Bytes, coding: Coding, max_bytes: usize) -> Result<Bytes, Unpackable> {
    let mut reader = reader(body, coding)?;
    let mut whole = Vec::new();
    loop {
        let room = (max_bytes - whole.len()).saturating_add(1).min(SLICE_BYTES);
        let read = reader
            .by_ref()
            .take(room as u64)
            .read_to_end(&mut whole)
            .map_err(|_| Unpackable::Broken)?;
        if whole.len() > max_bytes {
            return Err(Unpackable::TooLarge);
        }
        if read < room {
            return Ok(whole.into());
        }
        tokio::task::yield_now().await;
    }
}

fn reader(body: Bytes, coding: Coding) -> Result<Box<dyn Read + Send>, Unpackable> {
    Ok(match coding {
        Coding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(Cursor::new(body))),
        Coding::Deflate if has_zlib_frame(&body) => {
            Box::new(flate2::read::ZlibDecoder::new(Cursor::new(body)))
        }
        Coding::Deflate => Box::new(flate2::read::DeflateDecoder::new(Cursor::new(body))),
        Coding::Brotli => Box::new(brotli::Decompressor::new(Cursor::new(body), 8 * 1024)),
        Coding::Zstd => {
            let decoder = zstd::stream::read::Decoder::new(Cursor::new(body));
            let mut decoder = decoder.map_err(|_| Unpackable::Broken)?;
            decoder
                .window_log_max(MAX_ZSTD_WINDOW)
                .map_err(|_| Unpackable::Broken)?;
            Box::new(decoder)
        }
    })
}

/// Whether a body with the coding `deflate` has the frame of zlib around it.
fn has_zlib_frame(body: &[u8]) -> bool {
    match body {
        [first, second, ..] => {
            first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31)
        }
        _ => false,
    }
}

/// The coding that a caller likes best of those that answers can be packed with.
#[must_use]
pub fn wanted(headers: &HeaderMap) -> Option<Coding> {
    let mut any = None;
    let mut named = Vec::new();
    for value in headers.get_all(ACCEPT_ENCODING) {
        for part in value.to_str().ok()?.split(',') {
            let mut words = part.split(';').map(str::trim);
            let name = words.next().unwrap_or_default();
            let quality = quality(words);
            match (name, Coding::read(name)) {
                ("*", _) => any = Some(quality),
                (_, Some(coding)) => named.push((coding, quality)),
                _ => {}
            }
        }
    }
    let of = |coding: Coding| {
        let found = named.iter().find(|(named, _)| *named == coding);
        found.map(|(_, quality)| *quality).or(any).unwrap_or(0)
    };
    let mut best = None;
    for coding in Coding::PACKING {
        let quality = of(coding);
        if quality > best.map_or(0, |(_, quality)| quality) {
            best = Some((coding, quality));
        }
    }
    best.map(|(coding, _)| coding)
}

/// In thousandths; 1000 where nothing or nonsense is said.
fn quality<'a>(words: impl Iterator<Item = &'a str>) -> u16 {
    let mut words = words.filter_map(|word| {
        let (name, value) = word.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let said = words.next().and_then(|value| value.parse::<f32>().ok());
    match said {
        Some(share) if (0.0..=1.0).contains(&share) => (share * 1000.0) as u16,
        _ => 1000,
    }
}

/// Packs an answer.
///
/// # Errors
/// When the packer refuses, which writing to memory does not make it do.
pub async fn pack(parts: &[Bytes], coding: Coding) -> std::io::Result<Bytes> {
    let mut packer = Packer::new(coding)?;
    for slice in parts.iter().flat_map(|part| part.chunks(SLICE_BYTES)) {
        packer.write(slice)?;
        if slice.len() == SLICE_BYTES {
            tokio::task::yield_now().await;
        }
    }
    packer.finish().map(Bytes::from)
}

/// Levels that cost about as much as reading the answer from the network.
enum Packer {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Packer {
    fn new(coding: Coding) -> std::io::Result<Self> {
        Ok(match coding {
            Coding::Gzip | Coding::Deflate => {
                let level = flate2::Compression::new(4);
                Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), level))
            }
            Coding::Brotli => {
                let writer = brotli::CompressorWriter::new(Vec::new(), 4096, 4, 20);
                Self::Brotli(Box::new(writer))
            }
            Coding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 3)?),
        })
    }

    fn write(&mut self, slice: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Gzip(writer) => writer.write_all(slice),
            Self::Brotli(writer) => writer.write_all(slice),
            Self::Zstd(writer) => writer.write_all(slice),
        }
    }

    fn finish(self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Gzip(writer) => writer.finish(),
            Self::Brotli(writer) => Ok(writer.into_inner()),
            Self::Zstd(writer) => writer.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, http::HeaderValue::from_static(value))])
    }

    #[test]
    fn the_caller_gets_what_it_likes_best() {
        for (accepted, chosen) in [
            ("gzip", Some(Coding::Gzip)),
            ("gzip, br, zstd", Some(Coding::Zstd)),
            ("gzip;q=1.0, br;q=0.5", Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd)),
            ("zstd;q=0, *;q=0.1", Some(Coding::Brotli)),
            ("deflate", None),
            ("identity", None),
            ("gzip;q=0", None),
            ("gzip;Q=0.001", Some(Coding::Gzip)),
            ("", None),
        ] {
            assert_eq!(
                wanted(&headers(ACCEPT_ENCODING, accepted)),
                chosen,
                "{accepted}"
            );
        }
    }

    #[test]
    fn codings_are_read_in_their_order_and_unknown_ones_are_not_taken() {
        let read = |value| codings_of(&headers(CONTENT_ENCODING, value));
        assert_eq!(read("identity"), Ok(vec![]));
        assert_eq!(read("GZIP, br"), Ok(vec![Coding::Gzip, Coding::Brotli]));
        assert_eq!(read("compress"), Err(Unpackable::Unknown));
        assert_eq!(read("gzip, gzip, gzip"), Err(Unpackable::Unknown));
    }

    #[tokio::test]
    async fn what_is_packed_is_unpacked_and_never_larger_than_allowed() {
        let text = Bytes::from("ahoy ".repeat(100_000));
        for coding in Coding::PACKING {
            let packed = pack(std::slice::from_ref(&text), coding).await.unwrap();
            assert!(packed.len() < text.len() / 10);
            let exact = unpack(packed.clone(), &[coding], text.len()).await;
            assert_eq!(exact.as_ref(), Ok(&text));
            let less = unpack(packed.clone(), &[coding], text.len() - 1).await;
            assert_eq!(less, Err(Unpackable::TooLarge));
            let torn = packed.slice(..packed.len() / 2);
            let torn = unpack(torn, &[coding], text.len()).await;
            assert_eq!(torn, Err(Unpackable::Broken), "{coding:?}");
            let other = unpack(text.clone(), &[coding], text.len()).await;
            assert!(other.is_err(), "{coding:?}");
        }
        let twice = pack(std::slice::from_ref(&text), Coding::Gzip)
            .await
            .unwrap();
        let twice = pack(&[twice], Coding::Zstd).await.unwrap();
        let codings = [Coding::Gzip, Coding::Zstd];
        assert_eq!(unpack(twice, &codings, text.len()).await, Ok(text));
    }

    #[tokio::test]
    async fn deflate_is_taken_with_and_without_a_frame() {
        let text = b"ahoy ahoy ahoy";
        let level = flate2::Compression::fast();
        let mut framed = flate2::write::ZlibEncoder::new(Vec::new(), level);
        framed.write_all(text).unwrap();
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), level);
        bare.write_all(text).unwrap();
        for packed in [framed.finish().unwrap(), bare.finish().unwrap()] {
            let body = unpack(packed.into(), &[Coding::Deflate], 100)
                .await
                .unwrap();
            assert_eq!(&*body, text);
        }
    }

    /// Some hundred bytes that would be a gigabyte.
    #[tokio::test]
    async fn bombs_end_at_the_limit() {
        let zeros = vec![Bytes::from(vec![0; 1 << 20]); 64];
        for coding in Coding::PACKING {
            let bomb = pack(&zeros, coding).await.unwrap();
            let outcome = unpack(bomb, &[coding], 1_000_000).await;
            assert_eq!(outcome, Err(Unpackable::TooLarge));
        }
    }
}
