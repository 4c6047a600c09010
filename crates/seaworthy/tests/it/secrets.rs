//! Secrets at a manager: a key that is rotated there reaches requests without a reload, and a manager
//! that goes away costs nothing.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use crate::support::{Ship, eventually};

/// A Vault that says one thing.
struct Vault {
    address: SocketAddr,
    /// The key that it has; `None` while it is ill.
    key: Arc<Mutex<Option<&'static str>>>,
}

impl Vault {
    fn start(key: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let key = Arc::new(Mutex::new(Some(key)));
        let said = Arc::clone(&key);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut request = [0; 4096];
                let length = stream.read(&mut request).unwrap_or(0);
                let is_ours = String::from_utf8_lossy(&request[..length]).contains("own-token");
                let (status, body) = match *said.lock().unwrap() {
                    Some(key) if is_ours => (
                        200,
                        format!("{{\"data\":{{\"data\":{{\"key\":\"{key}\"}}}}}}"),
                    ),
                    Some(_) => (403, String::new()),
                    None => (503, String::new()),
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
                drop(stream.write_all(answer.as_bytes()));
            }
        });
        Self { address, key }
    }

    fn says(&self, key: Option<&'static str>) {
        *self.key.lock().unwrap() = key;
    }
}

fn configure(ship: &Ship, vault: SocketAddr, provider: SocketAddr) {
    ship.write("token", "own-token\n");
    let more = format!(
        "[providers.o]\nkind = \"openai\"\nbase_url = \"http://{provider}/v1\"\n\
         api_key = \"secret://vault/gateway#key\"\n[models.gpt]\ntargets = [\"o/gpt-real\"]\n\
         [secret_managers]\nrefresh_interval = \"1s\"\n[secret_managers.vault]\n\
         address = \"http://{vault}\"\ntoken = \"secret://file/token\"\n"
    );
    ship.configure(None, &more);
}

#[test]
fn a_key_that_is_rotated_at_its_manager_reaches_requests_without_a_reload() {
    let ship = Ship::new();
    let vault = Vault::start("old-pearl");
    let provider = ship.provider(&["--key", "old-pearl", "--key", "new-pearl"]);
    configure(&ship, vault.address, provider.address);
    let key = ship.create_key("captain", "admin");
    let server = ship.serve_config();
    let ask = || server.ask(&key, "gpt", false).status();
    let distinct_keys = || {
        let stats = crate::support::Request::new(provider.address, "GET", "/__control/stats");
        let stats = stats.send().json();
        stats["by_key"].as_object().map_or(0, serde_json::Map::len)
    };
    assert_eq!(ask(), 200);
    assert_eq!(distinct_keys(), 1);
    vault.says(Some("new-pearl"));
    eventually("requests use the new key", || {
        assert_eq!(ask(), 200);
        (distinct_keys() == 2).then_some(())
    });
    server.logged("secrets have changed");
    // The manager goes away: the last value stays, and it shows.
    vault.says(None);
    server.logged("secrets cannot be fetched again");
    assert_eq!(ask(), 200);
    let metrics = || server.get("/metrics").send().text();
    assert!(metrics().contains("seaworthy_secret_manager_up{manager=\"vault\"} 0"));
    vault.says(Some("new-pearl"));
    server.logged("secrets can be fetched again");
    let shown = ship.run(&["config", "show", "--config", "c.toml"]).stdout;
    assert!(shown.contains("secret://vault/gateway#key"), "{shown}");
    let said = server.said() + &shown + &metrics();
    assert!(!said.contains("pearl") && !said.contains("own-token"));
    server.stop();
}

#[test]
fn a_start_without_its_manager_says_so_and_ends() {
    let ship = Ship::new();
    let vault = Vault::start("old-pearl");
    configure(&ship, vault.address, vault.address);
    vault.says(None);
    let ran = ship.run(&["serve", "--config", "c.toml"]);
    assert_eq!(ran.code, Some(69), "{ran:?}");
    let words = "secret://vault/gateway#key cannot be fetched: Vault answered 503";
    assert!(ran.stderr.contains(words), "{ran:?}");
    vault.says(Some("old-pearl"));
    ship.write("token", "another\n");
    let ran = ship.run(&["serve", "--config", "c.toml"]);
    assert_eq!(ran.code, Some(78), "{ran:?}");
    assert!(
        ran.stderr.contains("we may not read this secret"),
        "{ran:?}"
    );
}
