//! Answers that are remembered from the start, and forgetting all of them.

use bytes::Bytes;
use http::{HeaderMap, Method};
use seaworthy_config::CacheScope;
use seaworthy_core::cache::Entry;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::gateway::Gateway;
use crate::routes::{self, Action, Lookup, Operation};
use crate::stage::decode::Request;
use crate::stage::recall::cached::Memory;
use crate::stage::recall::key::Asked;

/// A line of the file: a request, its answer, and whose it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    path: String,
    key: Option<String>,
    user: Option<String>,
    team: Option<String>,
    #[serde(borrow)]
    request: &'a RawValue,
    #[serde(borrow)]
    response: &'a RawValue,
}

impl Gateway {
    /// Remembers the answers of a file, one JSON object a line, and says how many.
    ///
    /// # Errors
    /// The first line that cannot be used, and why. Those before it are remembered.
    pub async fn warm_up(&self, text: &str) -> Result<usize, String> {
        let snapshot = self.snapshot();
        let Some(memory) = snapshot.cache.as_deref() else {
            return Err("nothing is remembered: `cache.enabled` is off".to_owned());
        };
        if snapshot.guards.rules.is_some() {
            return Err(
                "guards are configured, and they have not seen the answers of a file".to_owned(),
            );
        }
        let lines = text.lines().enumerate();
        let mut count = 0;
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |why: String| format!("line {}: {why}", number + 1);
            let (key, entry) = self.warm(memory, line).map_err(wrong)?;
            let kept = self.answers.keep(key, entry).await;
            kept.map_err(|error| wrong(seaworthy_core::error::chain(&error)))?;
            count += 1;
        }
        Ok(count)
    }

    fn warm(
        &self,
        memory: &Memory,
        line: &str,
    ) -> Result<(seaworthy_core::fingerprint::Fingerprint, Entry), String> {
        let line: Line<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let operation = match routes::find(&Method::POST, &line.path) {
            Lookup::Found(route, _) => match route.action {
                Action::Model(operation @ (Operation::Chat(_) | Operation::Embeddings(_))) => {
                    operation
                }
                _ => return Err(format!("answers of `{}` are not remembered", line.path)),
            },
            _ => return Err(format!("nothing is served at `{}`", line.path)),
        };
        let body = Bytes::copy_from_slice(line.request.get().as_bytes());
        let request =
            Request::understand(unsaid(operation), body).map_err(|fault| fault.message)?;
        let head = &request.head;
        if head.stream {
            return Err("a streamed request cannot be warmed up".to_owned());
        }
        let snapshot = self.snapshot();
        let model = snapshot.model(&head.model);
        let model = model.ok_or_else(|| format!("there is no model `{}`", head.model))?;
        if !matches!(
            serde_json::from_str(line.response.get()),
            Ok(Value::Object(_))
        ) {
            return Err("expected the answer as a JSON object in `response`".to_owned());
        }
        if let Operation::Chat(dialect) = operation {
            let answer = seaworthy_llm::decode_reply(dialect, line.response.get().as_bytes());
            answer
                .map_err(|fault| format!("`response` is no answer of `{}`: {fault}", line.path))?;
        }
        let owner = |name: &'static str, value: &'_ Option<String>| match value {
            Some(value) => Ok((name, value.clone())),
            None => Err(format!(
                "expected `{name}`, because `cache.scope` is \"{name}\""
            )),
        };
        let (kind, tenant) = match memory.scope {
            CacheScope::Key => owner("key", &line.key)?,
            CacheScope::User => owner("user", &line.user)?,
            CacheScope::Team => owner("team", &line.team)?,
            CacheScope::Global => ("global", String::new()),
        };
        let asked = Asked {
            tenant: (kind, &tenant),
            rules: &memory.rules,
            policy: None,
            model: &model.name,
            operation,
            stream: false,
            framing: request.framing,
            query: None,
            headers: &HeaderMap::new(),
            body: &request.received,
        };
        let said = asked.said();
        let said = said.ok_or("expected the request as a JSON object")?;
        let key = asked.key(&said);
        let now = self.clock.now();
        let entry = Entry {
            stored_at: now,
            expires_at: now.plus(memory.ttl),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: Bytes::copy_from_slice(line.response.get().as_bytes()),
        };
        Ok((key, entry))
    }

    /// Forgets all remembered answers, and says how many there were.
    pub(crate) async fn forget_answers(&self) -> seaworthy_core::store::Result<u64> {
        self.meanings.purge();
        self.answers.purge().await
    }
}

/// A request that no path says anything about.
fn unsaid(operation: Operation) -> routes::Asked {
    routes::Asked {
        operation,
        in_path: None,
        framing: seaworthy_llm::Framing::ServerSentEvents,
        query: None,
    }
}
