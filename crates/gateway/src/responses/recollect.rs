//! Is it the next turn of a stored conversation? Its earlier turns are put in front of it, and what
//! it takes to store the answer is put together.

use bytes::Bytes;
use seaworthy_config::ResponseStore;
use seaworthy_core::code::Code;
use seaworthy_core::dialect::Dialect;
use seaworthy_core::objects::Kind;
use seaworthy_core::principal::Principal;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::keeping::Keeping;
use super::{INPUT, OUTPUT, dress};
use crate::exchange::Exchange;
use crate::objects::{failed, new_name};
use crate::refusal::Refusal;
use crate::routes::Operation;
use crate::stage::decode::Request;

/// Puts the earlier turns of a conversation into a request, and says how its answer is kept; `None`
/// if it is not.
pub(crate) async fn recollect(
    exchange: &Exchange,
    caller: &Principal,
    request: &mut Request,
) -> Result<Option<Box<Keeping>>, Refusal> {
    if !matches!(
        request.operation,
        Operation::Chat(Dialect::OpenAiResponses)
            | Operation::CountTokens(Dialect::OpenAiResponses)
    ) {
        return Ok(None);
    }
    // The way of most requests should not carry the weight of this one.
    Box::pin(prepare(exchange, caller, request)).await
}

async fn prepare(
    exchange: &Exchange,
    caller: &Principal,
    request: &mut Request,
) -> Result<Option<Box<Keeping>>, Refusal> {
    let config = &exchange.snapshot.loaded.config.responses;
    let head = &request.head;
    // To count what would be read is all that is asked, and nothing is answered that could be kept.
    let is_answered = matches!(request.operation, Operation::Chat(_));
    let previous = head.previous_response_id.clone();
    let is_background = is_answered && head.background;
    let is_stored = is_answered && config.store == ResponseStore::On && head.store != Some(false);
    if config.store == ResponseStore::Off && (previous.is_some() || is_background) {
        return Err(not_stored(previous.is_some()));
    }
    if is_background && !is_stored {
        let message = "A response in the background is one that you come back for: it has to be \
                       stored. Leave out `\"store\": false`.";
        return Err(Refusal::new(Code::InvalidRequest, message).at("background".to_owned()));
    }
    if !is_stored && previous.is_none() {
        return Ok(None);
    }
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let history = match &previous {
        Some(id) => Some(turns(exchange, caller, id).await?),
        None => None,
    };
    let input = conversation(history.as_deref(), &request.body)?;
    let most = config.max_size.bytes();
    if input.len() as u64 > most {
        let message = format!(
            "The conversation has {} bytes with its earlier turns; at most {most} are stored. Begin \
             a new one, or have the operator raise `responses.max_size`.",
            input.len()
        );
        return Err(Refusal::new(Code::InvalidRequest, message).at("input".to_owned()));
    }
    if history.is_some() || is_background {
        request.replace_body(composed(&request.body, &input)?)?;
    }
    let model = request.head.model.clone();
    Ok(is_stored.then(|| {
        Box::new(Keeping {
            id: new_name("resp_"),
            owner: caller.user_id.clone(),
            previous,
            model,
            settings: dress::settings(&body),
            input,
            is_background,
            retention: config.retention.into(),
        })
    }))
}

/// The items of a stored conversation and of the response to it.
async fn turns(
    exchange: &Exchange,
    caller: &Principal,
    id: &str,
) -> Result<Vec<Box<RawValue>>, Refusal> {
    let gateway = &exchange.gateway;
    let objects = &gateway.stores.objects;
    let found = objects.get(Kind::Response, id, gateway.clock.now()).await;
    let found = found.map_err(|error| failed(&error))?;
    let Some(object) = found.filter(|object| object.owner == *caller.user_id) else {
        return Err(unknown(id));
    };
    let parts = objects.parts(id, INPUT, u64::MAX).await;
    let parts = parts.map_err(|error| failed(&error))?;
    let part = |wanted| {
        let mut parts = parts.iter();
        parts.find(|(number, _)| *number == wanted)
    };
    let (Some((_, input)), Some((_, output))) = (part(INPUT), part(OUTPUT)) else {
        return Err(unknown(id));
    };
    let response: Value = serde_json::from_slice(output).unwrap_or_default();
    let status = response["status"].as_str().unwrap_or_default();
    if object.is_open || !matches!(status, "completed" | "incomplete") {
        let message = format!(
            "The response `{}` is `{status}`: only one that is complete can be continued.",
            shown(id)
        );
        let param = "previous_response_id".to_owned();
        return Err(Refusal::new(Code::InvalidRequest, message).at(param));
    }
    let mut items: Vec<Box<RawValue>> = serde_json::from_slice(input).unwrap_or_default();
    for item in dress::as_input(&response["output"]) {
        items.extend(serde_json::value::to_raw_value(&item));
    }
    Ok(items)
}

/// The whole conversation: earlier items, and those of the request.
fn conversation(history: Option<&[Box<RawValue>]>, body: &[u8]) -> Result<Bytes, Refusal> {
    #[derive(serde::Deserialize)]
    struct Asked {
        #[serde(default)]
        input: Option<Box<RawValue>>,
    }
    let asked: Asked = serde_json::from_slice(body).map_err(|error| invalid(&error))?;
    let new = match asked.input.as_deref().map(RawValue::get) {
        None => Vec::new(),
        Some(text) if text.starts_with('"') => {
            let text: String = serde_json::from_str(text).map_err(|error| invalid(&error))?;
            let item = json!({"type": "message", "role": "user", "content": text});
            vec![serde_json::value::to_raw_value(&item).map_err(|error| invalid(&error))?]
        }
        Some(text) => serde_json::from_str(text).map_err(|error| invalid(&error))?,
    };
    let items: Vec<&RawValue> = history
        .unwrap_or_default()
        .iter()
        .chain(&new)
        .map(|item| &**item)
        .collect();
    let items = serde_json::to_vec(&items).map_err(|error| invalid(&error))?;
    Ok(items.into())
}

/// The request with the whole conversation in it, and without what ends here.
fn composed(body: &[u8], input: &[u8]) -> Result<Bytes, Refusal> {
    let fields: Vec<(String, Box<RawValue>)> = {
        let map: indexed::Fields = serde_json::from_slice(body).map_err(|error| invalid(&error))?;
        map.0
    };
    let mut out = Vec::with_capacity(body.len() + input.len());
    out.push(b'{');
    for (name, value) in &fields {
        if matches!(&**name, "input" | "previous_response_id" | "background") {
            continue;
        }
        let name = serde_json::to_vec(name).map_err(|error| invalid(&error))?;
        out.extend_from_slice(&name);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
        out.push(b',');
    }
    out.extend_from_slice(b"\"input\":");
    out.extend_from_slice(input);
    out.push(b'}');
    Ok(out.into())
}

/// The members of an object in their order, each value as it was written.
mod indexed {
    use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
    use serde_json::value::RawValue;

    pub(super) struct Fields(pub(super) Vec<(String, Box<RawValue>)>);

    struct Reader;

    impl<'de> Visitor<'de> for Reader {
        type Value = Fields;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
            let mut fields = Vec::new();
            while let Some(field) = map.next_entry()? {
                fields.push(field);
            }
            Ok(Fields(fields))
        }
    }

    impl<'de> Deserialize<'de> for Fields {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(Reader)
        }
    }
}

fn invalid(error: &serde_json::Error) -> Refusal {
    let message = format!("The conversation of the request cannot be read: {error}.");
    Refusal::new(Code::InvalidRequest, message).at("input".to_owned())
}

fn unknown(id: &str) -> Refusal {
    let message = format!(
        "There is no stored response `{}`: it was never stored, has expired, was deleted, or is \
         somebody else's. Send the whole conversation in `input`.",
        shown(id)
    );
    let param = "previous_response_id".to_owned();
    Refusal::new(Code::PreviousResponseNotFound, message).at(param)
}

fn not_stored(is_continued: bool) -> Refusal {
    let (param, message) = match is_continued {
        true => (
            "previous_response_id",
            "Responses are not stored here (`responses.store`), so that there is none to continue: \
             send the whole conversation in `input`.",
        ),
        false => (
            "background",
            "Responses are not stored here (`responses.store`), so that there would be none to come \
             back for: send the request without `background`.",
        ),
    };
    Refusal::new(Code::InvalidRequest, message).at(param.to_owned())
}

fn shown(id: &str) -> String {
    id.chars().take(80).collect()
}
