//! A manager that says what a test wants, and a configuration that leads to it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use seaworthy_config::{
    Config, Format, Overrides, SecretRef, SecretSource as _, load_str, secret_refs,
};
use seaworthy_core::clock::ManualClock;
use seaworthy_edge::client::Network;
use seaworthy_secrets::Secrets;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A question as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Method and path.
    pub(crate) line: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// Status and body; 0 for no answer at all.
pub(crate) type Said = (u16, String);
type Script = Box<dyn FnMut(&Asked) -> Said + Send>;

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    pub(crate) async fn start(script: impl FnMut(&Asked) -> Said + Send + 'static) -> Self {
        Self::start_with(script, None).await
    }

    /// One that speaks TLS.
    pub(crate) async fn start_tls(
        script: impl FnMut(&Asked) -> Said + Send + 'static,
        tls: TlsAcceptor,
    ) -> Self {
        Self::start_with(script, Some(tls)).await
    }

    async fn start_with(
        script: impl FnMut(&Asked) -> Said + Send + 'static,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self {
            address: listener.local_addr().unwrap(),
            script: Arc::new(Mutex::new(Box::new(script))),
            asked: Arc::default(),
        };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (serving, tls) = (serving.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serving.answer(stream).await,
                        // Who does not trust us goes away.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serving.answer(stream).await;
                            }
                        }
                    }
                });
            }
        });
        fake
    }

    async fn answer(self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut text = Vec::new();
        let head = loop {
            if let Some(at) = text.windows(4).position(|end| end == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut text).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let lines = String::from_utf8(text[..head].to_vec()).unwrap();
        let headers: HashMap<String, String> = lines
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length: usize = headers
            .get("content-length")
            .map_or(0, |length| length.parse().unwrap());
        while text.len() < head + length {
            if stream.read_buf(&mut text).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let line = lines.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
        let asked = Asked {
            line: line.to_owned(),
            headers,
            body: String::from_utf8(text[head..].to_vec()).unwrap(),
        };
        let (status, body) = (self.script.lock().unwrap())(&asked);
        self.asked.lock().unwrap().push(asked);
        if status == 0 {
            std::future::pending::<()>().await;
        }
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        drop(stream.write_all(answer.as_bytes()).await);
        drop(stream.shutdown().await);
    }

    /// From now on it says something else.
    pub(crate) fn says(&self, script: impl FnMut(&Asked) -> Said + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// A provider whose key is at `reference`, and managers as `more` says.
pub(crate) fn config(reference: &str, more: &str) -> Arc<Config> {
    let text = format!(
        "[providers.p]\nkind = \"openai\"\napi_key = \"{reference}\"\n[models.m]\n\
         targets = [\"p/m\"]\n[secret_managers]\ntimeout = \"300ms\"\n{more}"
    );
    let loaded = load_str(&text, Format::Toml, "c.toml", &Overrides::default());
    loaded
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config
}

pub(crate) fn secrets() -> (Secrets, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(seaworthy_core::clock::UnixMillis(
        1_790_000_000_000,
    )));
    let environment = |name: &str| match name {
        "AWS_ACCESS_KEY_ID" => Some("AKIDEXAMPLE".to_owned()),
        "AWS_SECRET_ACCESS_KEY" | "OWN_SECRET" => Some("own-canary".to_owned()),
        _ => None,
    };
    let network = Arc::new(Network::default());
    (Secrets::new(environment, network, clock.clone()), clock)
}

/// The value of the one secret of a configuration that a manager has.
pub(crate) fn value(secrets: &Secrets, config: &Config) -> String {
    let mut references = secret_refs(config).into_iter();
    let managed = references.find(|one| matches!(one, SecretRef::Managed(_)));
    let found = secrets.resolve(&managed.unwrap()).unwrap();
    found.expose().to_owned()
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
