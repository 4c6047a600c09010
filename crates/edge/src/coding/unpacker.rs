//! Takes codings off a body that comes in pieces, so that each event of a stream goes on at once.

use std::io::{self, Write};

use bytes::Bytes;

use super::{Coding, MAX_ZSTD_WINDOW, Unpackable, has_zlib_frame};

/// Unpacks piece by piece. Everything that comes out together is never larger than what was allowed.
pub struct Unpacker {
    /// The coding that was applied last comes first.
    layers: Vec<Layer>,
    /// How much may still come out.
    room: usize,
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker")
            .field("layers", &self.layers.len())
            .field("room", &self.room)
            .finish()
    }
}

impl Unpacker {
    /// For a body with these codings, in the order in which they were applied.
    #[must_use]
    pub fn new(codings: &[Coding], max_bytes: usize) -> Self {
        Self {
            layers: codings.iter().rev().copied().map(Layer::of).collect(),
            room: max_bytes,
        }
    }

    /// What a piece of the body brings, which may be nothing yet.
    ///
    /// # Errors
    /// When more would come out than may, or the body is not what its codings say.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Bytes, Unpackable> {
        self.pass(piece, false)
    }

    /// What is left when the body has ended.
    ///
    /// # Errors
    /// When the body ended in the middle.
    pub fn finish(&mut self) -> Result<Bytes, Unpackable> {
        self.pass(&[], true)
    }

    fn pass(&mut self, piece: &[u8], is_last: bool) -> Result<Bytes, Unpackable> {
        let mut carried = piece.to_vec();
        for layer in &mut self.layers {
            carried = layer.pass(&carried, self.room, is_last)?;
        }
        self.room = self.room.saturating_sub(carried.len());
        Ok(carried.into())
    }
}

/// Where a decoder writes to.
struct Sink {
    out: Vec<u8>,
    room: usize,
    is_full: bool,
}

impl Sink {
    fn new() -> Self {
        Self {
            out: Vec::new(),
            room: 0,
            is_full: false,
        }
    }
}

impl Write for Sink {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.out.len() + piece.len() > self.room {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.out.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One coding.
enum Layer {
    /// A body of no bytes has no coding to take off; deflate shows its frame in the first two.
    Unread(Coding, Vec<u8>),
    Gzip(flate2::write::MultiGzDecoder<Sink>),
    Zlib(flate2::write::ZlibDecoder<Sink>),
    Deflate(flate2::write::DeflateDecoder<Sink>),
    Brotli(Box<brotli::DecompressorWriter<Sink>>),
    Zstd(zstd::stream::write::Decoder<'static, Sink>),
    /// The body turned out not to be readable.
    Broken,
}

impl Layer {
    fn of(coding: Coding) -> Self {
        Self::Unread(coding, Vec::new())
    }

    fn pass(&mut self, piece: &[u8], room: usize, is_last: bool) -> Result<Vec<u8>, Unpackable> {
        if let Self::Unread(coding, begun) = self {
            begun.extend_from_slice(piece);
            match (begun.len(), is_last) {
                (0, _) | (1, false) => return Ok(Vec::new()),
                _ => {}
            }
            let begun = std::mem::take(begun);
            *self = Self::opened(*coding, &begun)?;
            return self.pass(&begun, room, is_last);
        }
        let written = self.write(piece, room, is_last);
        let sink = self.sink().ok_or(Unpackable::Broken)?;
        let (out, is_full) = (std::mem::take(&mut sink.out), sink.is_full);
        match written {
            Ok(()) => Ok(out),
            Err(_) if is_full => Err(Unpackable::TooLarge),
            Err(_) => {
                *self = Self::Broken;
                Err(Unpackable::Broken)
            }
        }
    }

    fn opened(coding: Coding, begun: &[u8]) -> Result<Self, Unpackable> {
        let sink = Sink::new();
        Ok(match coding {
            Coding::Gzip => Self::Gzip(flate2::write::MultiGzDecoder::new(sink)),
            Coding::Deflate if has_zlib_frame(begun) => {
                Self::Zlib(flate2::write::ZlibDecoder::new(sink))
            }
            Coding::Deflate => Self::Deflate(flate2::write::DeflateDecoder::new(sink)),
            Coding::Brotli => {
                Self::Brotli(Box::new(brotli::DecompressorWriter::new(sink, 8 * 1024)))
            }
            Coding::Zstd => {
                let decoder = zstd::stream::write::Decoder::new(sink);
                let mut decoder = decoder.map_err(|_| Unpackable::Broken)?;
                decoder
                    .window_log_max(MAX_ZSTD_WINDOW)
                    .map_err(|_| Unpackable::Broken)?;
                Self::Zstd(decoder)
            }
        })
    }

    fn sink(&mut self) -> Option<&mut Sink> {
        Some(match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
            Self::Brotli(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
            Self::Unread(..) | Self::Broken => return None,
        })
    }

    fn write(&mut self, piece: &[u8], room: usize, is_last: bool) -> io::Result<()> {
        if let Some(sink) = self.sink() {
            sink.room = room;
        }
        let writer: &mut dyn Write = match self {
            Self::Gzip(decoder) => decoder,
            Self::Zlib(decoder) => decoder,
            Self::Deflate(decoder) => decoder,
            Self::Brotli(decoder) => decoder,
            Self::Zstd(decoder) => decoder,
            Self::Unread(..) | Self::Broken => return Err(io::ErrorKind::InvalidData.into()),
        };
        writer.write_all(piece)?;
        // Decoders keep what they have until they are asked for it.
        writer.flush()?;
        match self {
            Self::Gzip(decoder) if is_last => decoder.try_finish(),
            Self::Zlib(decoder) if is_last => decoder.try_finish(),
            Self::Deflate(decoder) if is_last => decoder.try_finish(),
            Self::Brotli(decoder) if is_last => decoder.close(),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pack;
    use super::*;

    const CODINGS: [Coding; 3] = [Coding::Gzip, Coding::Brotli, Coding::Zstd];

    fn unpack(packed: &[u8], codings: &[Coding], size: usize) -> Result<Vec<u8>, Unpackable> {
        let mut unpacker = Unpacker::new(codings, 1 << 20);
        let mut out = Vec::new();
        for piece in packed.chunks(size) {
            out.extend_from_slice(&unpacker.feed(piece)?);
        }
        out.extend_from_slice(&unpacker.finish()?);
        Ok(out)
    }

    #[tokio::test]
    async fn a_body_in_pieces_of_any_size_is_what_it_was() {
        let text = Bytes::from("ahoy there, captain; ".repeat(50));
        for coding in CODINGS {
            let packed = pack(std::slice::from_ref(&text), coding).await.unwrap();
            let twice = pack(std::slice::from_ref(&packed), Coding::Gzip)
                .await
                .unwrap();
            for size in [1, 2, 3, 7, 100, 1 << 20] {
                assert_eq!(
                    unpack(&packed, &[coding], size).unwrap(),
                    text,
                    "{coding:?}"
                );
                let both = unpack(&twice, &[coding, Coding::Gzip], size);
                assert_eq!(both.unwrap(), text, "{coding:?}");
            }
            assert_eq!(unpack(&[], &[coding], 1).unwrap(), b"");
        }
    }

    #[test]
    fn both_kinds_of_deflate_are_read() {
        let text = "ahoy ".repeat(100);
        let level = flate2::Compression::default();
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), level);
        raw.write_all(text.as_bytes()).unwrap();
        let mut framed = flate2::write::ZlibEncoder::new(Vec::new(), level);
        framed.write_all(text.as_bytes()).unwrap();
        for packed in [raw.finish().unwrap(), framed.finish().unwrap()] {
            for size in [1, 5, 1000] {
                let out = unpack(&packed, &[Coding::Deflate], size).unwrap();
                assert_eq!(out, text.as_bytes());
            }
        }
    }

    #[test]
    fn each_flushed_piece_comes_out_at_once() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        let mut unpacker = Unpacker::new(&[Coding::Gzip], 1 << 20);
        let mut sent = 0;
        for text in ["data: one\n\n", "data: two\n\n"] {
            packer.write_all(text.as_bytes()).unwrap();
            packer.flush().unwrap();
            let out = unpacker.feed(&packer.get_ref()[sent..]).unwrap();
            assert_eq!(out, text.as_bytes());
            sent = packer.get_ref().len();
        }
    }

    #[tokio::test]
    async fn what_grows_too_large_and_what_is_broken_is_told_apart() {
        for coding in CODINGS {
            let zeros = vec![Bytes::from(vec![b' '; 1 << 20]); 4];
            let bomb = pack(&zeros, coding).await.unwrap();
            let mut unpacker = Unpacker::new(&[coding], 1 << 20);
            let first = bomb
                .chunks(1000)
                .find_map(|piece| unpacker.feed(piece).err());
            assert_eq!(first, Some(Unpackable::TooLarge), "{coding:?}");
            let broken = unpack(b"this was never packed at all", &[coding], 4);
            assert_eq!(broken, Err(Unpackable::Broken), "{coding:?}");
        }
        let text = [Bytes::from_static(b"ahoy there")];
        let packed = pack(&text, Coding::Gzip).await.unwrap();
        let half = unpack(&packed[..packed.len() - 4], &[Coding::Gzip], 4);
        assert_eq!(half, Err(Unpackable::Broken));
    }
}
