//! A Prometheus of this machine for one drill: it scrapes an instance, judges rules every second, and
//! sends alerts to a receiver that keeps them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use regex::{Captures, Regex};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::deployment::quiet;
use super::servers;
use crate::evidence::{Action, Observed};
use crate::files::yaml::{self, Node};
use crate::http::{Base, Request};
use crate::outcome::{Stop, not_verified};
use crate::scratch::free_port;
use crate::session::{Session, Started};

/// Our own rules, when the caller has none.
const OWN_RULES: &str = include_str!("../../../../deploy/prometheus/rules.yaml");

/// How long Prometheus may take to answer.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Rules with their times shortened, so that a drill does not have to wait for minutes.
pub(super) struct Rules {
    json: String,
    /// The job that they expect to be scraped.
    pub(super) job: String,
    /// Rules that alert.
    pub(super) alerts: usize,
}

impl Rules {
    /// Those of a file, or our own.
    pub(super) fn read(path: Option<&Path>) -> Result<Self, String> {
        let text = match path {
            None => OWN_RULES.to_owned(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| format!("rules at {}: {error}", path.display()))?,
        };
        Self::shorten(&text)
    }

    fn shorten(text: &str) -> Result<Self, String> {
        let documents = yaml::parse(text).map_err(|broken| {
            format!(
                "rules in YAML, and line {} is none: {}",
                broken.line, broken.why
            )
        })?;
        // As Prometheus reads them, or inside of the object of its operator.
        let groups: Vec<&Node> = documents
            .iter()
            .flat_map(|document| {
                let spec = document.get("spec").unwrap_or(document);
                spec.items_at("groups")
            })
            .collect();
        let all = || groups.iter().flat_map(|group| group.items_at("rules"));
        let alerts = all().filter(|rule| rule.get("alert").is_some()).count();
        if alerts == 0 {
            return Err("a file with rules that alert".to_owned());
        }
        let groups: Vec<Value> = groups
            .iter()
            .map(|group| {
                let rules: Vec<Value> = group.items_at("rules").iter().map(quick).collect();
                json!({"name": group.text_at("name").unwrap_or("rules"), "rules": rules})
            })
            .collect();
        let job = all()
            .filter_map(|rule| job_in(rule.text_at("expr")?))
            .next();
        Ok(Self {
            json: json!({"groups": groups}).to_string(),
            job: job.unwrap_or_else(|| "seaworthy".to_owned()),
            alerts,
        })
    }
}

/// The rule with a wait of 2 s instead of its own, and windows of 10 s.
fn quick(rule: &Node) -> Value {
    let mut quick = Map::new();
    for key in ["alert", "record"] {
        if let Some(name) = rule.text_at(key) {
            quick.insert(key.to_owned(), json!(name));
        }
    }
    let expression = rule.text_at("expr").unwrap_or_default();
    quick.insert("expr".to_owned(), json!(short_windows(expression)));
    if rule.get("for").is_some() {
        quick.insert("for".to_owned(), json!("2s"));
    }
    for key in ["labels", "annotations"] {
        let entries = rule.get(key).map_or(&[][..], Node::entries);
        let texts: Map<String, Value> = entries
            .iter()
            .filter_map(|(name, node)| Some((name.clone(), json!(node.text()?))))
            .collect();
        quick.insert(key.to_owned(), Value::Object(texts));
    }
    Value::Object(quick)
}

fn short_windows(expression: &str) -> String {
    static WINDOW: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\[(?:\d+(?:ms|[smhdwy]))+(:[^\]]*)?\]").ok());
    let short = |found: &Captures<'_>| match found.get(1) {
        None => "[10s]",
        Some(_) => "[10s:1s]",
    };
    match WINDOW.as_ref() {
        Some(window) => window.replace_all(expression, short).into_owned(),
        None => expression.to_owned(),
    }
}

fn job_in(expression: &str) -> Option<String> {
    static JOB: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"\bjob\s*=~?\s*["']([\w./-]+)"#).ok());
    Some(JOB.as_ref()?.captures(expression)?[1].to_owned())
}

/// An alert that is pending or fires.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alert {
    pub(super) name: String,
    pub(super) severity: String,
    pub(super) is_firing: bool,
}

/// The alerts that a Prometheus tells of.
pub(super) async fn alerts(prometheus: &Session<'_>) -> Result<BTreeSet<Alert>, Stop> {
    let answer = quiet(prometheus, Request::get("/api/v1/alerts")).await?;
    let json = answer.json().unwrap_or(Value::Null);
    let Some(alerts) = json["data"]["alerts"].as_array() else {
        return not_verified(format!(
            "alerts of Prometheus: /api/v1/alerts answers {}",
            answer.status()
        ));
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let read = |alert: &Value| Alert {
        name: text(&alert["labels"]["alertname"]),
        severity: text(&alert["labels"]["severity"]),
        is_firing: alert["state"] == "firing",
    };
    Ok(alerts.iter().map(read).collect())
}

/// Prometheus and what it sends alerts to.
pub(super) struct Prometheus<'a> {
    pub(super) session: Session<'a>,
    pub(super) receiver: Receiver,
    _folder: TempDir,
    _child: Child,
}

impl<'a> Prometheus<'a> {
    /// Starts it on the metrics of an instance.
    pub(super) async fn start(
        s: &Session<'a>,
        instance: &Base,
        rules: &Rules,
    ) -> Result<Self, Stop> {
        let failed = |e: std::io::Error| -> Stop { missing(format!("Prometheus: {e}")) };
        let Some(program) = servers::find("prometheus") else {
            return not_verified("Prometheus on this machine (prometheus)");
        };
        let folder = tempfile::Builder::new()
            .prefix("seaworthy-drill-")
            .tempdir()
            .map_err(failed)?;
        let receiver = Receiver::start().await.map_err(failed)?;
        let port = free_port().await.map_err(failed)?;
        let base = Base::parse(&format!("http://127.0.0.1:{port}")).map_err(missing)?;
        let config = configuration(instance, rules, &receiver);
        std::fs::write(folder.path().join("rules.json"), &rules.json).map_err(failed)?;
        std::fs::write(folder.path().join("prometheus.yaml"), config).map_err(failed)?;
        let (started, clock) = (Started::now(), Instant::now());
        let mut child = command(&program, &folder, port).spawn().map_err(failed)?;
        let session = s.of_instance(base, format!("Prometheus at port {port}"));
        while session.quiet_status("/-/ready").await != Some(200) {
            let ended = child.try_wait().ok().flatten();
            if clock.elapsed() > START_TIMEOUT || ended.is_some() {
                return not_verified("a Prometheus that starts with these rules");
            }
            sleep(Duration::from_millis(50)).await;
        }
        let argv = vec![program.display().to_string(), format!("(port {port})")];
        s.record(&started, Action::Command { argv }, Observed::default());
        Ok(Self {
            session,
            receiver,
            _folder: folder,
            _child: child,
        })
    }
}

fn configuration(instance: &Base, rules: &Rules, receiver: &Receiver) -> String {
    let config = json!({
        "global": {
            "scrape_interval": "1s", "scrape_timeout": "900ms", "evaluation_interval": "1s",
        },
        "rule_files": ["rules.json"],
        "scrape_configs": [{
            "job_name": rules.job,
            "static_configs": [{"targets": [format!("127.0.0.1:{}", instance.port)]}],
        }],
        "alerting": {"alertmanagers": [
            {"static_configs": [{"targets": [format!("127.0.0.1:{}", receiver.port)]}]},
        ]},
    });
    // JSON is YAML as well.
    config.to_string()
}

fn command(program: &PathBuf, folder: &TempDir, port: u16) -> Command {
    let folder = folder.path();
    let mut command = Command::new(program);
    command
        .arg(format!(
            "--config.file={}",
            folder.join("prometheus.yaml").display()
        ))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--log.level=error")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Stands where Alertmanager would, and keeps the names of alerts that arrive firing.
pub(super) struct Receiver {
    port: u16,
    arrived: Arc<Mutex<BTreeSet<String>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let arrived = Arc::new(Mutex::new(BTreeSet::new()));
        let kept = Arc::clone(&arrived);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                let service = service_fn(move |request| receive(request, Arc::clone(&kept)));
                let io = TokioIo::new(stream);
                let talk = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
                // A connection that breaks is made again by Prometheus.
                tokio::spawn(async move { drop(talk.await) });
            }
        });
        Ok(Self {
            port,
            arrived,
            task,
        })
    }

    /// Whether an alert has arrived.
    pub(super) fn has(&self, name: &str) -> bool {
        let arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        arrived.contains(name)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(
    request: hyper::Request<Incoming>,
    kept: Arc<Mutex<BTreeSet<String>>>,
) -> Result<hyper::Response<Full<Bytes>>, std::convert::Infallible> {
    /// More than a thousand alerts have.
    const MAX_BYTES: usize = 4 * 1024 * 1024;
    let body = Limited::new(request.into_body(), MAX_BYTES).collect().await;
    let bytes = body
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let alerts: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let names = alerts.as_array().into_iter().flatten();
    let names = names.filter_map(|alert| alert["labels"]["alertname"].as_str());
    kept.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(names.map(ToOwned::to_owned));
    Ok(hyper::Response::new(Full::new(Bytes::new())))
}

fn missing(what: String) -> Stop {
    Stop::NotVerified { missing: what }
}

#[cfg(test)]
mod tests {
    use super::{Rules, short_windows};

    #[test]
    fn times_are_shortened_and_nothing_else() {
        let own = Rules::read(None).expect("our own rules");
        assert_eq!(own.job, "seaworthy");
        assert!(own.alerts > 20, "{}", own.alerts);
        assert_eq!(
            short_windows(
                "rate(a[5m]) > 2 * max_over_time(b[1h30m:1m] offset 1d) and c{x=\"[5]\"}"
            ),
            "rate(a[10s]) > 2 * max_over_time(b[10s:1s] offset 1d) and c{x=\"[5]\"}"
        );
        let of_operator = "kind: PrometheusRule\nspec:\n  groups:\n  - name: a\n    rules:\n    \
             - {alert: Down, expr: 'up{job=\"agent\"} == 0', for: 5m, labels: {severity: page}}\n";
        let rules = Rules::shorten(of_operator).expect("rules");
        assert_eq!((rules.job.as_str(), rules.alerts), ("agent", 1));
        assert!(rules.json.contains(r#""for":"2s""#), "{}", rules.json);
        assert!(Rules::shorten("groups: []").is_err());
        assert!(Rules::shorten("a: [").is_err());
    }
}
