//! Between two dialects: a caller's request for a provider that speaks another one, and the way
//! back. Everything goes through the canonical call; what it cannot carry is said, never hidden.

use http::{HeaderMap, HeaderName, HeaderValue};
use seaworthy_core::call::Reply;
use seaworthy_core::code::Code;
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::usage::Usage;
use seaworthy_llm::{Encoded, Fault, Feature, Loss};

use crate::refusal::Refusal;
use crate::stage::decode::Request;

pub(crate) mod error;
pub(crate) mod losses;
pub(crate) mod stream;

/// The version of Anthropic's API that translated requests are written for.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Two dialects that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Translation {
    pub(crate) provider: Dialect,
    pub(crate) caller: Dialect,
}

impl Translation {
    /// The caller's request in the provider's dialect, for the provider's model of this name.
    pub(crate) fn request(self, request: &Request, model: &str) -> Result<Encoded, Refusal> {
        let mut call = request.decode_call()?;
        let says_nothing = call.messages.is_empty() && call.system.is_empty();
        if says_nothing && self.caller == Dialect::OpenAiResponses {
            // It may be left out for what a provider of this API keeps.
            let message = "`input` is missing or empty: expected a text or a list of items";
            let refusal = Refusal::new(Code::InvalidRequest, message);
            return Err(refusal.at("input".to_owned()));
        }
        model.clone_into(&mut call.model);
        Ok(seaworthy_llm::encode_call_of(
            self.caller,
            self.provider,
            &call,
        )?)
    }

    /// Replaces the headers that only the caller's API knows by those that the provider's needs,
    /// and returns what is lost by it.
    pub(crate) fn headers(self, headers: &mut HeaderMap) -> Vec<Loss> {
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if self.caller.family() == self.provider.family() {
            return Vec::new();
        }
        let prefix = match self.caller.family() {
            Family::OpenAi => "openai-",
            Family::Anthropic => "anthropic-",
            Family::Gemini => "x-goog-",
            Family::Cohere => "x-client-",
            Family::Bedrock => "x-amzn-",
        };
        let native: Vec<HeaderName> = headers
            .keys()
            .filter(|name| name.as_str().starts_with(prefix))
            .filter(|name| !tells_of_the_client(name.as_str()))
            .cloned()
            .collect();
        for name in &native {
            headers.remove(name);
        }
        if self.provider.family() == Family::Anthropic {
            let version = HeaderValue::from_static(ANTHROPIC_VERSION);
            headers.insert("anthropic-version", version);
        }
        // The version is that of the dialect itself, which is what was translated.
        let lost = native.iter().filter(|name| *name != "anthropic-version");
        lost.map(|name| lost_around_the_body(format!("headers.{name}")))
            .collect()
    }

    /// The provider's whole answer in the caller's dialect. `usage` is what the caller is told: a
    /// dialect that has no way to leave it out would say zero. An answer that has no ID or tells no
    /// model gets these.
    pub(crate) fn reply(
        self,
        body: &[u8],
        (usage, (id, model)): (Usage, (&str, &str)),
        created_unix_s: i64,
        guard: impl FnOnce(&mut Reply),
    ) -> Result<Encoded, Fault> {
        let mut reply = seaworthy_llm::decode_reply(self.provider, body)?;
        reply.usage = Some(usage);
        for (name, usual) in [(&mut reply.id, id), (&mut reply.model, model)] {
            if name.is_empty() {
                usual.clone_into(name);
            }
        }
        guard(&mut reply);
        let mut encoded = seaworthy_llm::encode_reply(self.caller, &reply, created_unix_s);
        encoded.dropped = encoded.dropped.into_iter().map(of_response).collect();
        Ok(encoded)
    }
}

/// Whether a header only says which library the caller uses.
fn tells_of_the_client(name: &str) -> bool {
    matches!(name, "x-goog-api-client" | "x-client-name")
}

/// Something beside the body that the provider has no use for.
pub(crate) fn lost_around_the_body(path: String) -> Loss {
    let feature = Feature::UnknownField;
    Loss { feature, path }
}

/// A loss of the answer, told apart from those of the request.
fn of_response(loss: Loss) -> Loss {
    let path = format!("response.{}", loss.path);
    Loss { path, ..loss }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn headers_of_the_callers_api_stay_behind_and_are_named() {
        let translation = Translation {
            provider: Dialect::OpenAiChat,
            caller: Dialect::AnthropicMessages,
        };
        let mut headers = HeaderMap::new();
        for name in ["anthropic-version", "anthropic-beta", "x-stainless-lang"] {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        let lost = translation.headers(&mut headers);
        assert_eq!(names(&headers), ["content-type", "x-stainless-lang"]);
        let paths: Vec<&str> = lost.iter().map(|loss| &*loss.path).collect();
        assert_eq!(paths, ["headers.anthropic-beta"]);
    }

    #[test]
    fn a_provider_of_anthropic_gets_the_version_that_it_insists_on() {
        let translation = Translation {
            provider: Dialect::AnthropicMessages,
            caller: Dialect::OpenAiChat,
        };
        let mut headers = HeaderMap::new();
        headers.insert("openai-beta", HeaderValue::from_static("x"));
        let lost = translation.headers(&mut headers);
        assert_eq!(names(&headers), ["anthropic-version", "content-type"]);
        assert_eq!(lost.len(), 1);
    }
}
