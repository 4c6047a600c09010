//! Files: what callers send for batches, and what batches leave behind.
//!
//! The content is kept in pieces that end where lines end, so that a batch can be read one piece at
//! a time.

pub(crate) mod multipart;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::code::Code;
use seaworthy_core::fingerprint::{Fingerprint, Fingerprinter};
use seaworthy_core::objects::{Finished, Inserted, Kind, Object, Page, Part, Quota};
use seaworthy_edge::body::{Error, RequestBody};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::exchange::Exchange;
use crate::files::multipart::Field;
use crate::objects::{failed, find, listed, new_name, not_found, owner, page, parameter};
use crate::once::{self, Once};
use crate::refusal::Refusal;
use crate::reply::paged::Paged;
use crate::reply::{Answer, Content};
use crate::routes::Action;
use crate::stage::decode::unread;

/// What stands around a file in the body that brings it.
const AROUND: usize = 64 * 1024;
/// About the size of a piece.
const PIECE: usize = 1 << 20;
/// The most files that OpenAI's clients may ask for at a time.
const MOST_LISTED: usize = 10_000;
/// The only purpose that files are for here.
const BATCH: &str = "batch";
/// The purpose of what a batch leaves behind.
pub(crate) const OUTPUT: &str = "batch_output";
/// How soon a file may go.
const SHORTEST: u64 = 3_600;

/// The head of a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) filename: String,
    pub(crate) purpose: String,
}

/// The most that the body of an upload may have.
pub(crate) fn most_bytes(exchange: &Exchange) -> usize {
    let most = exchange.snapshot.loaded.config.files.max_size.bytes();
    usize::try_from(most)
        .unwrap_or(usize::MAX)
        .saturating_add(AROUND)
}

/// Reads the body of an upload.
async fn receive(exchange: &Exchange, body: RequestBody) -> Result<Bytes, Refusal> {
    match body.read().await {
        Ok(body) => Ok(body),
        Err(Error::TooLarge { .. }) => Err(too_large(exchange)),
        Err(error) => Err(unread(&error)),
    }
}

fn too_large(exchange: &Exchange) -> Refusal {
    let most = &exchange.snapshot.loaded.config.files.max_size;
    let message = format!(
        "The file is larger than `files.max_size` ({most}). Send it in several files, or have the \
         operator raise the limit."
    );
    Refusal::new(Code::RequestTooLarge, message).at("file".to_owned())
}

/// Takes a file.
pub(crate) async fn create(
    exchange: &Exchange,
    headers: &HeaderMap,
    body: RequestBody,
) -> Result<Answer, Refusal> {
    let body = receive(exchange, body).await?;
    let content_type = headers.get(http::header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let form = multipart::parse(content_type.unwrap_or_default(), &body)
        .map_err(|message| Refusal::new(Code::InvalidRequest, message))?;
    let held = match once::begin(exchange, headers, fingerprint(&form)).await? {
        Once::Known(answer) => return Ok(answer),
        Once::Held(held) => Some(held),
        Once::Pass => None,
    };
    let upload = prepare(exchange, &form)?;
    let answer = Answer::json(200, upload.answer.clone());
    store(exchange, upload, once::finished(held, &answer)).await?;
    Ok(answer)
}

/// What a form says. Clients frame it in another way each time.
fn fingerprint(form: &[Field]) -> Fingerprint {
    let mut print = Fingerprinter::default();
    print.part(b"files");
    for field in form {
        print.part(field.name.as_bytes());
        print.part(field.filename.as_deref().unwrap_or_default().as_bytes());
        print.part(&field.content);
    }
    print.finish()
}

/// A file that is about to be written down, and the answer that says so.
#[derive(Debug)]
struct Upload {
    object: Object,
    parts: Vec<Part>,
    quota: Quota,
    /// The answer.
    answer: Bytes,
}

/// Reads an upload.
fn prepare(exchange: &Exchange, form: &[Field]) -> Result<Upload, Refusal> {
    let config = &exchange.snapshot.loaded.config.files;
    let field = |name: &str| form.iter().find(|field| field.name == name);
    let text = |name: &str| {
        let content = field(name).map(|field| &field.content[..]);
        content.map(|content| String::from_utf8_lossy(content).into_owned())
    };
    let Some(file) = field("file") else {
        return Err(invalid("file", "The form has no field `file`."));
    };
    if text("purpose").as_deref() != Some(BATCH) {
        return Err(invalid(
            "purpose",
            "`purpose` has to be `batch`: files are for batches here.",
        ));
    }
    if file.content.is_empty() {
        return Err(invalid("file", "The file is empty."));
    }
    if file.content.len() as u64 > config.max_size.bytes() {
        return Err(too_large(exchange));
    }
    let mut retention: Duration = config.retention.into();
    if let Some(seconds) = text("expires_after[seconds]") {
        let seconds = seconds.parse::<u64>().ok().filter(|s| *s >= SHORTEST);
        let Some(seconds) = seconds else {
            let message = format!("`expires_after[seconds]` is a number from {SHORTEST} on.");
            return Err(invalid("expires_after", &message));
        };
        retention = retention.min(Duration::from_secs(seconds));
    }
    let filename = file.filename.clone().unwrap_or_else(|| "file".to_owned());
    let head = Head {
        filename: filename.chars().take(255).collect(),
        purpose: BATCH.to_owned(),
    };
    let now = exchange.gateway.clock.now();
    let mut object = new_object(owner(exchange), &head, (now, now.plus(retention)), false);
    object.bytes = file.content.len() as u64;
    let answer = Bytes::from(view(&object).to_string());
    Ok(Upload {
        parts: pieces(&file.content),
        quota: Quota {
            objects: config.max_per_user.get() as u64,
            bytes: config.max_total_size.bytes(),
        },
        object,
        answer,
    })
}

/// Writes an upload down.
async fn store(
    exchange: &Exchange,
    upload: Upload,
    finished: Option<Finished>,
) -> Result<(), Refusal> {
    let Upload {
        object,
        parts,
        quota,
        answer: _,
    } = upload;
    let objects = &exchange.gateway.stores.objects;
    let inserted = objects.insert(object, parts, Some(quota), finished.clone());
    if inserted.await.map_err(|error| failed(&error))? == Inserted::Done {
        return Ok(());
    }
    once::release(exchange, finished).await;
    Err(invalid(
        "file",
        "You have as many files, or as much in them, as you may (`files.max_per_user`, \
         `files.max_total_size`). Delete some.",
    ))
}

/// A file that is not written down yet. An open one is being written and nobody sees it.
pub(crate) fn new_object(
    owner: &str,
    head: &Head,
    (created_at, expires_at): (UnixMillis, UnixMillis),
    is_open: bool,
) -> Object {
    Object {
        kind: Kind::File,
        id: new_name("file-"),
        owner: owner.to_owned(),
        created_at,
        expires_at,
        is_open,
        worker: String::new(),
        // Nobody takes over the writing of a file by itself.
        lease_until: UnixMillis(i64::MAX),
        version: 0,
        bytes: 0,
        head: serde_json::to_vec(head).unwrap_or_default().into(),
    }
}

/// Answers everything but uploads.
pub(crate) async fn handle(
    exchange: &Exchange,
    action: Action,
    id: &str,
    query: Option<&str>,
) -> Result<Answer, Refusal> {
    match action {
        Action::ListFiles => list(exchange, query).await,
        Action::FileContent => content(exchange, id).await,
        Action::DeleteFile => delete(exchange, id).await,
        _ => {
            let file = found(exchange, id).await?;
            Ok(Answer::json(200, view(&file).to_string()))
        }
    }
}

/// The caller's file of this name, if it is complete.
pub(crate) async fn found(exchange: &Exchange, id: &str) -> Result<Object, Refusal> {
    let file = find(exchange, Kind::File, id).await?;
    match file.is_open {
        true => Err(not_found(Kind::File)),
        false => Ok(file),
    }
}

async fn list(exchange: &Exchange, query: Option<&str>) -> Result<Answer, Refusal> {
    let wanted = page(query, MOST_LISTED)?;
    let purpose = parameter(query, "purpose");
    let (limit, mut after) = (wanted.limit, wanted.after.clone());
    let mut files = Vec::new();
    // Files of other purposes, and those that are being written, are passed over.
    while files.len() <= limit {
        let next = Page {
            after: after.take(),
            limit: limit + 1,
            ..wanted
        };
        let gateway = &exchange.gateway;
        let objects = &gateway.stores.objects;
        let listed = objects.list(Kind::File, owner(exchange), next, gateway.clock.now());
        let listed = listed.await.map_err(|error| failed(&error))?;
        let is_last = listed.len() <= limit;
        after = listed.last().map(|last| last.id.clone());
        let fits = |file: &Object| {
            !file.is_open && purpose.is_none_or(|wanted| head(file).purpose == wanted)
        };
        files.extend(listed.into_iter().filter(fits));
        if is_last {
            break;
        }
    }
    let has_more = files.len() > limit;
    files.truncate(limit);
    let views = files.iter().map(view).collect();
    Ok(Answer::json(200, listed(views, has_more).to_string()))
}

async fn content(exchange: &Exchange, id: &str) -> Result<Answer, Refusal> {
    let file = found(exchange, id).await?;
    let paged = Paged::new(&exchange.gateway.stores.objects, &file);
    let mut answer = Answer::text(200, "application/octet-stream", Bytes::new());
    answer.content = Content::Paged(Box::new(paged));
    let no_store = HeaderValue::from_static("no-store");
    answer.headers.insert(http::header::CACHE_CONTROL, no_store);
    Ok(answer)
}

async fn delete(exchange: &Exchange, id: &str) -> Result<Answer, Refusal> {
    found(exchange, id).await?;
    let objects = &exchange.gateway.stores.objects;
    let deleted = objects.delete(Kind::File, owner(exchange), id).await;
    if !deleted.map_err(|error| failed(&error))? {
        return Err(not_found(Kind::File));
    }
    let body = json!({"id": id, "object": "file", "deleted": true});
    Ok(Answer::json(200, body.to_string()))
}

/// The head of a file.
pub(crate) fn head(file: &Object) -> Head {
    serde_json::from_slice(&file.head).unwrap_or_else(|_| Head {
        filename: String::new(),
        purpose: String::new(),
    })
}

/// A file as clients see it.
fn view(file: &Object) -> Value {
    let Head { filename, purpose } = head(file);
    json!({
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_at.seconds(),
        "expires_at": file.expires_at.seconds(),
        "filename": filename,
        "purpose": purpose,
        "status": "processed",
        "status_details": null,
    })
}

/// The content in pieces that end where lines end.
fn pieces(content: &Bytes) -> Vec<Part> {
    let mut pieces = Vec::new();
    let mut rest = content.clone();
    while !rest.is_empty() {
        let line = memchr::memchr(b'\n', rest.get(PIECE..).unwrap_or_default());
        let end = line.map_or(rest.len(), |at| PIECE + at + 1);
        pieces.push((pieces.len() as u64, rest.split_to(end)));
    }
    pieces
}

fn invalid(param: &str, message: &str) -> Refusal {
    Refusal::new(Code::InvalidRequest, message).at(param.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_cut_where_lines_end_and_nothing_is_lost() {
        let line = [vec![b'a'; PIECE / 3], vec![b'\n']].concat();
        let long = [vec![b'b'; PIECE * 2], vec![b'\n']].concat();
        for content in [
            line.repeat(10),
            long.repeat(2),
            b"x".to_vec(),
            b"x\ny".to_vec(),
        ] {
            let content = Bytes::from(content);
            let pieces = pieces(&content);
            let joined: Vec<u8> = pieces
                .iter()
                .flat_map(|(_, piece)| piece.to_vec())
                .collect();
            assert_eq!(joined, content);
            let (_, but_last) = pieces.split_last().unwrap();
            assert!(but_last.iter().all(|(_, piece)| piece.ends_with(b"\n")));
        }
    }
}
