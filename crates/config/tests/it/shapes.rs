//! Shapes of text that the language has to read, and those that it has to refuse.

use seaworthy_config::{Format, Overrides, load, load_str};

use crate::support::{problems, toml, yaml};

#[test]
fn a_list_of_one_key_sections_is_one_section() {
    let loaded = yaml("server:\n  - workers: 2\n  # about time\n  - drain_timeout: 5s\n");
    assert_eq!(loaded.config.server.workers.unwrap().get(), 2);
    assert_eq!(loaded.config.server.drain_timeout.to_string(), "5s");
    let models = yaml(
        "providers:\n  - e: [{kind: echo}]\nmodels:\n  - a: {targets: [e/1]}\n  - b: {targets: [e/2]}\n",
    );
    assert_eq!(models.config.models.len(), 2);
}

#[test]
fn a_list_of_larger_sections_is_not_one_section() {
    let answer = problems(
        "server:\n  - workers: 2\n    max_headers: 5\n",
        Format::Yaml,
    )
    .to_string();
    assert!(
        answer.contains("expected a section, found a list"),
        "{answer}"
    );
}

#[test]
fn an_empty_section_and_an_empty_file_mean_the_defaults() {
    for text in [
        "",
        "# nothing\n",
        "server:\nauth:\n",
        "---\nserver: {}\n...\n",
    ] {
        assert_eq!(yaml(text).config, toml("").config, "{text}");
    }
}

#[test]
fn a_file_without_models_is_warned_about() {
    assert!(
        toml("")
            .warnings
            .to_string()
            .contains("there are no models")
    );
}

#[test]
fn scalars_follow_the_core_schema_of_yaml() {
    for (text, workers) in [("0x10", 16), ("0o20", 16), ("+7", 7), ("007", 7)] {
        let loaded = yaml(&format!("server: {{workers: {text}}}"));
        assert_eq!(
            loaded.config.server.workers.unwrap().get(),
            workers,
            "{text}"
        );
    }
    for text in [
        "1_000",
        "1e1",
        "\"3\"",
        "0x-1",
        ".inf",
        "~1",
        "99999999999999999999",
    ] {
        let answer = problems(&format!("server: {{workers: {text}}}"), Format::Yaml).to_string();
        assert!(
            answer.contains("expected a whole number"),
            "{text}: {answer}"
        );
    }
    assert_eq!(yaml("server: {workers: ~}").config.server.workers, None);
}

#[test]
fn dependencies_of_a_broken_section_are_not_blamed() {
    let text = "[providers.a]\nkind = \"?\"\n[models.m]\ntargets = [\"a/m\"]\n";
    let found = problems(text, Format::Toml);
    assert_eq!(found.len(), 1, "{found}");
}

#[test]
fn a_list_with_a_broken_item_is_not_called_empty() {
    let text = "[models.m]\ntargets = [\"nope\"]\n[models.n]\ntargets = []\n";
    let found = problems(text, Format::Toml);
    assert_eq!(found.len(), 2, "{found}");
    assert!(
        found.to_string().contains("the model `n` has no target"),
        "{found}"
    );
}

#[test]
fn words_of_later_versions_are_refused_not_ignored() {
    for text in [
        "alerts:\n  - name: x\n    condition: error_rate > 5%\n",
        "min_capacity: 2\ntarget_cpu: 70%\n",
    ] {
        let found = problems(text, Format::Yaml);
        assert!(
            found
                .iter()
                .any(|found| found.message.contains("not supported")),
            "{found}"
        );
    }
}

#[test]
fn files_are_read_by_their_extension_and_unreadable_ones_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        load(&path, &Overrides::default())
    };
    assert!(write("a.toml", "[auth]\nenabled = true").is_ok());
    assert!(write("a.yml", "auth: {enabled: true}").is_ok());
    assert!(write("a.YAML", "auth: {enabled: true}").is_ok());
    let answer = |outcome: Result<_, seaworthy_config::Problems>| match outcome {
        Ok(seaworthy_config::Loaded { .. }) => panic!("expected problems"),
        Err(problems) => problems.to_string(),
    };
    assert!(answer(write("a.json", "{}")).contains("name it `.toml`"));
    assert!(answer(write("big.toml", &"#".repeat(2_000_000))).contains("larger than"));
    std::fs::write(dir.path().join("bin.toml"), [0xff, 0xfe]).unwrap();
    assert!(
        answer(load(&dir.path().join("bin.toml"), &Overrides::default()))
            .contains("cannot be read")
    );
    assert!(
        answer(load(&dir.path().join("no.toml"), &Overrides::default())).contains("seaworthy init")
    );
}

#[test]
fn a_text_that_is_too_large_is_refused() {
    let text = "#".repeat(2_000_000);
    let found = load_str(&text, Format::Yaml, "x", &Overrides::default()).unwrap_err();
    assert!(found.to_string().contains("larger than"));
}
