//! The schema that an answer has to keep to, wherever a dialect has it.

use serde_json::Value;

use super::Dialect;

/// The schema in a request; `None`: the answer is free.
pub(super) fn wanted(dialect: Dialect, body: &Value) -> Option<Value> {
    let found = match dialect {
        Dialect::OpenAi => &body["response_format"]["json_schema"]["schema"],
        Dialect::Responses => &body["text"]["format"]["schema"],
        Dialect::Anthropic => &body["output_config"]["format"]["schema"],
        Dialect::Cohere => {
            // The second is the old name.
            let format = &body["response_format"];
            format.get("json_schema").unwrap_or(&format["schema"])
        }
        Dialect::Gemini => {
            let config = &body["generationConfig"];
            let found = config.get("responseJsonSchema");
            found.unwrap_or(&config["responseSchema"])
        }
        Dialect::Bedrock => {
            let format = &body["outputConfig"]["textFormat"];
            // A document within a string.
            let text = format["structure"]["jsonSchema"]["schema"].as_str()?;
            return serde_json::from_str(text).ok();
        }
    };
    found.is_object().then(|| super::foreign::lowered(found))
}
