//! What holds for any bytes, not only for recorded ones.

use crate::{
    golden,
    support::{DIALECTS, cut, events, head_of},
};
use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::select};
use seaworthy_core::dialect::Dialect;
use seaworthy_llm::{
    Framing, StreamDecoder, StreamEncoder, StreamSettings, decode_call, decode_reply, encode_call,
    encode_reply, head, splice, usage,
};
use serde_json::{Map, Value, json};

/// A JSON value of a few levels.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        select(vec![
            "model",
            "messages",
            "[{\"",
            "include_usage\":",
            "\\",
            "\""
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((key(), inner), 0..4).prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_]{1,8}",
        "\\PC{0,4}",
        select(vec!["model", "stream", "role", "include_usage"]).prop_map(String::from),
    ]
}

/// A field's value: mostly one that is allowed, sometimes anything.
fn usually(allowed: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    prop_oneof![9 => allowed, 1 => value()].boxed()
}

fn messages() -> impl Strategy<Value = Value> {
    let role = select(vec!["user", "assistant", "system", "tool", "skipper"]);
    let message = (usually(role.prop_map(Value::from)), value());
    let message = message.prop_map(|(role, content)| json!({"content": content, "role": role}));
    vec(usually(message), 1..4).prop_map(Value::from)
}

fn stream_options() -> impl Strategy<Value = Value> {
    let flag = usually(any::<Option<bool>>().prop_map(Value::from));
    prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        flag.clone().prop_map(|flag| json!({"include_usage": flag})),
        (value(), flag).prop_map(|(other, flag)| json!({"other": other, "include_usage": flag})),
        value().prop_map(|other| json!({"other": other})),
    ]
}

/// The members of a request, each of which may be missing, in any order among others.
fn members() -> impl Strategy<Value = Vec<(String, Value)>> {
    let model = usually("\\PC{1,8}".prop_map(Value::from));
    let count = usually((1_u64..9_000).prop_map(Value::from));
    let known = (
        proptest::option::weighted(0.95, model),
        proptest::option::weighted(0.95, usually(messages())),
        proptest::option::of(usually(any::<Option<bool>>().prop_map(Value::from))),
        proptest::option::of(usually(stream_options())),
        proptest::option::of(count.clone()),
        proptest::option::of(count),
        vec((key(), value()), 0..3),
    );
    known
        .prop_map(
            |(model, messages, stream, options, most, choices, others)| {
                let known = [
                    ("model", model),
                    ("messages", messages),
                    ("stream", stream),
                    ("stream_options", options),
                    ("max_tokens", most),
                    ("n", choices),
                ];
                let is_known = |name: &str| known.iter().any(|(known, _)| *known == name);
                let mut members: Vec<(String, Value)> = others
                    .into_iter()
                    .filter(|(name, _)| !is_known(name))
                    .collect();
                members.dedup_by(|a, b| a.0 == b.0);
                let present = known
                    .iter()
                    .filter_map(|(name, value)| Some((name, value.clone()?)));
                members.extend(present.map(|(name, value)| ((*name).to_owned(), value)));
                members
            },
        )
        .prop_shuffle()
}

/// The members as JSON with blanks wherever JSON lets them stand.
fn render(members: &[(String, Value)], blank: &str) -> Bytes {
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| {
            let value = if blank.contains('\n') {
                serde_json::to_string_pretty(value).unwrap()
            } else {
                value.to_string()
            };
            format!("{}{blank}:{blank}{value}", Value::from(name.as_str()))
        })
        .collect();
    let separator = format!("{blank},{blank}");
    Bytes::from(format!(
        "{blank}{{{blank}{}{blank}}}{blank}",
        members.join(&separator)
    ))
}

fn blank() -> impl Strategy<Value = &'static str> {
    select(vec!["", " ", "\n\t", "\r\n  "])
}

/// What the head of a chat completions request should say, read the slow way.
fn expected_head(body: &[u8]) -> Option<(String, bool, bool, Option<u64>, u64)> {
    let Value::Object(fields) = serde_json::from_slice(body).ok()? else {
        return None;
    };
    let flag = |value: Option<&Value>| match value {
        None | Some(Value::Null) => Some(false),
        Some(value) => value.as_bool(),
    };
    let count = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(value) => value.as_u64().filter(|n| *n > 0).map(Some),
    };
    let model = fields
        .get("model")?
        .as_str()
        .filter(|name| !name.is_empty())?;
    let messages = fields
        .get("messages")?
        .as_array()
        .filter(|all| !all.is_empty())?;
    let roles = [
        "developer",
        "system",
        "user",
        "assistant",
        "tool",
        "function",
    ];
    let known = |message: &Value| {
        message["role"]
            .as_str()
            .is_some_and(|role| roles.contains(&role))
    };
    if !messages.iter().all(known) {
        return None;
    }
    let include_usage = match fields.get("stream_options") {
        None | Some(Value::Null) => false,
        Some(options) => flag(options.as_object()?.get("include_usage"))?,
    };
    Some((
        model.to_owned(),
        flag(fields.get("stream"))?,
        include_usage,
        count("max_tokens")?,
        count("n")?.unwrap_or(1),
    ))
}

proptest! {
    #[test]
    fn the_head_agrees_with_a_full_parse(members in members(), blank in blank()) {
        let body = render(&members, blank);
        let found = head(Dialect::OpenAiChat, &body).ok().map(|head| {
            (head.model, head.stream, head.include_usage, head.max_output_tokens, head.choices)
        });
        prop_assert_eq!(found, expected_head(&body));
    }

    #[test]
    fn splicing_changes_what_it_should_and_not_a_byte_more(
        members in members(),
        blank in blank(),
        new_model in "\\PC{1,12}",
        force in any::<bool>(),
    ) {
        let body = render(&members, blank);
        let Ok(before) = head(Dialect::OpenAiChat, &body) else { return Ok(()) };
        let out = splice(&body, &before, Some(&new_model), force);

        let mut expected: Value = serde_json::from_slice(&body).unwrap();
        expected["model"] = Value::from(new_model.as_str());
        if force && before.stream {
            if !expected["stream_options"].is_object() {
                expected["stream_options"] = json!({});
            }
            expected["stream_options"]["include_usage"] = Value::Bool(true);
        }
        prop_assert_eq!(&serde_json::from_slice::<Value>(&out).unwrap(), &expected);

        // Put the old model back: only what was forced may differ, and that is one place.
        let back = splice(&out, &head(Dialect::OpenAiChat, &out).unwrap(), Some(&before.model), false);
        let same_start = body.iter().zip(&back).take_while(|(a, b)| a == b).count();
        let same_end = body.iter().rev().zip(back.iter().rev()).take_while(|(a, b)| a == b).count();
        let replaced_at_most = if force && before.stream { "false".len() } else { 0 };
        prop_assert!(same_start + same_end + replaced_at_most >= body.len());
    }

    #[test]
    fn events_do_not_depend_on_how_the_stream_was_cut(
        pieces in vec(select(vec![
            "data: a", "data:", "event: x", ": comment", "data", "id: 7", "\n", "\r", "\r\n",
            "\n\n", "\u{feff}", "é", " ", "retry: 5", "\r\r\n", "data: [DONE]\n\n",
        ]), 0..40),
        cuts in vec(1_usize..9, 1..60),
        limit in 1_usize..60,
    ) {
        let stream = pieces.concat().into_bytes();
        let mut frames = Vec::new();
        let mut rest = &*stream;
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break }
            let (frame, tail) = rest.split_at((*cut).min(rest.len()));
            frames.push(frame);
            rest = tail;
        }
        let whole = events([&*stream], usize::MAX).unwrap();
        prop_assert_eq!(&whole, &events(frames.iter().copied(), usize::MAX).unwrap());
        let raw: Vec<u8> = whole.iter().flat_map(|event| event.raw().to_vec()).collect();
        prop_assert_eq!(raw, &*stream);

        let too_large = whole.iter().any(|event| event.raw().len() > limit);
        prop_assert_eq!(events([&*stream], limit).is_err(), too_large);
        prop_assert_eq!(events(frames, limit).is_err(), too_large);
    }

    #[test]
    fn nothing_panics_on_arbitrary_bytes(bytes in vec(any::<u8>(), 0..200)) {
        read_as_everything(&bytes);
    }

    #[test]
    fn nothing_panics_on_damaged_traffic(
        which in any::<prop::sample::Index>(),
        damage in vec((any::<prop::sample::Index>(), select(b"{}[]\",:\\0-e\n\r\xff tnu".to_vec())), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = which.get(&TRAFFIC).clone();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_as_everything(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        read_as_everything(&bytes);
    }
}

/// Every fixture.
static TRAFFIC: std::sync::LazyLock<Vec<Vec<u8>>> = std::sync::LazyLock::new(|| {
    let kinds = ["request", "malformed", "reply", "stream"];
    let folders = DIALECTS
        .iter()
        .flat_map(|dialect| kinds.map(|kind| (dialect, kind)));
    let files = folders.flat_map(|(dialect, kind)| golden::fixtures(dialect.as_str(), kind));
    let contents = files.map(|path| std::fs::read(path).unwrap());
    contents.filter(|bytes| !bytes.is_empty()).collect()
});

/// Hands the bytes to every reader, and what they make of them to every writer.
fn read_as_everything(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    for dialect in DIALECTS {
        if let Ok(head) = head_of(dialect, &body) {
            let _ = splice(&body, &head, Some("another"), true);
        }
        let call = decode_call(dialect, bytes);
        let reply = decode_reply(dialect, bytes);
        let _ = usage::from_reply(dialect, bytes);
        let mut deltas = Vec::new();
        for framing in [
            Framing::ServerSentEvents,
            Framing::JsonArray,
            Framing::EventStream,
        ] {
            let events = cut(framing, [bytes], 1 << 16).unwrap_or_default();
            let mut meter = usage::UsageMeter::new(dialect);
            let mut decoder = StreamDecoder::new(dialect);
            for event in &events {
                meter.observe(event);
                if decoder.push(event, &mut deltas).is_err() {
                    break;
                }
            }
            let _ = meter.usage_or_estimate(bytes.len());
        }
        for target in DIALECTS {
            let _ = call.as_ref().map(|call| encode_call(target, call));
            let _ = reply.as_ref().map(|reply| encode_reply(target, reply, 0));
            let settings = StreamSettings {
                include_usage: true,
                created_unix_s: 0,
            };
            let mut encoder = StreamEncoder::new(target, settings);
            let mut out = Vec::new();
            deltas
                .iter()
                .for_each(|delta| encoder.push(delta, &mut out));
            encoder.finish(&mut out);
        }
    }
}
