//! Streams that are not server-sent events: the same answer in other clothes.

use crate::support::{cut, text};
use seaworthy_core::{
    call::{BlockOpening, Delta, StopReason},
    dialect::Dialect,
};
use seaworthy_llm::{ErrorView, Framer, Framing, FramingError, StreamEncoder, StreamSettings};
use serde_json::Value;

const SETTINGS: StreamSettings = StreamSettings {
    include_usage: true,
    created_unix_s: 0,
};

const FAILED: ErrorView<'_> = ErrorView {
    status: 502,
    kind: None,
    code: Some("upstream_error"),
    message: "broken",
    param: None,
    retry_after: None,
    request_id: None,
};

fn in_array(deltas: &[Delta]) -> Vec<u8> {
    let mut encoder = StreamEncoder::with_framing(Dialect::Gemini, Framing::JsonArray, SETTINGS);
    let mut out = Vec::new();
    for delta in deltas {
        encoder.push(delta, &mut out);
    }
    encoder.finish(&mut out);
    out
}

fn answer() -> Vec<Delta> {
    vec![
        Delta::Start {
            id: "r1".to_owned(),
            model: "m".to_owned(),
        },
        Delta::Open(BlockOpening::Text),
        Delta::Text("one".to_owned()),
        Delta::Text("two".to_owned()),
        Delta::Close,
        Delta::Finish {
            stop_reason: StopReason::EndTurn,
            stop_sequence: None,
        },
    ]
}

#[test]
fn an_array_is_json_whether_the_answer_ends_well_or_not() {
    let items = |stream: &[u8]| match serde_json::from_slice(stream) {
        Ok(Value::Array(items)) => items,
        other => panic!("{other:?}: {}", text(stream)),
    };
    let whole = items(&in_array(&answer()));
    assert_eq!(whole.len(), 3);
    assert_eq!(whole[2]["candidates"][0]["finishReason"], "STOP");
    let cut_short = items(&in_array(&answer()[..3]));
    assert_eq!(cut_short.len(), 2);
    assert_eq!(cut_short[1]["error"]["status"], "UNAVAILABLE");
    let nothing = items(&in_array(&[]));
    assert_eq!(nothing.len(), 1);
    assert_eq!(nothing[0]["error"]["code"], 502);
}

#[test]
fn an_error_behind_events_that_were_passed_on_keeps_the_array_json() {
    let whole = in_array(&answer());
    for cut_at in 0..whole.len() {
        let mut framer = Framer::new(Framing::JsonArray, 1_000);
        framer.push(whole[..cut_at].to_vec().into());
        let mut passed_on = Vec::new();
        while let Some(event) = framer.next_event().unwrap() {
            passed_on.extend_from_slice(event.raw());
        }
        framer.write_error(Dialect::Gemini, &FAILED, &mut passed_on);
        let items: Vec<Value> = serde_json::from_slice(&passed_on).unwrap();
        assert_eq!(items.last().unwrap()["error"]["message"], "broken");
    }
}

#[test]
fn responses_number_an_error_behind_what_was_passed_on() {
    let mut framer = Framer::new(Framing::ServerSentEvents, 1_000);
    framer.push("data: {}\n\n: note\n\ndata: {}\n\n".into());
    while framer.next_event().unwrap().is_some() {}
    let mut out = Vec::new();
    framer.write_error(Dialect::OpenAiResponses, &FAILED, &mut out);
    let events = cut(Framing::ServerSentEvents, [&*out], 1_000).unwrap();
    let error: Value = serde_json::from_slice(events[0].data().unwrap()).unwrap();
    assert_eq!(error["sequence_number"], 2);
    assert_eq!(error["code"], "upstream_error");
}

#[test]
fn what_is_no_array_is_refused_and_an_endless_item_too() {
    let refused = |stream: &[u8]| cut(Framing::JsonArray, [stream], 20).unwrap_err();
    assert!(matches!(refused(b"<html>"), FramingError::Corrupt { .. }));
    assert!(matches!(refused(b"[1]"), FramingError::Corrupt { .. }));
    let endless = br#"[{"text":"0123456789"#;
    assert!(cut(Framing::JsonArray, [&endless[..20]], 20).is_ok());
    let endless = br#"[{"text":"0123456789ab"#;
    assert!(matches!(refused(endless), FramingError::TooLarge(_)));
}

#[test]
fn a_response_announces_its_framing() {
    for (content_type, framing) in [
        ("text/event-stream", Some(Framing::ServerSentEvents)),
        (
            "Text/Event-Stream; charset=utf-8",
            Some(Framing::ServerSentEvents),
        ),
        ("application/json; charset=UTF-8", Some(Framing::JsonArray)),
        (
            "application/vnd.amazon.eventstream",
            Some(Framing::EventStream),
        ),
        ("text/html", None),
    ] {
        assert_eq!(Framing::of_content_type(content_type), framing);
    }
}
