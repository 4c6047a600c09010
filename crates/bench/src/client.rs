//! A blocking HTTP/1.1 client that costs little and keeps precise time.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use memchr::memmem;

/// The bytes of a JSON POST.
pub fn request(addr: SocketAddr, path: &str, headers: &[String], body: &str) -> Vec<u8> {
    let mut bytes = format!("POST {path} HTTP/1.1\r\nhost: {addr}\r\n");
    for header in headers {
        bytes.push_str(header);
        bytes.push_str("\r\n");
    }
    let length = body.len();
    let framing = format!("content-type: application/json\r\ncontent-length: {length}\r\n\r\n");
    bytes.push_str(&framing);
    bytes.push_str(body);
    bytes.into_bytes()
}

/// What a streamed answer looked like.
#[derive(Clone, Debug, Default)]
pub struct Streamed {
    /// Response status.
    pub status: u16,
    /// From sending the request to the first event with text.
    pub first_text: Option<Duration>,
    /// Events of any kind.
    pub events: u64,
    /// Whether the event that ends a stream was seen.
    pub finished: bool,
}

/// One keep-alive connection.
pub struct Connection {
    reader: BufReader<TcpStream>,
    line: Vec<u8>,
    body: Vec<u8>,
}

enum Length {
    Known(usize),
    Chunked,
}

impl Connection {
    /// Connects; `timeout` bounds each wait for bytes.
    pub fn open(addr: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(timeout))?;
        let reader = BufReader::with_capacity(64 << 10, stream);
        Ok(Self {
            reader,
            line: Vec::new(),
            body: Vec::new(),
        })
    }

    /// Sends a request, reads the whole answer and drops it; the status.
    pub fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        self.reader.get_mut().write_all(request)?;
        let (status, length) = self.head()?;
        match length {
            Length::Known(length) => {
                self.body.resize(length, 0);
                self.reader.read_exact(&mut self.body)?;
            }
            Length::Chunked => {
                while self.chunk()? {
                    self.body.clear();
                }
            }
        }
        self.body.clear();
        Ok(status)
    }

    /// Sends a request and reads its answer as an event stream.
    pub fn stream(&mut self, request: &[u8]) -> io::Result<Streamed> {
        let began = Instant::now();
        self.reader.get_mut().write_all(request)?;
        let (status, length) = self.head()?;
        let mut seen = Streamed {
            status,
            ..Streamed::default()
        };
        if let Length::Known(length) = length {
            self.body.resize(length, 0);
            self.reader.read_exact(&mut self.body)?;
            self.body.clear();
            return Ok(seen);
        }
        while self.chunk()? {
            let mut used = 0;
            while let Some(end) = memmem::find(&self.body[used..], b"\n\n") {
                let event = &self.body[used..used + end];
                used += end + 2;
                seen.events += 1;
                if seen.first_text.is_none() && has_text(event) {
                    seen.first_text = Some(began.elapsed());
                }
                seen.finished |= event.ends_with(b"[DONE]");
            }
            self.body.drain(..used);
        }
        self.body.clear();
        Ok(seen)
    }

    fn head(&mut self) -> io::Result<(u16, Length)> {
        self.line()?;
        let status = std::str::from_utf8(self.line.get(9..12).unwrap_or_default());
        let status = status.ok().and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("expected an HTTP status line"))?;
        let mut length = Length::Known(0);
        loop {
            self.line()?;
            if self.line.is_empty() {
                return Ok((status, length));
            }
            let line = String::from_utf8_lossy(&self.line).to_ascii_lowercase();
            match line.split_once(':') {
                Some(("content-length", value)) => {
                    length = Length::Known(value.trim().parse().map_err(io::Error::other)?);
                }
                Some(("transfer-encoding", _)) => length = Length::Chunked,
                _ => {}
            }
        }
    }

    /// Appends the next chunk to the body; false at the last one.
    fn chunk(&mut self) -> io::Result<bool> {
        self.line()?;
        let size = std::str::from_utf8(&self.line).map_err(io::Error::other)?;
        let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
        let start = self.body.len();
        self.body.resize(start + size + 2, 0);
        self.reader.read_exact(&mut self.body[start..])?;
        self.body.truncate(start + size);
        Ok(size > 0)
    }

    /// Reads a line without its end.
    fn line(&mut self) -> io::Result<()> {
        self.line.clear();
        self.reader.read_until(b'\n', &mut self.line)?;
        if !self.line.ends_with(b"\r\n") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.line.truncate(self.line.len() - 2);
        Ok(())
    }
}

/// Whether an event carries text: a chunk's `content` that is not empty.
fn has_text(event: &[u8]) -> bool {
    let start = b"\"content\":\"";
    memmem::find(event, start).is_some_and(|at| event.get(at + start.len()) != Some(&b'"'))
}
