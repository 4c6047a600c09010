//! As much of an HTTP/1.1 client as a crowd needs: one answer at a time on a connection.

use std::io;
use std::net::SocketAddr;

use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What came back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether it says when to come back.
    pub(crate) says_when: bool,
    /// Whether a stream was whole, or there was none.
    pub(crate) is_whole: bool,
    is_last: bool,
}

/// An open connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

enum Length {
    Known(usize),
    Chunked,
}

impl Connection {
    pub(crate) async fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Sends a request and reads the whole answer. Gives the connection back if it can be used again.
    pub(crate) async fn exchange(mut self, request: &[u8]) -> io::Result<(Answer, Option<Self>)> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let end = loop {
            if let Some(at) = memmem::find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let (mut answer, length) = head(&self.buffer[..end])?;
        match length {
            Length::Known(length) => {
                while self.buffer.len() < end + length {
                    self.more().await?;
                }
            }
            Length::Chunked => {
                while !self.buffer.ends_with(b"\r\n0\r\n\r\n") {
                    // The last bytes are enough to see the end.
                    let spare = self.buffer.len().saturating_sub(64 << 10);
                    self.buffer.drain(..spare);
                    self.more().await?;
                }
                answer.is_whole = memmem::rfind(&self.buffer, b"[DONE]").is_some();
            }
        }
        Ok((answer, (!answer.is_last).then_some(self)))
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn head(bytes: &[u8]) -> io::Result<(Answer, Length)> {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let status = text.get(9..12).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("expected an HTTP status line"))?;
    let value = |name: &str| {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(found, _)| *found == name);
        values.next().map(|(_, value)| value.trim())
    };
    let length = match value("content-length").map(str::parse) {
        Some(length) => Length::Known(length.map_err(io::Error::other)?),
        None => Length::Chunked,
    };
    let answer = Answer {
        status,
        says_when: value("retry-after").is_some(),
        is_whole: true,
        is_last: value("connection") == Some("close"),
    };
    Ok((answer, length))
}
