//! A path of the network that can be cut: TCP, byte for byte, until it is told to hold.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A path to a port of the loopback; it ends when dropped.
pub(super) struct Path {
    pub(super) port: u16,
    is_cut: watch::Sender<bool>,
    listener: JoinHandle<()>,
}

impl Path {
    pub(super) async fn to(port: u16) -> std::io::Result<Self> {
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        let own = socket.local_addr()?.port();
        let (is_cut, cut) = watch::channel(false);
        let listener = tokio::spawn(async move {
            while let Ok((from, _)) = socket.accept().await {
                let cut = cut.clone();
                tokio::spawn(async move {
                    let Ok(to) = TcpStream::connect(("127.0.0.1", port)).await else {
                        return;
                    };
                    let ((a, b), (c, d)) = (from.into_split(), to.into_split());
                    let (there, back) = (carry(a, d, cut.clone()), carry(c, b, cut));
                    tokio::join!(there, back);
                });
            }
        });
        Ok(Self {
            port: own,
            is_cut,
            listener,
        })
    }

    /// Holds every byte in both directions; connections stay open, as over a dead cable.
    pub(super) fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// Lets bytes pass again, those that were held as well.
    pub(super) fn join(&self) {
        self.is_cut.send_replace(false);
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut cut: watch::Receiver<bool>) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut bytes).await {
        // The path itself is gone when this fails.
        if cut.wait_for(|cut| !*cut).await.is_err() || to.write_all(&bytes[..n]).await.is_err() {
            return;
        }
    }
    let _closed = to.shutdown().await;
}
