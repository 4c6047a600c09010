//! Names of fields in the caller's own dialect: losses and refusals stand at places of the canonical
//! call, and a caller looks for them in what it sent.

mod places;

use crate::loss::{Encoded, Feature, Loss, Lost};
use places::in_conversation;
use seaworthy_core::{call::Call, dialect::Dialect};

/// The names that a setting has at its callers, in the order of [`Dialect::ALL`]; where one is empty the
/// dialect cannot say it.
struct Names {
    canonical: &'static str,
    chat: &'static str,
    responses: &'static str,
    anthropic: &'static str,
    gemini: &'static str,
    cohere: &'static str,
    bedrock: &'static str,
}

macro_rules! names {
    ($($canonical:literal: $chat:literal $responses:literal $anthropic:literal $gemini:literal $cohere:literal $bedrock:literal;)*) => {
        &[$(Names {
            canonical: $canonical,
            chat: $chat,
            responses: $responses,
            anthropic: $anthropic,
            gemini: $gemini,
            cohere: $cohere,
            bedrock: $bedrock,
        }),*]
    };
}

/// Names that are the same everywhere are left out. The longer name of two comes first.
#[rustfmt::skip]
const SETTINGS: &[Names] = names! {
    "temperature": "" "" "" "generationConfig.temperature" "" "inferenceConfig.temperature";
    "top_p": "" "" "" "generationConfig.topP" "p" "inferenceConfig.topP";
    "top_k": "" "" "" "generationConfig.topK" "k" "additionalModelRequestFields.top_k";
    "seed": "" "" "" "generationConfig.seed" "" "";
    "frequency_penalty": "" "" "" "generationConfig.frequencyPenalty" "" "";
    "presence_penalty": "" "" "" "generationConfig.presencePenalty" "" "";
    "stop": "" "" "stop_sequences" "generationConfig.stopSequences" "stop_sequences" "inferenceConfig.stopSequences";
    "n": "" "" "" "generationConfig.candidateCount" "" "";
    "max_tokens": "" "prompt_cache_options.prewarm" "" "generationConfig.maxOutputTokens" "" "inferenceConfig.maxTokens";
    "parallel_tool_calls": "" "" "tool_choice.disable_parallel_tool_use" "" "" "";
    "user": "" "" "metadata.user_id" "" "" "";
    "metadata": "" "" "" "labels" "" "requestMetadata";
    "service_tier": "" "" "" "serviceTier" "" "serviceTier";
    "verbosity": "" "text.verbosity" "" "" "" "";
    "response_format.json_schema.description": "" "text.format.description" "" "" "" "outputConfig.textFormat.structure.jsonSchema.description";
    "response_format": "" "text.format" "output_config.format" "generationConfig.responseMimeType" "" "outputConfig.textFormat";
    "reasoning_effort": "" "reasoning.effort" "output_config.effort" "generationConfig.thinkingConfig.thinkingLevel" "" "outputConfig.effort";
    "thinking.budget_tokens": "" "" "" "generationConfig.thinkingConfig.thinkingBudget" "thinking.token_budget" "additionalModelRequestFields.thinking.budget_tokens";
    "thinking": "reasoning_effort" "reasoning.effort" "" "generationConfig.thinkingConfig" "" "additionalModelRequestFields.thinking";
    "tool_choice": "" "" "" "toolConfig.functionCallingConfig" "" "toolConfig.toolChoice";
};

impl Names {
    fn at(&self, caller: Dialect) -> &'static str {
        let name = match caller {
            Dialect::OpenAiChat => self.chat,
            Dialect::OpenAiResponses => self.responses,
            Dialect::AnthropicMessages => self.anthropic,
            Dialect::Gemini => self.gemini,
            Dialect::CohereChat => self.cohere,
            Dialect::BedrockConverse => self.bedrock,
        };
        match name {
            "" => self.canonical,
            name => name,
        }
    }
}

/// The caller's name of a setting, which is canonically called so: `generationConfig.candidateCount`
/// for `n`.
#[must_use]
pub fn setting(caller: Dialect, canonical: &str) -> String {
    for names in SETTINGS {
        let rest = canonical.strip_prefix(names.canonical);
        if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with(['.', '['])) {
            return format!("{}{rest}", names.at(caller));
        }
    }
    canonical.to_owned()
}

/// A request for a provider, with every loss at the place where the caller wrote what is lost.
pub(crate) fn in_callers_words(
    caller: Dialect,
    call: &Call,
    encoded: Result<Encoded, Lost>,
) -> Result<Encoded, Lost> {
    let tell = |losses: Vec<Loss>| losses.into_iter().map(|loss| told(caller, call, loss));
    match encoded {
        Ok(Encoded { body, dropped }) => Ok(Encoded {
            body,
            dropped: tell(dropped).collect(),
        }),
        Err(Lost { refused }) => Err(Lost {
            refused: tell(refused).collect(),
        }),
    }
}

fn told(caller: Dialect, call: &Call, loss: Loss) -> Loss {
    // These are named as the caller named them already.
    if matches!(loss.feature, Feature::UnknownField | Feature::NativeField) {
        return loss;
    }
    let place = in_conversation(caller, call, &loss.path);
    let place = place.or_else(|| of_tools(caller, call, &loss));
    Loss {
        path: place.unwrap_or_else(|| setting(caller, &loss.path)),
        ..loss
    }
}

/// The caller's place of a tool, or of all.
fn of_tools(caller: Dialect, call: &Call, loss: &Loss) -> Option<String> {
    use seaworthy_core::call::Tool;
    if loss.path == "tools" {
        return Some(match (caller, loss.feature) {
            (Dialect::CohereChat, Feature::StrictTool) => "strict_tools".to_owned(),
            (Dialect::BedrockConverse, _) => "toolConfig.tools".to_owned(),
            _ => loss.path.clone(),
        });
    }
    let (index, rest) = numbered(loss.path.strip_prefix("tools")?)?;
    let tool = call.tools.get(index)?;
    Some(match (caller, tool) {
        // Marks stand between tools there.
        (Dialect::BedrockConverse, _) => {
            let marked = |tool: &&Tool| matches!(tool, Tool::Function(f) if f.cache.is_some());
            let index = index + call.tools[..index].iter().filter(marked).count();
            format!("toolConfig.tools[{index}]{rest}")
        }
        // One entry holds many functions, and other tools under their names.
        (Dialect::Gemini, Tool::Native(native)) => format!("tools.{}{rest}", native.kind),
        _ => loss.path.clone(),
    })
}

/// The number in brackets at the start of a path, and what follows it.
fn numbered(path: &str) -> Option<(usize, &str)> {
    let (number, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_the_callers_names() {
        for (caller, canonical, expected) in [
            (Dialect::Gemini, "top_k", "generationConfig.topK"),
            (Dialect::CohereChat, "top_k", "k"),
            (Dialect::OpenAiChat, "top_k", "top_k"),
            (
                Dialect::BedrockConverse,
                "stop",
                "inferenceConfig.stopSequences",
            ),
            (Dialect::Gemini, "metadata.team", "labels.team"),
            (Dialect::Gemini, "metadatas", "metadatas"),
            (
                Dialect::OpenAiResponses,
                "response_format.json_schema.description",
                "text.format.description",
            ),
        ] {
            assert_eq!(setting(caller, canonical), expected);
        }
    }
}
