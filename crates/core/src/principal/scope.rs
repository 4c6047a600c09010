//! What a credential is restricted to, beside what its roles allow.

use serde::{Deserialize, Deserializer, Serialize};

/// Most names in one list of a scope, and most characters of one.
const MAX_NAMES: usize = 256;
const MAX_NAME_CHARS: usize = 256;
/// Every class of operations that there is.
pub const OPERATIONS: [&str; 5] = [
    "chat",
    "count_tokens",
    "embeddings",
    "moderations",
    "sandbox",
];

/// Names that a credential is restricted to; a list that is left out restricts nothing, and an empty
/// one is refused when it is read. A name that ends with `*` stands for every name that begins like it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scopes {
    /// Names of models, as configured.
    #[serde(deserialize_with = "named", skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Agents that the caller may call as.
    #[serde(deserialize_with = "named", skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// Tools that may be offered to a model.
    #[serde(deserialize_with = "named", skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Classes of operations, `chat` for example.
    #[serde(deserialize_with = "named", skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,
}

impl Scopes {
    /// Whether nothing is restricted.
    #[must_use]
    pub fn is_unrestricted(&self) -> bool {
        self.lists().iter().all(|(_, list)| list.is_empty())
    }

    /// The lists with their names.
    #[must_use]
    pub fn lists(&self) -> [(&'static str, &[String]); 4] {
        [
            ("models", &self.models),
            ("agents", &self.agents),
            ("tools", &self.tools),
            ("operations", &self.operations),
        ]
    }

    /// The only agent that the caller may call as: it need not say so.
    #[must_use]
    pub fn only_agent(&self) -> Option<&str> {
        match self.agents.as_slice() {
            [only] if !only.ends_with('*') => Some(only),
            _ => None,
        }
    }

    /// Whether everything that these allow is allowed by `wider` as well.
    #[must_use]
    pub fn is_within(&self, wider: &Self) -> bool {
        let fits = |narrow: &[String], wide: &[String]| {
            wide.is_empty()
                || (!narrow.is_empty() && narrow.iter().all(|name| covers_pattern(wide, name)))
        };
        let pairs = self.lists().into_iter().zip(wider.lists());
        pairs
            .into_iter()
            .all(|((_, narrow), (_, wide))| fits(narrow, wide))
    }

    /// A sentence about what is wrong with the names, if something is.
    ///
    /// # Errors
    /// When a list is too long, a name is empty, too long or has a `*` anywhere but at its end, or an
    /// operation is none.
    pub fn check(&self) -> Result<(), String> {
        for (what, list) in self.lists() {
            if list.len() > MAX_NAMES {
                return Err(format!(
                    "expected at most {MAX_NAMES} {what}, found {}",
                    list.len()
                ));
            }
            let is_odd = |name: &&String| {
                name.is_empty()
                    || name.chars().count() > MAX_NAME_CHARS
                    || name.contains(char::is_control)
                    || name.trim_end_matches('*').contains('*')
                    || name.ends_with("**")
            };
            if let Some(odd) = list.iter().find(is_odd) {
                return Err(format!(
                    "expected names of {what} with up to {MAX_NAME_CHARS} characters and a `*` at \
                     the end at most, found {odd:?}"
                ));
            }
        }
        let is_none = |name: &&String| !OPERATIONS.iter().any(|known| matches(name, known));
        match self.operations.iter().find(is_none) {
            None => Ok(()),
            Some(odd) => Err(format!(
                "expected operations out of `{}`, found {odd:?}",
                OPERATIONS.join("`, `")
            )),
        }
    }
}

/// A list as it was written. An empty one may be what is left of somebody's names, and would allow
/// every name there is.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let list = Vec::<String>::deserialize(deserializer)?;
    if list.is_empty() {
        let message = "expected names in a list of `scopes`, found an empty list; leave it out to restrict nothing";
        return Err(serde::de::Error::custom(message));
    }
    Ok(list)
}

/// Whether a list of a scope allows a name.
#[must_use]
pub fn allows(list: &[String], name: &str) -> bool {
    list.is_empty() || list.iter().any(|pattern| matches(pattern, name))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

fn covers_pattern(wide: &[String], narrow: &str) -> bool {
    match narrow.strip_suffix('*') {
        None => wide.iter().any(|pattern| matches(pattern, narrow)),
        Some(start) => wide.iter().any(|pattern| {
            pattern
                .strip_suffix('*')
                .is_some_and(|wide| start.starts_with(wide))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_is_refused_and_one_that_is_left_out_restricts_nothing() {
        let read = |json: &str| serde_json::from_str::<Scopes>(json);
        assert!(read("{}").unwrap().is_unrestricted());
        let refused = read(r#"{"models": []}"#).unwrap_err().to_string();
        assert!(refused.contains("empty list"), "{refused}");
        let kept = serde_json::to_string(&models(&["gpt"])).unwrap();
        assert_eq!(read(&kept).unwrap(), models(&["gpt"]));
    }

    fn models(names: &[&str]) -> Scopes {
        Scopes {
            models: names.iter().map(|&name| name.to_owned()).collect(),
            ..Scopes::default()
        }
    }

    #[test]
    fn a_list_allows_its_names_and_beginnings_and_an_empty_one_everything() {
        let list = models(&["gpt-5", "claude-*"]).models;
        for (name, allowed) in [("gpt-5", true), ("gpt-5-mini", false), ("claude-x", true)] {
            assert_eq!(allows(&list, name), allowed, "{name}");
        }
        assert!(allows(&[], "anything"));
        assert!(allows(&["*".to_owned()], "anything"));
    }

    #[test]
    fn narrower_scopes_fit_and_wider_ones_do_not() {
        for (narrow, wide, fits) in [
            (models(&["a"]), models(&[]), true),
            (models(&[]), models(&["a"]), false),
            (models(&["a"]), models(&["a", "b"]), true),
            (models(&["a", "c"]), models(&["a", "b"]), false),
            (models(&["ab*"]), models(&["a*"]), true),
            (models(&["a*"]), models(&["ab*"]), false),
            (models(&["a*"]), models(&["a"]), false),
        ] {
            assert_eq!(narrow.is_within(&wide), fits, "{narrow:?} in {wide:?}");
        }
    }

    #[test]
    fn odd_names_are_refused() {
        for odd in ["", "a*b", "**", "a\n"] {
            models(&[odd]).check().unwrap_err();
        }
        models(&["a/b:c@d*", "*"]).check().unwrap();
        let operations = |name: &str| Scopes {
            operations: vec![name.to_owned()],
            ..Scopes::default()
        };
        for name in ["chat", "sandbox", "count*", "*"] {
            operations(name).check().unwrap();
        }
        for odd in ["chats", "Chat", "x*"] {
            let message = operations(odd).check().unwrap_err();
            assert!(message.contains("`embeddings`"), "{message}");
        }
    }
}
