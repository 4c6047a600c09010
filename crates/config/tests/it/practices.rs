//! `api_key_practices` as the checklists write it.

use seaworthy_config::{Format, Loaded, Overrides, Problems, load_str};

/// The block of the checklist, to the letter.
const BLOCK: &str = "\
api_key_practices:
  storage:
    - use_secret_manager: true  # AWS Secrets, HashiCorp Vault
    - never_in_code: true
    - never_in_env_files_in_repo: true

  rotation:
    - rotate_every_days: 90
    - support_zero_downtime_rotation: true

  scope:
    - principle_of_least_privilege: true
    - separate_keys_per_environment: true
    - separate_keys_per_service: true
";

fn load(text: &str) -> Result<Loaded, Problems> {
    load_str(text, Format::Yaml, "test.yaml", &Overrides::default())
}

fn is_right(text: &str) {
    let loaded = load(text).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let practices = &loaded.config.api_key_practices;
    assert!(practices.storage.use_secret_manager && practices.storage.never_in_code);
    assert!(practices.storage.never_in_env_files_in_repo);
    assert_eq!(
        practices.rotation.rotate_every_days.map(|days| days.get()),
        Some(90)
    );
    assert!(practices.rotation.support_zero_downtime_rotation);
    assert!(practices.scope.principle_of_least_privilege);
    assert!(practices.scope.separate_keys_per_environment);
    assert!(practices.scope.separate_keys_per_service);
}

#[test]
fn the_block_of_the_checklists_loads_as_written() {
    is_right(BLOCK);
    let Ok(folder) = std::env::var("SEAWORTHY_SEEDS") else {
        return;
    };
    let mut found = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            if block.starts_with("api_key_practices:") {
                is_right(block);
                found += 1;
            }
        }
    }
    assert!(found > 0, "no block in the seeds");
}

#[test]
fn a_key_in_the_configuration_is_refused_where_the_practices_forbid_it() {
    let provider = "providers:\n  openai:\n    kind: openai\n    api_key: sk-123\n";
    assert!(load(provider).is_ok(), "a warning, otherwise");
    for practice in ["never_in_code", "use_secret_manager"] {
        let forbidding =
            format!("{provider}api_key_practices:\n  storage:\n    {practice}: true\n");
        let problems = load(&forbidding)
            .expect_err("a literal is forbidden")
            .render(false);
        assert!(
            problems.contains("a secret is written into the configuration"),
            "{problems}"
        );
        assert!(!problems.contains("sk-123"), "{problems}");
    }
}
