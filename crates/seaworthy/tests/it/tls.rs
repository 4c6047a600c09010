//! TLS as clients see it: curl, OpenSSL, our own commands, and certificates that change under load.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use nix::sys::signal::Signal;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use seaworthy_edge::client::{Network, Origin, Timeouts, Trust, Upstream};

use crate::support::{Server, Ship, eventually};

/// An authority, and what it has signed.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    /// Writes a certificate for this machine, and its key.
    fn sign(&self, ship: &Ship, certificate: &str, key: &str) {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        // OpenSSL takes a certificate with the name of its authority for one that signed itself.
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        let pair = KeyPair::generate().unwrap();
        let signed = params.signed_by(&pair, &self.issuer).unwrap();
        ship.write(key, &pair.serialize_pem());
        ship.write(certificate, &signed.pem());
    }
}

const TLS: &str = "[server.tls]\ncertificate = \"tls.crt\"\nkey = \"secret://file/tls.key\"\n";

/// A ship with a certificate, its authority in `ca.pem`, and a configuration.
fn harbour(more: &str) -> (Ship, Authority) {
    let (ship, authority) = (Ship::new(), Authority::new());
    authority.sign(&ship, "tls.crt", "tls.key");
    ship.write("ca.pem", &authority.pem);
    ship.configure(None, &format!("{TLS}{more}"));
    (ship, authority)
}

/// What a program printed, and whether it was content.
fn run(ship: &Ship, program: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(ship.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), text + &errors)
}

fn curl(ship: &Ship, more: &[&str]) -> (bool, String) {
    let all = [
        &["-sS", "-i", "--cacert", "ca.pem", "--max-time", "10"],
        more,
    ]
    .concat();
    run(ship, "curl", &all)
}

fn url(server: &Server, path: &str) -> String {
    format!("https://localhost:{}{path}", server.address.port())
}

/// An address that was printed behind `words`.
fn printed(server: &Server, words: &str) -> SocketAddr {
    let line = server.printed(words);
    line.split_once("://").unwrap().1.trim().parse().unwrap()
}

#[test]
fn curl_openssl_and_our_own_commands_meet_tls() {
    let more =
        "[server.http_redirect]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
    let (ship, _) = harbour(more);
    let key = ship.create_key("captain", "admin");
    let server = ship.serve_config();
    let ready = url(&server, "/health/ready");
    for (flag, protocol) in [("--http2", "HTTP/2 200"), ("--http1.1", "HTTP/1.1 200")] {
        let (is_well, text) = curl(&ship, &[flag, &ready]);
        assert!(is_well && text.starts_with(protocol), "{text}");
        let hsts = "strict-transport-security: max-age=31536000; includeSubDomains";
        assert!(text.contains(hsts), "{text}");
    }
    let at = format!("localhost:{}", server.address.port());
    for (version, is_spoken) in [
        ("-tls1", false),
        ("-tls1_1", false),
        ("-tls1_2", true),
        ("-tls1_3", true),
    ] {
        let old = [
            "s_client",
            "-connect",
            &at,
            version,
            "-cipher",
            "ALL:@SECLEVEL=0",
        ];
        let (is_well, text) = run(&ship, "openssl", &[&old[..], &["-brief"]].concat());
        assert_eq!(is_well, is_spoken, "{version}: {text}");
    }
    // Plain HTTP at the port of TLS is told so, and sent to it from a port of its own.
    let plain = format!("http://localhost:{}/v1/models", server.address.port());
    let (_, text) = curl(&ship, &[&plain]);
    assert!(
        text.starts_with("HTTP/1.1 400 ") && text.contains("This port speaks TLS"),
        "{text}"
    );
    let redirect = printed(&server, "Plain HTTP is answered");
    let (_, text) = curl(
        &ship,
        &[&format!(
            "http://localhost:{}/v1/models?a=b",
            redirect.port()
        )],
    );
    let place = format!("location: {}", url(&server, "/v1/models?a=b"));
    assert!(
        text.starts_with("HTTP/1.1 308 ") && text.contains(&place),
        "{text}"
    );
    // The control plane is encrypted as well.
    let admin = printed(&server, "The control plane listens on https://");
    let status = format!("https://localhost:{}/admin/v1/status", admin.port());
    let bearer = format!("authorization: Bearer {key}");
    let (_, text) = curl(&ship, &["-H", &bearer, &status]);
    assert!(
        text.contains(" 200") && text.contains("strict-transport"),
        "{text}"
    );
    our_own_commands(&ship, &server, &ready, redirect);
    server.stop();
}

fn our_own_commands(ship: &Ship, server: &Server, ready: &str, redirect: SocketAddr) {
    let health = |more: &[&str]| ship.run(&[&["health", "--url", ready], more].concat()).code;
    assert_eq!(health(&["--ca", "ca.pem"]), Some(0));
    assert_eq!(health(&["--insecure"]), Some(0));
    assert_eq!(
        health(&[]),
        Some(1),
        "its authority is not one of the system's"
    );
    let (base, plain) = (
        url(server, ""),
        format!("http://localhost:{}", redirect.port()),
    );
    let ran = ship.run(&[
        "check",
        "--config",
        "c.toml",
        "--url",
        &base,
        "--ca",
        "ca.pem",
        "--plain-url",
        &plain,
        "--no-scratch",
        "--format",
        "json",
    ]);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let checks = report["results"].as_array().unwrap();
    let tls = checks
        .iter()
        .filter(|check| check["id"].as_str().unwrap().starts_with("tls."));
    let told: Vec<_> = tls
        .map(|check| (check["id"].clone(), check["status"].clone()))
        .collect();
    assert!(
        told.len() >= 4 && told.iter().all(|(_, status)| status == "pass"),
        "{told:?}"
    );
}

/// Asks over and over, with a connection for each request, until told to stop.
fn load(
    ship: &Ship,
    server: &Server,
    authorities: &str,
    stop: &Arc<AtomicBool>,
    served: &Arc<AtomicUsize>,
) -> std::thread::JoinHandle<Vec<String>> {
    let key = ship.create_key("sailor", "user");
    let trust = Trust {
        authorities: Some(authorities),
        ..Trust::default()
    };
    let network = Arc::new(Network::trusting(&trust).unwrap());
    let origin = Origin::parse(&url(server, "")).unwrap();
    let (stop, served) = (Arc::clone(stop), Arc::clone(served));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let mut failed = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                let upstream = Upstream::new(origin.clone(), Arc::clone(&network) as _, 0);
                match ask(&upstream, &key).await {
                    Ok(()) => drop(served.fetch_add(1, Ordering::SeqCst)),
                    Err(why) => failed.push(why),
                }
            }
            failed
        })
    })
}

async fn ask(upstream: &Arc<Upstream>, key: &str) -> Result<(), String> {
    let body = r#"{"model":"echo","messages":[{"role":"user","content":"Ahoy there"}]}"#;
    let request = http::Request::post("/v1/chat/completions")
        .header("host", upstream.host())
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json")
        .body(Full::from(body))
        .unwrap();
    let time = Duration::from_secs(10);
    let timeouts = Timeouts {
        connect: time,
        first_byte: time,
        first_token: None,
        between_chunks: time,
        total: time,
        deadline: None,
    };
    let answer = upstream.send(request, timeouts).await;
    let answer = answer.map_err(|error| format!("{error:?}"))?;
    let status = answer.status();
    let body = answer
        .into_body()
        .collect()
        .await
        .map_err(|error| format!("{error:?}"))?;
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    match status.as_u16() {
        200 if text.contains("Ahoy there") => Ok(()),
        status => Err(format!("{status} {text}")),
    }
}

#[test]
fn certificates_change_under_load_and_a_bad_one_changes_nothing() {
    let (ship, old) = harbour("");
    let new = Authority::new();
    let server = ship.serve_config();
    let (stop, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let both = format!("{}{}", old.pem, new.pem);
    let clients: Vec<_> = (0..2)
        .map(|_| load(&ship, &server, &both, &stop, &served))
        .collect();
    let more_pass = || {
        let before = served.load(Ordering::SeqCst);
        eventually("requests pass", || {
            (served.load(Ordering::SeqCst) >= before + 10).then_some(())
        });
    };
    let metrics = || curl(&ship, &["-k", &url(&server, "/metrics")]).1;
    let shows = |line: &str| eventually(line, || metrics().contains(line).then_some(()));
    more_pass();
    // By a change of the files alone.
    new.sign(&ship, "tls.crt", "tls.key");
    shows("seaworthy_tls_certificate_reloads_total{listener=\"server\",result=\"success\"} 1");
    more_pass();
    ship.write("tls.crt", "no certificate");
    server.logged("the certificate was not changed");
    shows("seaworthy_tls_certificate_current{listener=\"server\"} 0");
    more_pass();
    // Of another authority, and by a signal.
    old.sign(&ship, "tls.crt", "tls.key");
    server.signal(Signal::SIGHUP);
    shows("seaworthy_tls_certificate_current{listener=\"server\"} 1");
    more_pass();
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        assert_eq!(client.join().unwrap(), Vec::<String>::new());
    }
    let text = metrics();
    assert!(!text.contains("result=\"failed\""), "{text}");
    assert!(
        text.contains(
            "seaworthy_tls_certificate_not_after_timestamp_seconds{listener=\"server\"} "
        )
    );
    server.stop();
}

#[test]
fn callers_without_a_certificate_are_refused_where_one_is_required() {
    let (ship, authority) = harbour("client_ca = \"ca.pem\"\n");
    authority.sign(&ship, "me.crt", "me.key");
    let server = ship.serve_config();
    let ready = url(&server, "/health/ready");
    let (is_well, _) = curl(&ship, &[&ready]);
    assert!(!is_well);
    let (is_well, text) = curl(&ship, &["--cert", "me.crt", "--key", "me.key", &ready]);
    assert!(is_well, "{text}");
    let shown = [
        "--client-certificate",
        "me.crt",
        "--client-key",
        "me.key",
        "--ca",
        "ca.pem",
    ];
    let health = |more: &[&str]| {
        ship.run(&[&["health", "--url", &ready], more].concat())
            .code
    };
    assert_eq!(health(&shown), Some(0));
    assert_eq!(health(&["--ca", "ca.pem"]), Some(1));
    server.stop();
}

#[test]
fn a_certificate_that_cannot_be_used_ends_the_start_with_words() {
    let (ship, _) = harbour("");
    ship.write("tls.crt", "no certificate");
    let ran = ship.run(&["serve", "--config", "c.toml"]);
    assert_eq!(ran.code, Some(78));
    assert!(
        ran.stderr
            .contains("`server.tls`: expected a certificate in PEM format"),
        "{ran:?}"
    );
    std::fs::remove_file(ship.path("tls.key")).unwrap();
    let ran = ship.run(&["serve", "--config", "c.toml"]);
    assert_eq!(ran.code, Some(78));
    assert!(
        ran.stderr
            .contains("`server.tls.key`: the file tls.key of a secret cannot be read"),
        "{ran:?}"
    );
}
