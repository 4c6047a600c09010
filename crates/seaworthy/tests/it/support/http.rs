//! HTTP/1.1 by hand, so that nothing is hidden.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::PATIENCE;

/// A request on a connection of its own.
pub(crate) struct Request {
    address: SocketAddr,
    head: String,
    body: String,
}

/// An answer whose body is read as it comes.
pub(crate) struct Answer {
    pub(crate) status: u16,
    reader: BufReader<TcpStream>,
}

impl Request {
    pub(crate) fn new(address: SocketAddr, method: &str, path: &str) -> Self {
        Self {
            address,
            head: format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n"),
            body: String::new(),
        }
    }

    pub(crate) fn header(mut self, line: &str) -> Self {
        self.head.push_str(line);
        self.head.push_str("\r\n");
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header(&format!("authorization: Bearer {key}"))
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self.header("content-type: application/json")
    }

    /// Sends it and waits for nothing.
    pub(crate) fn begin(self) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let length = self.body.len();
        let request = format!("{}content-length: {length}\r\n\r\n{}", self.head, self.body);
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    }

    /// Waits for the head of the answer; fails when nobody answers.
    pub(crate) fn open(self) -> std::io::Result<Answer> {
        let stream = self.begin()?;
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Ok(Answer {
            status: status.unwrap_or_default(),
            reader,
        })
    }

    /// The answer of a server that has to answer.
    pub(crate) fn send(self) -> Answer {
        self.open().unwrap()
    }

    /// The status of the answer of a server that has to answer.
    pub(crate) fn status(self) -> u16 {
        self.send().status
    }
}

impl Answer {
    /// The next line of the body as it is on the wire, chunk sizes included.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line
    }

    /// Reads until a line of the body contains `needle`.
    pub(crate) fn until(&mut self, needle: &str) {
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the answer ended before {needle:?}");
            if line.contains(needle) {
                return;
            }
        }
    }

    /// The rest of the body as it is on the wire.
    pub(crate) fn text(mut self) -> String {
        let mut text = String::new();
        self.reader.read_to_string(&mut text).unwrap();
        text
    }

    /// The rest of the body, if the connection ended in good order.
    pub(crate) fn text_if_whole(mut self) -> Option<String> {
        let mut text = String::new();
        let whole = self.reader.read_to_string(&mut text);
        whole.is_ok().then_some(text)
    }

    /// The rest of the body, whatever it holds.
    pub(crate) fn lossy(mut self) -> String {
        let mut bytes = Vec::new();
        // A connection that breaks shows in what is missing.
        let _ended = self.reader.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn json(self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}
