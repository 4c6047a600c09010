//! The page of losses, `docs/reference/dialects.md`: written from the code, cell by cell, so that it
//! cannot claim what does not hold. What each cell claims is held against the code by `cross.rs`.

mod embeddings;

use super::{
    calls,
    cases::natives::{self, Native},
    replies, stream_through, whole_through,
};
use crate::{fields, golden, stops, support::DIALECTS};
use seaworthy_core::{dialect::Dialect, usage::Usage};
use seaworthy_llm::{Encoded, Feature, Loss, Lost, Verdict, encode_call, encode_call_of};
use std::{collections::HashSet, fmt::Write as _, path::Path};

const HEAD: &str = include_str!("page_head.md");

#[rustfmt::skip]
const CALLS: &[(&str, &str)] = &[
    ("Text", "text"),
    ("Stream", "streamed"),
    ("Instructions", "instructions"),
    ("Instructions alone", "only_instructions"),
    ("Several instructions", "two_instructions"),
    ("Several turns", "turns"),
    ("An instruction after the conversation has begun", "late_instruction"),
    ("An answer begun by the caller", "prefill"),
    ("Name of a speaker", "speaker"),
    ("Picture in base64", "picture"),
    ("Picture by its URL", "picture_url"),
    ("Sound in base64", "audio"),
    ("PDF in base64", "document"),
    ("Name of a file", "document_named"),
    ("Mark up to where to cache", "cache_point"),
    ("Tools", "tools"),
    ("Tool without a schema", "tool_without_schema"),
    ("Strict tool", "tool_strict"),
    ("Mark at a tool up to where to cache", "tool_marked"),
    ("Tool choice: automatic", "tool_auto"),
    ("Tool choice: any", "tool_required"),
    ("Tool choice: by name", "tool_named"),
    ("Tool choice: some of three", "tools_allowed"),
    ("Tool choice: none", "tool_none"),
    ("One tool at a time", "one_tool_at_a_time"),
    ("Parallel calls, their results, one failed", "tool_results"),
    ("Picture in a result", "tool_picture"),
    ("Tool of Anthropic's own (web search)", "tool_native"),
    ("JSON without a schema", "json"),
    ("JSON by a schema", "json_schema"),
    ("JSON by a schema with a description", "json_schema_described"),
    ("Reasoning: off", "no_reasoning"),
    ("Reasoning: on", "adaptive_reasoning"),
    ("Reasoning: so many tokens", "reasoning_budget"),
    ("Reasoning: 256 tokens", "small_reasoning_budget"),
    ("Reasoning: 16,000 tokens, no bound of the output", "large_reasoning_budget"),
    ("Effort: minimal", "effort_minimal"),
    ("Effort: medium", "effort"),
    ("Effort: extra high", "effort_extra_high"),
    ("Effort: max", "effort_max"),
    ("Effort and so many tokens", "budget_and_effort"),
    ("Effort, and a tool that has to be called", "effort_and_forced_tool"),
    ("Effort, `temperature`, `top_p` and `top_k`", "effort_and_sampling"),
    ("So many tokens, and what was thought before an earlier call is missing", "budget_and_forgotten_thoughts"),
    ("Earlier reasoning without a signature", "unsigned_thinking"),
    ("Earlier reasoning signed by OpenAI", "signed_by_openai_responses"),
    ("Earlier reasoning sealed by OpenAI", "sealed_by_openai_responses"),
    ("Earlier reasoning signed by Anthropic", "signed_by_anthropic_messages"),
    ("Earlier reasoning sealed by Anthropic", "sealed_by_anthropic_messages"),
    ("Earlier reasoning signed by Gemini", "signed_by_gemini"),
    ("Earlier reasoning signed by Bedrock", "signed_by_bedrock_converse"),
    ("Earlier reasoning sealed by Bedrock", "sealed_by_bedrock_converse"),
    ("`temperature` and `top_p`", "temperature"),
    ("`temperature` above 1", "hot"),
    ("`top_k`", "top_k"),
    ("Penalties", "penalties"),
    ("`seed`", "seed"),
    ("Stop sequences", "stop"),
    ("No bound of the output", "unbounded"),
    ("`n` above 1", "choices"),
    ("Name of the end user", "end_user"),
    ("Labels", "metadata"),
    ("Labels of any sign", "labels_of_any_sign"),
    ("Name of the end user for safety systems", "safety_identifier"),
    ("To be kept by the provider", "kept"),
    ("`verbosity` and `prompt_cache_key`", "openai_settings"),
    ("Service tier `flex`", "flex"),
    ("A stored answer to continue", "stored_answer"),
];

#[rustfmt::skip]
const REPLIES: &[(&str, &str)] = &[
    ("Text", "text"),
    ("Tool call", "tool"),
    ("Text and parallel calls", "tools_after_text"),
    ("Reasoning", "thinking"),
    ("Reasoning signed by OpenAI", "signed_by_openai_responses"),
    ("Reasoning signed by Anthropic", "signed_by_anthropic_messages"),
    ("Reasoning signed by Gemini", "signed_by_gemini"),
    ("Reasoning signed by Bedrock", "signed_by_bedrock_converse"),
    ("Reasoning sealed by Anthropic", "sealed"),
    ("The model declines", "refusal"),
    ("Stopped at a stop sequence", "stop_sequence"),
    ("Stopped at the bound", "max_tokens"),
    ("Stopped by a filter", "content_filter"),
    ("Stopped at the end of the context", "context_window"),
    ("Paused", "paused"),
];

fn title(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat => "OpenAI chat",
        Dialect::OpenAiResponses => "Responses",
        Dialect::AnthropicMessages => "Anthropic",
        Dialect::Gemini => "Gemini",
        Dialect::CohereChat => "Cohere",
        Dialect::BedrockConverse => "Bedrock",
    }
}

fn head_row(first: &str, page: &mut String) {
    let titles: Vec<&str> = DIALECTS.into_iter().map(title).collect();
    writeln!(page, "| {first} | {} |", titles.join(" | ")).unwrap();
    writeln!(page, "|---|{}", "---|".repeat(DIALECTS.len())).unwrap();
}

/// What a provider of the dialect gets of a call, in the words of its caller.
fn outcome(encoded: Result<Encoded, Lost>, seen: &mut HashSet<Feature>) -> String {
    match encoded {
        Ok(encoded) => left_out(&encoded.dropped, seen),
        Err(lost) => {
            seen.extend(lost.refused.iter().map(|loss| loss.feature));
            format!("**400** {}", paths(&lost.refused))
        }
    }
}

fn left_out(dropped: &[Loss], seen: &mut HashSet<Feature>) -> String {
    seen.extend(dropped.iter().map(|loss| loss.feature));
    match dropped {
        [] => "✓".to_owned(),
        dropped => format!("− {}", paths(dropped)),
    }
}

fn paths(losses: &[Loss]) -> String {
    let mut paths: Vec<String> = Vec::new();
    for loss in losses {
        let path = format!("`{}`", loss.path);
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths.join(", ")
}

fn requests(page: &mut String, seen: &mut HashSet<Feature>) {
    page.push_str("\n## Requests\n\nA column is what the provider speaks; that of the caller does not matter.\nFields have their names of chat completions here; callers read those of their own dialect, as in the tables below.\n\n");
    head_row("request", page);
    let calls = calls();
    for (title, name) in CALLS {
        let (_, call) = calls
            .iter()
            .find(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("no call {name}"));
        let cells: Vec<String> = DIALECTS
            .map(|to| outcome(encode_call(to, call), seen))
            .into();
        writeln!(page, "| {title} | {} |", cells.join(" | ")).unwrap();
    }
    for (name, _) in calls {
        let is_told = CALLS.iter().any(|(_, known)| *known == name);
        assert!(is_told, "the page has no row for {name}");
    }
}

fn native_fields(page: &mut String, seen: &mut HashSet<Feature>) {
    page.push_str(
        "\n## What one API has alone\n\nA column is what the provider speaks; `=` is the caller's own \
         dialect, whose requests pass byte for byte.\n\n",
    );
    head_row("request", page);
    for native in natives::natives() {
        let call = native.read();
        let Native { caller, what, .. } = native;
        let cell = |provider| match provider == caller {
            true => "=".to_owned(),
            false => outcome(encode_call_of(caller, provider, &call), seen),
        };
        let cells: Vec<String> = DIALECTS.map(cell).into();
        writeln!(
            page,
            "| {}: {what} | {} |",
            title(caller),
            cells.join(" | ")
        )
        .unwrap();
    }
}

fn settings(page: &mut String) {
    page.push_str(
        "\n## Every setting\n\nEach field that the official SDKs know, with a value that is not the usual \
         one, beside a tool.\nA column is what the provider speaks; `∅` makes no difference to providers: \
         the gateway sees to it.\n\n",
    );
    head_row("caller | field", page);
    page.insert_str(page.len() - 1, "---|");
    for (caller, field, cells) in fields::table() {
        let caller = title(caller);
        writeln!(page, "| {caller} | `{field}` | {} |", cells.join(" | ")).unwrap();
    }
}

fn answers(page: &mut String, seen: &mut HashSet<Feature>) {
    page.push_str("\n## Answers\n\nA column is what the caller speaks. Streams lose the same, which shows in the log only.\n\n");
    head_row("answer", page);
    let replies = replies();
    for (row, name) in REPLIES {
        let (_, reply) = replies
            .iter()
            .find(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("no reply {name}"));
        let mut cell = |caller: Dialect| {
            let (read, lost) = whole_through(caller, reply);
            let (_, of_stream) = stream_through(caller, reply);
            let features = |losses: &[Loss]| -> HashSet<Feature> {
                losses.iter().map(|loss| loss.feature).collect()
            };
            assert_eq!(features(&lost), features(&of_stream), "{name}: {caller:?}");
            let told = left_out(&lost, seen);
            match read.stop_reason == reply.stop_reason {
                true => told,
                false => format!("{told}, as `{:?}`", read.stop_reason),
            }
        };
        let cells: Vec<String> = DIALECTS.map(&mut cell).into();
        writeln!(page, "| {row} | {} |", cells.join(" | ")).unwrap();
    }
    for (name, _) in replies {
        let is_told = REPLIES.iter().any(|(_, known)| *known == name);
        assert!(is_told, "the page has no row for {name}");
    }
}

fn stops(page: &mut String) {
    page.push_str(
        "\n## Why the model stopped\n\nA row is a word of a provider, a column what callers read.\n\
         `an error` is 502 `upstream_invalid_response`, after which another target may be asked, or the \
         last event of a stream: nobody can make use of such an answer.\n\
         What it used counts all the same.\n\n",
    );
    head_row("provider | word", page);
    page.insert_str(page.len() - 1, "---|");
    for (provider, word, told) in stops::table() {
        let provider = title(provider);
        writeln!(page, "| {provider} | `{word}` | {} |", told.join(" | ")).unwrap();
    }
}

/// A class of tokens: its name, how many there are of it, and where to look.
type Class = (&'static str, fn(&mut Usage), fn(&Usage) -> u64);

const MANY: u64 = 1_000;

#[rustfmt::skip]
const CLASSES: &[Class] = &[
    ("Input", |usage| usage.input_tokens = MANY, |usage| usage.input_tokens),
    ("Input read from a cache", |usage| usage.cached_read_tokens = MANY, |usage| usage.cached_read_tokens),
    ("Input written to a cache for minutes", |usage| usage.cache_write_5m_tokens = MANY, |usage| usage.cache_write_5m_tokens),
    ("Input written to a cache for an hour", |usage| usage.cache_write_1h_tokens = MANY, |usage| usage.cache_write_1h_tokens),
    ("Output", |usage| usage.output_tokens = MANY, |usage| usage.output_tokens),
    ("Reasoning, within the output", |usage| (usage.output_tokens, usage.reasoning_tokens) = (MANY, MANY), |usage| usage.reasoning_tokens),
    ("Sound, within the input", |usage| (usage.input_tokens, usage.audio_input_tokens) = (MANY, MANY), |usage| usage.audio_input_tokens),
    ("Sound, within the output", |usage| (usage.output_tokens, usage.audio_output_tokens) = (MANY, MANY), |usage| usage.audio_output_tokens),
];

fn usage(page: &mut String) {
    page.push_str(
        "\n## Usage\n\nA column is what the caller speaks. Totals are the provider's everywhere; a class \
         that the dialect has no field for counts in a wider one. The ledger has all classes apart.\n\n",
    );
    head_row("tokens", page);
    let (_, plain) = replies().swap_remove(0);
    for (name, set, get) in CLASSES {
        let cell = |caller: Dialect| {
            let mut reply = plain.clone();
            let mut given = Usage::default();
            set(&mut given);
            reply.usage = Some(given);
            let (read, _) = whole_through(caller, &reply);
            let read = read.usage.unwrap();
            assert_eq!(read.total(), given.total(), "{name}: {caller:?}");
            if get(&read) == MANY {
                return "✓".to_owned();
            }
            let wider = CLASSES.iter().find(|(_, _, of)| of(&read) == MANY);
            format!("in “{}”", wider.unwrap().0)
        };
        let cells: Vec<String> = DIALECTS.map(cell).into();
        writeln!(page, "| {name} | {} |", cells.join(" | ")).unwrap();
    }
}

fn reasons(page: &mut String, seen: &HashSet<Feature>) {
    page.push_str("\n## Reasons\n\nWhat the header and the error say of each loss.\n\n| loss | done | reason |\n|---|---|---|\n");
    for feature in Feature::ALL {
        assert!(
            seen.contains(&feature),
            "no row of the page loses {feature:?}"
        );
        let (verdict, reason) = feature.verdict();
        let done = match verdict {
            Verdict::Drop => "left out",
            Verdict::Refuse => "refused",
        };
        writeln!(page, "| {feature:?} | {done} | {reason} |").unwrap();
    }
    for feature in seen {
        assert!(
            Feature::ALL.contains(feature),
            "{feature:?} is not in the list"
        );
    }
}

#[test]
fn the_page_of_losses_says_what_the_code_does() {
    let mut page = HEAD.to_owned();
    let mut seen = HashSet::new();
    requests(&mut page, &mut seen);
    native_fields(&mut page, &mut seen);
    settings(&mut page);
    answers(&mut page, &mut seen);
    stops(&mut page);
    usage(&mut page);
    embeddings::write(&mut page);
    reasons(&mut page, &seen);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/dialects.md");
    golden::matches_file(&file, &page);
}
