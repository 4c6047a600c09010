//! The sections of the guards load as checklists write them, and nothing of them is ignored.

use seaworthy_config::{Filter, Format, InputValidation, OutputHandling};

use crate::support::{problems, yaml};

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

#[test]
fn what_is_not_enforced_yet_is_refused_by_name() {
    for (section, key) in [
        ("input_validation", "no_path_traversal: true"),
        ("input_validation", "whitelist_extensions: [\".py\"]"),
        ("input_validation", "require_within_project: true"),
        ("input_validation", "requests_per_minute: 60"),
        ("output_handling", "escape_shell_commands: true"),
        ("output_handling", "validate_generated_code: true"),
        ("output_handling", "sandbox_code_execution: true"),
    ] {
        let text = format!("{section}:\n  - {key}\n");
        let told = problems(&text, Format::Yaml).to_string();
        assert!(told.contains("not supported by this version yet"), "{told}");
    }
}

#[test]
fn a_filter_is_one_of_its_words() {
    let text = "output_handling:\n  filter_secrets: maybe\n";
    let told = problems(text, Format::Yaml).to_string();
    assert!(told.contains("`\"redact\"` or `\"block\"`"), "{told}");
}
