//! What the options must be together: references that lead somewhere, choices that fit.

mod auth;
mod classes;
mod guards;
mod kinds;
mod operations;
mod replay;
mod sandbox;
mod transport;

use std::collections::BTreeMap;

use crate::compile::policy;
use crate::config::{CacheStore, Config, Headers, Model, Provider, ProviderKind};
use crate::decode::join;
use crate::document::{Node, Value};
use crate::nearest::suggest;
use crate::problem::{Finding, Severity};
use crate::secret::SecretRef;
use crate::source::Span;
use crate::value::SharedStateUrl;

/// Headers that belong to the connection or are set from other options.
const OWN_HEADERS: [&str; 6] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "accept-encoding",
];

/// Checks a configuration whose single values are right. `broken` are the paths of values that
/// could not be decoded: what depends on them is not judged.
pub(crate) fn validate(config: &Config, root: &Node, broken: &[String]) -> Vec<Finding> {
    let mut check = Check {
        config,
        root,
        broken,
        findings: Vec::new(),
    };
    check.server();
    check.exposure();
    check.transport();
    check.secret_managers();
    check.auth();
    check.replay_protection();
    for (name, provider) in &config.providers {
        check.name("provider", name, &["providers", name]);
        check.provider(name, provider);
    }
    check.models();
    check.limits();
    check.classes();
    check.guards();
    check.resilience();
    check.operations();
    check.cache();
    check.sandbox();
    check.findings
}

/// An error about the value at `path`, or about the section that lacks it.
pub(crate) fn mistake(root: &Node, path: &[&str], message: String, help: &str) -> Finding {
    find(root, path, message).with_help(help)
}

fn find(root: &Node, path: &[&str], message: String) -> Finding {
    let found = root.nearest(path);
    let on_key = !found.exact || matches!(found.node.value, Value::Map(_));
    let value = found.node.span;
    let span = found.key.map(|key| if on_key { key.span } else { value });
    Finding::error(span, &path_of(path), message)
}

struct Check<'a> {
    config: &'a Config,
    root: &'a Node,
    broken: &'a [String],
    findings: Vec<Finding>,
}

impl Check<'_> {
    /// A finding about the value at `path`, or about the section that lacks it.
    fn find(&self, path: &[&str], message: String) -> Finding {
        find(self.root, path, message)
    }

    fn error(&mut self, path: &[&str], message: impl Into<String>, help: impl Into<String>) {
        let finding = self.find(path, message.into()).with_help(help);
        self.findings.push(finding);
    }

    /// An error about the key itself, whatever its value.
    fn key_error(&mut self, path: &[&str], message: String, help: &str) {
        let span = self.root.nearest(path).key.map(|key| key.span);
        let finding = Finding::error(span, &path_of(path), message).with_help(help);
        self.findings.push(finding);
    }

    fn warn(&mut self, path: &[&str], message: impl Into<String>, help: impl Into<String>) {
        let finding = self.find(path, message.into()).with_help(help);
        self.findings.push(Finding {
            severity: Severity::Warning,
            ..finding
        });
    }

    /// A warning about the key itself, whatever its value.
    fn warn_of_key(&mut self, path: &[&str], message: String, help: &str) {
        let span = self.root.nearest(path).key.map(|key| key.span);
        let finding = Finding::error(span, &path_of(path), message).with_help(help);
        self.findings.push(Finding {
            severity: Severity::Warning,
            ..finding
        });
    }

    /// Whether everything at `path` and below it could be decoded.
    fn intact(&self, path: &[&str]) -> bool {
        let path = path_of(path);
        !self.broken.iter().any(|broken| {
            let below = broken.strip_prefix(&path);
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    fn server(&mut self) {
        let server = &self.config.server;
        if !(8 * 1024..=1024 * 1024).contains(&server.max_header_size.bytes()) {
            let message = format!("expected 8KiB to 1MiB, found {}", server.max_header_size);
            self.error(
                &["server", "max_header_size"],
                message,
                "the usual size is 64KiB",
            );
        }
        if server.max_headers.get() > 100 {
            let message = format!("expected at most 100 headers, found {}", server.max_headers);
            self.error(
                &["server", "max_headers"],
                message,
                "the usual number is 100",
            );
        }
        if let Some(workers) = server.workers.filter(|workers| workers.get() > 1024) {
            let message = format!("expected at most 1024 workers, found {workers}");
            let help = "leave it out for one worker a core";
            self.error(&["server", "workers"], message, help);
        }
    }

    fn exposure(&mut self) {
        let (server, admin) = (self.config.server.listen, self.config.admin.listen);
        if admin == Some(server) && server.socket_addr().port() != 0 {
            let message = format!("`{server}` is the address of `server.listen` as well");
            let help = "leave it out to serve both there, or choose another port";
            self.error(&["admin", "listen"], message, help);
        }
        let listeners = [
            Some(("server", server)),
            admin.map(|listen| ("admin", listen)),
        ];
        let open = listeners
            .into_iter()
            .flatten()
            .find(|(_, listen)| !listen.is_loopback());
        if let Some((section, listen)) = open.filter(|_| !self.config.auth.enabled) {
            let message = format!(
                "requests without a key are only allowed on a loopback address, and \
                 `{section}.listen` is {listen}"
            );
            let help = "set `auth.enabled` to true, or listen on 127.0.0.1";
            self.error(&["auth", "enabled"], message, help);
        }
    }

    fn name(&mut self, what: &str, name: &str, path: &[&str]) {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let allowed_in_model = |c: char| allowed(c) || "/:@".contains(c);
        let provider = what == "provider";
        let good = |c: char| {
            if provider {
                allowed(c)
            } else {
                allowed_in_model(c)
            }
        };
        if name.is_empty() || name.len() > 128 || !name.chars().all(good) {
            let help = if provider {
                "use up to 128 letters, digits, `-`, `_` and `.`"
            } else {
                "use up to 128 letters, digits, `-`, `_`, `.`, `/`, `:` and `@`"
            };
            self.error(
                path,
                format!("`{name}` cannot be the name of a {what}"),
                help,
            );
        }
    }

    fn provider(&mut self, name: &str, provider: &Provider) {
        let at = |key| ["providers", name, key];
        let kind = provider.kind.as_str();
        if provider.kind == ProviderKind::Echo {
            let useless = [
                ("base_url", provider.base_url.is_some()),
                ("api_key", provider.api_key.is_some()),
                ("headers", provider.headers.iter().next().is_some()),
            ];
            for (key, _) in useless.into_iter().filter(|(_, set)| *set) {
                let message = format!("`{key}` has no meaning for the kind `echo`");
                let help = "remove it: echo is built in and calls nobody";
                self.key_error(&at(key), message, help);
            }
        } else if provider.base_url().is_none() {
            let message = format!("`base_url` is missing: the kind `{kind}` has no public address");
            let help = match provider.kind {
                ProviderKind::AzureOpenai => {
                    "set `base_url`, such as \"https://NAME.openai.azure.com\""
                }
                ProviderKind::Bedrock => "set `region`, such as \"eu-central-1\"",
                _ => "set `base_url`, such as \"http://127.0.0.1:11434/v1\"",
            };
            self.error(&at("base_url"), message, help);
        }
        if let Some(key) = &provider.api_key {
            self.literal(&at("api_key"), key);
            if provider
                .base_url
                .as_ref()
                .is_some_and(|url| !url.is_private())
            {
                let message = "the key is sent to this address without encryption";
                self.warn(&at("base_url"), message, "use https");
            }
        } else if matches!(
            provider.kind,
            ProviderKind::Openai | ProviderKind::Anthropic
        ) && provider.base_url.is_none()
        {
            let message = format!("without `api_key`, {kind} will refuse every request");
            let variable = name.to_ascii_uppercase().replace(['-', '.'], "_");
            let help = format!("set `api_key` to \"secret://env/{variable}_API_KEY\"");
            self.warn(&["providers", name], message, help);
        }
        self.kind_of_provider(name, provider);
        for (header, value) in provider.headers.iter() {
            self.header(&["providers", name, "headers", header], header, value);
        }
    }

    fn header(&mut self, path: &[&str], header: &str, value: &SecretRef) {
        if http::HeaderName::from_bytes(header.as_bytes()).is_err() {
            let help = "use letters, digits and `-`";
            let message = format!("`{header}` cannot be the name of a header");
            self.key_error(path, message, help);
        } else if OWN_HEADERS.contains(&header.to_ascii_lowercase().as_str()) {
            let message = format!("the header `{header}` is set by the gateway itself");
            self.key_error(path, message, "remove it");
        }
        if let SecretRef::Literal(secret) = value {
            if http::HeaderValue::from_str(secret.expose()).is_err() {
                let message =
                    format!("the value of the header `{header}` holds control characters");
                self.error(
                    path,
                    message,
                    "remove line breaks and other control characters",
                );
            }
            if Headers::is_secret(header, value) {
                self.literal(path, value);
            }
        }
    }

    fn literal(&mut self, path: &[&str], value: &SecretRef) {
        let in_file = self
            .find(path, String::new())
            .span
            .is_some_and(Span::is_in_file);
        let storage = &self.config.api_key_practices.storage;
        let is_forbidden = storage.use_secret_manager || storage.never_in_code;
        if storage.use_secret_manager && matches!(value, SecretRef::Env(_)) {
            let message = "`api_key_practices` asks for a secret manager, and this secret comes \
                           from an environment variable";
            self.warn(
                path,
                message,
                "use \"secret://vault/PATH#KEY\" or another manager's",
            );
        }
        if matches!(value, SecretRef::Literal(_)) && in_file {
            let message = "a secret is written into the configuration";
            let help = "put it into an environment variable or a file, and write \
                        \"secret://env/NAME\" or \"secret://file/PATH\" here";
            match is_forbidden {
                true => self.error(path, message, help),
                false => self.warn(path, message, help),
            }
        }
    }

    fn models(&mut self) {
        if self.config.models.is_empty() && self.intact(&["models"]) {
            let message = "there are no models: every request will be answered with 404";
            self.warn(
                &["models"],
                message,
                "add a section such as `[models.smart]`",
            );
        }
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        let config = self.config;
        for name in config.models.keys() {
            names.insert(name, name);
        }
        for (name, model) in &config.models {
            self.name("model", name, &["models", name]);
            self.targets(name, model);
            for alias in &model.aliases {
                let path = ["models", name.as_str(), "aliases"];
                self.name("model", alias, &path);
                if let Some(owner) = names.insert(alias, name) {
                    let message = format!("`{alias}` is a name of the model `{owner}` already");
                    self.error(&path, message, "each name can stand for one model only");
                }
            }
        }
    }

    fn cache(&mut self) {
        let config = self.config;
        let cache = &config.cache;
        let is_shared = matches!(config.shared_state.url, SharedStateUrl::Redis(_));
        if cache.store == CacheStore::Redis && !is_shared && self.intact(&["shared_state", "url"]) {
            self.error(
                &["cache", "store"],
                "`redis` needs a server, and `shared_state.url` names none",
                "set `shared_state.url`, or keep answers in `memory`",
            );
        }
        let is_model = |name: &String| {
            let mut models = config.models.iter();
            models.any(|(known, model)| known == name || model.aliases.contains(name))
        };
        if let Some(model) = &cache.semantic.model
            && !is_model(model)
            && self.intact(&["models"])
        {
            self.error(
                &["cache", "semantic", "model"],
                format!("there is no model `{model}`"),
                "name a configured model that makes embeddings",
            );
        }
    }

    fn limits(&mut self) {
        for mistake in policy(self.config, "").err().unwrap_or_default() {
            let path: Vec<&str> = mistake.path.iter().map(String::as_str).collect();
            if self.intact(&path)
                && (path.first() != Some(&"prices") || self.intact(&["providers"]))
            {
                self.error(&path, mistake.message, mistake.help);
            }
        }
    }

    fn resilience(&mut self) {
        let concurrency = &self.config.resilience.concurrency;
        let (min, initial, max) = (concurrency.min, concurrency.initial, concurrency.max);
        let path = ["resilience", "concurrency", "initial"];
        if !(min <= initial && initial <= max) && self.intact(&path[..2]) {
            let message =
                format!("expected {min} to {max}, as `min` and `max` say, found {initial}");
            self.error(&path, message, "change `initial`, `min` or `max`");
        }
    }

    fn targets(&mut self, name: &str, model: &Model) {
        let path = ["models", name, "targets"];
        if model.targets.is_empty() && self.intact(&path) {
            let message = format!("the model `{name}` has no target");
            self.error(&path, message, "add one, such as \"openai/gpt-5\"");
        }
        if model.targets.len() > 32 {
            let message = format!("expected at most 32 targets, found {}", model.targets.len());
            self.error(&path, message, "no request asks more than a few of them");
        }
        let named: Vec<String> = model.targets.iter().map(ToString::to_string).collect();
        for target in model.target_options.keys() {
            if !named.contains(target) && self.intact(&path) {
                let named: Vec<&str> = named.iter().map(String::as_str).collect();
                let help = suggest(target, "its targets are", &named);
                let message = format!("`{target}` is no target of the model `{name}`");
                let path = ["models", name, "target_options", target];
                self.key_error(&path, message, &help);
            }
        }
        if !self.intact(&["providers"]) {
            return;
        }
        let known: Vec<&str> = self.config.providers.keys().map(String::as_str).collect();
        for target in &model.targets {
            let provider = target.provider.as_str();
            if !known.contains(&provider) {
                let message = format!("there is no provider `{provider}` for `{target}`");
                let help = match known.as_slice() {
                    [] => format!("add a section `providers.{provider}`"),
                    known => suggest(provider, "the providers are", known),
                };
                let finding = self.find(&path, message).with_help(help);
                let node = self.root.nearest(&path).node;
                let item = node.item(|text| text.trim() == target.to_string());
                let span = item.map_or(finding.span, |item| Some(item.span));
                self.findings.push(Finding { span, ..finding });
            }
        }
    }
}

fn path_of(path: &[&str]) -> String {
    path.iter()
        .fold(String::new(), |path, key| join(&path, key))
}
