//! Media that callers write in unusual ways.

use seaworthy_core::call::{Block, Media, MediaSource};
use seaworthy_core::dialect::Dialect;
use seaworthy_llm::{Fault, decode_call, encode_call, encode_call_of};
use serde_json::{Value, json};

/// The only medium of a call whose message has this content.
fn medium(dialect: Dialect, content: &Value) -> Result<MediaSource, Fault> {
    let body = json!({
        "model": "m", "max_tokens": 9,
        "messages": [{"role": "user", "content": [content]}],
    });
    let call = decode_call(dialect, body.to_string().as_bytes())?;
    match call.messages[0].blocks.as_slice() {
        [Block::Media(Media { source, .. })] => Ok(source.clone()),
        other => panic!("{other:?}"),
    }
}

fn picture(url: &str) -> Result<MediaSource, Fault> {
    let content = json!({"type": "image_url", "image_url": {"url": url}});
    medium(Dialect::OpenAiChat, &content)
}

#[test]
fn a_data_url_may_be_in_capitals_and_have_parameters() {
    for url in [
        "data:image/png;base64,iVBO",
        "DATA:image/png;base64,iVBO",
        "data:IMAGE/PNG;BASE64,iVBO",
        "data:image/png;charset=utf-8;name=a;base64,iVBO",
    ] {
        let expected = MediaSource::Base64 {
            media_type: "image/png".to_owned(),
            data: "iVBO".to_owned(),
        };
        assert_eq!(picture(url).unwrap(), expected, "{url}");
    }
    for url in ["data:image/png,iVBO", "data:", "data:;charset=base64"] {
        let fault = picture(url).unwrap_err().to_string();
        assert!(
            fault.contains("expected `data:<type>;base64,<data>`"),
            "{fault}"
        );
    }
    let elsewhere = "https://a.test/data:image/png;base64,x";
    assert_eq!(
        picture(elsewhere).unwrap(),
        MediaSource::Url(elsewhere.to_owned())
    );
}

#[test]
fn a_picture_of_the_type_jpg_is_one_of_jpeg_where_only_that_is_known() {
    let source = json!({"url": "data:image/jpg;base64,iVBO"});
    let content = json!([{"type": "image_url", "image_url": source}]);
    let body = json!({"model": "m", "messages": [{"role": "user", "content": content}]});
    let call = decode_call(Dialect::OpenAiChat, body.to_string().as_bytes()).unwrap();
    for provider in [Dialect::AnthropicMessages, Dialect::Gemini] {
        let sent = String::from_utf8(encode_call(provider, &call).unwrap().body).unwrap();
        assert!(sent.contains("\"image/jpeg\""), "{sent}");
    }
}

#[test]
fn a_document_in_blocks_is_their_texts() {
    let document = |content: Value| {
        let source = json!({"type": "content", "content": content});
        let document = json!({"type": "document", "title": "t", "source": source});
        medium(Dialect::AnthropicMessages, &document)
    };
    let text = |text: &str| json!({"type": "text", "text": text});
    let marked = json!({"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}});
    assert_eq!(
        document(json!("a")).unwrap(),
        MediaSource::Text("a".to_owned())
    );
    let both = document(json!([text("a"), marked])).unwrap();
    assert_eq!(both, MediaSource::Text("a\n\nb".to_owned()));
    let source = json!({"type": "url", "url": "https://a.test/b.png"});
    let picture = json!({"type": "image", "source": source});
    let fault = document(json!([text("a"), picture])).unwrap_err();
    assert!(fault.to_string().contains("`text` only"), "{fault}");
}

#[test]
fn documents_have_names_of_their_own_at_bedrock() {
    let document = |title: Value| {
        let source = json!({"type": "base64", "media_type": "application/pdf", "data": "AAAA"});
        json!({"type": "document", "title": title, "source": source})
    };
    let result = json!({
        "type": "tool_result", "tool_use_id": "t", "content": [document(Value::Null)],
    });
    let body = json!({
        "model": "m", "max_tokens": 9,
        "messages": [
            {"role": "user", "content": [document(Value::Null), document(json!("a.pdf"))]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
            {"role": "user", "content": [result, document(json!("a.pdf"))]},
        ],
    });
    let call = decode_call(Dialect::AnthropicMessages, body.to_string().as_bytes()).unwrap();
    let sent = encode_call(Dialect::BedrockConverse, &call).unwrap();
    let sent = String::from_utf8(sent.body).unwrap();
    let names = sent.split("\"pdf\",\"name\":\"").skip(1);
    let names: Vec<&str> = names.map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(
        names,
        ["document", "a-pdf", "document-2", "a-pdf-2"],
        "{sent}"
    );
    let at = |caller, body: &Value| {
        let call = decode_call(caller, body.to_string().as_bytes()).unwrap();
        let sent = encode_call_of(caller, Dialect::Gemini, &call).unwrap();
        sent.dropped
            .into_iter()
            .map(|loss| loss.path)
            .collect::<Vec<_>>()
    };
    let lost = at(Dialect::AnthropicMessages, &body);
    assert_eq!(
        lost,
        [
            "messages[0].content[1].title",
            "messages[2].content[1].title"
        ]
    );
}
