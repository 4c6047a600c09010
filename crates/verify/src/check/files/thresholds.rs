//! What an alert expression compares with: its parts, and its thresholds as shares and seconds.

/// What is above a threshold in one part of an expression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Above<'a> {
    /// What is compared.
    pub(super) left: &'a str,
    /// The threshold, where it is a number.
    pub(super) at: Option<f64>,
}

impl Above<'_> {
    /// The threshold as a share of one: those of a percentage are a hundred times as large.
    pub(super) fn share(&self) -> Option<f64> {
        let is_percentage = is_scaled(self.left, "100") || self.left.contains("percent");
        Some(self.at? / if is_percentage { 100.0 } else { 1.0 })
    }

    /// The threshold in seconds, also where the series count milliseconds.
    pub(super) fn seconds(&self) -> Option<f64> {
        let is_ms = is_scaled(self.left, "1000")
            || ["milliseconds", "_ms_", "_ms{", "_ms[", "_ms)", "millis_"]
                .iter()
                .any(|unit| self.left.contains(unit))
            || self.left.trim_end().ends_with("_ms");
        Some(self.at? / if is_ms { 1000.0 } else { 1.0 })
    }
}

/// Whether an expression is multiplied by this number.
fn is_scaled(left: &str, by: &str) -> bool {
    let plain: String = left.chars().filter(|c| !c.is_whitespace()).collect();
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let after = plain.split(&format!("*{by}")).skip(1).any(ends);
    let first = plain.trim_start_matches('(').strip_prefix(by);
    after || first.is_some_and(|rest| rest.starts_with('*'))
}

/// Whether an expression is false whatever the series say, as far as that can be told.
pub(super) fn is_never_true(expression: &str) -> bool {
    let plain: String = expression.split_whitespace().collect();
    let excluded = ["unlessvector(1)", "unlesson()vector(1)"];
    let required = [
        "andvector(0)==1",
        "andon()vector(0)==1",
        "and(vector(0)==1)",
        "and(vector(0)>0)",
    ];
    if excluded
        .iter()
        .chain(&required)
        .any(|part| plain.contains(part))
    {
        return true;
    }
    let parts = parts(expression);
    // One of several that `or` joins may still be true.
    if parts.len() == 1 {
        return parts.into_iter().any(is_dead);
    }
    let joined_by_or = outside(expression)
        .split_whitespace()
        .any(|word| word.eq_ignore_ascii_case("or"));
    match joined_by_or {
        true => parts.into_iter().all(is_dead),
        false => parts.first().is_some_and(|first| is_dead(first)),
    }
}

/// A part that compares with what can never be.
fn is_dead(part: &str) -> bool {
    let plain = outside(part);
    if let Some(over) = comparison(part).first() {
        // Nothing that is counted gets there.
        let endless = over.at.is_some_and(|at| at >= 1e18);
        return endless || is_scaled(over.left, "0");
    }
    let Some(at) = plain.rfind('<') else {
        return false;
    };
    let (left, right) = part.split_at(at);
    let right = right.trim_start_matches('<');
    let strict = !right.starts_with('=');
    let right = right.trim_start_matches('=');
    let is_nothing = || is_scaled(right, "0").then_some(0.0);
    let bound = number(right).or_else(is_nothing);
    // Only what may shrink is ever below nothing.
    let may_shrink = [
        "deriv",
        "delta",
        "predict_linear",
        "-",
        "log",
        "temperature",
        "ln(",
    ];
    bound.is_some_and(|bound| bound < 0.0 || strict && bound == 0.0)
        && !may_shrink.iter().any(|word| left.contains(word))
}

/// The parts of an expression that `and`, `or` and `unless` join.
pub(super) fn parts(expression: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut word_at) = (0, None);
    let plain = outside(expression);
    for (at, c) in plain.char_indices().chain(Some((plain.len(), ' '))) {
        if c.is_ascii_alphanumeric() || c == '_' || c == ':' {
            word_at.get_or_insert(at);
            continue;
        }
        let Some(begin) = word_at.take() else {
            continue;
        };
        let word = plain.get(begin..at).unwrap_or_default();
        if ["and", "or", "unless"]
            .iter()
            .any(|w| word.eq_ignore_ascii_case(w))
        {
            out.extend(expression.get(start..begin));
            start = at;
        }
    }
    out.extend(expression.get(start..));
    out
}

/// The text with everything in brackets and quotes blanked out, byte for byte.
fn outside(text: &str) -> String {
    let (mut depth, mut quote) = (0_usize, None);
    let mut escaped = false;
    let blank = |c: char| " ".repeat(c.len_utf8());
    text.chars()
        .map(|c| {
            if let Some(end) = quote {
                if !escaped && c == end {
                    quote = None;
                }
                escaped = !escaped && c == '\\';
                return blank(c);
            }
            match c {
                '"' | '\'' => quote = Some(c),
                '(' | '{' | '[' => depth += 1,
                ')' | '}' | ']' => depth = depth.saturating_sub(1),
                _ if depth == 0 => return c.to_string(),
                _ => {}
            }
            blank(c)
        })
        .collect()
}

/// Every part of an expression that is true above something.
pub(super) fn above(expression: &str) -> Vec<Above<'_>> {
    parts(expression).into_iter().flat_map(comparison).collect()
}

fn comparison(part: &str) -> Vec<Above<'_>> {
    let part = part.trim();
    let plain = outside(part);
    if let Some(at) = plain.rfind('>') {
        let (left, right) = part.split_at(at);
        let right = right.trim_start_matches(['>', '=']).trim();
        let right = right.strip_prefix("bool").unwrap_or(right);
        return vec![Above {
            left,
            at: number(right),
        }];
    }
    // All of it stands in brackets.
    let inner = part.strip_prefix('(').and_then(|p| p.strip_suffix(')'));
    inner
        .filter(|_| plain.trim().is_empty())
        .map(above)
        .unwrap_or_default()
}

/// A number, or a product or quotient of numbers such as `(14.4 * 0.001)`.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let plain = outside(text);
    if let Some(at) = plain.rfind(['*', '/']) {
        let (left, right) = (number(text.get(..at)?)?, number(text.get(at + 1..)?)?);
        let is_product = plain.get(at..=at) == Some("*");
        return Some(if is_product {
            left * right
        } else {
            left / right
        });
    }
    number(text.strip_prefix('(')?.strip_suffix(')')?)
}

/// Seconds of a duration of Prometheus, such as `1h30m`.
pub(super) fn duration(text: &str) -> Option<f64> {
    let (mut total, mut rest) = (0.0, text.trim());
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (count, after) = rest.split_at(digits);
        let end = after.find(|c: char| c.is_ascii_digit());
        let (unit, next) = after.split_at(end.unwrap_or(after.len()));
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            "y" => 31_536_000.0,
            _ => return None,
        };
        total += count.parse::<f64>().ok()? * seconds;
        rest = next;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::{above, duration, is_never_true, parts};

    #[test]
    fn what_can_never_be_true_is_told_from_what_can() {
        for expression in [
            "rate(errors_total[5m]) < 0",
            "sum(x) > Inf",
            "sum(x) > Inf and sum(y) > 1",
            "sum(x) > 1e30",
            "sum(x) < 0 * sum(y)",
            "histogram_quantile(0.95, x) * 0 > 8",
            "x > 8 unless vector(1)",
            "x > 8 and vector(0) == 1",
            "x < 0 or y < 0",
        ] {
            assert!(is_never_true(expression), "{expression}");
        }
        for expression in [
            "x > 8",
            "predict_linear(free_bytes[1h], 3600) < 0",
            "x - y < 0",
            "x < 0.2",
            "x <= 0",
            "x < 0 or y > 1",
            "x * 0.5 > 8",
            "x < 0.5 * y",
            "absent(up)",
            "a / b < 0.1 and b > 0",
        ] {
            assert!(!is_never_true(expression), "{expression}");
        }
    }

    #[test]
    fn a_threshold_is_read_in_its_own_part_and_unit() {
        for (expression, share) in [
            ("sum(a{x=\"> 1\"}) / sum(b) > 0.05", Some(0.05)),
            ("sum(a) / sum(b) > 0.05 and sum(b) > 10", Some(0.05)),
            ("100 * sum(a) / sum(b) > 5", Some(0.05)),
            ("(sum(a) / sum(b)) * 100 > 5", Some(0.05)),
            ("(sum(a) / sum(b) > 0.05)", Some(0.05)),
            ("a / b >= bool 1e-2", Some(0.01)),
            ("a / b > (14.4 * 0.001)", Some(14.4 * 0.001)),
            ("a / b > 1e9", Some(1e9)),
            ("a / b > 2 * c", None),
        ] {
            let found = above(expression);
            assert_eq!(found.first().and_then(|c| c.share()), share, "{expression}");
        }
        let seconds = |expression| above(expression).first().and_then(|c| c.seconds());
        assert_eq!(
            seconds("histogram_quantile(0.9, a_ms_bucket) > 5000"),
            Some(5.0)
        );
        assert_eq!(
            seconds("histogram_quantile(0.9, a_seconds_bucket) > 5"),
            Some(5.0)
        );
        assert_eq!(above("a < 5"), []);
    }

    #[test]
    fn words_join_parts_outside_of_brackets_only() {
        assert_eq!(parts("a > 1 or (b and c) unless d").len(), 3);
        assert_eq!(parts("error_and_or > 1").len(), 1);
        assert_eq!(duration("1h30m"), Some(5400.0));
        assert_eq!(duration("soon"), None);
    }
}
