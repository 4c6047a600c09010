//! Keys in files named `.env` of the repository that a configuration is in.

use std::path::{Path, PathBuf};

use seaworthy_config::{Loaded, SecretRef};

/// Larger files are no `.env` files.
const MAX_BYTES: u64 = 256 * 1024;
/// How many folders are looked at from the configuration's own up to the repository's root.
const MAX_DEPTH: usize = 16;

/// Says which files named `.env` hold keys, where `api_key_practices` forbids it.
pub(crate) fn warn_of_keys(loaded: &Loaded, config: &Path) {
    let storage = &loaded.config.api_key_practices.storage;
    if !storage.never_in_env_files_in_repo {
        return;
    }
    let providers = loaded.config.providers.values();
    let names: Vec<&str> = providers
        .filter_map(|provider| match &provider.api_key {
            Some(SecretRef::Env(name)) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    for (file, what) in findings(config, &names) {
        let file = file.display().to_string();
        tracing::warn!(
            file,
            key = what,
            "a key lies in a file of the repository, which `never_in_env_files_in_repo` forbids"
        );
    }
}

/// Files with keys, and what the first key of each is called.
fn findings(config: &Path, names: &[&str]) -> Vec<(PathBuf, String)> {
    let folder = config.parent().unwrap_or(Path::new("."));
    let Ok(folder) = folder.canonicalize() else {
        return Vec::new();
    };
    let mut seen = Vec::new();
    for folder in folder.ancestors().take(MAX_DEPTH) {
        seen.extend(env_files(folder));
        if folder.join(".git").exists() {
            let holding = |file: PathBuf| {
                let text = std::fs::read_to_string(&file).ok()?;
                key_in(&text, names).map(|what| (file, what))
            };
            return seen.into_iter().filter_map(holding).collect();
        }
    }
    // It is in no repository.
    Vec::new()
}

fn env_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_env = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_named = name == ".env" || name.starts_with(".env.") || name.ends_with(".env");
        is_named
            && entry
                .metadata()
                .is_ok_and(|found| found.is_file() && found.len() <= MAX_BYTES)
    };
    entries.filter(is_env).map(|entry| entry.path()).collect()
}

fn key_in(text: &str, names: &[&str]) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.trim().trim_start_matches("export ");
        let (name, value) = line.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        let is_key = names.contains(&name.trim()) && !value.is_empty()
            || seaworthy_core::key::is_well_formed(value);
        is_key.then(|| name.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use seaworthy_core::key::ApiKey;

    #[test]
    fn keys_are_found_up_to_the_root_of_the_repository_and_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("deploy");
        std::fs::create_dir(&inner).unwrap();
        let config = inner.join("seaworthy.toml");
        let key = ApiKey::generate();
        std::fs::write(
            inner.join(".env.local"),
            format!("A=1\nKEY=\"{}\"", key.expose()),
        )
        .unwrap();
        std::fs::write(root.path().join(".env"), "export OPENAI_API_KEY=sk-1\n").unwrap();
        std::fs::write(root.path().join("example.env"), "OPENAI_API_KEY=\n").unwrap();
        assert_eq!(
            findings(&config, &["OPENAI_API_KEY"]),
            [],
            "in no repository"
        );
        std::fs::create_dir(root.path().join(".git")).unwrap();
        let found = findings(&config, &["OPENAI_API_KEY"]);
        let mut names: Vec<&str> = found.iter().map(|(_, name)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["KEY", "OPENAI_API_KEY"]);
    }
}
