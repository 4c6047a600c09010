//! Offers versions of TLS that our own library no longer speaks, to see who still takes them.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::connect::{Dial, dial_tcp};
use super::{Base, HttpError};

/// A version that should be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OldVersion {
    Tls10,
    Tls11,
}

impl OldVersion {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
        }
    }

    fn minor(self) -> u8 {
        match self {
            Self::Tls10 => 1,
            Self::Tls11 => 2,
        }
    }
}

/// Whether the server answers a greeting in this version with one of its own.
pub(crate) async fn speaks(
    base: &Base,
    version: OldVersion,
    limit: Duration,
) -> Result<bool, HttpError> {
    let broken = |e: std::io::Error| HttpError::Broken(e.to_string());
    let talk = async {
        let mut tcp = dial_tcp(base, Dial::default()).await?;
        tcp.write_all(&greeting(&base.host, version))
            .await
            .map_err(broken)?;
        let mut answer = [0_u8; 11];
        // An alert is shorter than a greeting, and a server may simply hang up.
        let read = tcp.read_exact(&mut answer).await;
        Ok(read.is_ok() && is_greeting(&answer, version))
    };
    timeout(limit, talk)
        .await
        .unwrap_or(Err(HttpError::Timeout(limit)))
}

/// A handshake record with a server's greeting in the version that was offered.
fn is_greeting(answer: &[u8; 11], version: OldVersion) -> bool {
    let [record, _, _, _, _, kind, _, _, _, major, minor] = *answer;
    record == 0x16 && kind == 2 && (major, minor) == (3, version.minor())
}

fn greeting(host: &str, version: OldVersion) -> Vec<u8> {
    /// Suites that these versions have.
    const SUITES: [u8; 14] = [
        0xC0, 0x13, 0xC0, 0x14, 0xC0, 0x09, 0xC0, 0x0A, 0x00, 0x2F, 0x00, 0x35, 0x00, 0x0A,
    ];
    let mut extensions = Vec::new();
    let name = host.as_bytes();
    if host.parse::<std::net::IpAddr>().is_err() {
        let mut list = vec![0];
        list.extend(sized(name));
        extension(&mut extensions, 0, &sized(&list));
    }
    extension(&mut extensions, 10, &sized(&[0, 23, 0, 24, 0, 29]));
    extension(&mut extensions, 11, &[1, 0]);
    let mut body = vec![3, version.minor()];
    body.extend([0x5A; 32]);
    body.push(0);
    body.extend(sized(&SUITES));
    body.extend([1, 0]);
    body.extend(sized(&extensions));
    let mut handshake = vec![1, 0];
    handshake.extend(sized(&body));
    let mut record = vec![0x16, 3, 1];
    record.extend(sized(&handshake));
    record
}

fn extension(out: &mut Vec<u8>, kind: u16, body: &[u8]) {
    out.extend(kind.to_be_bytes());
    out.extend(sized(body));
}

/// Bytes with their length in two bytes before them.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let mut out = length.to_be_bytes().to_vec();
    out.extend(bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::{OldVersion, greeting, is_greeting};

    #[test]
    fn tells_a_greeting_from_an_alert() {
        let hello = [0x16, 3, 1, 0, 60, 2, 0, 0, 56, 3, 1];
        assert!(is_greeting(&hello, OldVersion::Tls10));
        assert!(!is_greeting(&hello, OldVersion::Tls11));
        assert!(!is_greeting(
            &[0x15, 3, 1, 0, 2, 2, 70, 0, 0, 0, 0],
            OldVersion::Tls10
        ));
    }

    #[test]
    fn lengths_add_up() {
        let hello = greeting("example.com", OldVersion::Tls11);
        let length = usize::from(hello[3]) * 256 + usize::from(hello[4]);
        assert_eq!(hello.len(), 5 + length);
    }
}
