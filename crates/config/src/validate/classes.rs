//! Names under `per_operation` that look like slips. A name that is no operation is one that callers
//! say, so it cannot be refused; one that nobody will ever say limits nothing.

use std::collections::BTreeSet;

use seaworthy_core::principal::scope::OPERATIONS;

use super::Check;
use crate::nearest::{nearest, slip};

/// What people call an operation by its path, and by its name in reports of batches.
const OTHER_NAMES: [(&str, &str); 10] = [
    ("batch_chat", "chat"),
    ("batch_count_tokens", "count_tokens"),
    ("batch_embeddings", "embeddings"),
    ("batch_moderations", "moderations"),
    ("chat_completions", "chat"),
    ("completions", "chat"),
    ("converse", "chat"),
    ("generate_content", "chat"),
    ("messages", "chat"),
    ("responses", "chat"),
];

impl Check<'_> {
    /// Warns of each class that is nearly an operation, or nearly a class of the other section.
    pub(super) fn classes(&mut self) {
        let config = self.config;
        let limited: BTreeSet<&str> = names(config.rate_limits.per_operation.keys());
        let capped: BTreeSet<&str> = names(config.cost_controls.per_operation.keys());
        for (section, own, others) in [
            ("rate_limits", &limited, &capped),
            ("cost_controls", &capped, &limited),
        ] {
            for class in own {
                let path = [section, "per_operation", class];
                if let Some(operation) = operation_meant_by(class) {
                    let message = format!(
                        "`{class}` is no operation: this counts only requests that say \
                         `x-seaworthy-operation: {class}`"
                    );
                    let help = format!(
                        "did you mean `{operation}`? the operations are: {}",
                        OPERATIONS.join(", ")
                    );
                    self.warn_of_key(&path, message, &help);
                    continue;
                }
                // What both sections have is meant; of two others that nearly agree, one is a slip.
                let theirs = others.difference(own).copied();
                if !others.contains(class)
                    && let Some(near) = slip(class, theirs)
                {
                    let message =
                        format!("`{class}` and the class `{near}` of the other section are two");
                    let help = format!(
                        "if one is meant, write it alike: callers say it in `x-seaworthy-operation`; \
                         there: {}",
                        others.iter().copied().collect::<Vec<_>>().join(", ")
                    );
                    self.warn_of_key(&path, message, &help);
                }
            }
        }
    }
}

fn names<'a>(keys: impl Iterator<Item = &'a String>) -> BTreeSet<&'a str> {
    keys.map(String::as_str).collect()
}

/// The operation that somebody most likely meant by a name that is none.
fn operation_meant_by(class: &str) -> Option<&'static str> {
    if OPERATIONS.contains(&class) {
        return None;
    }
    let other = OTHER_NAMES.iter().find(|(name, _)| *name == class);
    other
        .map(|(_, operation)| *operation)
        .or_else(|| nearest(class, OPERATIONS))
}
