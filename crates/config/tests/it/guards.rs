//! The sections of the guards load as checklists write them, and nothing of them is ignored.

use seaworthy_config::{Filter, Format, InputValidation, Loaded, OutputHandling};

use crate::support::{problems, toml, yaml};

#[test]
fn guards_load_as_checklists_write_them() {
    let loaded = yaml(
        "input_validation:\n  - strip_html_tags: true\n  - max_input_length: 10000\n  \
         - reject_known_injection_patterns: true\noutput_handling:\n  - filter_secrets: true  \
         # Keys, passwords\n  - redact_pii: true\n  - sanitize_paths: block\n",
    );
    let input = &loaded.config.input_validation;
    assert!(input.strip_html_tags && input.reject_known_injection_patterns);
    assert_eq!(input.max_input_length.map(Into::into), Some(10_000_usize));
    assert_eq!(input.filter_secrets, Filter::Off);
    let output = &loaded.config.output_handling;
    assert_eq!(
        (
            output.filter_secrets,
            output.redact_pii,
            output.sanitize_paths
        ),
        (Filter::Redact, Filter::Redact, Filter::Block)
    );
}

#[test]
fn nothing_is_guarded_without_the_sections() {
    let config = yaml("{}").config;
    assert_eq!(config.input_validation, InputValidation::default());
    assert_eq!(config.output_handling, OutputHandling::default());
}

/// The blocks of the checklists in words of our own, with every key that they have.
const LIKE_THE_CHECKLISTS: &str = "\
input_validation:
  - strip_html_tags: true
  - max_input_length: 9000
  - reject_known_injection_patterns: true

  # Files
  - no_path_traversal: true
  - whitelist_extensions: [\".rs\", \".md\"]
  - require_within_project: true

  # Pace
  - requests_per_minute: 50
  - requests_per_hour: 400
  - concurrent_requests: 4

output_handling:
  - filter_secrets: true
  - redact_pii: true
  - sanitize_paths: true

  # Code
  - escape_shell_commands: true
  - validate_generated_code: true
  - sandbox_code_execution: true
";

const LIKE_THE_AGENTS: &str = "\
[agent.security.validation]
block_prompt_injection = true
max_question_length = 30000
max_tool_param_length = 9000
redact_pii = true

[agent.security.output]
filter_secrets = true
";

fn is_whole(loaded: &Loaded) {
    let (input, output) = (loaded.config.input_rules(), loaded.config.output_rules());
    assert!(input.strip_html_tags && input.reject_known_injection_patterns);
    assert!(input.no_path_traversal && input.require_within_project);
    assert!(input.max_input_length.is_some() && input.whitelist_extensions.len() > 1);
    let policy = seaworthy_config::policy(&loaded.config, "main").unwrap_or_default();
    let named = |name: &std::sync::Arc<str>| name.starts_with("input_validation");
    assert_eq!(
        policy.rates.iter().filter(|rule| named(&rule.name)).count(),
        2
    );
    assert_eq!(
        policy.slots.iter().filter(|rule| named(&rule.name)).count(),
        1
    );
    assert_eq!(
        (
            output.filter_secrets,
            output.redact_pii,
            output.sanitize_paths
        ),
        (Filter::Redact, Filter::Redact, Filter::Redact)
    );
    assert_eq!(output.escape_shell_commands, Filter::Redact);
    assert_eq!(output.validate_generated_code.0, Filter::Flag);
    assert!(output.sandbox_code_execution);
}

#[test]
fn every_key_of_the_checklists_is_read() {
    is_whole(&yaml(LIKE_THE_CHECKLISTS));
    let agent = toml(LIKE_THE_AGENTS).config;
    let input = agent.input_rules();
    assert!(input.reject_known_injection_patterns);
    assert_eq!(
        input.max_question_length.map(Into::into),
        Some(30_000_usize)
    );
    assert_eq!(
        input.max_tool_param_length.map(Into::into),
        Some(9_000_usize)
    );
    assert_eq!(input.redact_pii, Filter::Redact);
    assert_eq!(agent.output_rules().filter_secrets, Filter::Redact);
}

/// Runs where the checklists are: `SEAWORTHY_SEEDS` names their folder.
#[test]
fn the_blocks_of_the_checklists_themselves_are_read() {
    let Some(folder) = std::env::var_os("SEAWORTHY_SEEDS") else {
        return;
    };
    let texts: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let block = |marker: &str| -> String {
        let text = texts.iter().find(|text| text.contains(marker)).unwrap();
        let rest = &text[text.find(marker).unwrap()..];
        rest[..rest.find("```").unwrap()].to_owned()
    };
    let both = block("\ninput_validation:\n") + &block("\noutput_handling:\n");
    is_whole(&yaml(&both));
    let marker = "[agent.security.validation]";
    let text = texts.iter().find(|text| text.contains(marker)).unwrap();
    let mut config = String::from(marker);
    for part in text.split(marker).skip(1) {
        config.push_str(&part[..part.find("```").unwrap()]);
    }
    let input = toml(&config).config.input_rules();
    assert!(input.reject_known_injection_patterns && input.redact_pii == Filter::Redact);
    assert!(input.max_question_length.is_some() && input.max_tool_param_length.is_some());
}

#[test]
fn the_stricter_of_two_sections_holds() {
    let text = "input_validation:\n  redact_pii: tokenize\n  max_question_length: 5\nagent:\n  security:\n    \
                validation:\n      max_question_length: 7\n      block_pii: true\n";
    let rules = yaml(text).config.input_rules();
    assert_eq!(rules.redact_pii, Filter::Block);
    assert_eq!(rules.max_question_length.map(Into::into), Some(5_usize));
}

#[test]
fn mistakes_of_guards_are_told() {
    for (text, told) in [
        (
            "output_handling:\n  redact_pii: tokenize\n",
            "`tokenize` is for data",
        ),
        (
            "guards:\n  policies:\n    a:\n      detector: pii\n      action: tokenize\n",
            "`tokenize` holds only",
        ),
        (
            "guards:\n  opinions:\n    a:\n      threshold: 0.5\n",
            "expected one of",
        ),
        (
            "guards:\n  opinions:\n    a:\n      model: x\n",
            "no model is named `x`",
        ),
        (
            "guards:\n  opinions:\n    a:\n      url: http://a\n      threshold: 2\n",
            "expected 0 to 1",
        ),
    ] {
        let found = problems(text, Format::Yaml).to_string();
        assert!(found.contains(told), "{found}");
    }
}

#[test]
fn a_filter_is_one_of_its_words() {
    let text = "output_handling:\n  filter_secrets: maybe\n";
    let told = problems(text, Format::Yaml).to_string();
    assert!(told.contains("`\"tokenize\"` or `\"block\"`"), "{told}");
}
