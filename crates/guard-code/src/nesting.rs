//! Estimates, without parsing, how deep a parser would recurse; errs on the deep side.

/// Brackets inside brackets.
const MAX_BRACKETS: u32 = 64;
/// Operators and keywords of one statement that may each open a level.
const MAX_CHAIN: u32 = 300;
/// Levels of indentation, in columns.
const MAX_INDENT: u32 = 400;
/// `else` and `elif` of one text: chains of them nest.
const MAX_ELSES: u32 = 300;

/// Words after which an expression or a statement begins one level deeper.
const OPENERS: [&str; 20] = [
    "not", "await", "lambda", "typeof", "void", "delete", "new", "yield", "if", "for", "while",
    "do", "case", "select", "then", "async", "extends", "union", "throw", "return",
];

/// Whether the code could make a parser recurse further than is safe.
pub(super) fn is_too_deep(source: &str) -> bool {
    let (mut brackets, mut chain, mut elses, mut indent) = (0_u32, 0_u32, 0_u32, Some(0_u32));
    let mut word = String::new();
    let bytes = source.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            indent = None;
            if word.len() < 12 {
                word.push(char::from(byte.to_ascii_lowercase()));
            }
            continue;
        }
        chain += u32::from(OPENERS.contains(&word.as_str()));
        elses += u32::from(matches!(word.as_str(), "else" | "elif" | "elseif"));
        word.clear();
        match byte {
            b'(' | b'[' | b'{' => brackets += 1,
            b')' | b']' | b'}' => brackets = brackets.saturating_sub(1),
            b'`' => chain += 1,
            b'-' | b'+' | b'!' | b'~' | b'*' | b'?' | b'<' | b'>' | b'=' | b'&' | b'|' | b'$'
            | b'@' => chain += 1,
            b';' => chain = 0,
            b'\n' => {
                // A line that begins in column one begins a statement.
                let next = bytes.get(at + 1);
                if brackets == 0 && next.is_some_and(|byte| !byte.is_ascii_whitespace()) {
                    chain = 0;
                }
                indent = Some(0);
            }
            _ => {}
        }
        if let (Some(columns), b' ' | b'\t') = (&mut indent, byte) {
            *columns += if byte == b'\t' { 4 } else { 1 };
        } else if byte != b'\n' {
            indent = None;
        }
        let too_deep = brackets > MAX_BRACKETS || chain > MAX_CHAIN || elses > MAX_ELSES;
        if too_deep || indent.is_some_and(|columns| columns > MAX_INDENT) {
            return true;
        }
    }
    false
}
