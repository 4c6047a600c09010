//! Parts of the conversation that a request only names, because its provider keeps them: nobody here sees
//! what they say.

use seaworthy_config::OnFailure;
use seaworthy_core::dialect::Dialect;
use seaworthy_guard::input::Lengths;
use seaworthy_guard::{Category, Place};

use super::{Asked, Purpose, Refused};
use crate::guards::Rules;
use crate::guards::build::MODERATION_CATEGORIES;
use crate::guards::policy::INBOUND;
use crate::guards::texts::{Kind, Outline};
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
    let mut items = outline.objects.iter().enumerate();
    items.any(|(index, item)| {
        let is_item = item.parent == Some(0) && item.key == "input" && item.role.is_none();
        let names_nothing_else = || {
            let mut keys = outline.texts.iter();
            !keys.any(|text| {
                let is_own = text.kind == Kind::Key && text.object == Some(index);
                is_own && !matches!(&*text.value, "id" | "type")
            })
        };
        is_item
            && match item.kind.as_deref() {
                Some(kind) => kind == "item_reference",
                None => names_nothing_else(),
            }
    })
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
        let named = named.filter(|_| self.judges_conversations());
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

    /// Whether anything depends on what all of a conversation says.
    fn judges_conversations(&self) -> bool {
        let categories = MODERATION_CATEGORIES.map(str::to_owned).into();
        let moderates = self.lines.want(Category::Moderation, &categories, &INBOUND);
        let lengths = Lengths {
            max_tool_param_length: None,
            ..self.lengths
        };
        self.inbound.is_some()
            || lengths != Lengths::default()
            || self.strip_html_tags
            || self.injection.is_some()
            || self.blocked_patterns.is_some()
            || self.files.is_some()
            || !self.scope.allowed_topics.is_empty()
            || !self.scope.denied_topics.is_empty()
            || !self.side_effect_tools.is_empty()
            || self.overlap_words.is_some()
            || self.asks_others
            || self.mark_untrusted
            || moderates
    }
}
