//! What lock files lock, and what the files that they settle ask for.

use std::collections::BTreeSet;

/// The names of the packages that a lock file holds; those of Go with their version. None for other
/// files.
pub(super) fn locked(path: &str, text: &str) -> Option<BTreeSet<String>> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let names: BTreeSet<String> = match file {
        "Cargo.lock" | "uv.lock" | "poetry.lock" | "pdm.lock" => {
            let values = text
                .lines()
                .filter_map(|line| line.strip_prefix("name = \""));
            values
                .filter_map(|rest| Some(plain(rest.split('"').next()?)))
                .collect()
        }
        "package-lock.json" => {
            let keys = text.split('"').skip(1).step_by(2);
            keys.map(|key| key.rsplit("node_modules/").next().unwrap_or(key).to_owned())
                .collect()
        }
        "yarn.lock" | "pnpm-lock.yaml" => text.lines().flat_map(of_line).collect(),
        "bun.lock" => text
            .split('"')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect(),
        "go.sum" => {
            let words = text.lines().map(|line| line.split_whitespace().take(2));
            words
                .map(|words| words.collect::<Vec<_>>().join(" "))
                .collect()
        }
        _ => return None,
    };
    Some(names)
}

/// Names on a line of yarn or pnpm, such as `"@a/b@^1", "@a/b@^2":` or `/c@1.0:`.
fn of_line(line: &str) -> Vec<String> {
    let Some(keys) = line.trim().strip_suffix(':') else {
        return Vec::new();
    };
    let keys = keys
        .split(',')
        .map(|key| key.trim().trim_matches(['"', '\'', '/']));
    keys.map(|key| match key.get(1..).and_then(|rest| rest.find('@')) {
        Some(at) => key.get(..=at).unwrap_or(key).to_owned(),
        None => key.to_owned(),
    })
    .collect()
}

/// Names of Python are the same with `-`, `_` and `.`.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

/// The packages that a file asks for by name, as far as we can tell; nothing for other files.
pub(crate) fn asked(file: &str, text: &str) -> Vec<String> {
    match file {
        "package.json" => of_node(text),
        "go.mod" => of_go(text),
        "pyproject.toml" => of_python(text),
        _ => Vec::new(),
    }
}

fn of_node(text: &str) -> Vec<String> {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else {
        return Vec::new();
    };
    let kinds = ["dependencies", "devDependencies"];
    let all = kinds.iter().filter_map(|kind| json.get(kind)?.as_object());
    let here = ["workspace:", "file:", "link:", "portal:", "catalog:"];
    let from_elsewhere = |version: &serde_json::Value| {
        version
            .as_str()
            .is_some_and(|v| !here.iter().any(|start| v.starts_with(start)))
    };
    let named = all.flatten().filter(|(_, version)| from_elsewhere(version));
    named.map(|(name, _)| name.clone()).collect()
}

fn of_go(text: &str) -> Vec<String> {
    let replaced: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("=>"))
        .filter_map(|line| {
            line.trim()
                .trim_start_matches("replace ")
                .split_whitespace()
                .next()
        })
        .collect();
    let lines = text
        .lines()
        .map(|line| line.trim().trim_start_matches("require ").trim());
    let mut out = Vec::new();
    for line in lines.filter(|line| !line.contains("=>") && !line.contains("// indirect")) {
        let mut words = line.split_whitespace();
        if let (Some(module), Some(version)) = (words.next(), words.next())
            && module.contains('/')
            && version.starts_with('v')
            && !replaced.contains(&module)
        {
            out.push(format!("{module} {version}"));
        }
    }
    out
}

/// What `dependencies = [...]` of a project asks for.
fn of_python(text: &str) -> Vec<String> {
    let table = text.parse::<toml::Table>().unwrap_or_default();
    let project = table.get("project");
    let listed = project.and_then(|project| project.get("dependencies")?.as_array());
    let asked = listed.into_iter().flatten().filter_map(toml::Value::as_str);
    let name = |asked: &str| {
        let asked = asked.trim_start();
        let end = asked.find(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)));
        plain(asked.get(..end.unwrap_or(asked.len())).unwrap_or(asked))
    };
    asked.map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::{asked, locked};

    /// What is asked for and not locked.
    fn missing(file: &str, text: &str, lock: &str, locks: &str) -> Vec<String> {
        let locks = locked(lock, locks).expect("a lock file");
        asked(file, text)
            .into_iter()
            .filter(|name| !locks.contains(name))
            .collect()
    }

    #[test]
    fn a_lock_that_lacks_a_package_is_out_of_date() {
        let node = r#"{"dependencies": {"a": "^1", "@s/b": "2", "own": "workspace:*"}, "devDependencies": {"c": "3"}}"#;
        let npm = r#"{"packages": {"node_modules/a": {}, "node_modules/@s/b": {}}}"#;
        assert_eq!(
            missing("package.json", node, "package-lock.json", npm),
            ["c"]
        );
        let pnpm = "packages:\n  a@1.0.0:\n    resolution: {}\n  '@s/b@2.0.0':\n  /c@3.0.0:\n";
        assert!(missing("package.json", node, "pnpm-lock.yaml", pnpm).is_empty());
        let yarn = "a@^1:\n  version \"1\"\n\"@s/b@2\", \"@s/b@^2\":\n";
        assert_eq!(missing("package.json", node, "yarn.lock", yarn), ["c"]);
        let project = "[project]\nname = \"x\"\ndependencies = [\n  \"Web_Kit[fast]>=1\",\n  \"httpx\",\n]\n[tool.x]\ndependencies = [\"no\"]\n";
        let uv = "[[package]]\nname = \"web-kit\"\n";
        assert_eq!(missing("pyproject.toml", project, "uv.lock", uv), ["httpx"]);
        let go = "module m\n\nrequire (\n\tx.org/a v1.0.0\n\tx.org/b v1.1.0\n\tx.org/c v2.0.0 // indirect\n)\n";
        let sum = "x.org/a v1.0.0 h1:aa=\nx.org/b v1.0.0 h1:bb=\n";
        assert_eq!(missing("go.mod", go, "go.sum", sum), ["x.org/b v1.1.0"]);
        let replaced = "require x.org/a v1.0.0\nreplace x.org/a => ../a\n";
        assert!(asked("go.mod", replaced).is_empty());
        let bun = r#"{"packages": {"a": ["a@1"], "@s/b": ["@s/b@2"]}}"#;
        assert_eq!(missing("package.json", node, "bun.lock", bun), ["c"]);
        assert!(asked("Cargo.toml", "[dependencies]\na = 1\n").is_empty());
    }
}
