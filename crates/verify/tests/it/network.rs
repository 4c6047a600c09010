//! Servers over TLS and a Prometheus, each with one thing broken.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use seaworthy_verify::{Asked, Need, Options, Report, Status, catalogue};
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::files::good_files;
use super::support::{KEY, check, complaints, ids};

const HSTS: &str = "strict-transport-security: max-age=63072000; includeSubDomains\r\n";

/// A certificate of an authority of its own, and that authority as a file.
fn certificate(broken: Option<&str>) -> (rustls::ServerConfig, NamedTempFile) {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::new(Vec::new()).expect("names");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = ca.self_signed(&ca_key).expect("a certificate");
    let issuer = Issuer::new(ca, ca_key);
    let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("names");
    if broken == Some("tls.certificate-valid") {
        let soon = jiff::Zoned::now().date() + jiff::Span::new().days(4);
        let month = u8::try_from(soon.month()).expect("a month");
        let day = u8::try_from(soon.day()).expect("a day");
        leaf.not_after = date_time_ymd(i32::from(soon.year()), month, day);
    }
    let key = KeyPair::generate().expect("a key");
    let signed = leaf.signed_by(&key, &issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![signed.der().clone()], secret)
        .expect("a configuration");
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(authority.pem().as_bytes()).expect("written");
    (config, file)
}

/// Reads a request's head and answers it; the connection ends.
async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    status: u16,
    headers: &str,
    body: &str,
) {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(n) if n > 0 => head.extend_from_slice(&buffer[..n]),
            _ => return,
        }
    }
    let text = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
        body.len()
    );
    drop(stream.write_all(text.as_bytes()).await);
    drop(stream.shutdown().await);
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, broken: Option<&'static str>) {
    while let Ok((stream, _)) = listener.accept().await {
        let tls = tls.clone();
        tokio::spawn(async move { connection(stream, tls, broken).await });
    }
}

async fn connection(mut stream: TcpStream, tls: TlsAcceptor, broken: Option<&'static str>) {
    let mut start = [0; 11];
    let n = stream.peek(&mut start).await.unwrap_or_default();
    let old = start[0] == 0x16 && start[9] == 3 && start[10] < 3;
    if old && broken == Some("tls.min-version") {
        // A greeting of the server in the version that was offered.
        let hello = [0x16, 3, start[10], 0, 60, 2, 0, 0, 56, 3, start[10]];
        drop(stream.write_all(&hello).await);
        return;
    }
    if n > 0 && start[0] != 0x16 {
        let status = if broken == Some("tls.enforced") {
            200
        } else {
            400
        };
        return answer(stream, status, "", "{}").await;
    }
    if let Ok(stream) = tls.accept(stream).await {
        let headers = if broken == Some("tls.hsts") { "" } else { HSTS };
        answer(stream, 200, headers, "{\"status\": \"ok\"}").await;
    }
}

/// The place beside it without TLS, which sends everybody away.
async fn redirects(listener: TcpListener, to: SocketAddr, broken: Option<&'static str>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let place = format!("location: https://{to}/health?redirect=1\r\n");
            let status = if broken == Some("tls.http-redirect") {
                404
            } else {
                308
            };
            answer(stream, status, &place, "").await;
        });
    }
}

async fn judge(broken: Option<&'static str>, trusted: bool) -> Report {
    let (config, authority) = certificate(broken);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let beside = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, plain) = (
        listener.local_addr().expect("one"),
        beside.local_addr().expect("one"),
    );
    tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), broken));
    tokio::spawn(redirects(beside, address, broken));
    let mut options = Options::new(format!("https://{address}"));
    options.key = Some(KEY.to_owned());
    options.plain_url = Some(format!("http://{plain}"));
    options.authorities = trusted.then(|| authority.path().to_owned());
    options.asked = only(|needs| needs.contains(&Need::Network));
    check(options).await
}

fn only(fits: impl Fn(&[Need]) -> bool) -> Asked {
    let fitting = catalogue().filter(|check| fits(check.needs));
    Asked::Only(fitting.map(|check| check.id.to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_tls_turns_exactly_its_own_check_red() {
    let all: Vec<_> = catalogue()
        .filter(|c| c.needs.contains(&Need::Network))
        .map(|c| c.id)
        .collect();
    let report = judge(None, true).await;
    assert_eq!(ids(&report, Status::Pass), all, "{}", complaints(&report));
    for broken in &all {
        let report = judge(Some(broken), true).await;
        assert_eq!(
            ids(&report, Status::Fail),
            [*broken],
            "{}",
            complaints(&report)
        );
    }
    println!("sabotaged {} of {} checks of TLS", all.len(), all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_told_and_gets_no_key() {
    let report = judge(None, false).await;
    assert_eq!(
        ids(&report, Status::Fail),
        ["tls.certificate-valid"],
        "{}",
        complaints(&report)
    );
    let shown = report.results.iter().flat_map(|r| &r.evidence);
    let text: String = shown.map(|e| format!("{e:?}")).collect();
    assert!(!text.contains("authorization"), "{text}");
}

#[tokio::test]
async fn a_server_in_plain_text_on_the_network_fails_what_asks_for_tls() {
    let mut options = Options::new("http://localhost.localdomain:9");
    options.asked = only(|needs| needs.contains(&Need::Network));
    // Nobody is there: no verdict, and never a pass.
    assert!(seaworthy_verify::run(options, |_| {}).await.is_err());
}

async fn prometheus(broken: Option<&'static str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("one");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut start = [0; 40];
                let n = stream.peek(&mut start).await.unwrap_or_default();
                let path = String::from_utf8_lossy(&start[..n]).into_owned();
                let data = data(&path, broken);
                let body = format!("{{\"status\": \"success\", \"data\": {data}}}");
                answer(stream, 200, "content-type: application/json\r\n", &body).await;
            });
        }
    });
    address
}

fn data(path: &str, broken: Option<&str>) -> &'static str {
    if path.contains("/alerts") {
        return match broken {
            Some("alert.none-firing") => {
                r#"{"alerts": [{"state": "firing", "labels": {"alertname": "Down", "severity": "critical"}}]}"#
            }
            _ => r#"{"alerts": []}"#,
        };
    }
    if path.contains("/targets") {
        return match broken {
            Some("monitor.active") => {
                r#"{"activeTargets": [{"health": "down", "scrapeUrl": "http://a"}]}"#
            }
            _ => r#"{"activeTargets": [{"health": "up"}]}"#,
        };
    }
    if path.contains("/rules") {
        return r#"{"groups": [{"rules": [{"name": "Down", "health": "ok"}]}]}"#;
    }
    match broken {
        Some("dash.real-data") => r#"{"result": []}"#,
        _ => r#"{"result": [{"value": [1, "1"]}]}"#,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_that_prometheus_knows_turns_exactly_its_own_check_red() {
    let fits = |needs: &[Need]| needs.contains(&Need::Prometheus);
    let all: Vec<_> = catalogue()
        .filter(|c| fits(c.needs))
        .map(|c| c.id)
        .collect();
    let run = async |broken: Option<&'static str>| {
        let server = super::support::start(None).await;
        let mut options = super::support::options(server.address);
        options.prometheus = Some(format!("http://{}", prometheus(broken).await));
        options.manifests = Some(good_files().join("manifests"));
        options.asked = only(fits);
        check(options).await
    };
    let report = run(None).await;
    assert_eq!(ids(&report, Status::Pass), all, "{}", complaints(&report));
    for broken in &all {
        let report = run(Some(broken)).await;
        assert_eq!(
            ids(&report, Status::Fail),
            [*broken],
            "{}",
            complaints(&report)
        );
    }
    println!(
        "sabotaged {} of {} checks of Prometheus",
        all.len(),
        all.len()
    );
}
