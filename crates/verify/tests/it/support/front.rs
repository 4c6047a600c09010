//! Misbehaviour that a proper HTTP library refuses to show, done by hand before it sees a byte.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::handler::Server;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// Answers a connection in the wrong way when that is what is broken and it looks the part;
/// otherwise gives it back untouched.
pub(crate) async fn answer_badly(mut stream: TcpStream, server: &Server) -> Option<TcpStream> {
    let Some(answer) = bad_answer(&stream, server).await else {
        return Some(stream);
    };
    // Reads what is there, so that the client finds the answer and not a reset.
    let mut rest = vec![0; 64 * 1024];
    while timeout(Duration::from_millis(100), stream.read(&mut rest))
        .await
        .is_ok_and(|read| read.is_ok_and(|n| n > 0))
    {}
    drop(stream.write_all(&answer).await);
    // Stays open until the client leaves.
    while stream.read(&mut rest).await.is_ok_and(|n| n > 0) {}
    None
}

async fn bad_answer(stream: &TcpStream, server: &Server) -> Option<Vec<u8>> {
    let by_hand = [
        "protocol.smuggling-refused",
        "protocol.conflicting-lengths-refused",
        "protocol.garbage-is-harmless",
        "limits.long-target-is-refused",
    ];
    if !by_hand.iter().any(|id| server.breaks(id)) {
        return None;
    }
    let mut start = vec![0; 512];
    let n = stream.peek(&mut start).await.ok()?;
    let head = String::from_utf8_lossy(&start[..n]).to_ascii_lowercase();
    let lengths = head.matches("content-length:").count();
    if server.breaks("protocol.smuggling-refused")
        && lengths == 1
        && head.contains("transfer-encoding:")
    {
        return Some(OK.repeat(2));
    }
    let hit = (server.breaks("protocol.conflicting-lengths-refused") && lengths == 2)
        || (server.breaks("protocol.garbage-is-harmless") && start[0] == 0x16)
        || (server.breaks("limits.long-target-is-refused") && head.starts_with("get /health?q="));
    hit.then(|| OK.to_vec())
}
