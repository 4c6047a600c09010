//! The route table: every path that is served, who may call it and in whose words it fails.

mod in_path;
mod table;

use http::Method;
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::principal::Permission;
use seaworthy_llm::embed::Embedding;

use crate::headers::name;

pub(crate) use in_path::{Asked, InPath, decoded, key_in_query, named};
pub(crate) use table::ROUTES;

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// A model call through the pipeline.
    Model(Operation),
    ListModels,
    GetModel,
    Health,
    Live,
    Ready,
    DeepHealth,
    ListFeatures,
    ShowTier,
    SetTier,
    ShowFeatures,
    SetFeature,
    Metrics,
    Status,
    EffectiveConfig,
    CreateToken,
    ListKeys,
    CreateKey,
    RotateKey,
    RevokeKey,
    OwnUsage,
    Usage,
    Projection,
    Budgets,
    PurgeCache,
    RunCode,
    GetResponse,
    DeleteResponse,
    CancelResponse,
    ListInputItems,
    UploadFile,
    ListFiles,
    GetFile,
    FileContent,
    DeleteFile,
    CreateBatch,
    ListBatches,
    GetBatch,
    CancelBatch,
}

/// A class of model calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    /// A model's answer to a conversation.
    Chat(Dialect),
    /// How many input tokens a conversation has.
    CountTokens(Dialect),
    /// Texts as vectors.
    Embeddings(Embedding),
    /// Whether texts are harmful.
    Moderations,
}

impl Operation {
    /// The dialect that callers of the operation speak.
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::Chat(dialect) | Self::CountTokens(dialect) => dialect,
            Self::Embeddings(form) => form.dialect(),
            Self::Moderations => Dialect::OpenAiChat,
        }
    }

    /// The form of its requests and answers: what one form means, another may not.
    pub(crate) fn form(self) -> &'static str {
        match self {
            Self::Embeddings(Embedding::GeminiBatch) => "gemini_batch",
            operation => operation.dialect().as_str(),
        }
    }

    /// The class of work in the ledger and in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Chat(_) => "chat",
            Self::CountTokens(_) => "count_tokens",
            Self::Embeddings(_) => "embeddings",
            Self::Moderations => "moderations",
        }
    }

    /// The class of work in the ledger, where a batch asks for it.
    pub(crate) fn in_batch(self) -> &'static str {
        match self {
            Self::Chat(_) => "batch_chat",
            Self::CountTokens(_) => "batch_count_tokens",
            Self::Embeddings(_) => "batch_embeddings",
            Self::Moderations => "batch_moderations",
        }
    }
}

/// What limits and budgets go by, of a class of work in the ledger.
pub(crate) fn behind_batch(recorded: &str) -> &str {
    recorded.strip_prefix("batch_").unwrap_or(recorded)
}

impl Action {
    /// The name in logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Model(operation) => operation.as_str(),
            Self::ListModels => "list_models",
            Self::GetModel => "get_model",
            Self::Health => "health",
            Self::Live => "health_live",
            Self::Ready => "health_ready",
            Self::DeepHealth => "health_deep",
            Self::ListFeatures => "list_features",
            Self::ShowTier => "admin_tier",
            Self::SetTier => "admin_set_tier",
            Self::ShowFeatures => "admin_features",
            Self::SetFeature => "admin_set_feature",
            Self::Metrics => "metrics",
            Self::Status => "admin_status",
            Self::EffectiveConfig => "admin_config",
            Self::CreateToken => "create_token",
            Self::ListKeys => "list_keys",
            Self::CreateKey => "create_key",
            Self::RotateKey => "rotate_key",
            Self::RevokeKey => "revoke_key",
            Self::OwnUsage => "own_usage",
            Self::Usage => "admin_usage",
            Self::Projection => "admin_usage_projection",
            Self::Budgets => "admin_budgets",
            Self::PurgeCache => "purge_cache",
            Self::RunCode => "sandbox",
            Self::GetResponse => "get_response",
            Self::DeleteResponse => "delete_response",
            Self::CancelResponse => "cancel_response",
            Self::ListInputItems => "list_input_items",
            Self::UploadFile => "upload_file",
            Self::ListFiles => "list_files",
            Self::GetFile => "get_file",
            Self::FileContent => "file_content",
            Self::DeleteFile => "delete_file",
            Self::CreateBatch => "create_batch",
            Self::ListBatches => "list_batches",
            Self::GetBatch => "get_batch",
            Self::CancelBatch => "cancel_batch",
        }
    }
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anyone: probes and scrapers have no key.
    Public,
    /// Callers with this permission.
    Needs(Permission),
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    /// The path; one `{name}` stands for what is between: of a segment when one follows, of the rest
    /// of the path otherwise.
    pub(crate) path: &'static str,
    pub(crate) action: Action,
    pub(crate) access: Access,
    pub(crate) family: Family,
}

impl Route {
    /// Whether it says which models there are.
    fn tells_of_models(&self) -> bool {
        matches!(self.action, Action::ListModels | Action::GetModel)
    }
}

const fn route(
    method: Method,
    path: &'static str,
    action: Action,
    access: Access,
    family: Family,
) -> Route {
    Route {
        method,
        path,
        action,
        access,
        family,
    }
}

/// What the table says about a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lookup<'a> {
    /// The route, and what its path parameter stands for.
    Found(&'static Route, &'a str),
    /// The path exists with other methods.
    WrongMethod { allow: &'static str },
    /// Nothing is served there.
    NotFound,
}

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        self.method == other.method && self.path == other.path
    }
}

impl Eq for Route {}

/// Finds the route of a request. `HEAD` is answered where `GET` is.
pub(crate) fn find<'a>(method: &Method, path: &'a str) -> Lookup<'a> {
    let wanted = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let mut known = Vec::new();
    for route in ROUTES {
        let Some(parameter) = matched(route.path, path) else {
            continue;
        };
        if route.method == *wanted {
            return Lookup::Found(route, parameter);
        }
        known.push(&route.method);
    }
    if known.is_empty() {
        return Lookup::NotFound;
    }
    let has = |method: Method| known.contains(&&method);
    let allow = match (has(Method::GET), has(Method::POST), has(Method::DELETE)) {
        (true, false, false) => "GET, HEAD",
        (true, true, false) => "GET, HEAD, POST",
        (true, false, true) => "GET, HEAD, DELETE",
        (true, true, true) => "GET, HEAD, POST, DELETE",
        (false, _, false) => "POST",
        (false, _, true) => "POST, DELETE",
    };
    Lookup::WrongMethod { allow }
}

fn matched<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let Some((start, rest)) = pattern.split_once('{') else {
        return (pattern == path).then_some("");
    };
    let parameter = path.strip_prefix(start)?;
    let (name, end) = rest.split_once('}').unwrap_or((rest, ""));
    let parameter = parameter.strip_suffix(end)?;
    // Names of models may have slashes.
    let is_one_segment = name != "model" || end.starts_with('/');
    let runs_on = is_one_segment && parameter.contains('/');
    (!parameter.is_empty() && !runs_on).then_some(parameter)
}

/// Every route as `METHOD path`, for tests that walk the table.
#[must_use]
pub fn route_names() -> Vec<String> {
    let name = |route: &Route| format!("{} {}", route.method, route.path);
    ROUTES.iter().map(name).collect()
}

/// The paths of every route that reaches a model.
#[must_use]
pub fn model_route_names() -> Vec<String> {
    let models = ROUTES
        .iter()
        .filter(|route| matches!(route.action, Action::Model(_)));
    models.map(|route| route.path.to_owned()).collect()
}

/// Whose words to use for a path, known or not: clients of Anthropic say so in their headers, and those
/// of Google where they ask for models.
pub(crate) fn family(route: Option<&Route>, path: &str, headers: &http::HeaderMap) -> Family {
    match route {
        Some(route) if route.family != Family::OpenAi => route.family,
        _ if headers.contains_key(&name::ANTHROPIC_VERSION) => Family::Anthropic,
        // Google's clients look for models where OpenAI's do, and have a header of their own for the key.
        Some(route) if route.tells_of_models() && headers.contains_key(&name::GOOGLE_KEY) => {
            Family::Gemini
        }
        // Cohere's clients have no header of their own for the key, and say who they are.
        Some(route) if route.tells_of_models() && is_cohere(headers) => Family::Cohere,
        Some(route) => route.family,
        None => FOREIGN
            .iter()
            .find(|(prefix, _)| path.starts_with(prefix))
            .map_or(Family::OpenAi, |(_, family)| *family),
    }
}

/// Whether the client is one of Cohere's.
fn is_cohere(headers: &http::HeaderMap) -> bool {
    let begins = |name: &str, start: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.starts_with(start))
    };
    begins("x-fern-sdk-name", "cohere") || begins("user-agent", "cohere/")
}

/// Under these paths clients of other families look for what is not there.
const FOREIGN: [(&str, Family); 4] = [
    ("/v1/messages", Family::Anthropic),
    ("/v1beta/", Family::Gemini),
    ("/v2/", Family::Cohere),
    ("/model/", Family::Bedrock),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_matched_whole_and_methods_are_named() {
        let found = |method, path| match find(&method, path) {
            Lookup::Found(route, parameter) => (route.action.as_str(), parameter.to_owned()),
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(found(Method::POST, "/v1/messages"), ("chat", String::new()));
        assert_eq!(
            found(Method::GET, "/v1/models/a/b"),
            ("get_model", "a/b".to_owned())
        );
        assert_eq!(found(Method::HEAD, "/health"), ("health", String::new()));
        assert_eq!(find(&Method::GET, "/v1/models/"), Lookup::NotFound);
        assert_eq!(find(&Method::GET, "/v1"), Lookup::NotFound);
        assert_eq!(
            find(&Method::GET, "/v1/messages"),
            Lookup::WrongMethod { allow: "POST" }
        );
        assert_eq!(
            find(&Method::DELETE, "/health"),
            Lookup::WrongMethod { allow: "GET, HEAD" }
        );
        assert_eq!(
            found(Method::POST, "/admin/v1/keys/key_1/rotate"),
            ("rotate_key", "key_1".to_owned())
        );
        let both = Lookup::WrongMethod {
            allow: "GET, HEAD, POST",
        };
        assert_eq!(find(&Method::PUT, "/admin/v1/keys"), both);
        for path in ["/v1/responses/r/cancel", "/v1/batches/b/cancel"] {
            let post = Lookup::WrongMethod { allow: "POST" };
            assert_eq!(find(&Method::DELETE, path), post);
        }
        let content = "/v1/files/f/content";
        let get = Lookup::WrongMethod { allow: "GET, HEAD" };
        assert_eq!(find(&Method::DELETE, content), get);
        assert_eq!(find(&Method::GET, "/v1/files/f/g"), Lookup::NotFound);
        for odd in ["/admin/v1/keys//rotate", "/admin/v1/keys/a/b/rotate"] {
            assert_eq!(find(&Method::POST, odd), Lookup::NotFound);
        }
    }

    #[test]
    fn lists_of_models_are_in_the_words_of_who_asks() {
        let found = |path, header: &'static str| {
            let mut headers = http::HeaderMap::new();
            headers.insert(header, http::HeaderValue::from_static("x"));
            let Lookup::Found(route, _) = find(&Method::GET, path) else {
                panic!("nothing at {path}");
            };
            family(Some(route), path, &headers)
        };
        for path in ["/v1/models", "/v1/models/a"] {
            assert_eq!(found(path, "x-api-key"), Family::OpenAi);
            assert_eq!(found(path, "anthropic-version"), Family::Anthropic);
            assert_eq!(found(path, "x-goog-api-key"), Family::Gemini);
        }
        assert_eq!(found("/v1/features", "x-goog-api-key"), Family::OpenAi);
    }

    #[test]
    fn nothing_but_probes_and_metrics_is_open_to_everyone() {
        for route in ROUTES {
            let open = route.access == Access::Public;
            let harmless = matches!(
                route.action,
                Action::Health
                    | Action::Live
                    | Action::Ready
                    | Action::DeepHealth
                    | Action::Metrics
            );
            assert_eq!(open, harmless, "{} {}", route.method, route.path);
        }
    }
}
