//! Commands that cannot fail, so that they say nothing of what they stand for.

/// Programs that only wait or say something.
const QUIET: [&str; 15] = [
    "true", ":", "echo", "printf", "sleep", "exit", "date", "hostname", "pwd", "id", "whoami",
    "uname", "env", "printenv", "uptime",
];

/// Programs that look at files.
const LOOKING: [&str; 8] = ["cat", "ls", "stat", "test", "[", "head", "tail", "wc"];
/// Folders that every machine has.
const EVERYWHERE: [&str; 9] = [
    "/etc", "/proc", "/sys", "/dev", "/bin", "/usr", "/sbin", "/lib", "/",
];

/// Whether a command looks at nothing but what is there on every machine.
fn looks_at_nothing(program: &str, words: &[&str]) -> bool {
    let plain = |word: &&&str| !word.starts_with('-') && **word != "]";
    let is_everywhere = |word: &&str| {
        let is_in = |folder: &str| match folder {
            "/" => *word == "/",
            folder => word
                .strip_prefix(folder)
                .is_some_and(|r| r.is_empty() || r.starts_with('/')),
        };
        EVERYWHERE.iter().any(|folder| is_in(folder))
    };
    let mut files = words.iter().filter(plain).peekable();
    let is_bare = files.peek().is_none() && program == "ls";
    LOOKING.contains(&program) && (is_bare || files.peek().is_some() && files.all(is_everywhere))
}

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

/// Whether one command says nothing, and never fails.
pub(super) fn is_quiet(command: &str) -> bool {
    let command = command.trim().trim_matches(['(', ')', '{', '}', ' ']);
    let words: Vec<&str> = command.split_whitespace().collect();
    let Some((first, rest)) = words.split_first() else {
        return true;
    };
    match first.rsplit('/').next().unwrap_or(first) {
        // Without a code it ends as what came before did.
        "exit" => rest.first() == Some(&"0"),
        // It starts what follows.
        "env" => rest.is_empty(),
        program => QUIET.contains(&program) || looks_at_nothing(program, rest),
    }
}

/// Whether a command ends well whatever happens, or never does; none when that depends.
pub(super) fn holds(command: &str) -> Option<bool> {
    if let Some(turned) = command.strip_prefix("! ") {
        return holds(turned).map(|holds| !holds);
    }
    let plain: Vec<&str> = command
        .split_whitespace()
        .map(|word| word.trim_matches(['"', '\'']))
        .collect();
    let (first, rest) = plain.split_first()?;
    let is_open = plain.iter().any(|word| word.contains(['$', '`', '*', '?']));
    match *first {
        "true" | ":" | "echo" | "printf" => Some(true),
        "false" => Some(false),
        "test" | "[" | "[[" | "((" if !is_open => {
            let is_end = |word: &&&str| matches!(**word, "]" | "]]" | "))");
            let ends = rest.last().filter(is_end).is_some();
            compared(rest.get(..rest.len() - usize::from(ends))?)
        }
        _ => None,
    }
}

/// What comes of comparing two words that are written out.
fn compared(words: &[&str]) -> Option<bool> {
    let [left, sign, right] = words else {
        return None;
    };
    let numbers = || Some((left.parse::<i64>().ok()?, right.parse::<i64>().ok()?));
    match *sign {
        "=" | "==" => Some(left == right),
        "!=" => Some(left != right),
        "-eq" => numbers().map(|(a, b)| a == b),
        "-ne" => numbers().map(|(a, b)| a != b),
        "-lt" | "<" => numbers().map(|(a, b)| a < b),
        "-le" | "<=" => numbers().map(|(a, b)| a <= b),
        "-gt" | ">" => numbers().map(|(a, b)| a > b),
        "-ge" | ">=" => numbers().map(|(a, b)| a >= b),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{holds, is_idle};

    #[test]
    fn what_is_written_out_holds_or_does_not() {
        for (command, expected) in [
            ("true", Some(true)),
            ("! true", Some(false)),
            ("false", Some(false)),
            ("[ 1 -eq 2 ]", Some(false)),
            ("[[ \"a\" == 'a' ]]", Some(true)),
            ("(( 2 > 1 ))", Some(true)),
            ("test 1 -ge 2", Some(false)),
            ("[ \"$A\" = b ]", None),
            ("[ -f a ]", None),
            ("pytest", None),
        ] {
            assert_eq!(holds(command), expected, "{command}");
        }
    }

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
            "cat /etc/hostname",
            "[\"test\", \"-d\", \"/proc\"]",
            "ls",
            "date",
            "pg_isready && echo ok || true",
            "curl -f localhost | echo ok",
        ] {
            assert!(is_idle(command), "{command}");
        }
        for command in [
            "pg_isready",
            "/agent health",
            "cat /tmp/healthy",
            "test -f /var/run/agent.ready",
            "env A=b agent health",
            "sh -c 'curl -f localhost'",
            "curl -f localhost || exit 1",
            "curl -f localhost || exit",
            "curl -f localhost | grep -q ok",
            "pg_isready && echo ok",
            "true && pg_isready",
            "sleep 1; pg_isready",
            "exit 1",
        ] {
            assert!(!is_idle(command), "{command}");
        }
    }
}
