//! Rules about the source files.

use crate::tree::{File, files, with_extension};
use crate::verdict;

const MOST_LINES: usize = 500;
/// Files that may be longer, with their exact number of lines: it may only go down.
const LONGER: [(&str, usize); 0] = [];
/// Tests that are bodies of child processes, which their parents run: the only ones to be ignored.
const IGNORED: [(&str, usize); 1] = [("crates/store/tests/it/sqlite/child.rs", 2)];

/// Programs and judges of their own, beside the gateway.
const BESIDE: [&str; 5] = [
    "crates/verify/",
    "crates/bench/",
    "crates/fake-provider/",
    "crates/test-servers/",
    "xtask/",
];

/// The sources of what is shipped, without tests.
fn shipped() -> impl Iterator<Item = &'static File> {
    with_extension("rs").filter(|file| !file.is_test())
}

/// Every place where one of these files contains one of the needles.
fn places<'a>(files: impl Iterator<Item = &'a File>, needles: &[&str]) -> Vec<String> {
    let found = files.flat_map(|file| {
        let places = needles.iter().flat_map(|needle| file.places_of(needle));
        places.collect::<Vec<_>>()
    });
    found.collect()
}

#[test]
fn no_file_grows_beyond_what_a_reader_can_hold() {
    let mut broken = Vec::new();
    for file in with_extension("rs") {
        let (lines, listed) = (
            file.text.lines().count(),
            LONGER.iter().find(|(path, _)| *path == file.path),
        );
        match listed {
            None if lines > MOST_LINES => broken.push(format!("{}: {lines} lines", file.path)),
            Some((_, known)) if lines != *known => {
                broken.push(format!("{}: {lines} lines, listed with {known}", file.path));
            }
            _ => {}
        }
    }
    verdict(
        &format!("A source file has at most {MOST_LINES} lines:"),
        "split it by job into `foo.rs` and `foo/`; a listed file that shrank gets its new number in LONGER",
        broken,
    );
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let missing = with_extension("rs").filter(|file| !file.text.starts_with("//! "));
    verdict(
        "These files do not begin with `//!`:",
        "write one sentence of purpose as the first line",
        missing.map(|file| file.path.clone()).collect(),
    );
}

#[test]
fn modules_are_named_after_their_files() {
    let found = files().iter().filter(|file| file.path.ends_with("/mod.rs"));
    verdict(
        "There is no `mod.rs`:",
        "call it `foo.rs` beside the folder `foo/`",
        found.map(|file| file.path.clone()).collect(),
    );
}

#[test]
fn what_a_crate_offers_is_listed_by_name() {
    let globs = places(with_extension("rs"), &["::*;"]);
    let broken = globs
        .into_iter()
        .filter(|place| place.contains("pub use") || place.contains(") use"));
    verdict(
        "Nothing is re-exported by `*`:",
        "list the names",
        broken.collect(),
    );
}

#[test]
fn nothing_is_left_for_later_in_the_code() {
    let words = [
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["to", "do!("].concat(),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let written = files()
        .iter()
        .filter(|file| ["rs", "py", "sql"].iter().any(|ext| file.is(ext)));
    verdict(
        "These notes are for later:",
        "do it now, or open an issue and leave the place visibly empty",
        places(written, &words),
    );
}

#[test]
fn no_test_is_switched_off() {
    let mut broken = Vec::new();
    let attribute = ["#[", "ignore"].concat();
    for file in with_extension("rs") {
        let count = file.places_of(&attribute).count();
        let known = IGNORED
            .iter()
            .find(|(path, _)| *path == file.path)
            .map_or(0, |(_, known)| *known);
        if count != known {
            broken.push(format!(
                "{}: {count} ignored tests, expected {known}",
                file.path
            ));
        }
    }
    verdict(
        "These tests do not run:",
        "make them run or delete them; only bodies of child processes stand in IGNORED",
        broken,
    );
}

#[test]
fn only_the_store_speaks_sql() {
    let here = "crates/seaworthy/tests/tidy/";
    // The servers of the tests are started by what they answer.
    let inside = ["crates/store/", "crates/test-servers/", here];
    let outside = || with_extension("rs").filter(move |file| !file.is_in(&inside));
    let mut broken = places(outside(), &["rusqlite"]);
    let statements = [
        "\"SELECT ",
        "INSERT INTO ",
        "DELETE FROM ",
        "\"UPDATE ",
        "CREATE TABLE ",
    ];
    // The guards look for SQL in what agents write.
    let no_guard = outside().filter(|file| {
        !file.is_in(&[
            "crates/guard/",
            "crates/guard-code/",
            "crates/test-servers/",
        ])
    });
    // `SELECT 1` is a word of the configuration: how a database is asked whether it is well.
    let written = places(no_guard, &statements).into_iter();
    broken.extend(written.filter(|place| !place.contains("SELECT 1")));
    verdict(
        "SQL outside crates/store:",
        "add a method to the traits of core::store and implement it there",
        broken,
    );
}

#[test]
fn decisions_do_no_io() {
    let pure = shipped().filter(|file| {
        file.is_in(&[
            "crates/core/src/",
            "crates/llm/src/",
            "crates/guard/src/",
            "crates/guard-code/src/",
        ]) && !file.path.contains("/bin/")
    });
    verdict(
        "core, llm and guard do no I/O:",
        "take what was read as an argument",
        places(
            pure,
            &[
                "Socket",
                "TcpStream",
                "TcpListener",
                "std::fs",
                "std::env::",
                "std::process",
                "std::io::std",
            ],
        ),
    );
}

#[test]
fn sockets_are_opened_by_the_edge() {
    let inside = shipped().filter(|file| {
        !file.is_in(&BESIDE)
            && !file.path.starts_with("crates/edge/")
            // Connections to servers of state.
            && !file.path.starts_with("crates/store/")
            // Tries in a test to open sockets from inside of the sandbox, which ends it.
            && file.path != "crates/sandbox/src/bin/sandbox-escapes.rs"
            // One request to a health endpoint, in a process of its own.
            && file.path != "crates/seaworthy/src/cli/health.rs"
    });
    verdict(
        "A socket outside crates/edge:",
        "use edge::server and edge::client; tests hand in a Dial of their own",
        places(
            inside,
            &[
                "TcpListener",
                "TcpStream",
                "UnixStream",
                "hyper::client",
                "hyper::server",
            ],
        ),
    );
}

#[test]
fn time_chance_and_environment_come_in_as_arguments() {
    let clock =
        shipped().filter(|file| !file.is_in(&BESIDE) && file.path != "crates/core/src/clock.rs");
    let mut broken = places(clock, &["SystemTime::now", "Timestamp::now", "Zoned::now"]);
    let chance =
        shipped().filter(|file| !file.is_in(&BESIDE) && !file.path.starts_with("crates/core/"));
    broken.extend(places(chance, &["rand::", "Uuid::new", "Uuid::now"]));
    let environment = shipped().filter(|file| {
        !file.is_in(&BESIDE)
            && !file.path.starts_with("crates/seaworthy/")
            && !file.path.contains("/bin/")
    });
    broken.extend(places(environment, &["env::var"]));
    verdict(
        "Read in the wrong place:",
        "take the time from core::clock, identifiers from core::{key, trace}, and the environment \
         from seaworthy",
        broken,
    );
}

#[test]
fn nothing_of_the_machine_it_was_written_on_is_left() {
    let traces = [
        ["/wo", "rk/"].concat(),
        ["../sha", "red"].concat(),
        ["fa", "rm-"].concat(),
    ];
    let traces: Vec<&str> = traces.iter().map(String::as_str).collect();
    verdict(
        "These lines name somebody's machine:",
        "write what a reader of the repository can follow",
        places(files().iter(), &traces),
    );
}
