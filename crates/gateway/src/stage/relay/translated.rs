//! Answers of providers that speak another dialect than the caller. Nothing of the provider's head
//! is passed on but the advice on when to try again: its rate limits are of another API.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use seaworthy_core::call::Reply;
use seaworthy_edge::client::UpstreamBody;
use seaworthy_llm::{ErrorView, Framing, StreamSettings, decode_error, usage};

use super::{
    ADVICE, ESTIMATED, YES, collect, credentials_refused, framing, joined, no_answer,
    provider_name, retry_headers, stream_type, unexpected,
};
use crate::exchange::Exchange;
use crate::guards::output::{OutputGuard, guard_reply};
use crate::guards::verdicts::Verdicts;
use crate::refusal::Refusal;
use crate::reply::stream::{Passing, StreamRelay};
use crate::reply::{Answer, Content};
use crate::stage::beside::{LONG_BYTES, beside};
use crate::translate::stream::StreamTranslator;
use crate::translate::{Translation, error as errors};

/// How the caller wants to have a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) framing: Framing,
    pub(super) include_usage: bool,
}

/// A stream, which is translated as it is sent.
pub(super) fn stream(
    exchange: &Exchange,
    response: Response<UpstreamBody>,
    translation: Translation,
    wanted: Wanted,
) -> Result<Answer, Refusal> {
    let (head, body) = response.into_parts();
    let Some(framing) = framing(&head.headers) else {
        return Err(unexpected(exchange, head.status, &head.headers));
    };
    let settings = StreamSettings {
        include_usage: wanted.include_usage,
        created_unix_s: exchange.gateway.clock.now().seconds(),
    };
    let guarding = exchange.answer_guard();
    let guard = guarding.map(|guarding| OutputGuard::new(Arc::clone(guarding)));
    let names = (exchange.request_id.as_str(), exchange.model_name());
    let translator = StreamTranslator::new(translation, (wanted.framing, settings), names, guard);
    let passing = Passing::Translated(Box::new(translator));
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, stream_type(wanted.framing));
    let relay = StreamRelay::new(translation.caller, body, framing, passing)
        .counting_pieces(exchange.counts_pieces());
    Ok(Answer {
        status: 200,
        headers,
        content: Content::Stream(Box::new(relay)),
    })
}

/// A whole answer.
pub(super) async fn whole(
    exchange: &mut Exchange,
    response: Response<UpstreamBody>,
    translation: Translation,
) -> Result<Answer, Refusal> {
    if exchange.stream {
        return Err(no_answer::not_a_stream(exchange, response, translation.provider).await);
    }
    let frames = collect(exchange, response.into_body()).await?;
    let text = match frames.as_slice() {
        [only] => only.clone(),
        several => Bytes::from(several.concat()),
    };
    let reported = usage::from_reply(translation.provider, &text);
    exchange.note_pieces_of(translation.provider, &text);
    let used = reported
        .unwrap_or_else(|| usage::of_reply(translation.provider, &text, exchange.input_bytes()));
    if let Some(call) = &mut exchange.call
        && reported.is_some()
    {
        // It is paid for, whether or not the rest can be read.
        call.note_usage(used);
    }
    let now = exchange.gateway.clock.now().seconds();
    let guarding = exchange.answer_guard().cloned();
    let id = exchange.request_id.as_str().to_owned();
    let model = exchange.model_name().to_owned();
    let is_long = guarding.is_some() && text.len() >= LONG_BYTES;
    let told = text.clone();
    let translate = move || {
        let mut verdicts = Verdicts::default();
        let guard = |reply: &mut Reply| {
            if let Some(guarding) = &guarding {
                guard_reply(guarding, reply, &mut verdicts);
            }
        };
        let encoded = translation.reply(&told, (used, (&id, &model)), now, guard);
        (encoded, verdicts)
    };
    let (encoded, verdicts) = match is_long {
        true => beside(exchange, "answer", translate).await?,
        false => translate(),
    };
    exchange.verdicts.append(verdicts);
    let family = translation.provider.family();
    let unreadable = |fault| no_answer::unreadable(exchange, family, &text, &fault);
    let encoded = encoded.map_err(unreadable)?;
    exchange.note_complete(used);
    exchange.dropped.extend(encoded.dropped);
    let mut answer = Answer::json(200, encoded.body);
    if used.estimated {
        answer.headers.insert(ESTIMATED, YES);
    }
    Ok(answer)
}

/// An error of the provider's own, told in the caller's words.
pub(super) async fn error(
    exchange: &mut Exchange,
    response: Response<UpstreamBody>,
    translation: Translation,
) -> Result<Answer, Refusal> {
    let (head, body) = response.into_parts();
    let status = head.status.as_u16();
    let frames = collect(exchange, body).await?;
    let mut error = decode_error(translation.provider.family(), &joined(&frames));
    error.kind = error.kind.or_else(|| class_of_aws(&head.headers));
    if error.is_key_refused() {
        return Err(credentials_refused(exchange, head.status));
    }
    let family = translation.caller.family();
    exchange.advice = exchange.advice.or(error.retry_after);
    let told = errors::told(family, status, &error);
    let code = errors::code(status);
    exchange.fail(code);
    let message = match error.message.as_str() {
        "" => format!(
            "The provider `{}` answered with HTTP status {status}.",
            provider_name(exchange)
        ),
        sentence => match exchange.answer_guard().cloned() {
            Some(guarding) => guarding.guard_error(sentence, &mut exchange.verdicts),
            None => sentence.to_owned(),
        },
    };
    let guarding = exchange.answer_guard().cloned();
    let mut admits = |word: &&str| match &guarding {
        Some(guarding) => guarding.admits_word(word, &mut exchange.verdicts),
        None => true,
    };
    // Limits of another kind that are used up as well say nothing of money.
    let wait = exchange.advice.filter(|_| !told.is_final);
    let advice = retry_headers(&head.headers, wait);
    let word = error.code.as_deref().filter(&mut admits);
    let view = ErrorView {
        status: told.status,
        kind: told.kind,
        code: Some(word.unwrap_or(code.as_str())),
        message: &message,
        // The provider names fields of a request that the caller never saw.
        param: None,
        retry_after: wait,
        request_id: Some(exchange.request_id.as_str()),
    };
    let mut answer = Answer::error(family, &view);
    answer.headers.extend(advice);
    if told.is_final {
        answer
            .headers
            .insert(ADVICE, HeaderValue::from_static("false"));
    }
    Ok(answer)
}

/// AWS's class of an error, which it says in a header, sometimes with an address behind it.
fn class_of_aws(headers: &HeaderMap) -> Option<String> {
    let class = headers.get("x-amzn-errortype")?.to_str().ok()?;
    class.split(':').next().map(str::to_owned)
}
