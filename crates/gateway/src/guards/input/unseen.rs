//! Parts of the conversation that a request only names, because its provider keeps them: nobody here sees
//! what they say.

use std::collections::HashSet;

use seaworthy_config::OnFailure;
use seaworthy_core::dialect::Dialect;
use seaworthy_guard::{Category, Place};

use super::{Asked, Purpose, Refused};
use crate::guards::Rules;
use crate::guards::build::MODERATION_CATEGORIES;
use crate::guards::policy::INBOUND;
use crate::guards::texts::{Kind, Object, Outline, Text};
use crate::guards::verdicts::Verdicts;

/// The first member of a request that names such a part.
fn unseen(dialect: Dialect, outline: &Outline<'_>) -> Option<&'static str> {
    let names: &[&str] = match dialect {
        Dialect::OpenAiResponses => &["conversation", "previous_response_id"],
        Dialect::Gemini => &["cachedContent", "cached_content"],
        _ => return None,
    };
    let at_root = |name: &&&'static str| {
        let mut objects = outline.objects.iter();
        let mut texts = outline.texts.iter();
        objects.any(|object| object.parent == Some(0) && object.key == **name)
            || texts.any(|text| {
                let is_named = text.object == Some(0) && text.key == **name;
                is_named && text.kind == Kind::String && !text.value.is_empty()
            })
    };
    let named = names.iter().find(at_root).copied();
    named.or_else(|| has_reference(outline).then_some("input"))
}

/// Whether an item of the conversation is the ID of another one and nothing else.
fn has_reference(outline: &Outline<'_>) -> bool {
    let items = || {
        let is_item = |(_, item): &(usize, &Object<'_>)| {
            item.parent == Some(0) && item.key == "input" && item.role.is_none()
        };
        outline.objects.iter().enumerate().filter(is_item)
    };
    if items().any(|(_, item)| item.kind.as_deref() == Some("item_reference")) {
        return true;
    }
    let mut untold = items()
        .filter(|(_, item)| item.kind.is_none())
        .map(|(index, _)| index)
        .peekable();
    if untold.peek().is_none() {
        return false;
    }
    // One pass over the names of all members, however many items there are.
    let is_told =
        |text: &&Text<'_>| text.kind == Kind::Key && !matches!(&*text.value, "id" | "type");
    let telling = outline.texts.iter().filter(is_told);
    let telling: HashSet<usize> = telling.filter_map(|text| text.object).collect();
    untold.any(|index| !telling.contains(&index))
}

impl Rules {
    /// Whether a request names a part of the conversation that nobody here sees, and may not.
    pub(super) fn check_unseen(
        &self,
        asked: &Asked<'_>,
        outline: &Outline<'_>,
        verdicts: &mut Verdicts,
    ) -> Result<(), Refused> {
        let named = match asked.purpose {
            Purpose::Conversation => unseen(asked.dialect, outline),
            Purpose::Embeddings | Purpose::Moderations => None,
        };
        let named = named.filter(|_| self.judges(asked.purpose));
        match (named, self.on_failure) {
            (None, _) => Ok(()),
            (Some(_), OnFailure::Allow) => {
                verdicts.add("unreadable", Place::Input, "flag");
                Ok(())
            }
            (Some(member), OnFailure::Block) => {
                verdicts.add("unreadable", Place::Input, "block");
                Err(Refused::Unseen(member))
            }
        }
    }

    /// Whether anything depends on what all texts of a request for this say.
    pub(super) fn judges(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Conversation => self.judges_texts() || self.judges_conversations(),
            Purpose::Embeddings => self.judges_texts(),
            Purpose::Moderations => false,
        }
    }

    fn judges_texts(&self) -> bool {
        let categories = MODERATION_CATEGORIES.map(str::to_owned).into();
        let moderates = self.lines.want(Category::Moderation, &categories, &INBOUND);
        self.inbound.is_some()
            || self.lengths.max_input_length.is_some()
            || self.strip_html_tags
            || self.injection.is_some()
            || self.blocked_patterns.is_some()
            || self.files.is_some()
            || self.asks_others
            || moderates
    }

    fn judges_conversations(&self) -> bool {
        self.lengths.max_question_length.is_some()
            || !self.scope.allowed_topics.is_empty()
            || !self.scope.denied_topics.is_empty()
            || !self.side_effect_tools.is_empty()
            || self.overlap_words.is_some()
            || self.mark_untrusted
    }
}
