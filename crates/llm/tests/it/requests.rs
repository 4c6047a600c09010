//! Requests: the head, the splice, and the way to the other dialects.

use crate::{
    golden,
    support::{DIALECTS, IN_PATH, account, assert_is_json, decode_of, head_of, text},
};
use bytes::Bytes;
use seaworthy_core::dialect::Dialect;
use seaworthy_llm::{Fault, Feature, InPath, decode_call, encode_call, head, splice};
use std::{fmt::Write as _, fs};

#[test]
fn recorded_requests_read_and_translate_as_before() {
    for dialect in DIALECTS {
        for path in golden::fixtures(dialect.as_str(), "request") {
            let body = Bytes::from(fs::read(&path).unwrap());
            let head = head_of(dialect, &body).unwrap();
            let call = decode_of(dialect, IN_PATH, &body).unwrap();
            assert_eq!(head.model, call.model, "{}", path.display());
            assert_eq!(head.stream, call.stream, "{}", path.display());
            assert_eq!(head.max_output_tokens, call.max_output_tokens);
            let mut found = format!(
                "model {:?}\nstream {} include_usage {}\nmax_output_tokens {:?} choices {}\n",
                head.model, head.stream, head.include_usage, head.max_output_tokens, head.choices
            );
            for target in DIALECTS {
                writeln!(found, "\n=== {}", target.as_str()).unwrap();
                match encode_call(target, &call) {
                    Ok(encoded) => {
                        assert_is_json(&encoded.body);
                        found += &account(&encoded.body, &encoded.dropped);
                    }
                    Err(lost) => writeln!(found, "refused: {lost}").unwrap(),
                }
            }
            golden::matches_snapshot(&path, &found);
        }
    }
}

#[test]
fn a_translation_back_and_forth_keeps_the_call() {
    for dialect in DIALECTS {
        for path in golden::fixtures(dialect.as_str(), "request") {
            let call = decode_of(dialect, IN_PATH, &fs::read(&path).unwrap()).unwrap();
            for target in DIALECTS {
                let Ok(once) = encode_call(target, &call) else {
                    continue;
                };
                let in_path = InPath {
                    model: &call.model,
                    stream: call.stream,
                };
                let read_back = decode_of(target, in_path, &once.body).unwrap();
                let twice = encode_call(target, &read_back).unwrap();
                assert_eq!(text(&once.body), text(&twice.body), "{}", path.display());
                // Both are asked for again by what is left: an answer that is begun, an effort.
                let asked_again = [Feature::Prefill, Feature::ThinkingRuledOut];
                let mut again = twice.dropped.iter();
                let again = again.find(|loss| !asked_again.contains(&loss.feature));
                assert_eq!(again, None, "{}", path.display());
            }
        }
    }
}

#[test]
fn malformed_requests_are_refused_with_a_sentence_that_helps() {
    for dialect in DIALECTS {
        for path in golden::fixtures(dialect.as_str(), "malformed") {
            let body = Bytes::from(fs::read(&path).unwrap());
            let show = |fault: Option<Fault>| match fault {
                Some(Fault { message, param, .. }) => format!("{message}\n  param {param:?}"),
                None => "fine".to_owned(),
            };
            let by_head = head_of(dialect, &body).err();
            let by_decode = decode_call(dialect, &body).err();
            assert!(
                by_head.is_some() || by_decode.is_some(),
                "{}",
                path.display()
            );
            let found = format!("head: {}\ndecode: {}\n", show(by_head), show(by_decode));
            golden::matches_snapshot(&path, &found);
        }
    }
}

fn spliced(body: &'static str, model: Option<&str>, force: bool) -> String {
    let body = Bytes::from_static(body.as_bytes());
    let head = head(Dialect::OpenAiChat, &body).unwrap();
    String::from_utf8(splice(&body, &head, model, force).to_vec()).unwrap()
}

#[test]
fn usage_is_forced_in_whatever_form_the_options_have() {
    let of = |options: &str, forced: &str| {
        let body = |options: &str| {
            format!(r#"{{ "stream":true,"messages":[{{"role":"user"}}],{options}"model" :"a" }}"#)
        };
        assert_eq!(spliced(body(options).leak(), None, true), body(forced));
    };
    of(
        r#""stream_options": null , "#,
        r#""stream_options": {"include_usage":true} , "#,
    );
    of(
        r#""stream_options": { } , "#,
        r#""stream_options": {"include_usage":true } , "#,
    );
    of(
        r#""stream_options":{"x":{"include_usage":false}},"#,
        r#""stream_options":{"include_usage":true,"x":{"include_usage":false}},"#,
    );
    of(
        r#""stream_options":{"x":1,"include_usage" : false },"#,
        r#""stream_options":{"x":1,"include_usage" : true },"#,
    );
    of(
        r#""stream_options":{"include_usage":null},"#,
        r#""stream_options":{"include_usage":true},"#,
    );
}

#[test]
fn usage_is_forced_where_there_are_no_options() {
    assert_eq!(
        spliced(
            r#" { "model":"a","messages":[{"role":"user"}],"stream":true}"#,
            Some("b\"\\"),
            true
        ),
        r#" {"stream_options":{"include_usage":true}, "model":"b\"\\","messages":[{"role":"user"}],"stream":true}"#
    );
}

#[test]
fn nothing_is_copied_when_nothing_changes() {
    for (dialect, body) in [
        (
            Dialect::OpenAiChat,
            r#"{"model":"a","messages":[{"role":"user"}],"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            Dialect::OpenAiChat,
            r#"{"model":"a","messages":[{"role":"user"}],"stream":false}"#,
        ),
        (
            Dialect::AnthropicMessages,
            r#"{"model":"a","messages":[{"role":"user"}],"max_tokens":1,"stream":true}"#,
        ),
    ] {
        let body = Bytes::from(body.to_owned());
        let head = head_of(dialect, &body).unwrap();
        let same = splice(&body, &head, Some("a"), true);
        assert_eq!(same.as_ptr(), body.as_ptr());
    }
}

#[test]
fn only_counting_needs_no_bound() {
    let body = Bytes::from_static(br#"{"model":"a","messages":[{"role":"user"}]}"#);
    assert!(head(Dialect::AnthropicMessages, &body).is_err());
    assert!(seaworthy_llm::count_tokens_head(Dialect::AnthropicMessages, None, &body).is_ok());
}

#[test]
fn deep_nesting_is_refused_wherever_it_hides() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let shallow = r#"{"content":[{"x":["]"]}],"role":"user"},"#.repeat(100);
    let is_refused = |body: String| {
        let fault = head(Dialect::OpenAiChat, &Bytes::from(body)).err();
        fault.is_some_and(|fault| fault.message.contains("deeper than 128"))
    };
    for (levels, refused) in [(125, false), (126, true)] {
        let deep = deep(levels);
        let message = format!(r#"{{"role":"user","content":{deep}}}"#);
        let body = format!(r#"{{"model":"m","messages":[{shallow}{message}]}}"#);
        assert_eq!(is_refused(body), refused, "in the last message");
        let body = format!(r#"{{"messages":[{message},{shallow}{message}],"model":"m"}}"#);
        assert_eq!(is_refused(body), refused, "in the first message");
    }
    for (levels, refused) in [(127, false), (128, true)] {
        let deep = deep(levels);
        let messages = format!(r#"[{shallow}{{"role":"user"}}]"#);
        let body = format!(r#"{{"x":{deep},"model":"m","messages":{messages}}}"#);
        assert_eq!(is_refused(body), refused, "at the start");
        let body = format!(r#"{{"model":"m","messages":{messages},"\u0078":{deep}}}"#);
        assert_eq!(is_refused(body), refused, "at the end");
    }
}

#[test]
fn what_the_provider_adds_from_its_own_store_shows_in_the_head() {
    for (member, reads_kept) in [
        ("", false),
        (r#""conversation":"conv_1","#, true),
        (r#""conversation":null,"#, false),
        (r#""prompt":{"id":"p"},"#, true),
    ] {
        let body = Bytes::from(format!(r#"{{{member}"model":"m","input":"a"}}"#));
        let head = head(Dialect::OpenAiResponses, &body).unwrap();
        assert_eq!(head.reads_kept, reads_kept, "{member}");
    }
}

#[test]
fn gemini_takes_one_element_for_a_list_of_one_and_words_in_any_case() {
    let listed = r#"{
        "systemInstruction": {"parts": [{"text": "You are a cat."}]},
        "contents": [{"parts": [{"text": "Hello there"}]}],
        "tools": [{"functionDeclarations": [{"name": "purr"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["purr"]}},
        "generationConfig": {"stopSequences": ["mew"], "thinkingConfig": {"thinkingLevel": "LOW"}}
    }"#;
    let alone = r#"{
        "system_instruction": {"parts": {"text": "You are a cat."}},
        "contents": {"parts": {"text": "Hello there"}},
        "tools": {"function_declarations": {"name": "purr"}},
        "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": "purr"}},
        "generation_config": {"stop_sequences": "mew", "thinking_config": {"thinking_level": "low"}}
    }"#;
    let read = |body: &str| decode_of(Dialect::Gemini, IN_PATH, body.as_bytes()).unwrap();
    assert_eq!(read(alone), read(listed));
    let head = head_of(Dialect::Gemini, &Bytes::from_static(alone.as_bytes()));
    assert!(head.is_ok(), "{head:?}");
    let deep = format!(
        r#"{{"contents": {{"parts": {}{}}}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let fault = head_of(Dialect::Gemini, &Bytes::from(deep)).unwrap_err();
    assert!(fault.to_string().contains("deeper than 128"), "{fault}");
    let chat = r#"{"model": "m", "messages": {"role": "user", "content": "Hi"}}"#;
    let fault = head_of(Dialect::OpenAiChat, &Bytes::from(chat)).unwrap_err();
    assert!(fault.to_string().contains("found an object"), "{fault}");
}

#[test]
fn rules_about_tools_are_not_sent_where_there_are_none() {
    let ask = |rules: &str| {
        let body = format!(
            r#"{{"model": "m", "messages": [{{"role": "user", "content": "Hi"}}], {rules}}}"#
        );
        decode_call(Dialect::OpenAiChat, body.as_bytes()).unwrap()
    };
    for rule in ["auto", "none"] {
        for tools in ["[]", "null"] {
            let call = ask(&format!(
                r#""tool_choice": "{rule}", "parallel_tool_calls": false, "tools": {tools}"#
            ));
            for dialect in DIALECTS {
                let sent = encode_call(dialect, &call).unwrap();
                let body = text(&sent.body);
                assert!(!body.contains("tool"), "{dialect:?}: {body}");
                assert!(sent.dropped.is_empty(), "{dialect:?}");
            }
        }
    }
    let required = encode_call(
        Dialect::AnthropicMessages,
        &ask(r#""tool_choice": "required""#),
    );
    let required = required.unwrap();
    assert!(
        text(&required.body).contains(r#"{"type":"any"}"#),
        "the provider says what is wrong"
    );
}

#[test]
fn anthropics_schema_is_taken_under_its_older_name() {
    let ask = |format: &str| {
        let body = format!(
            r#"{{"model": "m", "max_tokens": 9, "messages": [{{"role": "user", "content": "Hi"}}], {format}}}"#
        );
        decode_call(Dialect::AnthropicMessages, body.as_bytes()).unwrap()
    };
    let schema = r#"{"type": "json_schema", "schema": {"type": "object"}}"#;
    let now = ask(&format!(r#""output_config": {{"format": {schema}}}"#));
    assert!(now.response_format.is_some());
    assert_eq!(ask(&format!(r#""output_format": {schema}"#)), now);
}

#[test]
fn half_a_character_is_called_that() {
    let body = br#"{"model": "m", "messages": [{"role": "user", "content": "a\ud83d"}]}"#;
    let fault = decode_call(Dialect::OpenAiChat, body).unwrap_err();
    assert!(fault.to_string().contains("surrogate"), "{fault}");
}
