//! Exports of a cloud: what the AWS and Azure command lines, kubectl and `terraform show -json` print.

use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use super::yaml::{self, Node, Value};
use super::{Problem, relative};

/// Larger files are not read.
const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// More files are not read.
const MAX_FILES: usize = 1_000;

/// Everything that the exports name.
#[derive(Debug, Default)]
pub(crate) struct Cloud {
    pub(crate) resources: Vec<Resource>,
    pub(crate) broken: Vec<Problem>,
}

/// One resource.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) path: String,
    /// What it is: a Terraform type, an Azure type, or the key of an AWS list; in lower case.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) node: Node,
}

impl Cloud {
    /// Reads files and folders.
    pub(crate) fn read(paths: &[PathBuf]) -> Self {
        let mut cloud = Self::default();
        for root in paths {
            let walk = WalkBuilder::new(root)
                .hidden(false)
                .require_git(false)
                .build();
            let mut files: Vec<PathBuf> = walk
                .filter_map(Result::ok)
                .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
                .map(ignore::DirEntry::into_path)
                .filter(|path| {
                    let extension = path.extension().and_then(|e| e.to_str());
                    matches!(extension, Some("json" | "yaml" | "yml"))
                })
                .collect();
            files.sort();
            if files.len() > MAX_FILES {
                let found = format!("{} files, of which {MAX_FILES} are read", files.len());
                cloud.broken.push(Problem::new(".", 0, found));
                files.truncate(MAX_FILES);
            }
            for file in files {
                cloud.read_file(root, &file);
            }
        }
        cloud
    }

    fn read_file(&mut self, root: &Path, file: &Path) {
        let name = match relative(root, file) {
            name if name.is_empty() => file.display().to_string(),
            name => name,
        };
        if std::fs::metadata(file).is_ok_and(|m| m.len() > MAX_BYTES) {
            let found = format!("is larger than the {MAX_BYTES} bytes that are read");
            return self.broken.push(Problem::new(&name, 0, found));
        }
        let documents = std::fs::read_to_string(file)
            .map_err(|error| Problem::new(&name, 1, error.to_string()))
            .and_then(|text| {
                yaml::parse(&text).map_err(|broken| Problem::new(&name, broken.line, broken.why))
            });
        match documents {
            Ok(documents) => documents.iter().for_each(|node| self.add(&name, node)),
            Err(problem) => self.broken.push(problem),
        }
    }

    /// Finds the resources of one document by its shape.
    fn add(&mut self, path: &str, node: &Node) {
        if let Some(planned) = node.at("planned_values.root_module") {
            return self.add_module(path, planned);
        }
        if let Some(state) = node.at("values.root_module") {
            return self.add_module(path, state);
        }
        match &node.value {
            // What `az … list` prints.
            Value::List(items) => items.iter().for_each(|item| self.add_azure(path, item)),
            Value::Map(_) if node.get("type").is_some() || node.get("id").is_some() => {
                self.add_azure(path, node);
            }
            Value::Map(_) if node.text_at("kind") == Some("List") => {
                for item in node.items_at("items") {
                    self.add_kubernetes(path, item);
                }
            }
            Value::Map(_) if node.get("kind").is_some() => self.add_kubernetes(path, node),
            // What `aws …` prints: lists under a name.
            Value::Map(entries) => {
                if node.get("Statement").is_some() {
                    self.keep(path, "policydocument", "", node);
                }
                for (key, value) in entries {
                    self.add_aws(path, key, value);
                }
            }
            _ => {}
        }
    }

    fn add_module(&mut self, path: &str, module: &Node) {
        for resource in module.items_at("resources") {
            let kind = resource.text_at("type").unwrap_or_default();
            let name = resource.text_at("address").unwrap_or_default();
            if let Some(values) = resource.get("values") {
                self.keep(path, kind, name, values);
            }
        }
        for child in module.items_at("child_modules") {
            self.add_module(path, child);
        }
    }

    fn add_azure(&mut self, path: &str, node: &Node) {
        let id = node.text_at("id").unwrap_or_default();
        let from_id = id.rsplit_once("/providers/").map_or("", |(_, rest)| rest);
        let kind = node
            .text_at("type")
            .filter(|kind| kind.contains('/'))
            .unwrap_or(from_id);
        let name = node.text_at("name").unwrap_or(id);
        self.keep(path, kind, name, node);
    }

    fn add_kubernetes(&mut self, path: &str, node: &Node) {
        let kind = node.text_at("kind").unwrap_or_default();
        self.keep(
            path,
            kind,
            node.text_at("metadata.name").unwrap_or_default(),
            node,
        );
    }

    fn add_aws(&mut self, path: &str, key: &str, value: &Node) {
        const NAMES: [&str; 10] = [
            "GroupName",
            "DBInstanceIdentifier",
            "TableName",
            "PolicyName",
            "RoleName",
            "SubnetId",
            "TargetGroupName",
            "VpcEndpointId",
            "Name",
            "Arn",
        ];
        let mut one = |node: &Node| {
            let name = NAMES
                .iter()
                .find_map(|name| node.text_at(name))
                .unwrap_or(key);
            self.keep(path, key, name, node);
        };
        match &value.value {
            Value::List(items) => items.iter().for_each(one),
            _ => one(value),
        }
    }

    fn keep(&mut self, path: &str, kind: &str, name: &str, node: &Node) {
        self.resources.push(Resource {
            path: path.to_owned(),
            kind: kind.to_ascii_lowercase(),
            name: name.to_owned(),
            node: node.clone(),
        });
    }

    /// Resources of which the kind has one of these words.
    pub(crate) fn of<'a>(&'a self, kinds: &'a [&'a str]) -> impl Iterator<Item = &'a Resource> {
        let fits = |r: &&Resource| kinds.iter().any(|kind| r.kind.contains(kind));
        self.resources.iter().filter(fits)
    }
}

impl Resource {
    /// The first value under one of these keys, at any depth.
    pub(crate) fn find(&self, keys: &[&str]) -> Option<&Node> {
        find(&self.node, keys)
    }

    pub(crate) fn problem(&self, found: impl std::fmt::Display) -> Problem {
        Problem::new(
            &self.path,
            self.node.line,
            format!("{} {}: {found}", self.kind, self.name),
        )
    }
}

/// The first value under one of these keys, at any depth.
pub(crate) fn find<'a>(node: &'a Node, keys: &[&str]) -> Option<&'a Node> {
    match &node.value {
        Value::Map(entries) => {
            let here = entries.iter().find(|(key, _)| keys.contains(&key.as_str()));
            here.map(|(_, value)| value)
                .or_else(|| entries.iter().find_map(|(_, value)| find(value, keys)))
        }
        Value::List(items) => items.iter().find_map(|item| find(item, keys)),
        _ => None,
    }
}
