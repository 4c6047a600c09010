//! Commands that cannot fail, so that they say nothing of what they stand for.

/// Programs that only wait or say something.
const QUIET: [&str; 6] = ["true", ":", "echo", "printf", "sleep", "exit"];

/// Whether a command does nothing that can fail.
pub(super) fn is_idle(command: &str) -> bool {
    let plain = command.replace(['"', '\'', '[', ']', ','], " ");
    let words = plain
        .split_whitespace()
        .skip_while(|word| {
            matches!(
                word.rsplit('/').next(),
                Some("sh" | "bash" | "ash" | "dash")
            )
        })
        .skip_while(|word| matches!(*word, "-c" | "-ec" | "-lc" | "-e" | "exec"));
    let words: Vec<&str> = words.collect();
    let text = words.join(" ");
    // The last command speaks for all before it.
    let last = text
        .rsplit([';', '\n'])
        .map(str::trim)
        .find(|part| !part.is_empty());
    let Some(last) = last else {
        return true;
    };
    let otherwise = last
        .rsplit_once("||")
        .map_or(last, |(_, otherwise)| otherwise);
    if otherwise.contains("&&") {
        return otherwise.split("&&").all(is_quiet);
    }
    // Without `pipefail` the end of a pipe speaks for all of it.
    is_quiet(otherwise.rsplit('|').next().unwrap_or(otherwise))
}

/// Whether one command says nothing.
fn is_quiet(command: &str) -> bool {
    let command = command.trim().trim_matches(['(', ')', '{', '}', ' ']);
    let mut words = command.split_whitespace();
    let first = words.next().and_then(|word| word.rsplit('/').next());
    match (first, words.next()) {
        (None, _) => true,
        (Some("exit"), code) => code.is_none_or(|code| code.trim_matches(';') == "0"),
        (Some(first), _) => QUIET.contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::is_idle;

    #[test]
    fn a_command_that_cannot_fail_is_idle() {
        for command in [
            "true",
            "/bin/true",
            "sh -c true",
            "[\"sh\", \"-c\", \"exit 0\"]",
            "echo ok",
            ":",
            "",
            "sleep 1",
            "curl -f localhost || true",
            "curl -f localhost || exit 0",
            "sh -c 'ls / ; exit 0'",
            "(curl -f localhost) || (echo away)",
        ] {
            assert!(is_idle(command), "{command}");
        }
        for command in [
            "pg_isready",
            "/agent health",
            "sh -c 'curl -f localhost'",
            "curl -f localhost || exit 1",
            "curl -f localhost | grep -q ok",
            "pg_isready && echo ok",
            "sleep 1; pg_isready",
            "exit 1",
        ] {
            assert!(!is_idle(command), "{command}");
        }
    }
}
