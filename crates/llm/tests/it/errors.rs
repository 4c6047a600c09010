//! Errors in the words of each family, to callers and from providers.

use crate::support::{DIALECTS, cut, text};
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_llm::{
    ErrorView, Framing, ProviderError, decode_error, encode_error, encode_stream_error,
    error_status,
    usage::{Seen, UsageMeter},
};
use std::time::Duration;

const FAMILIES: [Family; 5] = [
    Family::OpenAi,
    Family::Anthropic,
    Family::Gemini,
    Family::Cohere,
    Family::Bedrock,
];

const MISSING: ErrorView<'_> = ErrorView {
    status: 404,
    kind: None,
    code: Some("model_not_found"),
    message: "no model \"x\"",
    param: Some("model"),
    retry_after: None,
    request_id: Some("req_1"),
};

#[test]
fn openai_errors_have_all_four_keys() {
    assert_eq!(
        text(&encode_error(Family::OpenAi, &MISSING)),
        r#"{"error":{"message":"no model \"x\"","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#
    );
    let bare = ErrorView {
        code: None,
        param: None,
        kind: Some("insufficient_quota"),
        ..MISSING
    };
    assert_eq!(
        text(&encode_error(Family::OpenAi, &bare)),
        r#"{"error":{"message":"no model \"x\"","type":"insufficient_quota","param":null,"code":null}}"#
    );
}

#[test]
fn anthropic_errors_carry_the_code_as_detail_and_the_request_id() {
    assert_eq!(
        text(&encode_error(Family::Anthropic, &MISSING)),
        r#"{"type":"error","error":{"type":"not_found_error","message":"no model \"x\"","details":{"error_code":"model_not_found"}},"request_id":"req_1"}"#
    );
}

#[test]
fn every_status_has_the_word_its_clients_know() {
    let kind = |family, status| {
        let body = encode_error(family, &ErrorView { status, ..MISSING });
        decode_error(family, &body).kind.unwrap()
    };
    for (status, openai, anthropic) in [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "authentication_error", "authentication_error"),
        (402, "invalid_request_error", "billing_error"),
        (403, "permission_error", "permission_error"),
        (404, "invalid_request_error", "not_found_error"),
        (409, "invalid_request_error", "conflict_error"),
        (413, "invalid_request_error", "request_too_large"),
        (422, "invalid_request_error", "invalid_request_error"),
        (429, "rate_limit_error", "rate_limit_error"),
        (500, "server_error", "api_error"),
        (502, "server_error", "api_error"),
        (503, "server_error", "overloaded_error"),
        (504, "server_error", "timeout_error"),
        (529, "server_error", "overloaded_error"),
    ] {
        assert_eq!(kind(Family::OpenAi, status), openai, "{status}");
        assert_eq!(kind(Family::Anthropic, status), anthropic, "{status}");
    }
}

#[test]
fn a_conflict_and_a_wrong_method_are_told_to_everyone_as_such() {
    for family in FAMILIES {
        assert_eq!(error_status(family, 409), 409);
        assert_eq!(error_status(family, 405), 405);
    }
}

#[test]
fn cohere_errors_are_a_sentence() {
    assert_eq!(
        text(&encode_error(Family::Cohere, &MISSING)),
        r#"{"id":"req_1","message":"no model \"x\"","code":"model_not_found"}"#
    );
    let read = decode_error(
        Family::Cohere,
        br#"{"id":"1","message":"invalid api token"}"#,
    );
    assert_eq!(read.message, "invalid api token");
}

#[test]
fn bedrock_errors_are_a_sentence_and_a_class_for_the_header() {
    assert_eq!(
        text(&encode_error(Family::Bedrock, &MISSING)),
        r#"{"message":"no model \"x\""}"#
    );
    let kind = seaworthy_llm::error_kind;
    assert_eq!(kind(Family::Bedrock, 404), "ResourceNotFoundException");
    assert_eq!(kind(Family::Bedrock, 529), "ServiceUnavailableException");
    assert_eq!(kind(Family::Bedrock, 409), "ConflictException");
    let body = br#"{"__type":"ThrottlingException","message":"slow"}"#;
    let read = decode_error(Family::Bedrock, body);
    assert_eq!(read.kind.as_deref(), Some("ThrottlingException"));
}

#[test]
fn gemini_errors_carry_the_status_twice_and_the_code_as_reason() {
    assert_eq!(
        text(&encode_error(Family::Gemini, &MISSING)),
        r#"{"error":{"code":404,"message":"no model \"x\"","status":"NOT_FOUND","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"model_not_found","domain":"seaworthy","metadata":{"field":"model"}}]}}"#
    );
    let overloaded = ErrorView {
        status: 529,
        code: None,
        ..MISSING
    };
    let read = decode_error(Family::Gemini, &encode_error(Family::Gemini, &overloaded));
    assert_eq!(read.kind.as_deref(), Some("UNAVAILABLE"));
}

#[test]
fn geminis_clients_are_told_in_the_body_how_long_to_wait() {
    let limited = ErrorView {
        status: 429,
        param: None,
        retry_after: Some(Duration::from_millis(1_200)),
        ..MISSING
    };
    let body = encode_error(Family::Gemini, &limited);
    let error = decode_error(Family::Gemini, &body);
    assert_eq!(error.retry_after, Some(Duration::from_secs(2)));
    assert_eq!(error.code.as_deref(), MISSING.code);
    let bare = ErrorView {
        code: None,
        ..limited
    };
    let body = encode_error(Family::Gemini, &bare);
    assert!(text(&body).contains("RetryInfo"), "{}", text(&body));
    for family in [
        Family::OpenAi,
        Family::Anthropic,
        Family::Cohere,
        Family::Bedrock,
    ] {
        let told = encode_error(family, &limited);
        let wait = ErrorView {
            retry_after: None,
            ..limited
        };
        assert_eq!(told, encode_error(family, &wait), "{family:?}");
    }
}

#[test]
fn gemini_says_in_the_body_how_long_to_wait() {
    let body = br#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"x"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}"#;
    let error = decode_error(Family::Gemini, body);
    assert_eq!(error.kind.as_deref(), Some("RESOURCE_EXHAUSTED"));
    assert_eq!(error.retry_after, Some(Duration::from_millis(34_500)));
}

#[test]
fn overloaded_keeps_its_meaning_for_clients_that_do_not_know_529() {
    assert_eq!(error_status(Family::OpenAi, 529), 503);
    assert_eq!(error_status(Family::Anthropic, 529), 529);
    assert_eq!(error_status(Family::OpenAi, 429), 429);
}

#[test]
fn an_error_within_a_stream_is_seen_as_one() {
    for dialect in DIALECTS {
        let mut stream = Vec::new();
        encode_stream_error(dialect, &MISSING, &mut stream);
        let events = cut(Framing::of(dialect), [&*stream], 1_000).unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(UsageMeter::new(dialect).observe(&events[0]), Seen::Error);
    }
    let mut stream = Vec::new();
    encode_stream_error(Dialect::AnthropicMessages, &MISSING, &mut stream);
    assert!(stream.starts_with(b"event: error\ndata: {\"type\":\"error\","));
}

#[test]
fn provider_errors_are_read_in_every_shape() {
    let read = |body: &str| decode_error(Family::OpenAi, body.as_bytes());
    let sentence = |message: &str| ProviderError {
        message: message.to_owned(),
        ..ProviderError::default()
    };
    assert_eq!(read("<html>502</html>"), sentence(""));
    assert_eq!(
        read(r#"{"error":"model not loaded"}"#),
        sentence("model not loaded")
    );
    assert_eq!(read(r#"{"error":null}"#), sentence(""));
    assert_eq!(
        read(r#"{"error":{"message":"m","type":null,"param":"p","code":400}}"#),
        ProviderError {
            code: Some("400".to_owned()),
            param: Some("p".to_owned()),
            ..sentence("m")
        }
    );
}

#[test]
fn an_empty_account_is_not_a_rate_limit() {
    let exhausted = |family, body: &str| decode_error(family, body.as_bytes()).is_quota_exhausted();
    assert!(exhausted(
        Family::OpenAi,
        r#"{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}"#
    ));
    assert!(exhausted(
        Family::Anthropic,
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"contract_spend_limit_reached"}}}"#
    ));
    assert!(!exhausted(
        Family::OpenAi,
        r#"{"error":{"message":"m","type":"tokens","code":"rate_limit_exceeded"}}"#
    ));
    assert!(!exhausted(
        Family::Anthropic,
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"m"}}"#
    ));
}

#[test]
fn errors_of_any_form_have_a_sentence_or_none_and_never_a_panic() {
    for family in FAMILIES {
        let error = encode_error(family, &MISSING);
        let listed = [b"[", &error[..], b"]"].concat();
        assert_eq!(
            decode_error(family, &listed),
            decode_error(family, &error),
            "{family:?}: Google sends its errors as lists"
        );
        for body in ["[]", "[[]]", "[\"x\"]", "1", "true", "null", "{}", ""] {
            let read = decode_error(family, body.as_bytes());
            let sentence = if body.contains('x') { "x" } else { "" };
            assert_eq!(read.message, sentence, "{family:?}: {body}");
        }
        for body in [
            "\"No.\"",
            "{\"message\":\"No.\"}",
            "{\"object\":\"error\",\"message\":\"No.\",\"type\":\"BadRequestError\"}",
            "{\"error\":null,\"message\":\"No.\"}",
            "{\"Message\":\"No.\"}",
            "{\"detail\":\"No.\"}",
            "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"No.\"}]}",
        ] {
            assert_eq!(
                decode_error(family, body.as_bytes()).message,
                "No.",
                "{family:?}: {body}"
            );
        }
    }
}
