//! The beginning of a connection with TLS, bounded in time and number, and words for those who come
//! without.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::io::{NEEDS_TLS, RenderRefusal};
use crate::tls::{Acceptor, Current, Handshake};

/// How a record of a handshake begins; no request of HTTP does.
const HANDSHAKE_RECORD: u8 = 0x16;
/// How much of a plain request is taken in, so that its sender sees the answer.
const MAX_PLAIN_BYTES: usize = 64 * 1024;
/// How long the sender of a plain request may take to hang up.
const PLAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Shakes hands within the time that is allowed. Who speaks plain HTTP is told so.
pub(super) async fn shake_hands(
    stream: TcpStream,
    acceptor: &Acceptor,
    render_refusal: RenderRefusal,
) -> Option<TlsStream<TcpStream>> {
    let current = acceptor.current();
    let begun = tokio::time::timeout(current.timeout, begin(stream, &current)).await;
    let (ended, connection) = match begun {
        Ok(Ok(Begun::Tls(connection))) => (Handshake::Completed, Some(*connection)),
        Ok(Ok(Begun::Plain(stream))) => {
            acceptor.note(Handshake::PlainHttp);
            let _told = tokio::time::timeout(PLAIN_TIMEOUT, tell(stream, render_refusal)).await;
            return None;
        }
        // Somebody only looked whether the port is open.
        Ok(Ok(Begun::Gone)) => return None,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            (Handshake::Failed, None)
        }
        Err(_) => (Handshake::TimedOut, None),
    };
    acceptor.note(ended);
    connection
}

enum Begun {
    Tls(Box<TlsStream<TcpStream>>),
    Plain(TcpStream),
    Gone,
}

async fn begin(stream: TcpStream, current: &Current) -> io::Result<Begun> {
    let mut first = [0];
    // Who says nothing takes no place from those who do.
    if stream.peek(&mut first).await? == 0 {
        return Ok(Begun::Gone);
    }
    if first[0] != HANDSHAKE_RECORD {
        return Ok(Begun::Plain(stream));
    }
    let _place = current.places.acquire().await.map_err(io::Error::other)?;
    let acceptor = TlsAcceptor::from(std::sync::Arc::clone(&current.config));
    let accepted = acceptor.accept(stream).await?;
    Ok(Begun::Tls(Box::new(accepted)))
}

/// Answers a plain request. Closing with unread bytes would reset the connection before the answer
/// is read.
async fn tell(mut stream: TcpStream, render_refusal: RenderRefusal) -> io::Result<()> {
    stream.write_all(&render_refusal(NEEDS_TLS)).await?;
    stream.shutdown().await?;
    let mut ignored = [0; 4096];
    let mut taken = 0;
    while taken < MAX_PLAIN_BYTES {
        match stream.read(&mut ignored).await? {
            0 => break,
            count => taken += count,
        }
    }
    Ok(())
}
