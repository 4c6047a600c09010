//! What is counted: a question for the number of tokens may wrap the request, as Gemini's do.

use crate::fault::Fault;
use crate::json;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The member that holds a whole request beside which `contents` cannot stand.
const WRAPPED: &str = "generateContentRequest";

#[derive(Deserialize)]
struct Question<'a> {
    #[serde(
        borrow,
        rename = "generateContentRequest",
        alias = "generate_content_request"
    )]
    wrapped: Option<&'a RawValue>,
    #[serde(borrow)]
    contents: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
}

/// The request inside of a question that wraps one, as its bytes are; `None` where none is wrapped.
///
/// # Errors
/// A sentence for the caller, when there is more than one thing to count.
pub fn unwrap_counted(body: &Bytes) -> Result<Option<Bytes>, Fault> {
    // What is no JSON, or no object, is told by who reads it next.
    let Ok(question) = serde_json::from_slice::<Question<'_>>(body) else {
        return Ok(None);
    };
    let Some(wrapped) = question.wrapped else {
        return Ok(None);
    };
    if question.contents.is_some() {
        let what = "expected either this or `contents`, found both";
        return Err(Fault::at(WRAPPED, what));
    }
    if !wrapped.get().starts_with('{') {
        let found = json::describe(wrapped.get());
        let what = format_args!("expected a request as an object, found {found}");
        return Err(Fault::at(WRAPPED, what));
    }
    Ok(Some(body.slice_ref(wrapped.get().as_bytes())))
}

/// The request wrapped again, for the provider's own name of the model.
#[must_use]
pub fn wrap_counted(request: &[u8], model: &str) -> Bytes {
    let name = model.strip_prefix("models/").unwrap_or(model);
    let mut quoted = Vec::with_capacity(name.len() + 16);
    json::write_string(&mut quoted, &format!("models/{name}"));
    let named: Option<Named<'_>> = serde_json::from_slice(request).ok();
    let stands = named.and_then(|named| named.model);
    let mut out = Vec::with_capacity(request.len() + quoted.len() + 64);
    out.extend_from_slice(b"{\"generateContentRequest\":");
    match stands {
        Some(stands) => {
            let start = stands.get().as_ptr().addr() - request.as_ptr().addr();
            out.extend_from_slice(&request[..start]);
            out.extend_from_slice(&quoted);
            out.extend_from_slice(&request[start + stands.get().len()..]);
        }
        None => {
            let brace = memchr::memchr(b'{', request).map_or(0, |at| at + 1);
            out.extend_from_slice(&request[..brace]);
            out.extend_from_slice(b"\"model\":");
            out.extend_from_slice(&quoted);
            let is_empty = request[brace..].trim_ascii_start().starts_with(b"}");
            out.extend_from_slice(if is_empty { b"" } else { b"," });
            out.extend_from_slice(&request[brace..]);
        }
    }
    out.push(b'}');
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_request_is_found_and_wrapped_again_under_another_name() {
        let inner = |model: &str| format!(r#"{{ "contents": [{{"parts":[]}}] {model}}}"#);
        for (asked, sent) in [
            (
                inner(r#","model": "models/fast""#),
                inner(r#","model": "models/gemini-3""#),
            ),
            (
                inner(""),
                inner("").replacen('{', r#"{"model":"models/gemini-3","#, 1),
            ),
        ] {
            for key in ["generateContentRequest", "generate_content_request"] {
                let body = Bytes::from(format!("{{\"{key}\" : {asked} }}"));
                let found = unwrap_counted(&body).unwrap().unwrap();
                assert_eq!(found, asked.as_bytes());
                for model in ["gemini-3", "models/gemini-3"] {
                    let wrapped = wrap_counted(&found, model);
                    assert_eq!(wrapped, format!("{{\"generateContentRequest\":{sent}}}"));
                }
            }
        }
    }

    #[test]
    fn what_wraps_nothing_is_left_to_who_reads_it_next() {
        for body in [
            r#"{"contents":[]}"#,
            "[]",
            "no JSON",
            r#"{"generateContentRequest":null}"#,
        ] {
            assert_eq!(
                unwrap_counted(&Bytes::from_static(body.as_bytes())),
                Ok(None)
            );
        }
        for (value, expected) in [
            (r#"{},"contents":[]"#, "found both"),
            ("[]", "found an array"),
        ] {
            let body = Bytes::from(format!("{{\"generateContentRequest\":{value}}}"));
            let fault = unwrap_counted(&body).unwrap_err();
            assert!(fault.to_string().contains(expected), "{fault}");
        }
    }
}
