//! Somebody between a client and a server who changes what the client says.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

/// Listens for a server and puts other words of the same length in the place of some that clients
/// send. It lasts as long as the test.
pub(crate) fn meddle(server: SocketAddr, find: &'static str, replace: &'static str) -> SocketAddr {
    assert_eq!(find.len(), replace.len());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(server).unwrap();
            let (mut answers, mut to_client) =
                (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || {
                // Either side may go at any time.
                let _gone = std::io::copy(&mut answers, &mut to_client);
                let _closed = to_client.shutdown(Shutdown::Both);
            });
            std::thread::spawn(move || carry(client, server, find, replace));
        }
    });
    address
}

fn carry(mut client: TcpStream, mut server: TcpStream, find: &str, replace: &str) {
    let mut bytes = [0; 64 * 1024];
    while let Ok(n @ 1..) = client.read(&mut bytes) {
        // Requests of the tests fit into one piece.
        let said = String::from_utf8_lossy(&bytes[..n]).replace(find, replace);
        if server.write_all(said.as_bytes()).is_err() {
            return;
        }
    }
    let _closed = server.shutdown(Shutdown::Both);
}
