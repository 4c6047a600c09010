//! What is learnt about the server before the first check: what it is, and what it serves.

use serde_json::Value;

use crate::http::{Answer, Base, Dialer, HttpError, Inspection, Protocol, Request, exchange};
use crate::options::{ModelCalls, Options};
use crate::outcome::Stop;
use crate::session::canary;

/// The server, as far as it introduces itself.
#[derive(Debug)]
pub(crate) struct Facts {
    /// It is one of ours: its metrics or its headers say so.
    pub(crate) seaworthy: bool,
    pub(crate) version: Option<String>,
    pub(crate) config_hash: Option<String>,
    /// What the TLS handshake showed.
    pub(crate) tls: Option<Inspection>,
    /// The configuration that the server says is in force.
    pub(crate) configuration: Option<Value>,
    /// What it answers to paths that nobody serves, with the key.
    pub(crate) nowhere: Nowhere,
    /// `POST /v1/chat/completions`.
    pub(crate) chat: Surface,
    /// `POST /v1/messages`.
    pub(crate) messages: Surface,
    /// Names that `GET /v1/models` lists.
    pub(crate) models: Vec<String>,
    /// The model that probes may call, or what is missing to have one.
    pub(crate) model: Result<String, String>,
}

/// The answers to paths that were made up for this run. A server that answers these like a path that
/// it serves says nothing by its answers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Nowhere {
    pub(crate) get: Option<u16>,
    pub(crate) post: Option<u16>,
}

/// Whether an API is there at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Surface {
    Served,
    /// With the fact that says so.
    Absent(String),
}

impl Surface {
    /// Ends a probe as not applicable when the API is not there.
    pub(crate) fn required(&self) -> Result<(), Stop> {
        match self {
            Self::Served => Ok(()),
            Self::Absent(why) => Err(Stop::NotApplicable { why: why.clone() }),
        }
    }
}

impl Facts {
    /// What is known of a server that is not asked.
    pub(crate) fn unknown() -> Self {
        let absent = || Surface::Absent("the server was not asked".to_owned());
        Self {
            seaworthy: false,
            version: None,
            config_hash: None,
            tls: None,
            configuration: None,
            nowhere: Nowhere::default(),
            chat: absent(),
            messages: absent(),
            models: Vec::new(),
            model: Err("a server to ask".to_owned()),
        }
    }
}

/// Asks the server what it is; an error means that it does not speak HTTP to us.
pub(crate) async fn gather(
    options: &Options,
    base: &Base,
    dialer: &Dialer,
) -> Result<Facts, HttpError> {
    let ask = async |request: Request| {
        exchange(
            dialer,
            base,
            &request,
            Protocol::Http1,
            options.request_timeout,
        )
        .await
    };
    let with_key = |request: Request| match &options.key {
        Some(key) => request.bearer(key),
        None => request,
    };
    let health = ask(Request::get("/health")).await?;
    let health_json = health.json().unwrap_or(Value::Null);

    let metrics = ask(Request::get("/metrics")).await.ok();
    let ours = |answer: &Answer| {
        answer
            .head
            .headers
            .iter()
            .any(|(name, _)| name.starts_with("x-seaworthy-"))
    };
    let metrics_are_ours = metrics.is_some_and(|answer| {
        answer.status() == 200 && answer.text().lines().any(|l| l.starts_with("seaworthy_"))
    });

    let mut config_hash = text_at(&health_json, "config_hash");
    let mut configuration = None;
    if let Some(admin_key) = &options.admin_key
        && let Ok(status) = ask(Request::get("/admin/v1/status").bearer(admin_key)).await
        && let Some(json) = status.json()
    {
        config_hash = config_hash.or_else(|| text_at(&json, "config_hash"));
        config_hash = config_hash.or_else(|| text_at(&json["config"], "hash"));
        let shown = ask(Request::get("/admin/v1/config").bearer(admin_key)).await;
        configuration = shown
            .ok()
            .filter(|answer| answer.status() == 200)
            .and_then(|a| a.json());
    }

    let path = format!("/{}", canary("no-such-"));
    let empty = || Value::Object(Default::default());
    let status = |answer: Result<Answer, HttpError>| answer.ok().map(|answer| answer.status());
    let nowhere = Nowhere {
        get: status(ask(with_key(Request::get(path.as_str()))).await),
        post: status(ask(with_key(Request::post(path.as_str()).json(&empty()))).await),
    };

    // An empty object asks for nothing: no API answers it with a model call.
    let surface = async |path: &'static str| {
        let answer = ask(with_key(Request::post(path).json(&empty())))
            .await
            .map_err(|e| e.to_string());
        judge_surface(path, answer.as_ref().map(Answer::status), nowhere)
    };
    let chat = surface("/v1/chat/completions").await;
    let messages = surface("/v1/messages").await;

    let listed = ask(with_key(Request::get("/v1/models"))).await.ok();
    let models = listed
        .and_then(|answer| answer.json())
        .map(|j| names(&j))
        .unwrap_or_default();
    let model = choose_model(options, &models);
    Ok(Facts {
        seaworthy: metrics_are_ours || ours(&health),
        version: text_at(&health_json, "version"),
        config_hash,
        tls: None,
        configuration,
        nowhere,
        chat,
        messages,
        models,
        model,
    })
}

fn judge_surface(path: &str, status: Result<u16, &String>, nowhere: Nowhere) -> Surface {
    match status {
        // Keys may be asked for before paths are looked at.
        Ok(status) if Some(status) == nowhere.post && !matches!(status, 401 | 403) => {
            Surface::Absent(format!(
                "POST {path} is not served: it answers {status}, as a path does that does not exist"
            ))
        }
        Ok(status @ (301..=308 | 404 | 405 | 501)) => {
            Surface::Absent(format!("POST {path} is not served: it answers {status}"))
        }
        Ok(_) => Surface::Served,
        Err(error) => Surface::Absent(format!("POST {path} is not served: {error}")),
    }
}

/// The identifiers of a model list, in either dialect.
fn names(list: &Value) -> Vec<String> {
    let data = list["data"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    data.iter()
        .filter_map(|model| text_at(model, "id"))
        .collect()
}

/// The model that may be called: one that costs nothing, unless the caller decided otherwise.
fn choose_model(options: &Options, listed: &[String]) -> Result<String, String> {
    const FREE: &str = "echo";
    if options.model_calls == ModelCalls::Never {
        return Err("permission to call a model: this run forbids it".to_owned());
    }
    if let Some(named) = &options.model {
        return Ok(named.clone());
    }
    if listed.iter().any(|name| name == FREE) {
        return Ok(FREE.to_owned());
    }
    match (options.model_calls, listed.first()) {
        (ModelCalls::Allow, Some(first)) => Ok(first.clone()),
        (_, Some(_)) => Err(
            "a model to call: the server lists no `echo`, and none was named for \
                             this run"
                .to_owned(),
        ),
        (_, None) => Err(
            "a model to call: the server listed none, and none was named for this run".to_owned(),
        ),
    }
}

fn text_at(json: &Value, key: &str) -> Option<String> {
    json.get(key).and_then(Value::as_str).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{Nowhere, Surface, choose_model, judge_surface};
    use crate::options::{ModelCalls, Options};

    fn options(model: Option<&str>, model_calls: ModelCalls) -> Options {
        let model = model.map(ToOwned::to_owned);
        Options {
            model,
            model_calls,
            ..Options::new("http://127.0.0.1:1")
        }
    }

    fn nowhere(status: u16) -> Nowhere {
        Nowhere {
            get: Some(status),
            post: Some(status),
        }
    }

    #[test]
    fn never_picks_a_model_that_may_cost_money_by_itself() {
        let listed = ["gpt-5".to_owned()];
        assert!(choose_model(&options(None, ModelCalls::Auto), &listed).is_err());
        assert_eq!(
            choose_model(&options(None, ModelCalls::Allow), &listed).as_deref(),
            Ok("gpt-5")
        );
        let both = ["gpt-5".to_owned(), "echo".to_owned()];
        assert_eq!(
            choose_model(&options(None, ModelCalls::Auto), &both).as_deref(),
            Ok("echo")
        );
    }

    #[test]
    fn a_named_model_wins_and_never_means_never() {
        let named = choose_model(&options(Some("mine"), ModelCalls::Auto), &[]);
        assert_eq!(named.as_deref(), Ok("mine"));
        let listed = ["echo".to_owned()];
        assert!(choose_model(&options(Some("mine"), ModelCalls::Never), &listed).is_err());
    }

    #[test]
    fn an_api_is_absent_only_when_its_path_is_unknown() {
        for status in [200, 400, 401, 403, 422, 429, 500] {
            let seen = judge_surface("/x", Ok(status), nowhere(404));
            assert_eq!(seen, Surface::Served);
        }
        for status in [302, 404, 405, 501] {
            assert!(matches!(
                judge_surface("/x", Ok(status), nowhere(404)),
                Surface::Absent(_)
            ));
        }
        for status in [200, 400, 429, 500] {
            assert!(matches!(
                judge_surface("/x", Ok(status), nowhere(status)),
                Surface::Absent(_)
            ));
        }
        assert_eq!(judge_surface("/x", Ok(401), nowhere(401)), Surface::Served);
    }
}
