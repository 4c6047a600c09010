//! The command line's own help, collected into its reference page.

use std::fmt::Write as _;
use std::process::Command;

use crate::{generated, tree, verdict};

/// What `seaworthy … --help` prints.
fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_seaworthy"))
        .args(command)
        .arg("--help")
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .env_remove("SEAWORTHY_CONFIG")
        .env_remove("SEAWORTHY_API_KEY")
        .env_remove("SEAWORTHY_ADMIN_KEY")
        .output()
        .unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// The names under `Commands:`.
fn subcommands(help: &str) -> Vec<&str> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    // Continuations of a description are indented further.
    let names = listed.filter_map(|line| {
        line.strip_prefix("  ")
            .filter(|rest| !rest.starts_with(' '))
    });
    let names = names.filter_map(|line| line.split(' ').next());
    names.filter(|name| *name != "help").collect()
}

fn describe(command: &[&str], page: &mut String) {
    let help = help(command);
    let _infallible = write!(
        page,
        "\n## `{}`\n\n```text\n{}\n```\n",
        ["seaworthy"]
            .iter()
            .chain(command)
            .copied()
            .collect::<Vec<_>>()
            .join(" "),
        help.trim_end()
    );
    for name in subcommands(&help) {
        describe(&[command, &[name]].concat(), page);
    }
}

const HEAD: &str = "# Command line reference

<!-- Generated from `--help`. `SEAWORTHY_BLESS=1 cargo test -p seaworthy --test tidy` writes it anew. -->

Results go to standard output, words for people to standard error.
`--format json` makes results readable for programs wherever it is listed.

| exit code | meaning |
|---|---|
| 0 | everything went well; for `check`: ready; for `drill`: all held; for `health`: well |
| 1 | something failed; for `check`: not ready; for `drill`: one did not hold; for `health`: not well |
| 2 | the command line is wrong; for `check` and `drill`: it could not run |
| 69 | something that is needed cannot be reached or used: the store, the port |
| 78 | the configuration is wrong |
";

#[test]
fn the_reference_of_the_command_line_is_what_the_program_says() {
    let mut page = HEAD.to_owned();
    describe(&[], &mut page);
    assert!(
        page.contains("## `seaworthy keys rotate`"),
        "subcommands are missing:\n{page}"
    );
    generated("docs/reference/cli.md", &page);
}

#[test]
fn the_pages_name_commands_that_exist() {
    let help = help(&[]);
    let known = subcommands(&help);
    let mut broken = Vec::new();
    for page in tree::with_extension("md") {
        for (at, _) in page.text.match_indices("`seaworthy ") {
            let rest = page.text[at..].trim_start_matches("`seaworthy ");
            let name = rest.split([' ', '`', '\n']).next().unwrap_or_default();
            if !known.contains(&name) && !name.starts_with('-') {
                broken.push(format!("{}: `seaworthy {name}`", page.path));
            }
        }
    }
    verdict(
        "These commands do not exist:",
        "name a command of `seaworthy --help`",
        broken,
    );
}
