//! What providers charge for calls of tools that they run themselves, such as a search.

use std::sync::Arc;

use toml::{Table, Value};

use super::list::{LoadError, read_amount};
use crate::money::Micros;

/// What a provider charges for one of its tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFee {
    /// The name of the tool.
    pub name: String,
    /// Each call of it.
    pub call: Micros,
    /// Whether it is paid for once in a request, however often it is called.
    pub once: bool,
    /// Only for models whose names begin so; for all of them if there are none.
    models: Vec<String>,
}

/// The fees of a kind of provider.
#[derive(Debug, Clone, Default)]
pub(super) struct Fees(Vec<ToolFee>);

impl ToolFee {
    fn is_for(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|start| model.starts_with(start))
    }
}

impl Fees {
    /// Reads `tools` of a provider.
    pub(super) fn read(kind: &str, provider: &Value) -> Result<Self, LoadError> {
        let tools = provider.get("tools").and_then(Value::as_array);
        let tools = tools.into_iter().flatten();
        tools
            .map(|tool| {
                let table = tool.as_table();
                read_fee(table).map_err(|message| LoadError {
                    place: format!("{kind}, tools"),
                    message,
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Those of a model: for each tool the first one that is for it.
    pub(super) fn of(&self, model: &str) -> Arc<[ToolFee]> {
        let mut fees: Vec<ToolFee> = Vec::new();
        for fee in self.0.iter().filter(|fee| fee.is_for(model)) {
            if !fees.iter().any(|known| known.name == fee.name) {
                fees.push(fee.clone());
            }
        }
        fees.into()
    }
}

fn read_fee(tool: Option<&Table>) -> Result<ToolFee, String> {
    const KEYS: [&str; 4] = ["id", "call", "once", "models"];
    let tool = tool.ok_or("expected { id = \"…\", call = \"…\" }")?;
    if let Some(stranger) = tool.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("unknown key {stranger}"));
    }
    let name = tool.get("id").and_then(Value::as_str);
    let models = tool.get("models").and_then(Value::as_array);
    let models = models.into_iter().flatten().filter_map(Value::as_str);
    Ok(ToolFee {
        name: name.ok_or("id is missing")?.to_owned(),
        call: read_amount(tool, "call")?.ok_or("call is missing")?,
        once: tool.get("once").and_then(Value::as_bool).unwrap_or(false),
        models: models.map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::PriceList;

    #[test]
    fn searches_of_the_main_providers_have_a_price_that_depends_on_the_model() {
        let list = PriceList::built_in();
        let fee = |kind, model, tool: &str| {
            let fees = list.tool_fees(kind, model);
            let fee = fees.iter().find(|fee| fee.name == tool)?;
            Some((fee.call.0, fee.once))
        };
        assert_eq!(
            fee("openai", "gpt-5.2", "web_search"),
            Some((10_000, false))
        );
        assert_eq!(
            fee("openai", "gpt-4.1-mini", "web_search"),
            Some((25_000, false))
        );
        assert_eq!(
            fee("openai", "gpt-5.2", "file_search"),
            Some((2_500, false))
        );
        assert_eq!(
            fee("anthropic", "claude-haiku-4-5", "web_search"),
            Some((10_000, false))
        );
        assert_eq!(
            fee("gemini", "models/gemini-2.5-pro", "google_search"),
            Some((35_000, true))
        );
        assert_eq!(
            fee("gemini", "gemini-3-flash-preview", "google_search"),
            Some((14_000, false))
        );
        assert_eq!(fee("openai", "gpt-5.2", "function"), None);
        assert_eq!(fee("cohere", "command-a-03-2025", "web_search"), None);
    }

    #[test]
    fn a_fee_without_its_parts_is_an_error() {
        let of = |tool: &str| {
            PriceList::read(&format!(
                "[[provider]]\nkind = \"a\"\nas_of = \"2026-01-01\"\nsource = \"s\"\nmodels = []\ntools = [{tool}]"
            ))
        };
        assert!(of("{ id = \"a\", call = \"0.1\" }").is_ok());
        for wrong in [
            "{ id = \"a\" }",
            "{ call = \"1\" }",
            "{ id = \"a\", call = 1 }",
            "{ id = \"a\", call = \"1\", x = 1 }",
            "1",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
