//! Gemini's requests name their model in the path and may do so in the body; both have to be the
//! provider's name.

use super::Embedding;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    requests: Option<Vec<Named<'a>>>,
}

/// The body with another model wherever one of Gemini's forms names it; every other byte stays.
#[must_use]
pub fn rename(form: Embedding, body: &Bytes, model: &str) -> Bytes {
    if !matches!(form, Embedding::Gemini | Embedding::GeminiBatch) {
        return body.clone();
    }
    let Ok(named) = serde_json::from_slice::<Named<'_>>(body) else {
        return body.clone();
    };
    let within = named.requests.into_iter().flatten();
    let names: Vec<&RawValue> = named
        .model
        .into_iter()
        .chain(within.filter_map(|request| request.model))
        .collect();
    let model = model.strip_prefix("models/").unwrap_or(model);
    let mut name = Vec::new();
    crate::json::write_string(&mut name, &format!("models/{model}"));
    let start = body.as_ptr().addr();
    let (mut out, mut copied) = (Vec::with_capacity(body.len()), 0);
    let mut places: Vec<(usize, usize)> = names
        .iter()
        .map(|raw| {
            let at = raw.get().as_ptr().addr().saturating_sub(start);
            (at, at + raw.get().len())
        })
        .collect();
    places.sort_unstable();
    for (from, to) in places {
        out.extend_from_slice(&body[copied..from]);
        out.extend_from_slice(&name);
        copied = to;
    }
    if copied == 0 {
        return body.clone();
    }
    out.extend_from_slice(&body[copied..]);
    Bytes::from(out)
}
