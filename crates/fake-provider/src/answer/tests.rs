//! What is answered, and that its tokens follow the documented rule.

use serde_json::json;

use super::*;
use crate::request::{Dialect, ask, foreign};

fn answer(extra: &Value, directives: &str) -> Answer {
    let mut body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "twelve bytes"}]});
    for (key, value) in extra.as_object().unwrap() {
        body[key] = value.clone();
    }
    let ask = ask(Dialect::OpenAi, &body).unwrap();
    decide(
        &ask,
        &directives.parse().unwrap(),
        body.to_string().as_bytes(),
    )
}

fn weather_tool() -> Value {
    json!([{"type": "function", "function": {"name": "weather", "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius"]}, "days": {"type": "integer"}},
    }}}])
}

#[test]
fn tokens_follow_the_documented_rule() {
    let plain = answer(&json!({}), "");
    assert_eq!(
        plain.usage,
        Usage {
            input: 3,
            output: 16,
            ..Usage::default()
        }
    );
    assert_eq!(plain.text().split_whitespace().count(), 16);
    let told = answer(
        &json!({}),
        "input_tokens=7,cached_tokens=5,cache_write_tokens=4,reasoning_tokens=3,output_tokens=2",
    );
    assert_eq!(
        told.usage,
        Usage {
            input: 7,
            cached: 5,
            cache_write: 4,
            output: 2,
            reasoning: 3
        }
    );
}

#[test]
fn the_tokens_of_the_pieces_add_up_wherever_the_text_is_cut() {
    for directives in [
        "",
        "chunks=1",
        "chunks=5",
        "chunks=200",
        "text=a%20bc%20d,chunks=6",
        "secret_split=auto",
    ] {
        let answer = answer(&json!({}), directives);
        let words = answer.text().split_whitespace().count() as u64;
        assert_eq!(answer.usage.output, words, "{directives}");
    }
}

#[test]
fn chunks_are_as_many_as_asked_for() {
    for count in [1, 3, 16, 200] {
        assert_eq!(
            answer(&json!({}), &format!("chunks={count}")).pieces.len(),
            count
        );
    }
}

#[test]
fn an_answer_of_n_bytes_has_exactly_n_bytes() {
    for size in [1, 7, 1000, 100_000] {
        assert_eq!(
            answer(&json!({}), &format!("answer_bytes={size}"))
                .text()
                .len(),
            size
        );
    }
}

#[test]
fn max_tokens_shortens_the_answer_and_says_so() {
    let short = answer(&json!({"max_tokens": 5}), "chunks=2");
    assert_eq!((short.usage.output, short.finish), (5, Finish::Length));
    assert_eq!(
        short
            .pieces
            .iter()
            .map(|p| p.text.split_whitespace().count())
            .sum::<usize>(),
        5
    );
    assert_eq!(answer(&json!({"max_tokens": 16}), "").finish, Finish::Stop);
}

#[test]
fn a_tool_is_called_with_a_sample_of_its_schema() {
    let tools = json!({"tools": weather_tool()});
    assert!(answer(&tools, "").tools.is_empty());
    let call = answer(&tools, "tool=weather");
    assert_eq!(
        call.tools[0].arguments,
        r#"{"city":"sample","unit":"celsius","days":1}"#
    );
    assert_eq!(call.tools[0].pieces().concat(), call.tools[0].arguments);
    assert_eq!((call.finish, call.usage.output), (Finish::Tools, 1 + 11));
    let forced = json!({"tools": weather_tool(), "tool_choice": "required"});
    assert_eq!(answer(&forced, "").tools.len(), 1);
    let never = json!({"tools": weather_tool(), "tool_choice": "none"});
    assert!(answer(&never, "tool=weather").tools.is_empty());
}

#[test]
fn a_secret_is_spread_over_its_pieces_and_whole_in_the_text() {
    let leak = answer(&json!({}), "secret_split=sk-0123456789,secret_pieces=5");
    assert_eq!(leak.pieces.len(), 7);
    assert!(leak.text().contains("sk-0123456789"));
    assert!(
        leak.pieces
            .iter()
            .all(|piece| !piece.text.contains("sk-0123456789"))
    );
}

#[test]
fn an_answer_keeps_to_the_schema_of_any_dialect_unless_it_is_told_what_to_say() {
    let schema = json!({"type": "object", "properties": {"days": {"type": "integer"}}});
    let capitals = json!({"type": "OBJECT", "properties": {"days": {"type": "INTEGER"}}});
    let said = json!([{"role": "user", "content": "hi"}]);
    let format = json!({"json_schema": {"schema": schema}});
    let bedrock =
        json!({"textFormat": {"structure": {"jsonSchema": {"schema": schema.to_string()}}}});
    let parts = json!([{"parts": [{"text": "hi"}]}]);
    let asks = [
        ask(
            Dialect::OpenAi,
            &json!({"model": "m", "messages": said, "response_format": format}),
        ),
        ask(
            Dialect::Anthropic,
            &json!({"model": "m", "messages": said, "output_config": {"format": {"schema": schema}}}),
        ),
        ask(
            Dialect::Cohere,
            &json!({"model": "m", "messages": said, "response_format": {"json_schema": schema}}),
        ),
        foreign::responses(
            &json!({"model": "m", "input": "hi", "text": {"format": {"schema": schema}}}),
        ),
        foreign::bedrock(
            &json!({"messages": said, "outputConfig": bedrock}),
            "m",
            false,
        ),
        foreign::gemini(
            &json!({"contents": parts, "generationConfig": {"responseJsonSchema": schema}}),
            "m",
            false,
        ),
        foreign::gemini(
            &json!({"contents": parts, "generationConfig": {"responseSchema": capitals}}),
            "m",
            false,
        ),
    ];
    for ask in asks {
        let ask = ask.unwrap();
        let answer = decide(&ask, &Directives::default(), b"");
        assert_eq!(answer.text(), r#"{"days":1}"#);
        let told = decide(&ask, &"output_tokens=2".parse().unwrap(), b"");
        assert_eq!(told.text(), "the ship");
    }
}
