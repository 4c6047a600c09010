//! Every fault of a provider, whole and streamed, in each caller's dialect, with and without another
//! target: each cell has its result in `fixtures/faults.txt`, and none hangs.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Request, Ship};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/faults.txt");

/// The faults, and the statuses of results, as they are written.
struct Table {
    faults: Vec<Row>,
    /// For callers of one dialect, by fault and face.
    exceptions: HashMap<(String, String), [String; 4]>,
    /// By result and family.
    statuses: HashMap<(String, String), Vec<u16>>,
}

/// A fault, and what follows for whole answers and streams: alone, then beside a healthy target.
struct Row {
    fault: String,
    expected: [String; 4],
}

impl Table {
    fn read() -> Self {
        let text = std::fs::read_to_string(TABLE).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let (mut faults, mut exceptions) = (Vec::new(), HashMap::new());
        let (mut statuses, mut is_result) = (HashMap::new(), false);
        for line in lines.filter(|line| !line.is_empty()) {
            if line.starts_with('[') {
                is_result = line == "[results]";
            } else if is_result {
                let cells: Vec<&str> = line.split_whitespace().collect();
                let families = ["openai", "anthropic", "gemini", "cohere", "bedrock"];
                for (family, status) in families.iter().zip(&cells[1..]) {
                    let any = status.split('|').map(|status| status.parse().unwrap());
                    let result = (cells[0].to_owned(), (*family).to_owned());
                    statuses.insert(result, any.collect());
                }
            } else {
                let cells: Vec<String> = line.split('|').map(|cell| cell.trim().into()).collect();
                let [fault, expected @ ..] = <[String; 5]>::try_from(cells).unwrap();
                match fault.split_once(" @") {
                    Some((fault, face)) => {
                        exceptions.insert((fault.to_owned(), face.to_owned()), expected);
                    }
                    None => faults.push(Row { fault, expected }),
                }
            }
        }
        Self {
            faults,
            exceptions,
            statuses,
        }
    }

    fn expected(&self, fault: usize, face: &str) -> &[String; 4] {
        let row = &self.faults[fault];
        let exception = (row.fault.clone(), face.to_owned());
        self.exceptions.get(&exception).unwrap_or(&row.expected)
    }
}

/// A face of the gateway: what ends a whole stream, what tells of an error in one.
struct Face {
    name: &'static str,
    family: &'static str,
    end: &'static [&'static str],
    errors: &'static [&'static str],
}

#[rustfmt::skip]
const FACES: &[Face] = &[
    Face { name: "chat", family: "openai", end: &["data: [DONE]"], errors: &["data: {\"error\""] },
    Face { name: "responses", family: "openai", end: &["event: response.completed"], errors: &["event: response.failed", "event: error"] },
    Face { name: "messages", family: "anthropic", end: &["event: message_stop"], errors: &["event: error"] },
    Face { name: "gemini", family: "gemini", end: &["\"finishReason\""], errors: &["data: {\"error\""] },
    Face { name: "cohere", family: "cohere", end: &["message-end"], errors: &["\"finish_reason\":\"ERROR\""] },
    Face { name: "bedrock", family: "bedrock", end: &["messageStop"], errors: &["exception-type"] },
];

/// Kinds of providers, where their APIs begin, and the face of their dialect.
const KINDS: &[(&str, &str, &[&str])] = &[
    ("openai", "/v1", &["chat"]),
    ("anthropic", "", &["messages"]),
    ("gemini", "", &["gemini"]),
    ("cohere", "", &["cohere"]),
];

/// The configuration: each fault has a provider of its own of each kind, and two models.
fn config(table: &Table, provider: SocketAddr, deaf: SocketAddr) -> String {
    let mut text = "[storage]\nurl = \"memory:\"\n[auth]\nenabled = false\n\
        [server]\nmax_response_size = \"8KB\"\noverload_control = false\n[responses]\nstore = \"off\"\n\
        [resilience.retries]\nbase_delay = \"1ms\"\nbudget = \"100%\"\n\
        [resilience.circuit_breaker]\nenabled = false\n\
        [resilience.queue]\ntell_after = \"30s\"\n"
        .to_owned();
    for (kind, path, _) in KINDS {
        let mut provider_of = |name: &str, at: &str, faults: &str| {
            let _ = write!(
                text,
                "[providers.{kind}-{name}]\nkind = \"{kind}\"\nbase_url = \"http://{at}{path}\"\n\
                 api_key = \"secret://file/provider.key\"\n\
                 timeouts = {{ first_byte = \"4s\", first_token = \"4s\", between_chunks = \"4s\" }}\n\
                 [providers.{kind}-{name}.headers]\n"
            );
            if !faults.contains("answer_bytes") {
                text.push_str("x-fake-output-tokens = \"120\"\n");
            }
            for fault in faults.split(',').filter(|fault| !fault.is_empty()) {
                let (key, value) = fault.split_once('=').unwrap_or((fault, "true"));
                let _ = writeln!(text, "x-fake-{} = \"{value}\"", key.replace('_', "-"));
            }
        };
        let address = provider.to_string();
        provider_of("well", &address, "");
        for (number, row) in table.faults.iter().enumerate() {
            match row.fault.as_str() {
                // Nothing listens on the discard port.
                "refused" => provider_of(&number.to_string(), "127.0.0.1:9", ""),
                "deaf" => provider_of(&number.to_string(), &deaf.to_string(), ""),
                fault => provider_of(&number.to_string(), &address, fault),
            }
        }
        for number in 0..table.faults.len() {
            let _ = write!(
                text,
                "[models.{kind}-{number}-alone]\ntargets = [\"{kind}-{number}/m\"]\n\
                 [models.{kind}-{number}-both]\n\
                 targets = [\"{kind}-{number}/m\", \"{kind}-well/m\"]\n"
            );
        }
    }
    text
}

fn request(address: SocketAddr, face: &str, model: &str, stream: bool) -> Request {
    let post = |path: &str, body: String| Request::new(address, "POST", path).body(&body);
    let turns = "[{\"role\":\"user\",\"content\":\"Ahoy\"}]";
    let chat = format!("{{\"model\":\"{model}\",\"stream\":{stream},\"messages\":{turns}}}");
    match face {
        "chat" => post("/v1/chat/completions", chat),
        "cohere" => post("/v2/chat", chat),
        "responses" => post(
            "/v1/responses",
            format!("{{\"model\":\"{model}\",\"stream\":{stream},\"input\":\"Ahoy\"}}"),
        ),
        "messages" => post(
            "/v1/messages",
            format!(
                "{{\"model\":\"{model}\",\"stream\":{stream},\"max_tokens\":5000,\"messages\":{turns}}}"
            ),
        )
        .header("anthropic-version: 2023-06-01"),
        "bedrock" => post(
            &format!(
                "/model/{model}/{}",
                if stream { "converse-stream" } else { "converse" }
            ),
            "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"Ahoy\"}]}]}".to_owned(),
        ),
        _ => {
            let verb = match stream {
                true => "streamGenerateContent?alt=sse",
                false => "generateContent",
            };
            post(
                &format!("/v1beta/models/{model}:{verb}"),
                "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"Ahoy\"}]}]}".to_owned(),
            )
        }
    }
}

/// What a caller sees, in the words of the table; a status stands for itself.
fn seen(status: u16, text: &str, face: &Face, stream: bool) -> String {
    let has = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    match status {
        200 if !stream => "ok".to_owned(),
        200 if has(face.errors) => "broken".to_owned(),
        200 if has(face.end) => "ok".to_owned(),
        200 => "torn".to_owned(),
        status => status.to_string(),
    }
}

/// One of the requests of the matrix.
#[derive(Debug, Clone, Copy)]
struct Cell {
    face: usize,
    kind: usize,
    fault: usize,
    /// Of the table.
    column: usize,
}

fn cells(table: &Table) -> Vec<Cell> {
    let mut cells = Vec::new();
    for fault in 0..table.faults.len() {
        for (kind, (_, _, own)) in KINDS.iter().enumerate() {
            for (face, of) in FACES.iter().enumerate() {
                // Every dialect, direct and translated, with every fault; all pairs on demand.
                let is_every = std::env::var_os("SEAWORTHY_TEST_ROUNDS").is_some();
                if is_every || kind < 2 || own.contains(&of.name) {
                    cells.extend((0..4).map(|column| Cell {
                        face,
                        kind,
                        fault,
                        column,
                    }));
                }
            }
        }
    }
    cells
}

impl Cell {
    /// Sends the request; what is wrong with what came back.
    fn judge(self, table: &Table, address: SocketAddr) -> Option<String> {
        let face = &FACES[self.face];
        let (kind, _, own) = KINDS[self.kind];
        let row = &table.faults[self.fault];
        let stream = self.column % 2 == 1;
        let targets = if self.column < 2 { "alone" } else { "both" };
        let expected = &table.expected(self.fault, face.name)[self.column];
        let expected = match (expected.split_once('/'), own.contains(&face.name)) {
            (Some((direct, _)), true) => direct,
            (Some((_, translated)), false) => translated,
            (None, _) => expected,
        };
        let model = format!("{kind}-{}-{targets}", self.fault);
        let began = Instant::now();
        let (status, text) = match request(address, face.name, &model, stream).open() {
            Ok(answer) => (answer.status, answer.lossy()),
            Err(error) => (0, error.to_string()),
        };
        let found = seen(status, &text, face, stream);
        let took = began.elapsed();
        let result = (expected.to_owned(), face.family.to_owned());
        let is_right = match table.statuses.get(&result) {
            Some(any) => any.iter().any(|status| found == status.to_string()),
            None => found == expected,
        };
        (!is_right || took > Duration::from_secs(10)).then(|| {
            let shown: String = text.chars().take(300).collect();
            format!(
                "{} from {kind} with {}, {targets}, stream {stream}: expected {expected}, found \
                 {found} after {took:?}: {shown}",
                face.name, row.fault
            )
        })
    }
}

#[test]
fn every_fault_ends_as_it_is_written_in_every_dialect() {
    let table = Table::read();
    let ship = Ship::new();
    let provider = ship.provider(&[]);
    // Its connections are made by the system, and nobody reads from them.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    ship.write("provider.key", "any");
    let deaf_at = deaf.local_addr().unwrap();
    ship.write("c.toml", &config(&table, provider.address, deaf_at));
    let server = ship.serve_config();
    let (cells, next, wrong) = (cells(&table), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        // Most of the time is spent in waiting for those who do not answer.
        for _ in 0..48 {
            scope.spawn(|| {
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let complaint = cell.judge(&table, server.address);
                    wrong.lock().unwrap().extend(complaint);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {} cells:\n{}",
        wrong.len(),
        cells.len(),
        wrong.join("\n")
    );
    server.stop();
}
