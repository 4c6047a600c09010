//! What a translation left out, as one line of text: for the warning header and for the log.

use std::fmt::Write as _;

use seaworthy_llm::Loss;

/// Longest line. Servers and proxies take headers of several times this size.
const MAX_BYTES: usize = 1024;
/// Longest field name that is shown: callers choose them.
const MAX_PATH_BYTES: usize = 100;

/// `field="reason", …` in ASCII, each loss once; what does not fit is counted at the end, as
/// `*="and 7 more"`.
pub(crate) fn line(losses: &[Loss]) -> String {
    let mut line = String::new();
    let mut told: Vec<&Loss> = Vec::new();
    let mut untold = 0;
    for loss in losses {
        if told.contains(&loss) {
            continue;
        }
        told.push(loss);
        let reason = loss.feature.verdict().1;
        let entry = format!("{}=\"{reason}\"", escaped(&loss.path));
        // Room for the count is kept.
        if line.len() + entry.len() + 32 > MAX_BYTES {
            untold += 1;
            continue;
        }
        push(&mut line, &entry);
    }
    if untold > 0 {
        push(&mut line, &format!("*=\"and {untold} more\""));
    }
    line
}

fn push(line: &mut String, entry: &str) {
    if !line.is_empty() {
        line.push_str(", ");
    }
    line.push_str(entry);
}

/// A path with everything percent-encoded that a header or a log should not hold.
fn escaped(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if out.len() >= MAX_PATH_BYTES {
            out.push_str("...");
            break;
        }
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'[' | b']' => {
                out.push(char::from(byte));
            }
            _ => {
                // Writing to a String cannot fail.
                let _infallible = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use seaworthy_llm::Feature;

    fn loss(feature: Feature, path: &str) -> Loss {
        let path = path.to_owned();
        Loss { feature, path }
    }

    #[test]
    fn each_loss_is_named_once_with_its_reason() {
        let losses = [
            loss(Feature::TopK, "top_k"),
            loss(Feature::Signature, "response.content[0]"),
            loss(Feature::TopK, "top_k"),
        ];
        assert_eq!(
            line(&losses),
            "top_k=\"the provider has no `top_k`\", \
             response.content[0]=\"the dialect has no place for it\""
        );
    }

    #[test]
    fn what_callers_name_their_fields_cannot_break_out_of_the_line() {
        let hostile = "a\r\nset-cookie: x=\"1\", \u{2693}";
        let line = line(&[loss(Feature::UnknownField, hostile)]);
        assert!(line.starts_with("a%0D%0Aset-cookie%3A%20x%3D%221%22%2C%20%E2%9A%93=\""));
        assert!(http::HeaderValue::from_str(&line).is_ok() && line.is_ascii());
    }

    #[test]
    fn the_line_is_bounded_and_counts_what_it_leaves_out() {
        let losses: Vec<Loss> = (0..65)
            .map(|number| {
                loss(
                    Feature::UnknownField,
                    &format!("{number}{}", "x".repeat(9_000)),
                )
            })
            .collect();
        let line = line(&losses);
        assert!(line.len() <= MAX_BYTES, "{}", line.len());
        let shown = line.matches("no counterpart").count();
        assert!(shown > 3);
        assert!(
            line.ends_with(&format!("*=\"and {} more\"", 65 - shown)),
            "{line}"
        );
    }
}
