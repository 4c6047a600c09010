//! Screens a request in the words of its own dialect: only the texts that a guard changes are
//! replaced, and the rest of the body stays as the caller wrote it.

mod heard;
mod lengths;
mod marks;
mod parts;
mod scope;
mod unread;
mod unseen;

use std::ops::Range;
use std::sync::Arc;

use regex::RegexSet;
use seaworthy_config::OnFailure;
use seaworthy_core::dialect::Dialect;
use seaworthy_guard::injection::Level;
use seaworthy_guard::input::path::PathError;
use seaworthy_guard::input::scope::OutOfScope;
use seaworthy_guard::input::{Lengths, TooLong};
use seaworthy_guard::{
    Action, Category, Engine, EngineError, Place, Policy, Shown, Vault, normalise,
};

use self::heard::Told;
pub(crate) use self::unread::{UnreadPart, Unreadable};
use super::arguments::{self, Guarded, escaped};
use super::guarding::Guarding;
use super::links::RealLinks;
use super::moderate::{Moderated, moderate};
use super::policy::{INBOUND, Who, restrict};
use super::said::{Said, Speaker, holds_returned, to_embed, who_says};
use super::texts::{BrokenEscape, Kind, Outline, replace};
use super::verdicts::Verdicts;
use super::{Rules, outbound};

/// Members that hold what is said.
const SAID: [&str; 9] = [
    "content",
    "text",
    "texts",
    "system",
    "instructions",
    "input",
    "prompt",
    "output",
    "data",
];

/// The shortest name of a member that could be an order, in bytes.
const MIN_TOLD: usize = 16;

/// What the operator says in words.
fn of_operator<'s, 't, 'a>(said: &'s [Said<'t, 'a>]) -> impl Iterator<Item = &'s Said<'t, 'a>> {
    let is_told = |said: &&Said<'_, '_>| SAID.contains(&&*said.text.key) && !said.is_argument;
    let by_operator = |said: &&Said<'_, '_>| said.speaker == Speaker::Operator;
    said.iter().filter(by_operator).filter(is_told)
}

/// What texts are sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be answered, or to be counted as if.
    Conversation,
    /// To become vectors: nothing of them comes back, and what is found by them may.
    Embeddings,
    /// To be judged, so that nothing is harmful in them.
    Moderations,
}

/// A request that is screened.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) body: &'a str,
    pub(crate) dialect: Dialect,
    pub(crate) purpose: Purpose,
    pub(crate) who: Who<'a>,
    /// Tools that the caller confirmed.
    pub(crate) confirmed: Vec<String>,
}

/// A request that may leave.
#[derive(Debug)]
pub(crate) struct Passed {
    /// The body to send instead, if a guard changed something.
    pub(crate) body: Option<String>,
    /// What guards the answer.
    pub(crate) guarding: Arc<Guarding>,
}

/// Why a request may not leave.
#[derive(Debug)]
pub(crate) enum Refused {
    TooLong(TooLong),
    /// A text tries to take control of the model.
    Injection(Place),
    /// A text holds what the configuration blocks.
    Blocked(Place),
    /// A text falls into a category of harmful content.
    Harmful(Place),
    /// A text matches a pattern of the operator.
    Pattern(Place),
    /// A reference to a file.
    File(PathError),
    /// A topic, or a tool that is offered.
    Scope(OutOfScope),
    /// A text cannot be read, so that it cannot be judged.
    Unreadable,
    /// This member names a part of the conversation that only its provider sees.
    Unseen(&'static str),
    /// This part of the request can be read by its provider only.
    Unread(UnreadPart),
    /// The guards of this request could not be put together.
    Broken(EngineError),
}

impl From<BrokenEscape> for Refused {
    fn from(_: BrokenEscape) -> Self {
        Self::Unreadable
    }
}

impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Self {
        Self::Broken(error)
    }
}

/// The screening of one request.
struct Screening<'r> {
    rules: &'r Rules,
    policy: Policy,
    engine: Option<Arc<Engine>>,
    vault: Option<Vault>,
    owner: &'r str,
    purpose: Purpose,
    links: RealLinks,
    is_suspicious: bool,
    verdicts: &'r mut Verdicts,
}

impl Rules {
    /// Screens a request, and says what guards its answer.
    pub(crate) fn screen(
        self: &Arc<Self>,
        asked: Asked<'_>,
        verdicts: &mut Verdicts,
    ) -> Result<Passed, Refused> {
        let policy = match &self.shared {
            Some(policy) => policy.clone(),
            None => self.lines.policy(Some(asked.who)),
        };
        let mut outline = match Outline::read(asked.body) {
            Ok(outline) => outline,
            Err(_) if self.on_failure == OnFailure::Allow => {
                verdicts.add("unreadable", Place::Input, "flag");
                Outline::default()
            }
            Err(error) => return Err(error.into()),
        };
        outline.unpack_files();
        let outline = outline;
        self.check_readable(&asked, &outline, verdicts)?;
        let said: Vec<Said<'_, '_>> = outline
            .texts
            .iter()
            .filter_map(|text| match asked.purpose {
                Purpose::Embeddings => to_embed(&outline, text),
                _ => who_says(&outline, text),
            })
            .collect();
        let mut screening = Screening {
            rules: self,
            engine: self.inbound_engine(&policy)?,
            vault: self.vault(&policy, &asked),
            policy,
            owner: asked.who.user,
            purpose: asked.purpose,
            links: RealLinks::default(),
            is_suspicious: false,
            verdicts,
        };
        screening.check_lengths(&said)?;
        let is_conversation = asked.purpose == Purpose::Conversation;
        if is_conversation {
            screening.check_tools(&asked, &outline)?;
            screening.check_topics(&said)?;
        }
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        let mut told: Vec<Told<'_>> = Vec::new();
        for said in &said {
            let new = screening.screen_text(said)?;
            told.extend(screening.hear(said, new.as_deref()));
            if let Some(new) = new {
                edits.push((said.text.at.clone(), said.text.written(new)));
            }
        }
        screening.hide_in_sealed(&said, &mut edits);
        let cut = screening.judge_parts(&said, &mut edits)?;
        for told in told.iter_mut().filter(|told| cut.contains(&told.place)) {
            told.is_suspicious = true;
        }
        let (policy, vault, links) = (screening.policy, screening.vault, screening.links);
        let operator = || of_operator(&said);
        let canary = self
            .plant_canary
            .then(|| self.vault_key.word(asked.who.user, "canary"));
        let planted = canary.filter(|_| is_conversation && operator().next().is_some());
        if let (Some(canary), Some(first)) = (&planted, operator().next()) {
            plant(canary, first, &mut edits);
        }
        let prompts: Vec<&str> = operator().map(|said| &*said.text.value).collect();
        let guarding = Guarding {
            outbound: outbound::engine(self, &policy, &prompts, planted.as_deref())?,
            fences: outbound::fences(self, &policy),
            vault: vault.filter(|vault| !vault.is_empty()).map(Arc::new),
            holds_untrusted: said.iter().any(|said| said.place == Place::ToolResult)
                || holds_returned(&outline),
            confirmed: asked.confirmed,
            links,
            heard: heard::ends_of(&told),
            policy,
            rules: Arc::clone(self),
        };
        Ok(Passed {
            body: (!edits.is_empty()).then(|| replace(asked.body, &edits)),
            guarding: Arc::new(guarding),
        })
    }

    fn inbound_engine(&self, policy: &Policy) -> Result<Option<Arc<Engine>>, EngineError> {
        let Some(sided) = &self.inbound else {
            return Ok(None);
        };
        if self.shared.is_some() {
            return Ok(Some(Arc::clone(&sided.engine)));
        }
        let policy = restrict(policy, &INBOUND, &sided.rules);
        Ok(Some(Arc::new(sided.engine.derive(policy, Vec::new())?)))
    }

    fn vault(&self, policy: &Policy, asked: &Asked<'_>) -> Option<Vault> {
        let keeps = |line: &seaworthy_guard::policy::PolicyLine| line.action == Action::Tokenize;
        let is_kept = asked.purpose == Purpose::Conversation && policy.lines.iter().any(keeps);
        is_kept.then(|| Vault::new(&self.vault_key, asked.who.user))
    }
}

/// Adds the canary to the first text of the operator.
fn plant(canary: &str, first: &Said<'_, '_>, edits: &mut Vec<(Range<usize>, String)>) {
    let at = &first.text.at;
    let marker = format!("\n\n[{canary}: this marker is confidential and never repeated]");
    match edits.iter_mut().find(|(edited, _)| edited == at) {
        Some((_, text)) => text.push_str(&marker),
        None => {
            edits.push((at.clone(), format!("{}{marker}", first.text.value)));
            edits.sort_by_key(|(at, _)| at.start);
        }
    }
}

impl Screening<'_> {
    fn screen_text(&mut self, said: &Said<'_, '_>) -> Result<Option<String>, Refused> {
        let judged = self.is_judged(said);
        let mut value = std::borrow::Cow::Borrowed(said.text.value.as_ref());
        let mut changed = false;
        if judged {
            let stripped = self.stripped(said);
            if let Some(label) = self.judge(said, &value, stripped.as_deref())? {
                return Ok(Some(label));
            }
            if let Some(plain) = stripped {
                self.verdicts.add("html", said.place, "strip");
                (value, changed) = (plain.into(), true);
            }
        }
        let (place, vault) = (said.place, &mut self.vault);
        let guarded = match &self.engine {
            None => Guarded::Same,
            // Only what was put back into it is replaced again, once all of that is known.
            Some(_) if said.is_sealed => Guarded::Same,
            Some(engine) if said.text.key == "arguments" && !said.is_argument && !said.is_free => {
                arguments::guard(engine, place, &value, vault, self.verdicts)
            }
            Some(engine) => {
                let guarded = match said.is_argument || said.is_free {
                    true => {
                        let text = said.text.saying(&value);
                        arguments::guard_member_kept(engine, place, &text, vault, self.verdicts)
                    }
                    false => arguments::guard_kept(engine, place, &value, vault, self.verdicts),
                };
                escaped::guard(engine, place, (&value, guarded), vault, self.verdicts)
            }
        };
        match guarded {
            Guarded::Blocked => return Err(Refused::Blocked(place)),
            Guarded::Changed(new) => (value, changed) = (new.into(), true),
            Guarded::Same => {}
        }
        if self.rules.mark_untrusted && judged && marks::can_be_marked(said, &value) {
            self.verdicts.add("provenance", place, "mark");
            let word = self.rules.vault_key.word(self.owner, &value);
            (value, changed) = (marks::mark(&value, &word).into(), true);
        }
        Ok(changed.then(|| value.into_owned()))
    }

    /// Hides again, in reasoning that its provider has signed, what was put back into it: the provider
    /// gets what it wrote, and its signature fits. Nothing else of it may change.
    fn hide_in_sealed(&self, said: &[Said<'_, '_>], edits: &mut Vec<(Range<usize>, String)>) {
        let Some(vault) = self.vault.as_ref().filter(|vault| !vault.is_empty()) else {
            return;
        };
        let mut sealed = said.iter().filter(|said| said.is_sealed).peekable();
        // Once for all of them: there may be thousands of values and of thoughts.
        let Some(hider) = sealed.peek().and_then(|_| vault.hider()) else {
            return;
        };
        let hidden = sealed.filter_map(|said| {
            let new = hider.hide(&said.text.value);
            (new != said.text.value).then(|| (said.text.at.clone(), new))
        });
        let known = edits.len();
        edits.extend(hidden);
        if edits.len() > known {
            edits.sort_by_key(|(at, _)| at.start);
        }
    }

    /// Whether a text is judged as a whole, beyond what is searched for in it.
    fn is_judged(&self, said: &Said<'_, '_>) -> bool {
        // Numbers and short names tell nobody what to do.
        let tells = match said.text.kind {
            Kind::Number => false,
            Kind::Key => said.text.value.len() >= MIN_TOLD,
            Kind::String => true,
        };
        tells && self.purpose != Purpose::Moderations && said.is_untrusted()
    }

    /// The text without its markup, if that is taken out of it and there is some.
    fn stripped(&self, said: &Said<'_, '_>) -> Option<String> {
        let value = &*said.text.value;
        let is_stripped = self.rules.strip_html_tags && said.text.kind == Kind::String;
        let plain = is_stripped.then(|| escaped::strip(value));
        plain.filter(|plain| plain != value)
    }

    /// Judges what a user or a tool says as a whole; the label that takes its place, if one does. It is read as it
    /// was written, and without its markup: what is cut by tags is whole once they are taken out.
    fn judge(
        &mut self,
        said: &Said<'_, '_>,
        value: &str,
        stripped: Option<&str>,
    ) -> Result<Option<String>, Refused> {
        let (rules, place) = (self.rules, said.place);
        let mut level = Level::Clear;
        let mut found = Moderated::default();
        let plain = escaped::plain(value);
        let readings = || {
            [Some(value), plain.as_deref(), stripped]
                .into_iter()
                .flatten()
        };
        if rules.injection.is_some() || rules.moderation.is_some() {
            // Both judges read the same words.
            for shown in readings().flat_map(Shown::pieces) {
                if let Some(judge) = &rules.injection {
                    level = level.max(judge.assess_shown(&shown, place).level);
                }
                if let Some(judge) = &rules.moderation {
                    let least = rules.least_severity;
                    found.add(moderate(judge, least, &self.policy, place, &shown));
                }
            }
        }
        if rules.injection.is_some() {
            let action = self.policy.action(place, Category::Injection, "injection");
            self.is_suspicious |= level != Level::Clear;
            let action = match level {
                Level::Clear => Action::Allow,
                Level::Flag => action.min(Action::Flag),
                Level::Block => action,
            };
            match action {
                Action::Allow => {}
                Action::Flag => self.verdicts.judge(Category::Injection, place, action),
                Action::Redact | Action::Tokenize => {
                    self.verdicts.judge(Category::Injection, place, action);
                    return Ok(Some("[REDACTED:injection]".to_owned()));
                }
                Action::Block => {
                    self.verdicts.judge(Category::Injection, place, action);
                    return Err(Refused::Injection(place));
                }
            }
        }
        let matches = |patterns: &RegexSet, text: &str| {
            patterns.is_match(text) || patterns.is_match(&normalise::normalise(text).text)
        };
        if let Some(patterns) = &rules.blocked_patterns
            && readings().any(|text| matches(patterns, text))
        {
            self.verdicts.add("pattern", place, "block");
            return Err(Refused::Pattern(place));
        }
        readings().try_for_each(|text| self.check_files(said, text))?;
        for (_, action) in &found.all {
            self.verdicts.judge(Category::Moderation, place, *action);
        }
        match found.worst {
            Some((Action::Block, _)) => Err(Refused::Harmful(place)),
            Some((Action::Redact | Action::Tokenize, category)) => {
                Ok(Some(format!("[REDACTED:{category}]")))
            }
            _ => Ok(None),
        }
    }

    /// What others may be asked about of a text.
    fn hear<'t>(&mut self, said: &'t Said<'_, '_>, new: Option<&str>) -> Option<Told<'t>> {
        let is_suspicious = std::mem::take(&mut self.is_suspicious);
        let is_heard = self.rules.asks_others && self.is_judged(said);
        is_heard.then(|| Told {
            place: said.place,
            text: match new {
                Some(new) => new.to_owned().into(),
                None => (&*said.text.value).into(),
            },
            is_suspicious,
        })
    }

    fn check_files(&mut self, said: &Said<'_, '_>, value: &str) -> Result<(), Refused> {
        let action = self.policy.action(said.place, Category::File, "file");
        let Some(files) = self
            .rules
            .files
            .as_ref()
            .filter(|_| action != Action::Allow)
        else {
            return Ok(());
        };
        let checked = match matches!(&*said.text.key, "filename" | "file_name") {
            true => files.check(value, &self.links),
            false => files.check_text(value, &self.links),
        };
        let Err(error) = checked else {
            return Ok(());
        };
        self.verdicts.judge(Category::File, said.place, action);
        match action {
            Action::Flag => Ok(()),
            _ => Err(Refused::File(error)),
        }
    }

    fn check_lengths(&mut self, said: &[Said<'_, '_>]) -> Result<(), Refused> {
        let lengths = &self.rules.lengths;
        if *lengths == Lengths::default() {
            return Ok(());
        }
        let has_question = self.purpose == Purpose::Conversation;
        let checked = lengths::measure(lengths, said, has_question);
        checked.map_err(|(place, too_long)| {
            self.verdicts.add("length", place, "block");
            Refused::TooLong(too_long)
        })
    }
}

#[cfg(test)]
mod tests;
