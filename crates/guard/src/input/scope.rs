//! Keeps a conversation to its topics and an agent to its tools.

use serde::{Deserialize, Serialize};

/// What may be talked about and which tools may be called. A denial wins over a permission.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    /// If not empty, a text must name one of them.
    pub allowed_topics: Vec<String>,
    /// A text must name none of them.
    pub denied_topics: Vec<String>,
    /// If not empty, only these tools; a `*` stands for any letters, as in `files.*`.
    pub allowed_tools: Vec<String>,
    /// Never these tools; `*` as above.
    pub denied_tools: Vec<String>,
}

/// Why something is out of scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutOfScope {
    /// A denied topic was named.
    #[error("the topic {0:?} is not to be talked about here")]
    DeniedTopic(String),
    /// No allowed topic was named.
    #[error("this assistant talks about {0} only")]
    NoAllowedTopic(String),
    /// The tool is not among the allowed ones, or denied.
    #[error("the tool {0:?} may not be called here; do not call it again")]
    Tool(String),
}

impl Scope {
    /// Checks that a text names no denied topic.
    pub fn check_denied(&self, text: &str) -> Result<(), OutOfScope> {
        let text = words(text);
        let names = |topic: &&String| text.contains(&words(topic));
        match self.denied_topics.iter().find(names) {
            Some(topic) => Err(OutOfScope::DeniedTopic(topic.clone())),
            None => Ok(()),
        }
    }

    /// Checks the topics of a text. Words are compared without case, as whole words.
    pub fn check_text(&self, text: &str) -> Result<(), OutOfScope> {
        self.check_denied(text)?;
        let text = words(text);
        let names = |topic: &&String| text.contains(&words(topic));
        if !self.allowed_topics.is_empty() && !self.allowed_topics.iter().any(|topic| names(&topic))
        {
            return Err(OutOfScope::NoAllowedTopic(self.allowed_topics.join(", ")));
        }
        Ok(())
    }

    /// Checks a tool by its names: it may be written in more than one way.
    pub fn check_tool(&self, names: &[&str]) -> Result<(), OutOfScope> {
        let allowed = self.allowed_tools.is_empty() || self.names_allowed(names);
        let denied = |name: &&str| is_named(&self.denied_tools, name);
        if !allowed || names.iter().any(denied) {
            let name = names.first().copied().unwrap_or_default();
            return Err(OutOfScope::Tool(name.to_owned()));
        }
        Ok(())
    }

    /// Whether the allowed tools name this one.
    pub fn names_allowed(&self, names: &[&str]) -> bool {
        among(&self.allowed_tools, names)
    }
}

fn among(list: &[impl AsRef<str>], names: &[&str]) -> bool {
    let covered = |pattern| {
        names
            .iter()
            .any(|name| covers(AsRef::as_ref(pattern), name))
    };
    list.iter().any(covered)
}

/// Whether a list names a tool, be it without the server or the module that its name begins with: who denies
/// `delete_*` means `mcp__files__delete_all` and `files.delete_all`, too. Permissions need the whole name.
pub fn is_named(list: &[impl AsRef<str>], name: &str) -> bool {
    let own = NAMESPACES
        .iter()
        .fold(name, |own, border| own.rsplit(border).next().unwrap_or(own));
    among(list, &[name, own])
}

/// What separates a tool's own name from that of its server or module.
const NAMESPACES: [&str; 4] = ["__", ".", "/", ":"];

/// The words of a text between single spaces, in lower case.
fn words(text: &str) -> String {
    let lower = crate::normalise::normalise(text).text.to_lowercase();
    let words = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.fold(String::from(" "), |joined, word| joined + word + " ")
}

/// Whether a name is the pattern, where each `*` stands for any letters. Case does not count: a
/// model that writes `Delete_File` means the tool all the same.
pub fn covers(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_whole_words_and_denial_wins() {
        let scope = Scope {
            allowed_topics: vec!["tax law".into(), "VAT".into()],
            denied_topics: vec!["gambling".into()],
            ..Scope::default()
        };
        assert_eq!(scope.check_text("How does Tax-Law treat gifts?"), Ok(()));
        assert!(matches!(
            scope.check_text("private cars"),
            Err(OutOfScope::NoAllowedTopic(_))
        ));
        assert!(matches!(
            scope.check_text("VAT on gambling"),
            Err(OutOfScope::DeniedTopic(_))
        ));
    }

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, name) in [
            ("*", "a"),
            ("*_mail", "send_mail"),
            ("a*c*e", "abcde"),
            ("A.b", "a.B"),
        ] {
            assert!(covers(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a*a", "a"), ("*_mail", "mailer"), ("a", "ab"), ("", "a")] {
            assert!(!covers(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn tools_are_allowed_by_name_or_beginning() {
        let scope = Scope {
            allowed_tools: vec!["files.*".into(), "search".into()],
            denied_tools: vec!["files.delete".into()],
            ..Scope::default()
        };
        assert!(scope.check_tool(&["files.read"]).is_ok() && scope.check_tool(&["search"]).is_ok());
        assert!(
            scope.check_tool(&["files.delete"]).is_err()
                && scope.check_tool(&["searching"]).is_err()
        );
        assert!(Scope::default().check_tool(&["anything"]).is_ok());
    }

    #[test]
    fn who_denies_a_tool_denies_it_on_every_server() {
        let denied = ["delete_*"];
        for name in [
            "delete_x",
            "mcp__files__delete_x",
            "files.delete_x",
            "functions:delete_x",
            "mcp__files.v1/delete_x",
        ] {
            assert!(is_named(&denied, name), "{name}");
        }
        for name in ["undelete_x", "files__delete_x__undo", "delete", "delete_x."] {
            assert_eq!(is_named(&denied, name), name == "delete_x.", "{name}");
        }
    }
}
