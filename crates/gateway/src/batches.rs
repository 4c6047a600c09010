//! Batches: requests in a file, carried out as there is room, with their answers in another file.
//!
//! A batch is an object whose head says how it stands. Each of its requests leaves one part in the
//! output or the error file, which is its result and the mark that it is done: whoever goes on with
//! the batch after a restart carries out what has no part yet.

pub(crate) mod line;
mod progress;
pub(crate) mod validate;
pub(crate) mod work;

use bytes::Bytes;
use seaworthy_config::Duration as ConfigDuration;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::code::Code;
use seaworthy_core::dialect::Dialect;
use seaworthy_core::objects::{Finished, Inserted, Kind, Object, Page, Quota};
use seaworthy_core::principal::{Credential, Principal, Scopes};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::exchange::Exchange;
use crate::files;
use crate::objects::{LONGEST_PAGE, failed, find, listed, new_name, owner, page};
use crate::once;
use crate::refusal::Refusal;
use crate::reply::Answer;
use crate::routes::{Action, Operation};
use crate::stage::recall::idempotent::Held;

/// The longest and the shortest time that a batch may take.
const WINDOWS: std::ops::RangeInclusive<u64> = 60..=7 * 86_400;
/// The most labels of a batch.
const MAX_LABELS: usize = 16;
/// How often a change is tried again that another one came before.
const MAX_TRIES: usize = 8;

/// How a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Validating,
    Failed,
    InProgress,
    Finalizing,
    Completed,
    Expired,
    Cancelling,
    Cancelled,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::Failed => "failed",
            Self::InProgress => "in_progress",
            Self::Finalizing => "finalizing",
            Self::Completed => "completed",
            Self::Expired => "expired",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How many requests a batch has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) total: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
}

/// A batch as clients see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) id: String,
    object: String,
    pub(crate) endpoint: String,
    pub(crate) errors: Option<Value>,
    pub(crate) input_file_id: String,
    completion_window: String,
    pub(crate) status: Status,
    pub(crate) output_file_id: Option<String>,
    pub(crate) error_file_id: Option<String>,
    created_at: i64,
    pub(crate) in_progress_at: Option<i64>,
    pub(crate) expires_at: i64,
    pub(crate) finalizing_at: Option<i64>,
    pub(crate) completed_at: Option<i64>,
    pub(crate) failed_at: Option<i64>,
    pub(crate) expired_at: Option<i64>,
    pub(crate) cancelling_at: Option<i64>,
    pub(crate) cancelled_at: Option<i64>,
    pub(crate) request_counts: Counts,
    metadata: Option<Map<String, Value>>,
}

/// Who made a batch: its requests are this caller's, as long as its key is live.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Creator {
    /// `None` where nobody has to show a key.
    pub(crate) key_id: Option<String>,
    /// What its token was restricted to.
    pub(crate) scopes: Option<Scopes>,
    pub(crate) session: Option<String>,
    pub(crate) agent: Option<String>,
}

/// The head of a batch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) batch: Batch,
    pub(crate) creator: Creator,
    /// The files that its results are written to.
    pub(crate) output: String,
    pub(crate) errors: String,
    /// How it is going to end, once that is known.
    pub(crate) ending: Option<Ending>,
}

/// How a batch ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ending {
    pub(crate) status: Status,
    /// Why, if it failed.
    pub(crate) code: Option<String>,
}

impl Head {
    pub(crate) fn read(object: &Object) -> Option<Self> {
        serde_json::from_slice(&object.head).ok()
    }

    /// Writes down that the batch has ended.
    pub(crate) fn end(&mut self, ending: &Ending, now: UnixMillis) {
        let batch = &mut self.batch;
        batch.status = ending.status;
        let at = match ending.status {
            Status::Completed => &mut batch.completed_at,
            Status::Expired => &mut batch.expired_at,
            Status::Cancelled => &mut batch.cancelled_at,
            _ => &mut batch.failed_at,
        };
        *at = Some(now.seconds());
        if let Some(code) = &ending.code {
            let message = match code.as_str() {
                "key_not_live" => {
                    "The key that the batch was created with is not live any more, or may not call \
                     models any more."
                }
                _ => "The input file was deleted before all of its requests were carried out.",
            };
            let error = json!({"code": code, "message": message, "param": null, "line": null});
            batch.errors = Some(validate::errors(vec![error]));
        }
    }

    pub(crate) fn written(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

/// The operation behind an endpoint of batches.
pub(crate) fn operation(endpoint: &str) -> Option<Operation> {
    match endpoint {
        "/v1/chat/completions" => Some(Operation::Chat(Dialect::OpenAiChat)),
        "/v1/responses" => Some(Operation::Chat(Dialect::OpenAiResponses)),
        "/v1/embeddings" => Some(Operation::Embeddings(
            seaworthy_llm::embed::Embedding::OpenAi,
        )),
        _ => None,
    }
}

/// What `POST /v1/batches` takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    input_file_id: String,
    endpoint: String,
    completion_window: String,
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
}

/// Takes a batch.
pub(crate) async fn create(
    exchange: &Exchange,
    body: &Bytes,
    held: Option<Box<Held>>,
) -> Result<Answer, Refusal> {
    let created = prepare(exchange, body).await?;
    let answer = Answer::json(200, created.answer.clone());
    store(exchange, created, once::finished(held, &answer)).await?;
    Ok(answer)
}

/// A batch that is about to be written down, and the answer that says so.
#[derive(Debug)]
struct Created {
    object: Object,
    /// The answer.
    answer: Bytes,
}

/// Reads the wish for a batch.
async fn prepare(exchange: &Exchange, body: &Bytes) -> Result<Created, Refusal> {
    let wanted: Wanted = serde_json::from_slice(body).map_err(|error| {
        Refusal::new(
            Code::InvalidRequest,
            format!("The body is not right: {error}."),
        )
    })?;
    if operation(&wanted.endpoint).is_none() {
        let message = "`endpoint` is `/v1/chat/completions`, `/v1/responses` or `/v1/embeddings`.";
        return Err(invalid("endpoint", message));
    }
    let window: Option<ConfigDuration> =
        serde_json::from_value(Value::String(wanted.completion_window.clone())).ok();
    let window = window.map(|window| window.as_std());
    let Some(window) = window.filter(|window| WINDOWS.contains(&window.as_secs())) else {
        let message = "`completion_window` is a time from `1m` to `7d`, such as `24h`.";
        return Err(invalid("completion_window", message));
    };
    let labels = wanted.metadata.as_ref();
    if labels.is_some_and(|labels| {
        labels.len() > MAX_LABELS || labels.values().any(|value| !value.is_string())
    }) {
        let message = format!("`metadata` has at most {MAX_LABELS} members, all of them texts.");
        return Err(invalid("metadata", &message));
    }
    let creator = creator(exchange)?;
    let file = files::found(exchange, &wanted.input_file_id).await?;
    if files::head(&file).purpose != "batch" {
        let message = "The file of a batch has the purpose `batch`.";
        return Err(invalid("input_file_id", message));
    }
    let now = exchange.gateway.clock.now();
    let id = new_name("batch_");
    let batch = Batch {
        id: id.clone(),
        object: "batch".to_owned(),
        endpoint: wanted.endpoint,
        errors: None,
        input_file_id: wanted.input_file_id,
        completion_window: wanted.completion_window,
        status: Status::Validating,
        output_file_id: None,
        error_file_id: None,
        created_at: now.seconds(),
        in_progress_at: None,
        expires_at: now.plus(window).seconds(),
        finalizing_at: None,
        completed_at: None,
        failed_at: None,
        expired_at: None,
        cancelling_at: None,
        cancelled_at: None,
        request_counts: Counts::default(),
        metadata: wanted.metadata,
    };
    let answer = shown(&batch);
    let head = Head {
        batch,
        creator,
        output: new_name("file-"),
        errors: new_name("file-"),
        ending: None,
    };
    let config = &exchange.snapshot.loaded.config.batches;
    let kept_for = window + config.retention.as_std();
    let object = Object {
        kind: Kind::Batch,
        id,
        owner: owner(exchange).to_owned(),
        created_at: now,
        expires_at: now.plus(kept_for),
        is_open: true,
        worker: String::new(),
        lease_until: UnixMillis(0),
        version: 0,
        bytes: 0,
        head: head.written(),
    };
    Ok(Created { object, answer })
}

/// Only what can be verified again later can stand behind a batch.
fn creator(exchange: &Exchange) -> Result<Creator, Refusal> {
    let caller = exchange.principal.clone();
    let caller = caller.unwrap_or_else(Principal::anonymous);
    let key_id = match caller.credential {
        Credential::Key | Credential::Token => Some(caller.key_id.to_string()),
        Credential::None => None,
        Credential::Password | Credential::Jwt => {
            let message = "A batch may outlive your login: create it with an API key.";
            return Err(Refusal::new(Code::PermissionDenied, message));
        }
    };
    let is_token = caller.credential == Credential::Token;
    Ok(Creator {
        key_id,
        scopes: is_token.then(|| caller.scopes.clone()),
        session: exchange.session.as_deref().map(str::to_owned),
        agent: exchange.agent.as_deref().map(str::to_owned),
    })
}

/// Writes a batch down.
async fn store(
    exchange: &Exchange,
    created: Created,
    finished: Option<Finished>,
) -> Result<(), Refusal> {
    let gateway = &exchange.gateway;
    let most = exchange.snapshot.loaded.config.batches.max_per_user.get();
    let quota = Quota {
        objects: most as u64,
        bytes: u64::MAX,
    };
    let id = created.object.id.clone();
    let objects = &gateway.stores.objects;
    let inserted = objects.insert(created.object, Vec::new(), Some(quota), finished.clone());
    if inserted.await.map_err(|error| failed(&error))? == Inserted::Done {
        tracing::info!(batch = id, user = owner(exchange), "a batch was created");
        gateway.batches.wake();
        return Ok(());
    }
    once::release(exchange, finished).await;
    Err(invalid(
        "input_file_id",
        "You have as many batches as you may (`batches.max_per_user`). They are kept for \
         `batches.retention`.",
    ))
}

/// Answers everything but the wish for a batch.
pub(crate) async fn handle(
    exchange: &Exchange,
    action: Action,
    id: &str,
    query: Option<&str>,
) -> Result<Answer, Refusal> {
    match action {
        Action::ListBatches => list(exchange, query).await,
        Action::CancelBatch => cancel(exchange, id).await,
        _ => {
            let object = find(exchange, Kind::Batch, id).await?;
            Ok(Answer::json(200, shown(&read(&object)?.batch)))
        }
    }
}

async fn list(exchange: &Exchange, query: Option<&str>) -> Result<Answer, Refusal> {
    let wanted = page(query, LONGEST_PAGE)?;
    let limit = wanted.limit;
    let next = Page {
        limit: limit + 1,
        ..wanted
    };
    let gateway = &exchange.gateway;
    let objects = &gateway.stores.objects;
    let found = objects.list(Kind::Batch, owner(exchange), next, gateway.clock.now());
    let mut found = found.await.map_err(|error| failed(&error))?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let heads = found.iter().filter_map(Head::read);
    let views = heads.filter_map(|head| serde_json::to_value(head.batch).ok());
    Ok(Answer::json(
        200,
        listed(views.collect(), has_more).to_string(),
    ))
}

async fn cancel(exchange: &Exchange, id: &str) -> Result<Answer, Refusal> {
    let gateway = &exchange.gateway;
    for _ in 0..MAX_TRIES {
        let mut object = find(exchange, Kind::Batch, id).await?;
        let mut head = read(&object)?;
        match head.batch.status {
            Status::Validating | Status::InProgress => {}
            Status::Cancelling | Status::Cancelled => {
                return Ok(Answer::json(200, shown(&head.batch)));
            }
            ended => {
                let message = format!("A batch that is `{}` cannot be cancelled.", ended.as_str());
                let mut refusal = Refusal::new(Code::InvalidRequest, message);
                refusal.status = Some(409);
                return Err(refusal);
            }
        }
        head.batch.status = Status::Cancelling;
        head.batch.cancelling_at = Some(gateway.clock.now().seconds());
        object.head = head.written();
        let changed = gateway.stores.objects.update(object, Vec::new()).await;
        if changed.map_err(|error| failed(&error))? {
            gateway.batches.wake();
            return Ok(Answer::json(200, shown(&head.batch)));
        }
    }
    let message = "The batch changes all the time. Try again.";
    Err(Refusal::new(Code::Internal, message))
}

fn read(object: &Object) -> Result<Head, Refusal> {
    let broken = || {
        Refusal::new(
            Code::Internal,
            "The batch was stored in a form that is not known.",
        )
    };
    Head::read(object).ok_or_else(broken)
}

fn shown(batch: &Batch) -> Bytes {
    serde_json::to_vec(batch).unwrap_or_default().into()
}

fn invalid(param: &str, message: &str) -> Refusal {
    Refusal::new(Code::InvalidRequest, message).at(param.to_owned())
}
