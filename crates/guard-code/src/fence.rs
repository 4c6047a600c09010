//! Guards the code between Markdown fences of a text that arrives in pieces.
//!
//! Text outside of fences flows on at once, but for the first characters of a line that may open
//! one. A block of code waits until its fence closes when it may have to change; when it is only
//! reported on, it flows on too.

use seaworthy_guard::input::shell::{self, Danger};
use seaworthy_guard::{Action, Category, Flow};

use crate::{CodePolicy, Language, MAX_CODE_BYTES, Problem, check};

/// The longest line that can open a fence, in bytes.
const MAX_OPENING_BYTES: usize = 256;

/// What is done to code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FenceRules {
    /// What follows when code does not parse or does what the policy forbids.
    pub invalid: Action,
    /// What code must not do.
    pub policy: CodePolicy,
    /// What follows when a shell command is dangerous; `Redact` writes it as a comment.
    pub shell: Action,
    /// What follows when code is too long or too deep to be judged.
    pub unjudged: Action,
    /// What follows when one shell command is too long to be judged.
    pub unjudged_shell: Action,
}

impl FenceRules {
    /// Whether there is nothing to look at.
    pub fn are_off(&self) -> bool {
        self.invalid == Action::Allow && self.shell == Action::Allow
    }

    fn changes(&self, language: Language) -> bool {
        self.invalid >= Action::Redact
            || (language == Language::Shell && self.shell >= Action::Redact)
            || (self.invalid != Action::Allow && self.unjudged >= Action::Redact)
    }
}

/// A reason, and what followed.
pub type Judged = (Category, Action);

/// What became of a piece of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It passes as it is.
    Same,
    /// It passes as this.
    Changed(String),
    /// It goes no further.
    Blocked,
}

/// Judges a whole piece of code.
pub fn judge(
    rules: &FenceRules,
    language: Language,
    source: &str,
    judged: &mut Vec<Judged>,
) -> Outcome {
    let mut worst = Action::Allow;
    if rules.invalid != Action::Allow {
        for problem in check(language, source, &rules.policy) {
            let action = match problem {
                Problem::TooComplex => rules.unjudged.max(Action::Flag),
                Problem::DoesNotParse | Problem::Forbidden(_) => rules.invalid,
            };
            judged.push((Category::Code, action));
            worst = worst.max(action);
        }
    }
    match worst {
        Action::Block => return Outcome::Blocked,
        Action::Redact | Action::Tokenize => {
            return Outcome::Changed("[REDACTED:code]\n".to_owned());
        }
        Action::Allow | Action::Flag => {}
    }
    if language != Language::Shell || rules.shell == Action::Allow {
        return Outcome::Same;
    }
    judge_shell(rules.shell, source, judged)
}

fn judge_shell(action: Action, source: &str, judged: &mut Vec<Judged>) -> Outcome {
    let mut out = String::with_capacity(source.len());
    let mut is_changed = false;
    for command in commands(source) {
        let is_dangerous = dangers(command);
        if is_dangerous {
            judged.push((Category::Shell, action));
            if action == Action::Block {
                return Outcome::Blocked;
            }
        }
        if is_dangerous && action >= Action::Tokenize {
            is_changed = true;
            for line in command.split_inclusive('\n') {
                out.push_str("# ");
                out.push_str(line);
            }
        } else {
            out.push_str(command);
        }
    }
    match is_changed {
        true => Outcome::Changed(out),
        false => Outcome::Same,
    }
}

/// Whether a command is dangerous for another reason than that it is put together of several.
pub fn dangers(command: &str) -> bool {
    let told = shell::dangers(command.trim_start_matches(['$', '#', ' ']));
    told.into_iter().any(|danger| danger != Danger::Composition)
}

/// Whether a command goes on in the next line.
fn goes_on(line: &str) -> bool {
    line.trim_end_matches(['\n', '\r'])
        .ends_with(['\\', '|', '&'])
}

/// How many bytes of whole lines are whole commands.
fn whole_commands(lines: &str) -> usize {
    let last = commands(lines).pop().unwrap_or_default();
    lines.len() - if goes_on(last) { last.len() } else { 0 }
}

/// The lines of a script, those joined that go on in the next.
fn commands(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut begin = 0;
    let mut end = 0;
    for line in source.split_inclusive('\n') {
        end += line.len();
        if !goes_on(line) {
            found.push(&source[begin..end]);
            begin = end;
        }
    }
    if begin < end {
        found.push(&source[begin..end]);
    }
    found
}

/// What opens a block, and closes it where nothing else stands in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    /// The fence that this line opens.
    fn opened_by(line: &str) -> Option<Self> {
        let line = behind_indent(line);
        let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let length = line.chars().take_while(|c| *c == mark).count();
        (length >= 3).then_some(Self { mark, length })
    }

    fn is_closed_by(self, line: &str) -> bool {
        let line = line.trim_start_matches(is_indent).trim_end();
        line.chars().count() >= self.length && line.chars().all(|c| c == self.mark)
    }

    /// The language that the line names which opens it.
    fn language(self, line: &str) -> Option<Language> {
        let name = behind_indent(line).trim_start_matches(self.mark).trim();
        // `{.bash}`, `{bash}` and `language-bash` name it as well.
        let name = name.trim_start_matches(['{', '.', ' ']);
        let name = name
            .split([' ', '\t', '{', '}', ',', ':', '.', '='])
            .next()?;
        let name = ["language-", "lang-"]
            .into_iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(name);
        Language::of_fence(name)
    }
}

/// Where the guard is in the text.
#[derive(Debug)]
enum At {
    /// At the beginning of a line that may open a fence, which is held.
    LineStart(String),
    /// Within a line of text that opens none.
    Line,
    /// In a very long line that opens a block of code.
    Opening { fence: Fence, language: Language },
    /// In a block of code that nobody looks at, but for blocks within it.
    Unseen { fence: Fence, line: String },
    /// In a block of code.
    Code {
        fence: Fence,
        /// That of the block around it.
        outer: Option<Fence>,
        language: Language,
        opening: String,
        body: String,
        /// Where the last line of the body begins.
        line: usize,
    },
}

impl At {
    /// At the beginning of a block of code.
    fn code(fence: Fence, outer: Option<Fence>, language: Language, opening: String) -> Self {
        Self::Code {
            fence,
            outer,
            language,
            opening,
            body: String::new(),
            line: 0,
        }
    }
}

/// Guards the code of one text.
#[derive(Debug)]
pub struct FenceGuard {
    rules: FenceRules,
    at: At,
    judged: Vec<Judged>,
    is_blocked: bool,
}

impl FenceGuard {
    /// The guard of one text.
    pub fn new(rules: FenceRules) -> Self {
        Self {
            rules,
            at: At::LineStart(String::new()),
            judged: Vec::new(),
            is_blocked: false,
        }
    }

    /// What was decided since the last time.
    pub fn take_judged(&mut self) -> Vec<Judged> {
        std::mem::take(&mut self.judged)
    }

    /// Whether it is outside of a block of code and holds nothing back.
    pub fn is_idle(&self) -> bool {
        match &self.at {
            At::LineStart(held) => held.is_empty(),
            At::Line => true,
            At::Opening { .. } | At::Unseen { .. } | At::Code { .. } => false,
        }
    }

    /// Takes the next piece and appends what may pass.
    pub fn push(&mut self, piece: &str, out: &mut String) -> Flow {
        for part in piece.split_inclusive('\n') {
            if self.is_blocked {
                return Flow::Blocked;
            }
            self.take(part, out);
        }
        self.flow()
    }

    /// Decides the rest: nothing follows.
    pub fn finish(&mut self, out: &mut String) -> Flow {
        if self.is_blocked {
            return Flow::Blocked;
        }
        match std::mem::replace(&mut self.at, At::Line) {
            At::LineStart(held) => out.push_str(&held),
            // What was read of such a line has passed already.
            At::Line | At::Opening { .. } | At::Unseen { .. } => {}
            At::Code {
                fence,
                language,
                opening,
                body,
                line,
                ..
            } => {
                let closes = fence.is_closed_by(&body[line..]);
                let (code, closing) = body.split_at(if closes { line } else { body.len() });
                self.release(language, &opening, code, closing, out);
            }
        }
        self.flow()
    }

    fn flow(&self) -> Flow {
        match self.is_blocked {
            true => Flow::Blocked,
            false => Flow::Open,
        }
    }

    /// Takes a piece that ends with its first line break, if it has one.
    fn take(&mut self, part: &str, out: &mut String) {
        let ends = part.ends_with('\n');
        match &mut self.at {
            At::Line => {
                out.push_str(part);
                if ends {
                    self.at = At::LineStart(String::new());
                }
            }
            At::LineStart(held) => {
                held.push_str(part);
                let line = std::mem::take(held);
                self.at = self.begin_line(line, ends, out);
            }
            At::Opening { fence, language } => {
                out.push_str(part);
                if ends {
                    self.at = At::code(*fence, None, *language, String::new());
                }
            }
            At::Unseen { fence, line } => {
                out.push_str(part);
                // Only the beginning of a line can close a fence, or open another one.
                if line.len() < MAX_OPENING_BYTES {
                    line.push_str(part);
                }
                if ends {
                    let line = std::mem::take(line);
                    let inner = || {
                        let inner = Fence::opened_by(&line)?;
                        Some((inner, inner.language(&line)?))
                    };
                    match (fence.is_closed_by(&line), inner()) {
                        (true, _) => self.at = At::LineStart(String::new()),
                        (false, Some((inner, language))) => {
                            self.at = At::code(inner, Some(*fence), language, String::new());
                        }
                        (false, None) => {}
                    }
                }
            }
            At::Code { .. } => self.take_code(part, ends, out),
        }
    }

    fn begin_line(&self, line: String, ends: bool, out: &mut String) -> At {
        let Some(fence) = Fence::opened_by(&line) else {
            if may_open(&line) && !ends && line.len() <= MAX_OPENING_BYTES {
                return At::LineStart(line);
            }
            out.push_str(&line);
            return match ends {
                true => At::LineStart(String::new()),
                false => At::Line,
            };
        };
        if !ends && line.len() <= MAX_OPENING_BYTES {
            return At::LineStart(line);
        }
        let Some(language) = fence.language(&line) else {
            out.push_str(&line);
            return At::Unseen {
                fence,
                line: String::new(),
            };
        };
        if self.rules.changes(language) && line.len() <= MAX_OPENING_BYTES {
            return At::code(fence, None, language, line);
        }
        out.push_str(&line);
        match ends {
            true => At::code(fence, None, language, String::new()),
            false => At::Opening { fence, language },
        }
    }

    fn take_code(&mut self, part: &str, ends: bool, out: &mut String) {
        let At::Code {
            fence,
            outer,
            language,
            opening,
            body,
            line,
        } = &mut self.at
        else {
            return;
        };
        let is_held = self.rules.changes(*language);
        if !is_held {
            out.push_str(part);
        }
        body.push_str(part);
        let is_end = ends && fence.is_closed_by(&body[*line..]);
        if !is_end && body.len() <= MAX_CODE_BYTES {
            if ends {
                *line = body.len();
            }
            return;
        }
        let at = if is_end { *line } else { body.len() };
        let (language, opening) = (*language, std::mem::take(opening));
        let (fence, outer) = (*fence, *outer);
        let goes_on = outer.filter(|outer| !outer.is_closed_by(&body[*line..]));
        let mut body = std::mem::take(body);
        let whole = whole_commands(&body[..*line]);
        self.at = match is_end {
            true => match goes_on {
                Some(fence) => At::Unseen {
                    fence,
                    line: String::new(),
                },
                None => At::LineStart(String::new()),
            },
            // Commands are judged one by one: the last one may not be whole, and waits.
            false if language == Language::Shell && whole > 0 => At::Code {
                fence,
                outer,
                language,
                opening: String::new(),
                line: *line - whole,
                body: body.split_off(whole),
            },
            // Too long to be judged: what follows passes unseen, if it may pass at all.
            false => At::Unseen {
                fence: outer.unwrap_or(fence),
                line: String::new(),
            },
        };
        let is_seen = is_end || matches!(self.at, At::Code { .. });
        if language == Language::Shell && !is_seen && self.rules.shell != Action::Allow {
            self.judged
                .push((Category::Shell, self.rules.unjudged_shell));
            self.is_blocked |= self.rules.unjudged_shell >= Action::Redact;
        }
        if !self.is_blocked {
            let (code, closing) = body.split_at(at.min(body.len()));
            self.release(language, &opening, code, closing, out);
        }
    }

    /// Judges a block and lets it go.
    fn release(
        &mut self,
        language: Language,
        opening: &str,
        code: &str,
        closing: &str,
        out: &mut String,
    ) {
        let is_held = self.rules.changes(language);
        let outcome = judge(&self.rules, language, code, &mut self.judged);
        match outcome {
            Outcome::Blocked => self.is_blocked = true,
            _ if !is_held => {}
            Outcome::Same => out.extend([opening, code, closing]),
            Outcome::Changed(new) => out.extend([opening, &new, closing]),
        }
    }
}

fn is_indent(c: char) -> bool {
    matches!(c, ' ' | '\t' | '>')
}

/// What stands behind the indentation of a line and the mark of an item of a list.
fn behind_indent(line: &str) -> &str {
    let rest = line.trim_start_matches(is_indent);
    let number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let item = match rest.len() - number.len() {
        0 => rest.strip_prefix(['-', '*', '+']),
        1..=9 => number.strip_prefix(['.', ')']),
        _ => None,
    };
    match item.filter(|item| item.starts_with([' ', '\t'])) {
        Some(item) => item.trim_start_matches(is_indent),
        None => rest,
    }
}

/// Whether the beginning of a line may still become an opening.
fn may_open(line: &str) -> bool {
    let rest = behind_indent(line);
    let number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let may_be_item = match rest.len() - number.len() {
        0 => matches!(rest, "-" | "*" | "+"),
        1..=9 => matches!(number, "" | "." | ")"),
        _ => false,
    };
    may_be_item || rest.chars().all(|c| c == '`') || rest.chars().all(|c| c == '~')
}

#[cfg(test)]
mod tests;
