//! Streams in any pieces say what whole answers say, and nothing of a match is in either.

use seaworthy_config::{Config, Filter};
use seaworthy_core::call::Native;
use seaworthy_core::dialect::Dialect;
use seaworthy_guard::secrets::{Example, Secrets};
use seaworthy_guard::testing::Dice;
use serde_json::json;

use super::*;
use crate::guards::input::{Asked, Purpose};
use crate::guards::{Guards, Who};

/// What guards answers with this configuration, for somebody who asked with this body.
fn guarding(config: &Config, body: &str) -> Arc<Guarding> {
    let guards = Guards::build(config, None).unwrap();
    let asked = Asked {
        body,
        dialect: Dialect::OpenAiChat,
        purpose: Purpose::Conversation,
        who: Who {
            model: "m",
            configured: "m",
            user: "u",
            key: "k",
            earlier_keys: &[],
        },
        confirmed: Vec::new(),
    };
    let rules = guards.rules.as_ref().unwrap();
    rules
        .screen(asked, &mut Verdicts::default())
        .unwrap()
        .guarding
}

fn engine(filter: Filter) -> Arc<Guarding> {
    let mut config = Config::default();
    config.output_handling.filter_secrets = filter;
    guarding(&config, "{}")
}

/// A block of this place with this text.
fn block(place: Place, text: &str) -> Block {
    let text = text.to_owned();
    match place {
        Place::Reasoning => Block::Thinking {
            text,
            signature: None,
        },
        Place::ToolArguments => Block::ToolUse {
            id: "1".to_owned(),
            name: "sound".to_owned(),
            arguments: text,
        },
        _ => Block::Text(text),
    }
}

/// The answer of one block, whole: what passes of its text, and why it stopped.
fn whole(engine: &Arc<Guarding>, place: Place, text: &str) -> (String, StopReason) {
    let mut reply = Reply {
        id: String::new(),
        model: String::new(),
        blocks: vec![block(place, text)],
        stop_reason: StopReason::EndTurn,
        stop_sequence: None,
        usage: None,
        unknown_fields: Vec::new(),
    };
    guard_reply(engine, &mut reply, &mut Verdicts::default());
    let said = reply
        .blocks
        .pop()
        .map_or(String::new(), |block| match block {
            Block::Text(text) | Block::Thinking { text, .. } => text,
            Block::ToolUse { arguments, .. } => arguments,
            other => panic!("{other:?}"),
        });
    (said, reply.stop_reason)
}

/// The same answer in pieces.
fn streamed(
    engine: &Arc<Guarding>,
    place: Place,
    text: &str,
    dice: &mut Dice,
) -> (String, StopReason) {
    let (opening, piece): (_, fn(String) -> Delta) = match place {
        Place::Reasoning => (BlockOpening::Thinking, Delta::Thinking),
        Place::ToolArguments => (
            BlockOpening::ToolUse {
                id: "1".to_owned(),
                name: "sound".to_owned(),
            },
            Delta::Arguments,
        ),
        _ => (BlockOpening::Text, Delta::Text),
    };
    let mut deltas = vec![Delta::Open(opening)];
    let mut rest = text;
    while !rest.is_empty() {
        let cut = rest.ceil_char_boundary((1 + dice.below(12)).min(rest.len()));
        let (head, tail) = rest.split_at(cut);
        deltas.push(piece(head.to_owned()));
        rest = tail;
    }
    deltas.push(Delta::Close);
    deltas.push(Delta::Finish {
        stop_reason: StopReason::EndTurn,
        stop_sequence: None,
    });
    let mut guard = OutputGuard::new(Arc::clone(engine));
    let mut passed = Vec::new();
    for delta in deltas {
        guard.push(delta, &mut passed);
    }
    let mut said = String::new();
    let mut stop = None;
    for delta in passed {
        assert!(stop.is_none(), "nothing follows the end: {delta:?}");
        match delta {
            Delta::Text(piece) | Delta::Thinking(piece) | Delta::Arguments(piece) => {
                said.push_str(&piece);
            }
            Delta::Finish { stop_reason, .. } => stop = Some(stop_reason),
            _ => {}
        }
    }
    (said, stop.unwrap())
}

#[test]
fn any_pieces_of_every_kind_say_what_whole_answers_say_and_nothing_leaks() {
    let mut dice = Dice::new(11);
    let detector = Secrets::built_in().unwrap();
    for filter in [Filter::Redact, Filter::Block] {
        let engine = engine(filter);
        for _ in 0..2 {
            for example in detector.examples(|count| dice.below(count)) {
                let quoted = serde_json::Value::from(format!("run {} now", example.text));
                for place in [Place::OutputText, Place::Reasoning, Place::ToolArguments] {
                    let text = match place {
                        Place::ToolArguments => format!("{{\"command\": {quoted}, \"n\": 1}}"),
                        _ => format!("Take {} ⚓ and go.", example.text),
                    };
                    let expected = whole(&engine, place, &text);
                    let what = format!("{} {place:?} {filter:?}", example.rule);
                    assert!(!expected.0.contains(&example.text), "{what}");
                    let stop = match filter {
                        Filter::Block => StopReason::ContentFilter,
                        _ => StopReason::EndTurn,
                    };
                    assert_eq!(expected.1, stop, "{what}");
                    let found = streamed(&engine, place, &text, &mut dice);
                    assert_eq!(found, expected, "{what}");
                }
            }
        }
    }
}

#[test]
fn arguments_that_never_end_are_blocked_and_held_in_bounded_memory() {
    let mut guard = OutputGuard::new(engine(Filter::Redact));
    let mut passed = Vec::new();
    let opening = BlockOpening::ToolUse {
        id: "1".to_owned(),
        name: "sound".to_owned(),
    };
    guard.push(Delta::Open(opening), &mut passed);
    for _ in 0..=MAX_ARGUMENTS_BYTES / 65_536 {
        guard.push(Delta::Arguments("x".repeat(65_536)), &mut passed);
    }
    assert!(guard.is_blocked());
    assert!(
        matches!(passed.as_slice(), [Delta::Finish { .. }]),
        "{}",
        passed.len()
    );
    let verdicts = guard.take_verdicts();
    assert_eq!(verdicts.names().as_deref(), Some("length"));
}

#[test]
fn a_caller_who_leaves_in_the_middle_does_not_hide_what_was_decided() {
    let mut guard = OutputGuard::new(engine(Filter::Redact));
    let mut dice = Dice::new(3);
    let examples = Secrets::built_in()
        .unwrap()
        .examples(|count| dice.below(count));
    let known = |example: &&Example| example.rule.starts_with("github");
    let example = examples.iter().find(known).unwrap();
    let mut passed = Vec::new();
    guard.push(Delta::Open(BlockOpening::Text), &mut passed);
    guard.push(
        Delta::Text(format!("{} and so on, ", example.text)),
        &mut passed,
    );
    assert_eq!(guard.take_verdicts().names().as_deref(), Some("secret"));
    assert_eq!(guard.take_verdicts().names(), None, "each is counted once");
}

#[test]
fn a_piece_that_belongs_to_no_block_is_not_passed_on() {
    let mut guard = OutputGuard::new(engine(Filter::Redact));
    let mut passed = Vec::new();
    guard.push(Delta::Text("a".to_owned()), &mut passed);
    assert!(guard.is_blocked());
    assert!(matches!(passed.as_slice(), [Delta::Finish { .. }]));
}

#[test]
fn a_match_that_is_cut_into_blocks_of_text_is_found() {
    let mut dice = Dice::new(12);
    let example = Secrets::built_in()
        .unwrap()
        .examples(|count| dice.below(count))
        .into_iter()
        .find(|example| example.rule.starts_with("github"))
        .unwrap();
    let text = format!("Take {} and go.", example.text);
    for (filter, stop) in [
        (Filter::Redact, StopReason::EndTurn),
        (Filter::Block, StopReason::ContentFilter),
    ] {
        let engine = engine(filter);
        for cut in 1..text.len() {
            let parts = [&text[..cut], &text[cut..]];
            let mut reply = Reply {
                id: String::new(),
                model: String::new(),
                blocks: parts
                    .iter()
                    .map(|part| Block::Text((*part).to_owned()))
                    .collect(),
                stop_reason: StopReason::EndTurn,
                stop_sequence: None,
                usage: None,
                unknown_fields: Vec::new(),
            };
            guard_reply(&engine, &mut reply, &mut Verdicts::default());
            let whole: String = reply
                .blocks
                .iter()
                .map(|block| match block {
                    Block::Text(text) => text.as_str(),
                    other => panic!("{other:?}"),
                })
                .collect();
            let (mut guard, mut passed) = (OutputGuard::new(Arc::clone(&engine)), Vec::new());
            for part in parts {
                guard.push(Delta::Open(BlockOpening::Text), &mut passed);
                guard.push(Delta::Text(part.to_owned()), &mut passed);
                guard.push(Delta::Close, &mut passed);
            }
            let finish = Delta::Finish {
                stop_reason: StopReason::EndTurn,
                stop_sequence: None,
            };
            guard.push(finish, &mut passed);
            let (mut streamed, mut open) = (String::new(), 0);
            for delta in &passed {
                match delta {
                    Delta::Text(piece) => streamed.push_str(piece),
                    Delta::Open(_) => open += 1,
                    Delta::Close => open -= 1,
                    Delta::Finish { stop_reason, .. } => assert_eq!(*stop_reason, stop),
                    other => panic!("{other:?}"),
                }
                assert!((0..=1).contains(&open), "{passed:?}");
            }
            assert_eq!(open, 0, "{passed:?}");
            assert_eq!(
                (&streamed, reply.stop_reason),
                (&whole, stop),
                "cut at {cut}"
            );
            assert!(!streamed.contains(&example.text[..8]), "{streamed}");
            assert!(guard.take_verdicts().names().is_some());
        }
    }
}

/// What is left of an answer that is one item which only its provider knows.
fn native(guarding: &Arc<Guarding>, dialect: Dialect, item: &serde_json::Value) -> Vec<Block> {
    let mut reply = Reply {
        id: String::new(),
        model: String::new(),
        blocks: vec![Block::Native(Native {
            dialect,
            kind: item["type"].as_str().unwrap().to_owned(),
            json: item.to_string(),
        })],
        stop_reason: StopReason::EndTurn,
        stop_sequence: None,
        usage: None,
        unknown_fields: Vec::new(),
    };
    guard_reply(guarding, &mut reply, &mut Verdicts::default());
    let is_whole = reply.stop_reason == StopReason::EndTurn;
    assert_eq!(is_whole, !reply.blocks.is_empty(), "{item}");
    reply.blocks
}

#[test]
fn calls_that_only_their_provider_knows_are_told_by_the_names_of_their_tools() {
    let mut config = Config::default();
    config.guards.scope.denied_tools = vec!["delete_*".to_owned(), "shell_call".to_owned()];
    config.output_handling.escape_shell_commands = Filter::Redact;
    let guarding = guarding(&config, "{}");
    let (responses, anthropic) = (Dialect::OpenAiResponses, Dialect::AnthropicMessages);
    let calls = |name: &str, given: &str| {
        let arguments = json!({"command": given}).to_string();
        [
            (
                responses,
                json!({"type": "custom_tool_call", "name": name, "input": given}),
            ),
            (
                responses,
                json!({"type": "mcp_call", "name": name, "arguments": arguments}),
            ),
            (
                responses,
                json!({"type": "mcp_approval_request", "name": name, "arguments": arguments}),
            ),
            (
                anthropic,
                json!({"type": "mcp_tool_use", "name": name, "input": {"command": given}}),
            ),
            (
                anthropic,
                json!({"type": "server_tool_use", "name": name, "input": {"command": given}}),
            ),
        ]
    };
    for (dialect, item) in calls("delete_all", "ls") {
        assert!(native(&guarding, dialect, &item).is_empty(), "{item}");
    }
    for (dialect, item) in calls("bash", "rm -rf /") {
        assert!(native(&guarding, dialect, &item).is_empty(), "{item}");
    }
    for (dialect, item) in calls("bash", "ls") {
        let same = Block::Native(Native {
            dialect,
            kind: item["type"].as_str().unwrap().to_owned(),
            json: item.to_string(),
        });
        assert_eq!(native(&guarding, dialect, &item), [same]);
    }
    let kind = json!({"type": "shell_call", "name": "look"});
    assert!(native(&guarding, responses, &kind).is_empty());
}

#[test]
fn a_placeholder_that_is_cut_into_blocks_is_put_back() {
    const MAIL: &str = "jo.hull@harbour.example";
    let mut config = Config::default();
    config.input_validation.redact_pii = Filter::Tokenize;
    let body = json!({"messages": [{"role": "user", "content": format!("Write to {MAIL}.")}]});
    let guarding = guarding(&config, &body.to_string());
    let placeholder = guarding.vault.as_ref().unwrap().hider().unwrap().hide(MAIL);
    assert_ne!(placeholder, MAIL);
    let (begin, end) = placeholder.split_at(placeholder.len() / 2);
    let mut reply = Reply {
        id: String::new(),
        model: String::new(),
        blocks: vec![
            Block::Text(format!("To {begin}")),
            Block::Text(format!("{end} now")),
        ],
        stop_reason: StopReason::EndTurn,
        stop_sequence: None,
        usage: None,
        unknown_fields: Vec::new(),
    };
    let mut guard = OutputGuard::new(Arc::clone(&guarding));
    let mut streamed = Vec::new();
    for block in &reply.blocks {
        guard.push(Delta::Open(BlockOpening::Text), &mut streamed);
        if let Block::Text(text) = block {
            guard.push(Delta::Text(text.clone()), &mut streamed);
        }
        guard.push(Delta::Close, &mut streamed);
    }
    let finish = Delta::Finish {
        stop_reason: StopReason::EndTurn,
        stop_sequence: None,
    };
    guard.push(finish, &mut streamed);
    let streamed: String = streamed
        .iter()
        .filter_map(|delta| match delta {
            Delta::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    guard_reply(&guarding, &mut reply, &mut Verdicts::default());
    let whole: String = reply
        .blocks
        .iter()
        .filter_map(|block| match block {
            Block::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    for told in [whole, streamed] {
        assert_eq!(told, format!("To {MAIL} now"));
    }
    // Reasoning may be signed: only what can be undone is put back into it.
    let mut thought = |text: &str| {
        reply.blocks = vec![Block::Thinking {
            text: text.to_owned(),
            signature: None,
        }];
        guard_reply(&guarding, &mut reply, &mut Verdicts::default());
        match &reply.blocks[..] {
            [Block::Thinking { text, .. }] => text.clone(),
            other => panic!("{other:?}"),
        }
    };
    let lower = placeholder.to_lowercase();
    assert_eq!(
        thought(&format!("{placeholder} {lower}")),
        format!("{MAIL} {lower}")
    );
}

#[test]
fn names_count_whatever_letters_they_are_written_in_and_whatever_server_they_are_of() {
    let mut config = Config::default();
    config.guards.scope.denied_tools = vec!["delete_*".to_owned()];
    config.guards.scope.allowed_tools = vec!["*".to_owned()];
    let denying = guarding(&config, "{}");
    let mut config = Config::default();
    config.guards.scope.side_effect_tools = vec!["send_*".to_owned()];
    let returned = json!({"messages": [{"role": "tool", "tool_call_id": "c", "content": "found"}]});
    let untrusting = guarding(&config, &returned.to_string());
    let mut config = Config::default();
    config.output_handling.sandbox_code_execution = true;
    let sandboxing = guarding(&config, "{}");
    let admits = |guarding: &Guarding, name: &str| {
        guarding.admits(&Called::function(name), false, &mut Verdicts::default())
    };
    for (guarding, name) in [
        (&denying, "delete_all"),
        (&untrusting, "send_mail"),
        (&sandboxing, "python"),
    ] {
        let wide: String = name
            .chars()
            .map(|c| match c {
                'a'..='z' => char::from_u32(u32::from(c) + 0xFEE0).unwrap(),
                other => other,
            })
            .collect();
        let hidden = name.replace('e', "e\u{200b}").replace('y', "\u{ad}y");
        for written in [
            name.to_owned(),
            wide,
            hidden,
            format!("mcp__files__{name}"),
            format!("files.{name}"),
            format!("functions:{name}"),
            format!("a/{name}"),
        ] {
            assert!(!admits(guarding, &written), "{written}");
        }
        assert!(admits(guarding, &format!("re{name}")), "{name}");
    }
    let mut config = Config::default();
    config.guards.scope.allowed_tools = vec!["read".to_owned()];
    let allowing = guarding(&config, "{}");
    assert!(admits(&allowing, "read") && !admits(&allowing, "mcp__other__read"));
}
