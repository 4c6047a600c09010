//! What was received and is not wanted, taken off a socket without a copy.

use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Takes at most so many bytes off a stream and says how many they were; 0 at its end.
pub(super) type Forget<T> = fn(&T, &mut Context<'_>, most: u64) -> Poll<io::Result<usize>>;

/// Linux lets go of what it received, where TCP is asked for it with this flag, and leaves the buffer as
/// it is. What does not know that writes into the buffer, to the same end.
#[cfg(target_os = "linux")]
const MSG_TRUNC: i32 = 0x20;
#[cfg(not(target_os = "linux"))]
const MSG_TRUNC: i32 = 0;

/// The most that is forgotten in one system call. Where the flag is known, this memory is not touched.
const AT_ONCE: usize = 64 << 10;

/// Forgets what a client sent.
pub(super) fn forget(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    most: u64,
) -> Poll<io::Result<usize>> {
    let most = usize::try_from(most).map_or(AT_ONCE, |most| most.min(AT_ONCE));
    let mut nowhere = [const { MaybeUninit::uninit() }; AT_ONCE];
    loop {
        ready!(stream.poll_read_ready(cx))?;
        let received = stream.try_io(Interest::READABLE, || {
            SockRef::from(stream).recv_with_flags(&mut nowhere[..most], MSG_TRUNC)
        });
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            received => return Poll::Ready(received),
        }
    }
}
