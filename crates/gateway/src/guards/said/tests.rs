//! Who says what is told in every dialect.

use super::*;

/// The speaker and place of each text that begins with `say`.
fn told(body: &str) -> Vec<(String, Speaker, Place, bool)> {
    let outline = Outline::read(body).unwrap();
    let said = outline
        .texts
        .iter()
        .filter_map(|text| who_says(&outline, text));
    said.filter(|said| said.text.value.starts_with("say"))
        .map(|said| {
            let what = said.text.value.to_string();
            (what, said.speaker, said.place, said.is_argument)
        })
        .collect()
}

const BODIES: [(&str, &str); 7] = [
    (
        "openai chat",
        r#"{"messages":[{"role":"developer","content":"say op"},{"role":"user","content":[{"type":"text","text":"say user"}]},
        {"role":"assistant","content":"say model"},{"role":"tool","content":"say tool"}],"user":"say setting"}"#,
    ),
    (
        "openai responses",
        r#"{"instructions":"say op","input":[{"role":"user","content":[{"type":"input_text","text":"say user"}]},
        {"role":"assistant","content":[{"type":"output_text","text":"say model"}]},
        {"type":"function_call_output","call_id":"c","output":"say tool"}],"user":"say setting"}"#,
    ),
    (
        "anthropic",
        r#"{"system":[{"type":"text","text":"say op"}],"messages":[{"role":"user","content":"say user"},
        {"role":"assistant","content":[{"type":"text","text":"say model"}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"say tool"}]}],"x":"say setting"}"#,
    ),
    (
        "gemini",
        r#"{"systemInstruction":{"parts":[{"text":"say op"}]},"contents":[{"parts":[{"text":"say user"}]},
        {"role":"model","parts":[{"text":"say model"}]},
        {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"result":"say tool"}}}]}],"x":"say setting"}"#,
    ),
    (
        "gemini, one element for each list of one",
        r#"{"systemInstruction":{"parts":{"text":"say op"}},"contents":[{"parts":{"text":"say user"}},
        {"role":"model","parts":{"text":"say model"}},
        {"role":"user","parts":{"functionResponse":{"name":"f","response":{"result":"say tool"}}}}],"x":"say setting"}"#,
    ),
    (
        "bedrock",
        r#"{"system":[{"text":"say op"}],"messages":[{"role":"user","content":[{"text":"say user"}]},
        {"role":"assistant","content":[{"text":"say model"}]},
        {"role":"user","content":[{"toolResult":{"toolUseId":"t","content":[{"json":{"a":"say tool"}}]}}]}],"x":"say setting"}"#,
    ),
    (
        "cohere",
        r#"{"messages":[{"role":"system","content":"say op"},{"role":"user","content":"say user"},
        {"role":"assistant","content":"say model"}],"documents":[{"data":{"text":"say tool"}}],"x":"say setting"}"#,
    ),
];

#[test]
fn a_message_without_a_list_around_it_is_what_somebody_says() {
    let found = told(r#"{"contents":{"role":"user","parts":{"text":"say user"}}}"#);
    let said = ("say user", Speaker::Untrusted, Place::Input);
    let found: Vec<_> = found
        .iter()
        .map(|(what, speaker, place, _)| (&**what, *speaker, *place))
        .collect();
    assert_eq!(found, [said]);
    let found = told(r#"{"contents":{"role":"model","parts":{"text":"say model"}}}"#);
    assert_eq!(found[0].1, Speaker::Model);
}

#[test]
fn operator_user_model_and_tool_are_told_apart_in_every_dialect() {
    for (dialect, body) in BODIES {
        let expected = [
            ("say op", Speaker::Operator, Place::Input),
            ("say user", Speaker::Untrusted, Place::Input),
            ("say model", Speaker::Model, Place::Input),
            ("say tool", Speaker::Untrusted, Place::ToolResult),
            ("say setting", Speaker::Setting, Place::Input),
        ];
        let found = told(body);
        assert_eq!(found.len(), 5, "{dialect}: {found:?}");
        for ((what, speaker, place, is_argument), expected) in found.into_iter().zip(expected) {
            assert_eq!((&*what, speaker, place), expected, "{dialect}");
            assert!(!is_argument, "{dialect}");
        }
    }
}

#[test]
fn calls_and_thoughts_of_the_model_have_no_role_in_responses() {
    let body = r#"{"input":[{"type":"function_call","call_id":"c","name":"n","arguments":"say one"},
        {"type":"reasoning","summary":[{"type":"summary_text","text":"say two"}]},
        {"role":"user","type":"reasoning","content":"say three"}]}"#;
    let speakers: Vec<Speaker> = told(body)
        .into_iter()
        .map(|(_, speaker, ..)| speaker)
        .collect();
    let (model, user) = (Speaker::Model, Speaker::Untrusted);
    assert_eq!(
        speakers,
        [model, model, user],
        "a role says more than a type"
    );
}

#[test]
fn arguments_that_are_objects_are_told() {
    for body in [
        r#"{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"say no","name":"n","input":{"a":["say yes"]}}]}]}"#,
        r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"n","args":{"a":"say yes"}}}]}]}"#,
        r#"{"messages":[{"role":"assistant","content":[{"toolUse":{"toolUseId":"say no","name":"n","input":{"a":"say yes"}}}]}]}"#,
    ] {
        let found = told(body);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].0 == "say yes" && found[0].3, "{found:?}");
    }
}

#[test]
fn tools_that_are_offered_are_found_in_every_dialect() {
    for body in [
        r#"{"tools":[{"type":"function","function":{"name":"alpha","parameters":{"properties":{"name":{"type":"string"}}}}}]}"#,
        r#"{"tools":[{"type":"function","name":"alpha","parameters":{"type":"object"}}]}"#,
        r#"{"tools":[{"name":"alpha","input_schema":{"type":"object","example":{"name":"no"}}}]}"#,
        r#"{"tools":[{"functionDeclarations":[{"name":"alpha"}]}]}"#,
        r#"{"toolConfig":{"tools":[{"toolSpec":{"name":"alpha","inputSchema":{"json":{"type":"object"}}}}]}}"#,
        r#"{"functions":[{"name":"alpha"}],"messages":[{"role":"user","name":"no"}]}"#,
        r#"{"tools":[{"type":"alpha"}]}"#,
    ] {
        assert_eq!(
            offered_tools(&Outline::read(body).unwrap()),
            ["alpha"],
            "{body}"
        );
    }
}

#[test]
fn what_a_remote_tool_returned_stands_in_its_call() {
    let body = r#"{"input":[{"role":"user","content":"say user"},
        {"type":"mcp_call","name":"read","arguments":"{}","output":"say tool"}]}"#;
    let untrusted = |what: &str, place| (what.to_owned(), Speaker::Untrusted, place, false);
    let expected = [
        untrusted("say user", Place::Input),
        untrusted("say tool", Place::ToolResult),
    ];
    assert_eq!(told(body), expected);
}
