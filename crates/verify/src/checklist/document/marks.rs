//! Bullets and boxes of one line, at their bytes.

use super::Mark;

/// A list item without its bullet and box.
pub(super) struct Bullet {
    /// The column of the bullet.
    pub(super) column: usize,
    pub(super) text: String,
    pub(super) mark: Option<Mark>,
}

const EMPTY: [&str; 6] = ["[ ]", "☐", "⬜", "□", "🔲", "❌"];
const TICKED: [&str; 8] = ["[x]", "[X]", "[✓]", "[✔]", "☑", "☒", "✅", "✔"];

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
    let start = line.len() - rest.len();
    let mark = mark_at(rest, start);
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
    if text.is_empty() || !inline_boxes(text).is_empty() {
        return None;
    }
    // A bullet without a box asks for something only when it says at least two words.
    if mark.is_none() && (text.split_whitespace().count() < 2 || text.ends_with(':')) {
        return None;
    }
    Some(Bullet {
        column,
        text: text.to_owned(),
        mark,
    })
}

fn after_bullet(body: &str) -> Option<&str> {
    let rest = match body.chars().next()? {
        '-' | '*' | '+' | '•' => body.trim_start_matches(['-', '*', '+', '•']),
        '0'..='9' => body
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .strip_prefix(['.', ')'])?,
        _ => return None,
    };
    let once = body.len() - rest.len() <= 4;
    (once && rest.starts_with([' ', '\t'])).then(|| rest.trim_start())
}

/// The box at the beginning of `text`, which itself begins at byte `start` of its line.
fn mark_at(text: &str, start: usize) -> Option<Mark> {
    let find = |boxes: &[&str]| {
        boxes
            .iter()
            .find(|b| text.starts_with(**b))
            .map(|b| b.len())
    };
    let (len, ticked) = find(&EMPTY)
        .map(|len| (len, false))
        .or_else(|| find(&TICKED).map(|len| (len, true)))?;
    Some(Mark { start, len, ticked })
}

/// Every bracketed or drawn box in a line.
pub(super) fn inline_boxes(line: &str) -> Vec<Mark> {
    line.char_indices()
        .filter_map(|(at, _)| mark_at(line.get(at..)?, at))
        .collect()
}
