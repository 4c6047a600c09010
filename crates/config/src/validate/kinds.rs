//! What only some kinds of providers have.

use super::Check;
use crate::config::{Provider, ProviderApi, ProviderKind};

impl Check<'_> {
    pub(super) fn kind_of_provider(&mut self, name: &str, provider: &Provider) {
        self.api(name, provider);
        self.signing(name, provider);
    }

    /// What only some kinds have.
    fn api(&mut self, name: &str, provider: &Provider) {
        let kind = provider.kind.as_str();
        let at = |key| ["providers", name, key];
        let is_openai = matches!(
            provider.kind,
            ProviderKind::Openai | ProviderKind::AzureOpenai | ProviderKind::OpenaiCompatible
        );
        if !is_openai && provider.api != ProviderApi::default() {
            let api = provider.api.as_str();
            let message = format!("the kind `{kind}` has no API called `{api}`");
            let help =
                "remove it: only `openai`, `azure-openai` and `openai-compatible` have several";
            self.error(&at("api"), message, help);
        }
        let Some(version) = &provider.api_version else {
            return;
        };
        let is_word = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if provider.kind != ProviderKind::AzureOpenai {
            let message = format!("`api_version` has no meaning for the kind `{kind}`");
            self.key_error(&at("api_version"), message, "remove it");
        } else if version.is_empty() || !version.chars().all(is_word) {
            let message = format!("expected a version such as \"2024-10-21\", found \"{version}\"");
            self.error(&at("api_version"), message, "copy it from Azure's pages");
        }
    }

    fn signing(&mut self, name: &str, provider: &Provider) {
        let kind = provider.kind.as_str();
        let at = |key| ["providers", name, key];
        let secrets = [
            ("access_key_id", &provider.access_key_id),
            ("secret_access_key", &provider.secret_access_key),
            ("session_token", &provider.session_token),
        ];
        if provider.kind != ProviderKind::Bedrock {
            let region = ("region", provider.region.is_some());
            let useless = secrets.map(|(key, secret)| (key, secret.is_some()));
            for (key, _) in useless.into_iter().chain([region]).filter(|(_, set)| *set) {
                let message = format!("`{key}` has no meaning for the kind `{kind}`");
                self.key_error(&at(key), message, "remove it");
            }
            return;
        }
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if let Some(region) = &provider.region
            && (region.is_empty() || !region.chars().all(is_word))
        {
            let message = format!("expected a region such as \"eu-central-1\", found \"{region}\"");
            self.error(&at("region"), message, "copy it from the AWS console");
        }
        for (key, secret) in secrets {
            // The ID is public.
            if let (Some(secret), true) = (secret, key != "access_key_id") {
                self.literal(&at(key), secret);
            }
        }
        let signs = provider.access_key_id.is_some() && provider.secret_access_key.is_some();
        let half = provider.access_key_id.is_some() != provider.secret_access_key.is_some();
        if half || (provider.session_token.is_some() && !signs) {
            let message = "an access key is only half there";
            let help = "set both `access_key_id` and `secret_access_key`";
            self.error(&["providers", name], message, help);
        } else if signs && provider.region.is_none() {
            let message = "`region` is missing: requests are signed for a region";
            self.error(&at("region"), message, "set it, such as \"eu-central-1\"");
        } else if signs && provider.api_key.is_some() {
            let message =
                "there are both an access key and `api_key`: a request has only one of them";
            self.error(&at("api_key"), message, "remove one of them");
        } else if !signs && provider.api_key.is_none() {
            let message = "without credentials, bedrock will refuse every request";
            let help = "set `access_key_id` and `secret_access_key`, or `api_key`";
            self.warn(&["providers", name], message, help);
        }
    }
}
