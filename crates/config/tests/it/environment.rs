//! Environment variables and flags over the file.

use seaworthy_config::{Format, Loaded, Overrides, Problems, load_default, load_str, show};

const FILE: &str = "
[providers.open-ai]
kind = \"openai\"
api_key = \"secret://env/OLD\"
[models.\"gpt-5.1\"]
targets = [\"open-ai/gpt-5.1\"]
";

fn with(variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    load_str(
        FILE,
        Format::Toml,
        "test.toml",
        &Overrides::from_environment(variables),
    )
}

#[test]
fn variables_set_options_of_every_type() {
    let loaded = with(&[
        ("SEAWORTHY__SERVER__LISTEN", "0.0.0.0:9000"),
        ("SEAWORTHY__SERVER__WORKERS", "3"),
        ("SEAWORTHY__AUTH__ENABLED", "true"),
        ("SEAWORTHY__PROVIDERS__OPEN_AI__API_KEY", "secret://env/NEW"),
        ("SEAWORTHY__MODELS__GPT_5_1__ALIASES", "[gpt, smart]"),
        ("SEAWORTHY_LOG", "unrelated"),
        ("PATH", "/bin"),
    ])
    .unwrap();
    let config = &loaded.config;
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:9000");
    assert_eq!(config.server.workers.unwrap().get(), 3);
    assert!(config.auth.enabled);
    assert_eq!(
        config.providers["open-ai"]
            .api_key
            .as_ref()
            .unwrap()
            .to_string(),
        "secret://env/NEW"
    );
    assert_eq!(config.models["gpt-5.1"].aliases, ["gpt", "smart"]);
}

#[test]
fn flags_win_over_variables_and_both_over_the_file() {
    let overrides =
        Overrides::from_environment([("SEAWORTHY__LOGGING__LEVEL".to_owned(), "debug".to_owned())]);
    let level = |overrides: &Overrides| {
        let text = "[logging]\nlevel = \"warn\"";
        load_str(text, Format::Toml, "x", overrides)
            .unwrap()
            .config
            .logging
            .level
            .as_str()
    };
    assert_eq!(level(&Overrides::default()), "warn");
    assert_eq!(level(&overrides), "debug");
    assert_eq!(
        level(&overrides.with_flag("--log-level", "logging.level", "error")),
        "error"
    );
}

#[test]
fn problems_name_the_variable_or_the_flag() {
    let problems = with(&[
        ("SEAWORTHY__SERVER__LISTN", "0.0.0.0:9000"),
        ("SEAWORTHY__SERVER__WORKERS", "many"),
        ("SEAWORTHY__MODELS", "[a"),
    ])
    .unwrap_err()
    .to_string();
    assert!(
        problems.contains("SEAWORTHY__SERVER__LISTN: error: unknown key `listn`"),
        "{problems}"
    );
    assert!(
        problems.contains("WORKERS: error: expected a whole number, 1 or more"),
        "{problems}"
    );
    assert!(
        problems.contains("SEAWORTHY__MODELS: error: this is not valid YAML"),
        "{problems}"
    );
    let flags = Overrides::default().with_flag("--listen", "server.listen", "nowhere");
    let problems = load_default(&flags).unwrap_err().to_string();
    assert!(
        problems.starts_with("--listen: error: expected an IP address"),
        "{problems}"
    );
}

#[test]
fn a_key_given_in_the_environment_is_no_reason_to_warn_and_is_not_shown() {
    let variable = ("SEAWORTHY__PROVIDERS__OPEN_AI__API_KEY", "hunter2");
    let loaded = with(&[variable]).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert!(!show(&loaded.config, Format::Toml).contains("hunter2"));
}

#[test]
fn dev_mode_serves_the_echo_model_on_loopback() {
    let loaded = load_default(&Overrides::default()).unwrap();
    assert!(loaded.warnings.is_empty());
    assert!(loaded.config.server.listen.is_loopback() && loaded.config.auth.enabled);
    assert_eq!(loaded.config.models.keys().collect::<Vec<_>>(), ["echo"]);
}

#[test]
fn an_address_in_brackets_is_no_list() {
    let loaded = with(&[("SEAWORTHY__SERVER__LISTEN", "[::1]:8080")]).unwrap();
    assert_eq!(loaded.config.server.listen.to_string(), "[::1]:8080");
}
