//! Which crate may depend on which.

use crate::{tree, verdict};

/// The arrows between our crates, tests included. `ARCHITECTURE.md` draws them.
const ARROWS: [(&str, &[&str]); 17] = [
    ("core", &[]),
    ("mapped-file", &[]),
    ("config", &["core"]),
    ("guard", &[]),
    ("sandbox", &[]),
    ("guard-code", &["guard"]),
    ("verify", &[]),
    ("fake-provider", &[]),
    ("bench", &[]),
    ("llm", &["core"]),
    ("edge", &["core"]),
    ("secrets", &["core", "config", "edge"]),
    ("test-servers", &[]),
    ("store", &["core", "mapped-file", "test-servers"]),
    (
        "gateway",
        &[
            "core",
            "config",
            "llm",
            "edge",
            "guard",
            "guard-code",
            "sandbox",
            "fake-provider",
        ],
    ),
    (
        "seaworthy",
        &[
            "core",
            "config",
            "llm",
            "edge",
            "store",
            "gateway",
            "secrets",
            "sandbox",
            "verify",
            "fake-provider",
            "test-servers",
        ],
    ),
    ("xtask", &["bench"]),
];

/// What the crates without I/O must not even be able to name.
const NO_IO: [(&str, &[&str]); 5] = [
    ("core", &["tokio", "hyper", "rusqlite", "rustls"]),
    ("llm", &["tokio", "hyper", "rusqlite", "rustls"]),
    ("config", &["tokio", "hyper", "rusqlite", "rustls"]),
    ("guard", &["tokio", "hyper", "rusqlite", "rustls"]),
    ("guard-code", &["tokio", "hyper", "rusqlite", "rustls"]),
];

/// The dependencies that a manifest names, whatever they are for.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut is_inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            is_inside = section.trim_end_matches(']').ends_with("dependencies");
        } else if is_inside && let Some((name, _)) = line.split_once(['.', '=', ' ']) {
            found.push(name.trim());
        }
    }
    found.retain(|name| !name.starts_with('#'));
    found
}

fn manifests() -> Vec<(&'static str, Vec<&'static str>)> {
    let crates = tree::files().iter().filter_map(|file| {
        let folder = file.path.strip_suffix("/Cargo.toml")?;
        let name = folder.strip_prefix("crates/").unwrap_or(folder);
        Some((name, dependencies(&file.text)))
    });
    crates.collect()
}

#[test]
fn crates_depend_on_each_other_only_as_drawn() {
    let manifests = manifests();
    let mut broken = Vec::new();
    for (name, dependencies) in &manifests {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| known == name) else {
            broken.push(format!("{name} is not in the table"));
            continue;
        };
        for ours in dependencies
            .iter()
            .filter_map(|name| name.strip_prefix("seaworthy-"))
        {
            if !allowed.contains(&ours) {
                broken.push(format!("{name} -> {ours}"));
            }
        }
    }
    for (name, _) in ARROWS {
        if !manifests.iter().any(|(found, _)| *found == name) {
            broken.push(format!("{name} is in the table and does not exist"));
        }
    }
    verdict(
        "These arrows between crates are not in the table:",
        "move the code to the side that may see both, or add the arrow here and in ARCHITECTURE.md \
         with the reason",
        broken,
    );
}

#[test]
fn crates_without_io_cannot_even_name_it() {
    let mut broken = Vec::new();
    for (name, dependencies) in manifests() {
        let forbidden = NO_IO.iter().find(|(known, _)| *known == name);
        let forbidden = forbidden.map_or(&[] as &[&str], |(_, forbidden)| forbidden);
        for dependency in dependencies {
            if forbidden.contains(&dependency) {
                broken.push(format!("{name} depends on {dependency}"));
            }
        }
    }
    verdict(
        "These crates do no I/O:",
        "take what was read as an argument, and do the reading in edge, store or seaworthy",
        broken,
    );
}
