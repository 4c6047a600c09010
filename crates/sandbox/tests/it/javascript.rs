//! What code can do: compute, write, read what it is given, and fail in a way that helps.

use seaworthy_sandbox::{Exit, LaunchError, Launcher, Limits};

use crate::{LIMITS, block_on, job, result, run};

#[test]
fn the_value_of_the_last_statement_is_the_result() {
    for (code, expected) in [
        ("1 + 1", "2"),
        ("({a: [1, 'two', null]})", r#"{"a":[1,"two",null]}"#),
        ("let x = 5", ""),
        ("'ä' + \"\\n\"", "\"ä\\n\""),
        ("2n ** 70n", "\"1180591620717411303424\""),
        ("await Promise.resolve([1]).then(list => list.length)", "1"),
        ("Promise.resolve('later')", "\"later\""),
        (
            "(async () => { await null; return args })()",
            r#"["one","two"]"#,
        ),
        ("stdin.split('\\n').length", "2"),
        ("new Map([[1, 2]])", "{}"),
        // Not every reader of JSON takes half a character, or a depth of hundreds.
        ("'\\ud800'", r#""\"\\ud800\"""#),
        ("({'\\ud800': 1})", r#""{\"\\ud800\":1}""#),
        ("[...'héllo'].reverse().join('')", "\"olléh\""),
        (
            "new Date(0).toString()",
            "\"Thu Jan 01 1970 00:00:00 GMT+0000 (UTC)\"",
        ),
    ] {
        let outcome = run(&job(code));
        assert_eq!(outcome.exit, Exit::Completed, "{code}: {outcome:?}");
        let found = result(&outcome);
        let found = found.replace(" (UTC)", "");
        assert_eq!(found, expected.replace(" (UTC)", ""), "{code}");
    }
}

#[test]
fn what_is_written_comes_back_in_order() {
    let outcome = run(&job(
        "console.log('a', 1, {b: [2]}, undefined, null, Symbol('s')); \
         console.error(new TypeError('wrong')); print('end'); await null; console.log('later')",
    ));
    assert_eq!(
        outcome.stdout,
        "a 1 {\"b\":[2]} undefined null Symbol(s)\nend\nlater\n"
    );
    assert!(
        outcome.stderr.starts_with("TypeError: wrong\n"),
        "{}",
        outcome.stderr
    );
    assert!(outcome.memory_bytes.unwrap() > 0);
    assert!(outcome.cpu_ms.is_some());
}

#[test]
fn errors_say_what_and_where() {
    for (code, name, message) in [
        ("null.x", "TypeError", "cannot read property 'x' of null"),
        ("let = ", "SyntaxError", ""),
        ("throw new RangeError('too far')", "RangeError", "too far"),
        ("throw 'only a text'", "Thrown", "only a text"),
        ("await Promise.reject(new Error('async'))", "Error", "async"),
        ("Promise.reject(new Error('last'))", "Error", "last"),
        ("nobody()", "ReferenceError", "nobody is not defined"),
    ] {
        let outcome = run(&job(code));
        assert_eq!(outcome.exit, Exit::Error, "{code}: {outcome:?}");
        let error = outcome.error.unwrap();
        assert_eq!(error.name, name, "{code}");
        assert!(error.message.contains(message), "{code}: {error:?}");
        assert!(outcome.result.is_none());
    }
    let outcome = run(&job("console.log('before');\nnull.x"));
    assert_eq!(outcome.stdout, "before\n");
    assert!(outcome.error.unwrap().stack.contains("code.js:2"));
}

#[test]
fn runs_do_not_see_each_other() {
    run(&job("globalThis.left = 'behind'; Array.prototype.left = 1"));
    let outcome = run(&job("[typeof left, [].left === undefined]"));
    assert_eq!(result(&outcome), "[\"undefined\",true]");
}

#[test]
fn limits_are_those_of_the_job() {
    let mut job = job("'x'.repeat(8 << 20).length");
    assert_eq!(run(&job).exit, Exit::Completed);
    job.limits = Limits {
        memory_bytes: 4 << 20,
        ..LIMITS
    };
    assert_eq!(run(&job).exit, Exit::Memory);
    job.code = "for (let i = 0; i < 100; i++) console.log('0123456789')".to_owned();
    job.limits.output_bytes = 1_000;
    let outcome = run(&job);
    assert_eq!(outcome.exit, Exit::Output);
    assert_eq!(outcome.stdout.len(), 1_000);
    job.code = "'x'.repeat(2000)".to_owned();
    assert_eq!(run(&job).exit, Exit::Output);
}

#[test]
fn a_program_that_is_no_worker_runs_nothing() {
    let run = |program: &str| block_on(Launcher::new(program, &[]).run(&job("1"))).unwrap_err();
    assert!(matches!(run("/nowhere/at/all"), LaunchError::Start(_)));
    assert!(matches!(run("/bin/true"), LaunchError::NotLocked));
    // It repeats the limits, which is not the word of a locked worker.
    assert!(matches!(run("/bin/cat"), LaunchError::NotLocked));
}

#[test]
fn a_result_that_few_can_read_is_shown_as_text() {
    let code = "let deep = 1; for (let i = 0; i < 1000; i++) deep = [deep]; deep";
    for code in [code, "'\\udc00 \\ud800'", "[['\\ud800']]"] {
        let outcome = run(&job(code));
        assert_eq!(outcome.exit, Exit::Completed, "{code}: {outcome:?}");
        let read: Result<String, _> = serde_json::from_str(result(&outcome));
        assert!(read.is_ok(), "{code}: {outcome:?}");
    }
}
