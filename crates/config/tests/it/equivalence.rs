//! TOML and YAML say the same things, and what is shown can be loaded again.

use seaworthy_config::{Change, Format, Overrides, diff, load_str, show, starting_config};

use crate::support::{toml, yaml};

const TOML: &str = r#"
[server]
listen = "[::1]:8080"
workers = 4
max_request_size = "32KiB"
drain_timeout = "1h 30m"

[admin]
listen = "127.0.0.1:8081"

[storage]
url = "memory:"

[shared_state]
on_loss = "reject"

[providers.open-ai]
kind = "openai"
base_url = "https://example.com/v1/"
api_key = "secret://file//run/secrets/key"
headers = { anthropic-beta = "a,b", x-api-key = "secret://env/OTHER" }
timeouts = { connect = "500ms" }

[models."smart:1"]
targets = ["open-ai/org/model"]
aliases = ["clever"]

[logging]
level = "debug"
"#;

const YAML: &str = r#"
# the same, with lists of one-key sections, as checklists write them
server:
  - listen: "[::1]:8080"
  - workers: 4
  - max_request_size: 32KiB
  - drain_timeout: 90 minutes
admin: {listen: 127.0.0.1:8081}
auth:
storage: {url: "memory:"}
shared_state:
  on_loss: reject
providers:
  open-ai:
    kind: openai
    base_url: https://example.com/v1
    api_key: secret://file//run/secrets/key
    headers:
      - anthropic-beta: a,b
      - x-api-key: secret://env/OTHER
    timeouts:
      connect: 0.5s
models:
  smart:1:
    targets:
      - open-ai/org/model
    aliases: [clever]
logging: {level: debug}
"#;

#[test]
fn both_languages_give_the_same_configuration_and_hash() {
    let (toml, yaml) = (toml(TOML), yaml(YAML));
    assert_eq!(toml.config, yaml.config);
    assert_eq!(toml.hash, yaml.hash);
    assert_eq!(toml.hash.len(), 64);
    assert_ne!(toml.fingerprint, yaml.fingerprint);
}

#[test]
fn what_is_shown_loads_again_in_both_languages() {
    for text in [TOML, starting_config(), ""] {
        let loaded = toml(text);
        let again = toml(&show(&loaded.config, Format::Toml));
        assert_eq!(again.config, loaded.config);
        assert_eq!(again.hash, loaded.hash);
        assert_eq!(
            yaml(&show(&loaded.config, Format::Yaml)).config,
            loaded.config
        );
    }
}

#[test]
fn the_starting_configuration_has_nothing_to_complain_about() {
    let loaded = toml(starting_config());
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
}

#[test]
fn everything_that_the_starting_configuration_suggests_loads() {
    let suggested: String = starting_config()
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(code) if code.starts_with('[') || code.contains(" = ") => code,
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let config = toml(&suggested).config;
    assert_eq!(config.providers.len(), 4);
    assert_eq!(config.models["smart"].aliases, ["gpt-5"]);
}

#[test]
fn a_difference_names_the_key_and_both_values() {
    let (old, new) = (
        toml(TOML),
        toml(&TOML.replace("workers = 4", "").replace("debug", "info")),
    );
    assert_eq!(diff(&old.config, &old.config), []);
    let change = |key: &str, old: &str, new: Option<&str>| Change {
        key: key.to_owned(),
        old: Some(old.to_owned()),
        new: new.map(str::to_owned),
    };
    assert_eq!(
        diff(&old.config, &new.config),
        [
            change("logging.level", "\"debug\"", Some("\"info\"")),
            change("server.workers", "4", None)
        ]
    );
}

#[test]
fn a_section_that_goes_away_is_listed_key_by_key() {
    let old = toml("[providers.a]\nkind = \"echo\"");
    let keys: Vec<String> = diff(&old.config, &toml("").config)
        .into_iter()
        .map(|change| change.key)
        .collect();
    assert!(keys.contains(&"providers.a.kind".to_owned()), "{keys:?}");
    assert!(
        keys.contains(&"providers.a.timeouts.connect".to_owned()),
        "{keys:?}"
    );
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
    let text = format!("\u{feff}{}", YAML.replace('\n', "\r\n"));
    let loaded = load_str(&text, Format::Yaml, "x", &Overrides::default()).unwrap();
    assert_eq!(loaded.config, yaml(YAML).config);
    let text = format!("\u{feff}{}", TOML.replace('\n', "\r\n"));
    assert_eq!(toml(&text).config, yaml(YAML).config);
}
