//! TLS towards callers: what is agreed on, who is let in, and what happens while certificates change.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use seaworthy_edge::tls::{Acceptor, Handshake, Terms};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{Running, eventually, options, read_to_end, start, within};

/// An authority, and what it has signed.
struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self {
            certificate,
            issuer,
        }
    }

    /// A certificate and its key.
    fn sign(&self) -> (String, String) {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

fn terms<'a>(pair: &'a (String, String), client_ca: Option<&'a str>) -> Terms<'a> {
    Terms {
        certificate: &pair.0,
        key: &pair.1,
        client_ca,
        is_client_certificate_optional: false,
        with_version_1_2: true,
        handshake_timeout: Duration::from_secs(5),
        max_handshakes: 10,
    }
}

/// A server with TLS, and how its handshakes ended.
struct Harbour {
    running: Running,
    acceptor: Arc<Acceptor>,
    ends: Arc<[AtomicUsize; 4]>,
}

impl Harbour {
    fn open(terms: &Terms<'_>) -> Self {
        let ends: Arc<[AtomicUsize; 4]> = Arc::default();
        let counted = Arc::clone(&ends);
        let count = move |end| {
            counted[index(end)].fetch_add(1, Ordering::SeqCst);
        };
        let acceptor = Arc::new(Acceptor::new(terms, Box::new(count)).unwrap());
        let mut options = options();
        options.tls = Some(Arc::clone(&acceptor));
        Self {
            running: start(options),
            acceptor,
            ends,
        }
    }

    fn ended(&self, end: Handshake) -> usize {
        self.ends[index(end)].load(Ordering::SeqCst)
    }

    async fn connect(&self, client: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
        connect(self.running.address, client).await
    }
}

fn index(end: Handshake) -> usize {
    match end {
        Handshake::Completed => 0,
        Handshake::Failed => 1,
        Handshake::TimedOut => 2,
        Handshake::PlainHttp => 3,
    }
}

async fn connect(
    address: std::net::SocketAddr,
    client: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::clone(client))
        .connect(name, tcp)
        .await
}

fn roots(trusted: &[&Authority]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for authority in trusted {
        let root = CertificateDer::from_pem_slice(authority.certificate.as_bytes()).unwrap();
        roots.add(root).unwrap();
    }
    roots
}

/// A client that trusts an authority, shows a certificate, and offers protocols.
fn client(
    trusted: &Authority,
    shown: Option<&(String, String)>,
    alpn: &[&str],
) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(&[trusted]));
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// Asks once and reads to the end of the answer; `None` when there is none.
async fn ask(stream: &mut TlsStream<TcpStream>) -> Option<String> {
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.ok()?;
    let mut text = Vec::new();
    while !text.ends_with(b"ahoy") {
        match stream.read_buf(&mut text).await {
            Ok(1..) => {}
            _ => return None,
        }
    }
    String::from_utf8(text).ok()
}

#[tokio::test]
async fn http_1_and_http_2_are_agreed_on_and_served() {
    let authority = Authority::new();
    let pair = authority.sign();
    let harbour = Harbour::open(&terms(&pair, None));
    for (offered, chosen) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let client = client(&authority, None, offered);
        let mut stream = harbour.connect(&client).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
        if chosen == Some(b"h2") {
            let io = hyper_util::rt::TokioIo::new(stream);
            let executor = hyper_util::rt::TokioExecutor::new();
            let (mut sender, driver) = hyper::client::conn::http2::handshake(executor, io)
                .await
                .unwrap();
            tokio::spawn(driver);
            let request = http::Request::get("https://localhost/").body(String::new());
            let answer = sender.send_request(request.unwrap()).await.unwrap();
            assert_eq!(answer.status(), 200);
        } else {
            assert!(ask(&mut stream).await.is_some());
        }
    }
    assert_eq!(harbour.ended(Handshake::Completed), 3);
    harbour.running.stop().await;
}

#[tokio::test]
async fn who_is_refused_keeps_the_connection_and_its_body_is_forgotten_to_its_last_byte() {
    let authority = Authority::new();
    let pair = authority.sign();
    let harbour = Harbour::open(&terms(&pair, None));
    harbour.running.dock.sheds.store(true, Ordering::SeqCst);
    let client = client(&authority, None, &["http/1.1"]);
    let mut stream = harbour.connect(&client).await.unwrap();
    let post = |can_wait: &str, length: usize| {
        format!(
            "POST /read HTTP/1.1\r\nhost: a\r\ncan-wait: {can_wait}\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    for length in [4, 10_000] {
        // The body comes together with what follows it on the same connection.
        let rest = format!("{}{}next", "b".repeat(length), post("no", 4));
        for (sent, ends_with) in [(post("yes", length), "later"), (rest, "next")] {
            stream.write_all(sent.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            let reading = async {
                while !answer.ends_with(ends_with.as_bytes()) {
                    assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
                }
            };
            within(5, ends_with, reading).await;
        }
    }
    harbour.running.stop().await;
}

#[tokio::test]
async fn versions_are_as_configured() {
    let authority = Authority::new();
    let pair = authority.sign();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let old = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots(&[&authority]))
        .with_no_client_auth();
    let old = Arc::new(old);
    for with_version_1_2 in [true, false] {
        let harbour = Harbour::open(&Terms {
            with_version_1_2,
            ..terms(&pair, None)
        });
        assert_eq!(harbour.connect(&old).await.is_ok(), with_version_1_2);
        let new = client(&authority, None, &[]);
        assert!(harbour.connect(&new).await.is_ok());
        harbour.running.stop().await;
    }
}

#[tokio::test]
async fn certificates_change_under_load_and_no_request_fails() {
    let (old, new) = (Authority::new(), Authority::new());
    let pairs = [old.sign(), new.sign()];
    let harbour = Harbour::open(&terms(&pairs[0], None));
    let address = harbour.running.address;
    // One connection that outlives every change, and clients that connect for each request.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let both = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(&[&old, &new]))
        .with_no_client_auth();
    let both = Arc::new(both);
    let mut lasting = harbour.connect(&both).await.unwrap();
    let served = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (both, served) = (Arc::clone(&both), Arc::clone(&served));
            tokio::spawn(async move {
                for _ in 0..25 {
                    let mut stream = connect(address, &both).await.unwrap();
                    ask(&mut stream).await.unwrap();
                    served.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for change in 1..20 {
        let at_least = change * 4;
        eventually("requests pass", || {
            served.load(Ordering::SeqCst) >= at_least
        })
        .await;
        let pair = &pairs[change % 2];
        harbour.acceptor.change(&terms(pair, None)).unwrap();
        // A pair that does not belong together changes nothing.
        let torn = (pairs[0].0.clone(), pairs[1].1.clone());
        assert!(harbour.acceptor.change(&terms(&torn, None)).is_err());
        assert!(ask(&mut lasting).await.is_some());
    }
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(served.load(Ordering::SeqCst), 100);
    assert_eq!(harbour.ended(Handshake::Failed), 0);
    // The last certificate is the one that is shown now.
    assert!(harbour.connect(&client(&new, None, &[])).await.is_ok());
    assert!(harbour.connect(&client(&old, None, &[])).await.is_err());
    drop(lasting);
    harbour.running.stop().await;
}

#[tokio::test]
async fn callers_show_a_certificate_where_they_have_to() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let pair = authority.sign();
    let (right, wrong) = (authority.sign(), stranger.sign());
    for is_client_certificate_optional in [false, true] {
        let harbour = Harbour::open(&Terms {
            is_client_certificate_optional,
            ..terms(&pair, Some(&authority.certificate))
        });
        for (shown, is_served) in [
            (None, is_client_certificate_optional),
            (Some(&right), true),
            (Some(&wrong), false),
        ] {
            let client = client(&authority, shown, &[]);
            // With TLS 1.3 the refusal comes after the client's side of the handshake.
            let answer = match harbour.connect(&client).await {
                Ok(mut stream) => ask(&mut stream).await,
                Err(_) => None,
            };
            assert_eq!(
                answer.is_some(),
                is_served,
                "{is_client_certificate_optional}"
            );
        }
        harbour.running.stop().await;
    }
}

#[tokio::test]
async fn slow_handshakes_end_and_leave_room_for_others() {
    let authority = Authority::new();
    let pair = authority.sign();
    let harbour = Harbour::open(&Terms {
        handshake_timeout: Duration::from_millis(400),
        max_handshakes: 1,
        ..terms(&pair, None)
    });
    let started = Instant::now();
    // The one place is taken by somebody who stops in the middle; those who say nothing take none.
    let mut silent = harbour.running.connect().await;
    let mut slow = harbour.running.connect().await;
    slow.write_all(&[0x16, 3, 1, 0, 200, 1]).await.unwrap();
    assert_eq!(read_to_end(&mut slow).await, "");
    assert_eq!(read_to_end(&mut silent).await, "");
    assert!(started.elapsed() < Duration::from_secs(3));
    // They are counted after their connections are closed.
    eventually("both are counted", || {
        harbour.ended(Handshake::TimedOut) == 2
    })
    .await;
    let client = client(&authority, None, &[]);
    let mut stream = harbour.connect(&client).await.unwrap();
    assert!(ask(&mut stream).await.is_some());
    drop(stream);
    // A drain does not wait for a handshake.
    let _late = harbour.running.connect().await;
    within(5, "the server stops", harbour.running.stop()).await;
}

#[tokio::test]
async fn plain_http_is_told_that_this_is_tls() {
    let authority = Authority::new();
    let pair = authority.sign();
    let harbour = Harbour::open(&terms(&pair, None));
    let answer = harbour.running.get("/").await;
    assert!(answer.ends_with("{\"refused\":0}"), "{answer}");
    eventually("it is counted", || harbour.ended(Handshake::PlainHttp) == 1).await;
    harbour.running.stop().await;
}

#[test]
fn terms_that_cannot_be_used_say_why() {
    let authority = Authority::new();
    let (one, other) = (authority.sign(), authority.sign());
    let why = |certificate: &str, key: &str, client_ca: Option<&str>| {
        let pair = (certificate.to_owned(), key.to_owned());
        let acceptor = Acceptor::new(&terms(&pair, client_ca), Box::new(|_| {}));
        acceptor.unwrap_err().to_string()
    };
    assert!(why("", &one.1, None).contains("`certificate`, found none"));
    assert!(why(&one.0, &one.0, None).contains("`key`, found none"));
    assert!(why(&one.0, &other.1, None).contains("cannot be used together"));
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    assert!(why(broken, &one.1, None).contains("something else"));
    assert!(why(&one.0, &one.1, Some("")).contains("client_ca"));
}
