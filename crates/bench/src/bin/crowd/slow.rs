//! Clients that read or send a few bytes a second, each on a connection of its own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use seaworthy_bench::client::request;
use seaworthy_bench::payload;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// Options of `crowd slow`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The gateway
    #[arg(long)]
    addr: SocketAddr,
    #[arg(long, default_value = "fake-gpt")]
    model: String,
    /// More request headers, `name: value`
    #[arg(long = "header")]
    headers: Vec<String>,
    /// Clients that read a long stream slowly
    #[arg(long, default_value_t = 1_000)]
    readers: usize,
    /// Clients that send a body slowly
    #[arg(long, default_value_t = 1_000)]
    senders: usize,
    /// How long
    #[arg(long, default_value_t = 20.0)]
    seconds: f64,
    /// How large an answer readers ask for
    #[arg(long, default_value_t = 512 << 10)]
    answer_bytes: usize,
}

/// A small window, so that what is not read stays at the server.
const WINDOW_BYTES: u32 = 4096;
/// How often a few bytes are read or sent.
const EACH: Duration = Duration::from_millis(500);

/// How a client ended: open until the end, or closed by the gateway.
struct Ended {
    was_closed: bool,
    after: Duration,
    bytes: usize,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<Value> {
    let directive = format!("answer_bytes={},chunks=2000", args.answer_bytes);
    let body = payload::chat(&args.model, 512, true, Some(&directive));
    let whole = request(args.addr, "/v1/chat/completions", &args.headers, &body);
    let until = Instant::now() + Duration::from_secs_f64(args.seconds);
    let (mut readers, mut senders) = (JoinSet::new(), JoinSet::new());
    for _ in 0..args.readers {
        readers.spawn(read_slowly(args.addr, whole.clone(), until));
    }
    for _ in 0..args.senders {
        senders.spawn(send_slowly(args.addr, whole.clone(), until));
    }
    let readers = summary(readers).await;
    let senders = summary(senders).await;
    Ok(json!({"readers": readers, "senders": senders}))
}

async fn connect(addr: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(WINDOW_BYTES)?;
    socket.connect(addr).await
}

async fn read_slowly(addr: SocketAddr, request: Vec<u8>, until: Instant) -> std::io::Result<Ended> {
    let mut stream = connect(addr).await?;
    let began = Instant::now();
    stream.write_all(&request).await?;
    let (mut bytes, mut few) = (0, [0; 64]);
    while Instant::now() < until {
        match stream.read(&mut few).await {
            Ok(0) | Err(_) => return Ok(ended(true, began, bytes)),
            Ok(read) => bytes += read,
        }
        tokio::time::sleep(EACH).await;
    }
    Ok(ended(false, began, bytes))
}

async fn send_slowly(addr: SocketAddr, request: Vec<u8>, until: Instant) -> std::io::Result<Ended> {
    let mut stream = connect(addr).await?;
    let began = Instant::now();
    let head = memchr::memmem::find(&request, b"\r\n\r\n").map_or(0, |at| at + 4);
    stream.write_all(&request[..head]).await?;
    let mut rest = request[head..].iter();
    let mut answer = [0; 64];
    while Instant::now() < until {
        let Some(byte) = rest.next() else { break };
        if stream.write_all(&[*byte]).await.is_err() {
            return Ok(ended(true, began, head));
        }
        tokio::select! {
            read = stream.read(&mut answer) => {
                let read = read.unwrap_or(0);
                return Ok(ended(true, began, read));
            }
            () = tokio::time::sleep(EACH) => {}
        }
    }
    Ok(ended(false, began, 0))
}

fn ended(was_closed: bool, began: Instant, bytes: usize) -> Ended {
    Ended {
        was_closed,
        after: began.elapsed(),
        bytes,
    }
}

async fn summary(mut clients: JoinSet<std::io::Result<Ended>>) -> Value {
    let (mut open, mut closed, mut refused, mut bytes) = (0, 0, 0, 0);
    let mut longest = Duration::ZERO;
    while let Some(client) = clients.join_next().await {
        match client {
            Ok(Ok(ended)) if ended.was_closed => {
                closed += 1;
                longest = longest.max(ended.after);
                bytes += ended.bytes;
            }
            Ok(Ok(ended)) => {
                open += 1;
                bytes += ended.bytes;
            }
            _ => refused += 1,
        }
    }
    json!({
        "open_to_the_end": open,
        "closed": closed,
        "closed_after_seconds_at_most": longest.as_secs_f64(),
        "not_connected": refused,
        "bytes": bytes,
    })
}
