//! Where secret managers are, and who we are to them.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;
use crate::value::{BaseUrl, Duration, Name};

/// Secret managers that references such as `secret://vault/PATH#KEY` lead to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SecretManagers {
    /// How often secrets are fetched again. Each time up to a tenth more or less.
    pub refresh_interval: Duration,
    /// How long a manager may take to answer.
    pub timeout: Duration,
    /// AWS Secrets Manager.
    pub aws: AwsSecrets,
    /// HashiCorp Vault, the key-value store of version 2.
    pub vault: VaultSecrets,
    /// Azure Key Vault.
    pub azure: AzureSecrets,
    /// Google Cloud Secret Manager.
    pub gcp: GcpSecrets,
}

impl Default for SecretManagers {
    fn default() -> Self {
        Self {
            refresh_interval: Duration::from_secs(60),
            timeout: Duration::from_secs(5),
            aws: AwsSecrets::default(),
            vault: VaultSecrets::default(),
            azure: AzureSecrets::default(),
            gcp: GcpSecrets::default(),
        }
    }
}

/// AWS Secrets Manager.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AwsSecrets {
    /// The region, such as `eu-central-1`. Without it, the variable `AWS_REGION`.
    pub region: Option<String>,
    /// Where the service is, if not at its public address.
    pub endpoint: Option<BaseUrl>,
    /// A file of certificates in PEM format that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The public half of our access key. Without it, the variable `AWS_ACCESS_KEY_ID`.
    pub access_key_id: Option<SecretRef>,
    /// The secret half. Without it, the variable `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: Option<SecretRef>,
    /// The token of temporary credentials. Without it, the variable `AWS_SESSION_TOKEN`, if it is
    /// set.
    pub session_token: Option<SecretRef>,
}

/// HashiCorp Vault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VaultSecrets {
    /// Where it is, such as `https://vault.example:8200`.
    pub address: Option<BaseUrl>,
    /// A file of certificates in PEM format that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Where the key-value store is mounted.
    pub mount: String,
    /// The namespace, where there are some.
    pub namespace: Option<String>,
    /// A token to use as it is.
    pub token: Option<SecretRef>,
    /// The role of AppRole, which a token is got for.
    pub role_id: Option<SecretRef>,
    /// The secret of AppRole.
    pub secret_id: Option<SecretRef>,
    /// The role of Kubernetes' authentication, which a token is got for.
    pub kubernetes_role: Option<String>,
    /// The file in which Kubernetes puts the token of our service account.
    pub kubernetes_token_file: PathBuf,
}

impl Default for VaultSecrets {
    fn default() -> Self {
        Self {
            address: None,
            ca_file: None,
            mount: "secret".to_owned(),
            namespace: None,
            token: None,
            role_id: None,
            secret_id: None,
            kubernetes_role: None,
            kubernetes_token_file: "/var/run/secrets/kubernetes.io/serviceaccount/token".into(),
        }
    }
}

/// Azure Key Vault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AzureSecrets {
    /// The directory of our application. Without it, the identity of the machine is used.
    pub tenant_id: Option<String>,
    /// Our application, or an identity that the machine has.
    pub client_id: Option<String>,
    /// The secret of our application.
    pub client_secret: Option<SecretRef>,
    /// The vault of secrets whose reference names none.
    pub vault: Option<Name>,
    /// Where every vault is, if not at `https://VAULT.vault.azure.net`.
    pub endpoint: Option<BaseUrl>,
    /// Where tokens are got, if not at the public address.
    pub token_endpoint: Option<BaseUrl>,
    /// A file of certificates in PEM format that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// Google Cloud Secret Manager.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GcpSecrets {
    /// The project of secrets whose reference names none.
    pub project: Option<String>,
    /// The key of a service account, as the JSON that Google gives. Without it, the identity of the
    /// machine is used.
    pub credentials: Option<SecretRef>,
    /// Where the service is, if not at its public address.
    pub endpoint: Option<BaseUrl>,
    /// Where tokens are got, if not at the public address or where the key says.
    pub token_endpoint: Option<BaseUrl>,
    /// A file of certificates in PEM format that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}
