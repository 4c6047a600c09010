//! Scripts of steps: the commands that run and whose failure counts.

use std::collections::BTreeMap;

use crate::check::files::dockerfile::heredoc;
use crate::check::files::idle::{holds, is_quiet};

/// Functions and shells within each other; deeper ones are not followed.
const DEPTH: usize = 8;

/// The shell of a script, in as far as it decides what counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shell {
    /// Every command of a pipe is heard, not the last one only.
    pub(super) pipes: bool,
    /// A command that fails does not end the script: only the last one counts.
    pub(super) goes_on: bool,
}

/// What joins a command to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joint {
    End,
    And,
    Or,
    Beside,
}

impl Joint {
    fn ends(self) -> bool {
        matches!(self, Self::End | Self::Beside)
    }
}

/// The commands of a script that run and whose failure counts: no comments, no words that are only
/// printed, no installation, nothing behind `false &&` or followed by `|| true`.
pub(super) fn deeds(run: &str, shell: Shell) -> String {
    deeds_within(run, shell, DEPTH).join("\n")
}

fn deeds_within(run: &str, shell: Shell, depth: usize) -> Vec<String> {
    let text = plain(run);
    let commands = split(&text);
    let words = || commands.iter().map(|(command, _)| *command);
    // Whoever leaves like that takes what was before along.
    let leaves_well = |c: &str| c.starts_with("trap ") && c.contains("exit 0");
    if words().any(|c| leaves_well(c) && (c.contains("EXIT") || c.contains("ERR"))) {
        return Vec::new();
    }
    let is_set = |c: &str, sign: char| {
        let mut flags = c.split_whitespace().skip(1);
        c.starts_with("set ")
            && (c.contains(&format!("{sign}o errexit"))
                || flags.any(|f| f.starts_with(sign) && f.contains('e')))
    };
    let off = words().rposition(|c| is_set(c, '+'));
    let on = words().rposition(|c| is_set(c, '-'));
    let goes_on = off > on || shell.goes_on && on.is_none();
    // Unless it is kept and told at the end.
    let tells = text.contains("exit $");
    let mut counting = commands.as_slice();
    if goes_on && !tells {
        let before = commands.split_last().map_or(&[][..], |(_, before)| before);
        let end = before.iter().rposition(|(_, joint)| joint.ends());
        counting = commands
            .get(end.map_or(0, |at| at + 1)..)
            .unwrap_or_default();
    }
    // Other languages have no `then` and no `do`.
    let is_shell = words().any(|c| matches!(first_word(c), "then" | "do"));
    let mut reader = Reader {
        is_shell,
        pipes: shell.pipes || text.contains("pipefail"),
        tells,
        functions: BTreeMap::new(),
        kept: Vec::new(),
    };
    reader.read(counting, depth);
    reader.kept
}

/// The script without comments, the texts of `<<EOF`, and breaks within commands.
fn plain(run: &str) -> String {
    let joined = run.replace("\\\n", " ");
    let mut until: Option<&str> = None;
    let mut lines: Vec<&str> = Vec::new();
    for line in joined.lines().map(str::trim) {
        match until {
            Some(end) => until = until.filter(|_| line != end),
            None => {
                until = heredoc(line);
                lines.push(line);
            }
        }
    }
    let code = lines.into_iter().filter(|line| !line.starts_with('#'));
    let code: Vec<&str> = code
        .map(|line| line.split(" #").next().unwrap_or(line))
        .collect();
    code.join("\n")
}

/// Commands with what follows each; quotes, groups and `$(...)` stay whole.
fn split(text: &str) -> Vec<(&str, Joint)> {
    let mut out = Vec::new();
    let mut push = |from: usize, to: usize, joint: Joint| {
        let command = text.get(from..to).unwrap_or_default().trim();
        if !command.is_empty() {
            out.push((command, joint));
        }
    };
    let (mut start, mut depth, mut quote, mut before) = (0, 0_usize, None, ' ');
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let last = std::mem::replace(&mut before, c);
        match (c, quote) {
            (c, Some(open)) if c == open && last != '\\' => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) if last != '\\' => quote = Some(c),
            ('(', None) => depth += 1,
            (')', None) => depth = depth.saturating_sub(1),
            ('{', None) if last.is_whitespace() && next.is_none_or(char::is_whitespace) => {
                depth += 1
            }
            ('}', None) if last.is_whitespace() && next != Some('}') => {
                depth = depth.saturating_sub(1)
            }
            (';' | '\n', None) if depth == 0 => {
                push(start, at, Joint::End);
                start = at + 1;
            }
            ('&' | '|', None) if depth == 0 && next == Some(c) => {
                chars.next();
                push(start, at, if c == '&' { Joint::And } else { Joint::Or });
                start = at + 2;
            }
            // Neither `2>&1` nor `&>file` sends anything into the background.
            ('&', None) if depth == 0 && last != '>' && next != Some('>') => {
                push(start, at, Joint::Beside);
                start = at + 1;
            }
            _ => {}
        }
    }
    push(start, text.len(), Joint::End);
    out
}

struct Reader {
    /// Its blocks are those of a shell.
    is_shell: bool,
    pipes: bool,
    /// The script keeps what its commands said, and ends with it.
    tells: bool,
    functions: BTreeMap<String, String>,
    kept: Vec<String>,
}

/// An `if` or a loop that has begun.
struct Block {
    /// What its condition is, where that is clear.
    condition: Option<bool>,
    /// It is not reached at all, or this part of it is not.
    is_dead: bool,
    outer_is_dead: bool,
}

impl Reader {
    fn read(&mut self, commands: &[(&str, Joint)], depth: usize) {
        let last_way_out = commands.iter().rposition(|(command, _)| leaves(command));
        let mut blocks: Vec<Block> = Vec::new();
        let mut start = 0;
        while let Some(length) = commands
            .get(start..)
            .and_then(|rest| rest.iter().position(|(_, joint)| joint.ends()))
        {
            let mut chain = commands
                .get(start..=start + length)
                .unwrap_or_default()
                .to_vec();
            start += length + 1;
            let Some(first) = chain.first_mut() else {
                continue;
            };
            let (word, rest) = first
                .0
                .split_once(char::is_whitespace)
                .unwrap_or((first.0, ""));
            let is_word = matches!(
                word,
                "if" | "while" | "until" | "then" | "do" | "else" | "elif"
            );
            if is_word && self.is_shell {
                first.0 = rest.trim();
            }
            let mut is_dead = blocks.last().is_some_and(|block| block.is_dead);
            match word {
                _ if !self.is_shell => {}
                "if" | "while" | "until" => {
                    let condition = constant(&chain).map(|is| is != (word == "until"));
                    blocks.push(Block {
                        condition,
                        is_dead,
                        outer_is_dead: is_dead,
                    });
                    // What a condition says, turned or not, is heard when something is done about it.
                    is_dead |= !self.tells && last_way_out < Some(start);
                    if let [(only, _)] = chain.as_mut_slice() {
                        *only = only.strip_prefix("! ").unwrap_or(only);
                    }
                }
                "for" | "case" | "select" => {
                    blocks.push(Block {
                        condition: None,
                        is_dead,
                        outer_is_dead: is_dead,
                    });
                    continue;
                }
                "fi" | "done" | "esac" => {
                    blocks.pop();
                    continue;
                }
                "then" | "do" | "else" | "elif" => {
                    let Some(block) = blocks.last_mut() else {
                        continue;
                    };
                    let turned = matches!(word, "else" | "elif");
                    block.is_dead = block.outer_is_dead || block.condition == Some(turned);
                    is_dead = block.is_dead;
                    if word == "elif" {
                        block.condition = None;
                    }
                }
                _ => {}
            }
            if !is_dead {
                self.chain(&chain, depth);
            }
            if blocks.is_empty() && chain.len() == 1 && word == "exit" {
                return;
            }
        }
    }

    /// Commands that `&&` and `||` join.
    fn chain(&mut self, chain: &[(&str, Joint)], depth: usize) {
        // From the end: whether a failure of each is heard, or made good by what follows `||`.
        let mut heard = vec![true; chain.len()];
        let mut next: Option<(bool, &str)> = None;
        for ((command, joint), own) in chain.iter().zip(&mut heard).rev() {
            *own = match (joint, next) {
                (Joint::Beside, _) => false,
                (Joint::And, Some((next_is_heard, _))) => next_is_heard,
                (Joint::Or, Some((_, otherwise))) => !is_quiet_group(otherwise),
                _ => true,
            };
            next = Some((*own, command));
        }
        // What was before is known to have gone well, or not.
        let (mut known, mut before) = (None, Joint::End);
        for ((command, joint), is_heard) in chain.iter().zip(heard) {
            let is_dead = match before {
                Joint::And => known == Some(false),
                Joint::Or => known == Some(true),
                Joint::End | Joint::Beside => false,
            };
            before = *joint;
            if !is_dead {
                known = holds(command);
                self.command(command, is_heard, depth);
            }
        }
    }

    fn command(&mut self, command: &str, is_heard: bool, depth: usize) {
        let Some(deeper) = depth.checked_sub(1) else {
            return;
        };
        if let Some((name, body)) = function(command) {
            self.functions.insert(name.to_owned(), body.to_owned());
            return;
        }
        if !is_heard {
            return;
        }
        if let Some(body) = group(command) {
            return self.read(&split(body), deeper);
        }
        // The first call tells what all of them do.
        if let Some(body) = self.functions.remove(first_word(command)) {
            return self.read(&split(&body), deeper);
        }
        if let Some((body, goes_on)) = given(command) {
            let shell = Shell {
                pipes: self.pipes,
                goes_on,
            };
            return self.kept.extend(deeds_within(body, shell, deeper));
        }
        // Without `pipefail` only the end of a pipe is heard.
        let pieces: Vec<&str> = match self.pipes {
            true => command.split('|').collect(),
            false => command.rsplit('|').next().into_iter().collect(),
        };
        let counts = |own: &&str| {
            let says = own.is_empty() || own.starts_with('!') || is_said(own);
            !says && !installs(own) && !is_dry(own)
        };
        let counting = pieces.into_iter().map(str::trim).filter(counts);
        self.kept.extend(counting.map(str::to_owned));
    }
}

fn first_word(command: &str) -> &str {
    command.split_whitespace().next().unwrap_or_default()
}

/// What stands in brackets or braces.
fn group(command: &str) -> Option<&str> {
    let inner = command.strip_prefix('(').and_then(|c| c.strip_suffix(')'));
    let braced = || command.strip_prefix('{')?.strip_suffix('}');
    inner.or_else(braced)
}

/// The name and body of a function.
fn function(command: &str) -> Option<(&str, &str)> {
    let (name, body) = command.split_once('{')?;
    let name = name.trim();
    let said = name
        .strip_prefix("function ")
        .or_else(|| name.strip_suffix("()"))?;
    let said = said.trim().trim_end_matches("()");
    let is_name = !said.is_empty() && !said.contains(char::is_whitespace);
    Some((said, body.trim().strip_suffix('}')?)).filter(|_| is_name)
}

/// The script that another shell is given, as by `bash -c '...'`, and whether that goes on after
/// failures.
fn given(command: &str) -> Option<(&str, bool)> {
    let word = first_word(command);
    let name = word.rsplit('/').next().unwrap_or(word);
    let (rest, goes_on) = match name {
        "sh" | "bash" | "dash" | "zsh" => {
            let mut words = command.split_whitespace();
            let is_flag = |w: &&str| w.starts_with('-') && !w.starts_with("--") && w.ends_with('c');
            let flag = words.find(is_flag)?;
            let (before, script) = command.split_once(&format!(" {flag} "))?;
            (script, !flag.contains('e') && !before.contains(" -e"))
        }
        "eval" => (command.strip_prefix("eval ")?, false),
        _ => return None,
    };
    Some((rest.trim().trim_matches(['"', '\'']), goes_on))
}

/// Whether a command, or the end of a group, does nothing that can fail.
fn is_quiet_group(command: &str) -> bool {
    let Some(inner) = group(command) else {
        return is_quiet(command);
    };
    let commands = split(inner);
    let ends = commands.last().is_none_or(|(last, _)| is_quiet(last));
    ends && !commands.iter().any(|(command, _)| leaves(command))
}

/// Whether a command ends the script as failed.
fn leaves(command: &str) -> bool {
    let mut words = command.split_whitespace();
    let is_exit = words.any(|word| matches!(word, "exit" | "return"));
    is_exit && words.next() != Some("0") || command == "false"
}

/// Whether a condition is the same whatever happens.
fn constant(chain: &[(&str, Joint)]) -> Option<bool> {
    match chain {
        [(only, _)] => holds(only),
        _ => None,
    }
}

/// Whether a command only tells what it would do, or about itself.
fn is_dry(command: &str) -> bool {
    const DRY: [&str; 17] = [
        "--version",
        "--help",
        "--dry-run",
        "--collect-only",
        "--co",
        "--no-run",
        "--exit-zero",
        "--list",
        "--listtests",
        "--list-tests",
        "--notest",
        "--setup-plan",
        "--fixtures",
        "--markers",
        "--nobuild",
        "-dskiptests",
        "-dmaven.test.skip",
    ];
    let command = command.to_ascii_lowercase();
    let mut words = command.split_whitespace();
    words.any(|word| DRY.contains(&word.split('=').next().unwrap_or(word)))
        || command.ends_with(" version")
        || command.starts_with("make -n ")
}

fn is_said(command: &str) -> bool {
    let first = command.split_whitespace().next().unwrap_or_default();
    let about = [
        "echo", "printf", "true", ":", "which", "command", "type", "cat", "ls", "grep", "head",
        "tail", "test", "[", "[[", "sed", "awk", "find", "cp", "mv", "rm", "mkdir", "touch",
        "export", "git", "gh", "sleep", "exit", "return", "set", "cd",
    ];
    about.contains(&first)
        || command.starts_with("npm pkg")
        || command.starts_with("npm set-script")
}

fn installs(command: &str) -> bool {
    const MANAGERS: [&str; 16] = [
        "pip", "pip3", "pipx", "uv", "npm", "yarn", "pnpm", "bun", "apt", "apt-get", "brew",
        "cargo", "go", "poetry", "conda", "gem",
    ];
    let around = ["sudo", "python", "python3", "-m"];
    let mut words = command
        .split_whitespace()
        .skip_while(|word| around.contains(word));
    let is_manager = words.next().is_some_and(|word| MANAGERS.contains(&word));
    is_manager
        && words
            .take(2)
            .any(|word| matches!(word, "install" | "add" | "ci" | "i" | "sync"))
}

#[cfg(test)]
mod tests;
