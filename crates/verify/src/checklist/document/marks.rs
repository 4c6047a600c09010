//! Bullets and boxes of one line, at their bytes.

use super::Mark;
use super::said::{behind_tags, said_at, untagged};

/// A list item without its bullet and box.
pub(super) struct Bullet {
    /// The column of the bullet.
    pub(super) column: usize,
    pub(super) text: String,
    pub(super) mark: Option<Mark>,
    /// Its box, or the way to it, is not what Markdown wants.
    pub(super) is_loose: bool,
}

pub(super) const EMPTY: [&str; 10] = ["[ ]", "☐", "⬜", "□", "🔲", "❌", "◻", "▢", "❏", "❑"];
pub(super) const TICKED: [&str; 10] = ["[x]", "[X]", "[✓]", "[✔]", "☑", "☒", "✅", "✔", "✓", "🗹"];

/// What begins an item only where a box follows: dashes and dots that other programs draw.
const DRAWN_BULLETS: [char; 9] = ['–', '—', '·', '◦', '‣', '▪', '●', '○', '∙'];

/// Signs that say done in brackets.
const DONE: [&str; 5] = ["x", "X", "✓", "✔", "✅"];
/// Signs that say something else there: dropped, half done, begun, put off, planned, grave, doubtful.
const NOT_DONE: [&str; 8] = ["", "-", "~", "/", ">", "<", "!", "?"];

/// What the sides of a frame are drawn with.
const FRAMES: [char; 14] = [
    '║', '│', '┃', '╔', '╗', '╚', '╝', '╠', '╣', '├', '┤', '┌', '└', '┐',
];

/// What a line says within the frame that is drawn around it, and whether there is one.
pub(super) fn inside(line: &str) -> (&str, bool) {
    let within = line.trim_start_matches(FRAMES);
    let is_framed = within.len() < line.len();
    match is_framed {
        true => (within.trim_end_matches(FRAMES).trim(), true),
        false => (line, false),
    }
}

/// Reads a list item, or a line that begins with a box.
pub(super) fn bullet(line: &str) -> Option<Bullet> {
    let body = line.trim_start_matches([' ', '\t', '>']);
    let body = body.trim_start_matches(FRAMES).trim_start();
    let column = line.len() - body.len();
    let after_bullet = after_bullet(body);
    let rest = after_bullet.unwrap_or(body);
    // Tags before a box are not what the item says.
    let inner = behind_tags(rest);
    let is_tagged = inner.len() < rest.len() && mark_at(inner, 0).is_some();
    let rest = if is_tagged { inner } else { rest };
    let start = line.len() - rest.len();
    let strict = mark_at(rest, start).filter(|_| !is_glued(body));
    let is_loose = strict.is_none();
    let loose = || loose_mark_at(rest, start).or_else(|| round_mark_at(rest, start));
    let mark = strict.or_else(|| after_bullet.and_then(|_| loose()));
    if after_bullet.is_none() && mark.is_none() {
        return None;
    }
    let text = match &mark {
        Some(mark) => rest.get(mark.len..).unwrap_or_default(),
        None => rest,
    };
    let text = text.trim_start_matches('\u{fe0f}').trim();
    let text = text.trim_end_matches(FRAMES).trim_end();
    // A second box on the line makes it a choice, not an item.
    let drawn = mark.as_ref().and_then(|mark| rest.get(..mark.len));
    let again = is_loose && drawn.is_some_and(|drawn| text.contains(drawn));
    if again || has_another(text, drawn) {
        return None;
    }
    let is_field = drawn.is_some_and(|drawn| drawn.starts_with('<'));
    let text = match is_tagged || is_field {
        true => untagged(text),
        false => text.to_owned(),
    };
    if !text.chars().any(char::is_alphanumeric) {
        return None;
    }
    // A bullet without a box asks for something only when it says at least two words.
    if mark.is_none() && (text.split_whitespace().count() < 2 || text.ends_with(':')) {
        return None;
    }
    Some(Bullet {
        column,
        text,
        mark,
        is_loose,
    })
}

/// Whether a text holds another box of the kind that is drawn before it, or any where none is.
fn has_another(text: &str, drawn: Option<&str>) -> bool {
    let kind = |drawn: &str| drawn.chars().next().filter(|c| "[<&:".contains(*c));
    inline_boxes(text).iter().any(|other| {
        let other = text.get(other.start..other.start + other.len);
        let (Some(drawn), Some(other)) = (drawn, other) else {
            return true;
        };
        kind(drawn) == kind(other)
    })
}

fn after_bullet(body: &str) -> Option<&str> {
    if let Some(rest) = after_other_bullet(body) {
        return Some(rest);
    }
    let rest = match body.chars().next()? {
        '-' | '*' | '+' | '•' => body.trim_start_matches(['-', '*', '+', '•']),
        '0'..='9' => body
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .strip_prefix(['.', ')'])?,
        _ => return None,
    };
    let once = body.len() - rest.len() <= 4;
    (once && (rest.starts_with([' ', '\t']) || is_glued(body))).then(|| rest.trim_start())
}

/// What follows a letter, a Roman number or a sign that begins an item because a box comes next.
fn after_other_bullet(body: &str) -> Option<&str> {
    let letters = body.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let rest = match body.len() - letters.len() {
        0 => body.strip_prefix(DRAWN_BULLETS)?,
        1..=4 => letters.strip_prefix(['.', ')'])?,
        _ => return None,
    };
    let inner = rest.trim_start();
    (inner.len() < rest.len() && mark_at(inner, 0).is_some()).then_some(inner)
}

/// Whether a box follows its bullet without the space that makes the line a list item; what follows an
/// asterisk may be emphasis.
fn is_glued(body: &str) -> bool {
    let digits = body.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = match digits.len() < body.len() {
        true => digits.strip_prefix(['.', ')']),
        false => body.strip_prefix(['-', '+', '•', '*']),
    };
    let is_emphasis = |rest: &str| body.starts_with('*') && rest.contains('*');
    rest.is_some_and(|rest| !is_emphasis(rest) && loose_mark_at(rest, 0).is_some())
}

/// The box at the beginning of `text`, which itself begins at byte `start` of its line.
pub(super) fn mark_at(text: &str, start: usize) -> Option<Mark> {
    let find = |boxes: &[&str]| {
        boxes
            .iter()
            .find(|b| text.starts_with(**b))
            .map(|b| b.len())
    };
    let drawn = find(&EMPTY)
        .map(|len| (len, false))
        .or_else(|| find(&TICKED).map(|len| (len, true)));
    let Some((len, ticked)) = drawn else {
        return said_at(text, start);
    };
    let after = text.get(len..).unwrap_or_default();
    let is_link = text.starts_with('[') && (leads_on(after) || (ticked && defines(after)));
    (!is_link).then_some(Mark { start, len, ticked })
}

/// The box there when it is in brackets, drawn anyhow (`[]`, `[ x ]`) or half done (`[-]`), and a space
/// follows. Such brackets mean other things elsewhere: only a list item, or a cell, begins with a box.
fn loose_mark_at(text: &str, start: usize) -> Option<Mark> {
    let (inner, after) = text.strip_prefix('[')?.split_once(']')?;
    let sign = inner.trim().trim_end_matches('\u{fe0f}');
    let ticked = DONE.contains(&sign);
    let ends = after.is_empty() || after.starts_with(char::is_whitespace);
    ((ticked || NOT_DONE.contains(&sign)) && ends).then_some(Mark {
        start,
        len: inner.len() + 2,
        ticked,
    })
}

/// The box there when it is in parentheses, as mail programs and notes draw it.
fn round_mark_at(text: &str, start: usize) -> Option<Mark> {
    let boxes = [("( )", false), ("(x)", true), ("(X)", true)];
    let (drawn, ticked) = boxes.into_iter().find(|(b, _)| text.starts_with(b))?;
    let after = text.get(drawn.len()..).unwrap_or_default();
    after.starts_with(char::is_whitespace).then_some(Mark {
        start,
        len: drawn.len(),
        ticked,
    })
}

/// Whether brackets before `after` are the words of a link.
fn leads_on(after: &str) -> bool {
    let closed = |open: char, close: char| after.starts_with(open) && after.contains(close);
    closed('(', ')') || closed('[', ']')
}

/// Whether brackets before `after` are the name of a link whose target stands there.
fn defines(after: &str) -> bool {
    let mut words = after
        .strip_prefix(':')
        .unwrap_or_default()
        .split_whitespace();
    let is_title = |word: &str| word.starts_with(['"', '\'', '(']);
    words.next().is_some() && words.next().is_none_or(is_title)
}

/// The box that is all there is in the cell of a table; `[]` alone is the value of something.
pub(super) fn only_box(cell: &str) -> Option<Mark> {
    let strict = || mark_at(cell, 0);
    let loose = || loose_mark_at(cell, 0).filter(|_| cell != "[]");
    let is_all = |mark: &Mark| mark.len == cell.len();
    strict().filter(is_all).or_else(|| loose().filter(is_all))
}

/// Every bracketed or drawn box in a line.
pub(super) fn inline_boxes(line: &str) -> Vec<Mark> {
    line.char_indices()
        .filter_map(|(at, _)| mark_at(line.get(at..)?, at))
        .collect()
}
