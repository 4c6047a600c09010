//! Is the caller's credential for this? Keys and tokens can be restricted to models, operations and
//! tools; agents are looked at with the headers, in [`super::authenticate`].

use seaworthy_core::code::Code;
use seaworthy_core::dialect::Dialect;
use seaworthy_core::principal::{Principal, scope};
use serde_json::Value;

use crate::exchange::Exchange;
use crate::offered_tools::offered;
use crate::refusal::Refusal;
use crate::stage::decode::Request;

/// Refuses what the caller's scopes leave out. Before anything is remembered, planned or paid.
pub(crate) fn authorize(
    exchange: &Exchange,
    caller: &Principal,
    request: &Request,
) -> Result<(), Refusal> {
    let scopes = &caller.scopes;
    if scopes.is_unrestricted() {
        return Ok(());
    }
    let operation = request.operation.as_str();
    if !scope::allows(&scopes.operations, operation) {
        return Err(denied(format!(
            "The credential is not for the operation `{operation}`."
        )));
    }
    let model = exchange.snapshot.model(&request.head.model);
    if model.is_some_and(|model| !exchange.may_call(model)) {
        let shown: String = request.head.model.chars().take(100).collect();
        let message = format!(
            "The credential is not for the model `{shown}`. GET /v1/models lists those it is for."
        );
        return Err(denied(message).at("model".to_owned()));
    }
    if !scopes.tools.is_empty() {
        tools(&scopes.tools, request.operation.dialect(), &request.body)?;
    }
    Ok(())
}

/// Only requests of credentials that are restricted to tools are parsed for this.
fn tools(allowed: &[String], dialect: Dialect, body: &[u8]) -> Result<(), Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|_| {
        Refusal::new(
            Code::InvalidRequest,
            "The body is not JSON, so that its tools cannot be told.",
        )
    })?;
    let named = offered(dialect, &body);
    let refused = named
        .iter()
        .find(|name| !name.is_some_and(|name| scope::allows(allowed, name)));
    match refused {
        None => Ok(()),
        Some(None) => Err(denied(
            "The credential is for certain tools, and one of these has no name.".to_owned(),
        )
        .at("tools".to_owned())),
        Some(Some(name)) => {
            let shown: String = name.chars().take(100).collect();
            let message = format!("The credential is not for the tool `{shown}`.");
            Err(denied(message).at("tools".to_owned()))
        }
    }
}

fn denied(message: String) -> Refusal {
    Refusal::new(Code::PermissionDenied, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tool_outside_of_the_scope_is_refused() {
        let allowed = ["search*".to_owned()];
        let tools = |body: &[u8]| tools(&allowed, Dialect::OpenAiChat, body);
        let body = |name: &str| json!({"tools": [{"name": name}]}).to_string();
        tools(body("search_web").as_bytes()).unwrap();
        tools(b"{}").unwrap();
        for refused in [body("shell"), "[".to_owned(), "{\"tools\":[1]}".to_owned()] {
            tools(refused.as_bytes()).unwrap_err();
        }
    }
}
