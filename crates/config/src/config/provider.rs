//! The services that answer requests.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use super::server::count;
use crate::mask;
use crate::secret::SecretRef;
use crate::value::{BaseUrl, Duration};

/// One service that answers requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The API that it speaks. `echo` is built in and repeats what it is told.
    pub kind: ProviderKind,
    /// Where its API begins. Without it, the kind's public address; `openai-compatible` has none.
    #[serde(default)]
    pub base_url: Option<BaseUrl>,
    /// The API of OpenAI that it is called with; of the kinds `openai`, `azure-openai` and
    /// `openai-compatible`.
    #[serde(default)]
    pub api: ProviderApi,
    /// The version of Azure's API, such as `2024-10-21`: its classic paths are used then. Without
    /// it, those of its API v1.
    #[serde(default)]
    pub api_version: Option<String>,
    /// The key to use, as a reference: `secret://env/NAME`, `secret://file/PATH` or a
    /// secret manager's.
    #[serde(default)]
    pub api_key: Option<SecretRef>,
    /// The region of Bedrock, `eu-central-1` for example: requests are signed for it.
    #[serde(default)]
    pub region: Option<String>,
    /// The ID of the access key that signs requests to Bedrock.
    #[serde(default)]
    pub access_key_id: Option<SecretRef>,
    /// The secret of that access key.
    #[serde(default)]
    pub secret_access_key: Option<SecretRef>,
    /// What goes along with temporary credentials.
    #[serde(default)]
    pub session_token: Option<SecretRef>,
    /// Headers to add to every request to it. A value may be a reference to a secret.
    #[serde(default)]
    pub headers: Headers,
    /// How long it may take.
    #[serde(default)]
    pub timeouts: ProviderTimeouts,
    /// How many unused connections to it are kept open.
    #[serde(default = "max_idle_connections")]
    pub max_idle_connections: NonZeroUsize,
}

impl Provider {
    /// A provider of this kind with all defaults.
    pub fn new(kind: ProviderKind) -> Self {
        Self {
            kind,
            base_url: None,
            api: ProviderApi::default(),
            api_version: None,
            api_key: None,
            region: None,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            headers: Headers::default(),
            timeouts: ProviderTimeouts::default(),
            max_idle_connections: max_idle_connections(),
        }
    }

    /// Where its API begins: as configured, or else the kind's public address. `None` for `echo`.
    pub fn base_url(&self) -> Option<Cow<'_, str>> {
        if let Some(url) = &self.base_url {
            return Some(url.as_str().into());
        }
        if self.kind == ProviderKind::Bedrock {
            let region = self.region.as_deref()?;
            return Some(format!("https://bedrock-runtime.{region}.amazonaws.com").into());
        }
        let public = match self.kind {
            ProviderKind::Openai => Some("https://api.openai.com/v1"),
            ProviderKind::Anthropic => Some("https://api.anthropic.com"),
            ProviderKind::Gemini => Some("https://generativelanguage.googleapis.com"),
            ProviderKind::Cohere => Some("https://api.cohere.com"),
            ProviderKind::OpenaiCompatible
            | ProviderKind::AzureOpenai
            | ProviderKind::Bedrock
            | ProviderKind::Echo => None,
        };
        public.map(Cow::Borrowed)
    }
}

fn max_idle_connections() -> NonZeroUsize {
    count(128)
}

/// The API that a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// OpenAI.
    Openai,
    /// Anthropic.
    Anthropic,
    /// Another service with OpenAI's API.
    OpenaiCompatible,
    /// Azure OpenAI.
    AzureOpenai,
    /// AWS Bedrock, by its Converse API.
    Bedrock,
    /// Google's Gemini API.
    Gemini,
    /// Cohere's chat API, version 2.
    Cohere,
    /// Built in: repeats what it is told.
    Echo,
}

impl ProviderKind {
    /// The kind's name, as in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::OpenaiCompatible => "openai-compatible",
            Self::AzureOpenai => "azure-openai",
            Self::Bedrock => "bedrock",
            Self::Gemini => "gemini",
            Self::Cohere => "cohere",
            Self::Echo => "echo",
        }
    }
}

/// Which of OpenAI's APIs for answers of models is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderApi {
    /// Chat completions.
    #[default]
    Chat,
    /// Responses.
    Responses,
}

impl ProviderApi {
    /// The API's name, as in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
        }
    }
}

/// How long a provider may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderTimeouts {
    /// Until the connection is open, TLS included.
    pub connect: Duration,
    /// From the request until the first byte of the answer.
    pub first_byte: Duration,
    /// From the request until the first token of a stream. Without it, `between_chunks` counts.
    pub first_token: Option<Duration>,
    /// Between two parts of an answer.
    pub between_chunks: Duration,
    /// For the request as a whole.
    pub total: Duration,
}

impl Default for ProviderTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(120),
            first_token: None,
            between_chunks: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}

/// Headers by name. Values are shown unless their name or look says that they are secret.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Headers(BTreeMap<String, SecretRef>);

impl Headers {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SecretRef)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether a value written into the configuration under this name is a secret.
    pub(crate) fn is_secret(name: &str, value: &SecretRef) -> bool {
        match value {
            SecretRef::Literal(secret) => {
                mask::is_secret_name(name) || mask::looks_secret(secret.expose())
            }
            SecretRef::Env(_) | SecretRef::File(_) | SecretRef::Managed(_) => false,
        }
    }

    fn shown(name: &str, value: &SecretRef) -> String {
        match value {
            SecretRef::Literal(text) if !Self::is_secret(name, value) => text.expose().to_owned(),
            _ => value.to_string(),
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(k, v)| (k, Self::shown(k, v))))
            .finish()
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, &Self::shown(name, value))?;
        }
        map.end()
    }
}

impl JsonSchema for Headers {
    fn schema_name() -> Cow<'static, str> {
        "Headers".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "headers",
            "type": "object",
            "additionalProperties": { "type": "string" },
        })
    }
}
