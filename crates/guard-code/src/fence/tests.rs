//! What passes is the same however the text is cut, and nothing of a blocked block does.

use super::*;

fn rules(invalid: Action, shell: Action) -> FenceRules {
    FenceRules {
        invalid,
        shell,
        policy: CodePolicy {
            forbidden_names: vec!["os.system".to_owned()],
            ..CodePolicy::default()
        },
        unjudged: Action::Block,
        unjudged_shell: shell,
    }
}

/// What passes of a text in pieces of a size, whether it was ended, and what was decided.
fn pass(rules: &FenceRules, text: &str, size: usize) -> (String, Flow, Vec<Judged>) {
    let mut guard = FenceGuard::new(rules.clone());
    let mut out = String::new();
    let mut rest = text;
    let mut flow = Flow::Open;
    while !rest.is_empty() && flow == Flow::Open {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(size.min(rest.len())));
        flow = guard.push(piece, &mut out);
        rest = after;
    }
    if flow == Flow::Open {
        flow = guard.finish(&mut out);
    }
    (out, flow, guard.take_judged())
}

const TEXT: &str = "Intro `code` \u{2693}\n```python\nprint(1)\n```\nthen\n  ~~~~ bash\nls\nrm -rf \\\n  /\n~~~\n\
                    ~~~~\n- one\n12. ```sh\nls\nrm -rf /\n   ```\n-  two\n2024 - 3\n```\nunknown ``` here\n```\n```js\nlet x = ;\n```\nend";

#[test]
fn any_pieces_give_the_same_text_and_the_same_verdict() {
    for invalid in [Action::Allow, Action::Flag, Action::Redact, Action::Block] {
        for shell in [Action::Allow, Action::Flag, Action::Redact, Action::Block] {
            let rules = rules(invalid, shell);
            let whole = pass(&rules, TEXT, usize::MAX / 2);
            for size in 1..30 {
                assert_eq!(
                    pass(&rules, TEXT, size),
                    whole,
                    "{invalid:?} {shell:?} {size}"
                );
            }
        }
    }
}

#[test]
fn code_that_is_only_reported_on_flows_unchanged() {
    let (out, flow, judged) = pass(&rules(Action::Flag, Action::Flag), TEXT, 7);
    assert_eq!((out.as_str(), flow), (TEXT, Flow::Open));
    let expected = [
        (Category::Code, Action::Flag),
        (Category::Shell, Action::Flag),
        (Category::Code, Action::Flag),
    ];
    // The shell block holds a `~~~` that its longer fence does not end with.
    assert!(
        expected.iter().all(|one| judged.contains(one)),
        "{judged:?}"
    );
}

#[test]
fn dangerous_commands_become_comments_with_the_lines_that_they_go_on_in() {
    let (out, _, judged) = pass(&rules(Action::Allow, Action::Redact), TEXT, 3);
    assert!(out.contains("ls\n# rm -rf \\\n#   /\n"), "{out}");
    assert!(out.contains("12. ```sh\nls\n# rm -rf /\n   ```\n"), "{out}");
    assert_eq!(judged, [(Category::Shell, Action::Redact); 2]);
}

#[test]
fn a_block_that_is_not_allowed_never_passes_in_part() {
    let bad = "Run:\n```python\nimport os\nos.system('id')\n```\nok";
    let (out, flow, judged) = pass(&rules(Action::Block, Action::Allow), bad, 1);
    assert_eq!((out.as_str(), flow), ("Run:\n", Flow::Blocked));
    assert_eq!(judged, [(Category::Code, Action::Block)]);
    let (out, _, _) = pass(&rules(Action::Redact, Action::Allow), bad, 1);
    assert_eq!(out, "Run:\n```python\n[REDACTED:code]\n```\nok");
    let cut_off = bad.strip_suffix("```\nok").unwrap();
    let (out, flow, _) = pass(&rules(Action::Block, Action::Allow), cut_off, 4);
    assert_eq!((out.as_str(), flow), ("Run:\n", Flow::Blocked));
}

#[test]
fn code_without_an_end_is_held_in_bounded_memory() {
    let mut guard = FenceGuard::new(rules(Action::Block, Action::Allow));
    let mut out = String::new();
    let _ = guard.push("```python\n", &mut out);
    let mut pushed = 0;
    while guard.push("x = 1\n", &mut out) == Flow::Open {
        pushed += 6;
        assert!(pushed <= MAX_CODE_BYTES + 6);
    }
    assert!(out.is_empty());
}

#[test]
fn a_long_script_is_judged_to_its_end() {
    let lines = "echo some words that mean no harm\n".repeat(MAX_CODE_BYTES / 30);
    let text = format!("```sh\n{lines}rm -rf \\\n /\n{lines}```\nend");
    for size in [7, 1000, usize::MAX / 2] {
        let (out, flow, _) = pass(&rules(Action::Allow, Action::Block), &text, size);
        assert_eq!(flow, Flow::Blocked, "{size}");
        assert!(!out.contains("rm -rf"));
        let (out, _, judged) = pass(&rules(Action::Allow, Action::Redact), &text, size);
        assert!(
            out.contains("# rm -rf \\\n#  /\n") && out.ends_with("```\nend"),
            "{size}"
        );
        assert_eq!(judged, [(Category::Shell, Action::Redact)]);
    }
}

#[test]
fn a_command_that_is_too_long_to_be_judged_follows_the_policy() {
    let text = format!(
        "```sh\necho {}; rm -rf /\n```\n",
        "x".repeat(2 * MAX_CODE_BYTES)
    );
    let mut rules = rules(Action::Allow, Action::Redact);
    assert_eq!(pass(&rules, &text, 100).1, Flow::Blocked);
    rules.unjudged_shell = Action::Flag;
    let (out, flow, judged) = pass(&rules, &text, 100);
    assert_eq!((out == text, flow), (true, Flow::Open));
    assert_eq!(judged, [(Category::Shell, Action::Flag)]);
}

#[test]
fn a_block_of_another_language_ends_with_the_text_as_it_was_written() {
    for text in ["```\nplain\n```", "```text\nno end", "~~~yaml\na: 1\n~~~ "] {
        for size in [1, 3, 100] {
            let (out, flow, _) = pass(&rules(Action::Block, Action::Redact), text, size);
            assert_eq!((out.as_str(), flow), (text, Flow::Open), "{size}");
        }
    }
}

#[test]
fn blocks_within_blocks_and_other_ways_to_name_a_shell_hide_nothing() {
    let long = "x".repeat(2 * MAX_OPENING_BYTES);
    for (text, wanted) in [
        (
            "````markdown\nRun:\n```sh\nrm -rf /\n```\nend\n````\nls",
            "````markdown\nRun:\n```sh\n# rm -rf /\n```\nend\n````\nls",
        ),
        (
            "```\n~~~bash\nrm -rf /\n~~~\n```\n```text\nrm -rf x\n```",
            "```\n~~~bash\n# rm -rf /\n~~~\n```\n```text\nrm -rf x\n```",
        ),
        (
            "````\n```sh\nls\n````\n```sh\nrm -rf /\n```\n",
            "````\n```sh\nls\n````\n```sh\n# rm -rf /\n```\n",
        ),
        (
            "```{.bash}\nrm -rf /\n```\n```language-sh\nrm -rf /\n```",
            "```{.bash}\n# rm -rf /\n```\n```language-sh\n# rm -rf /\n```",
        ),
        (
            &format!("```sh {long}\nrm -rf /\n```"),
            &format!("```sh {long}\n# rm -rf /\n```"),
        ),
    ] {
        for size in [1, 5, 64, 10_000] {
            let (out, _, judged) = pass(&rules(Action::Allow, Action::Redact), text, size);
            assert_eq!(out, wanted, "{size}");
            assert!(judged.contains(&(Category::Shell, Action::Redact)));
        }
    }
}
