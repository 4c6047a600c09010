//! How checklists are read, well written or not.

use super::Document;

fn texts(markdown: &str) -> Vec<String> {
    let document = Document::read(markdown);
    document.items.into_iter().map(|item| item.text).collect()
}

#[test]
fn reads_boxes_of_every_kind_and_skips_explanations() {
    let text = "# List\n- [ ] one thing\n  - because of this\n* ☐ two things\n1. [x] three things\n\n> [ ] four things\n";
    assert_eq!(
        texts(text),
        ["one thing", "two things", "three things", "four things"]
    );
}

/// The box of each item as it stands in the file, whether it is ticked, and the item.
fn boxes(markdown: &str) -> Vec<(String, bool, String)> {
    let document = Document::read(markdown);
    let of = |item: &super::Item| {
        let mark = item.mark.clone().unwrap();
        let line = &document.lines[item.line - 1];
        let drawn = line[mark.start..mark.start + mark.len].to_owned();
        (drawn, mark.ticked, item.text.clone())
    };
    document.items.iter().map(of).collect()
}

#[test]
fn reads_boxes_that_are_drawn_anyhow_and_those_that_are_half_done() {
    for (line, drawn, ticked) in [
        ("- [] one thing", "[]", false),
        ("* [  ] one thing", "[  ]", false),
        ("- [\u{a0}] one thing", "[\u{a0}]", false),
        ("- [ x ] one thing", "[ x ]", true),
        ("1. [X ] one thing", "[X ]", true),
        ("  - [✔\u{fe0f}] one thing", "[✔\u{fe0f}]", true),
        ("-[ ] one thing", "[ ]", false),
        ("> -[x] one thing", "[x]", true),
        ("*[x] one thing", "[x]", true),
        ("2)[] one thing", "[]", false),
        ("- [-] one thing", "[-]", false),
        ("- [~] one thing", "[~]", false),
        ("- [/] one thing", "[/]", false),
        ("- [>] one thing", "[>]", false),
        ("- [x]: one thing", "[x]", true),
    ] {
        let thing = line.rsplit_once(drawn).unwrap().1.trim();
        let expected = [(drawn.to_owned(), ticked, thing.to_owned())];
        assert_eq!(boxes(line), expected, "{line}");
        let fenced = format!("```\n{line}\n```\n");
        assert_eq!(boxes(&fenced), expected, "{fenced}");
    }
}

#[test]
fn reads_boxes_that_are_written_out_and_bullets_of_other_programs() {
    let html = "<input type=\"checkbox\">";
    let done = "<input type='checkbox' checked disabled />";
    for (line, drawn, ticked) in [
        ("- <input type=\"checkbox\"> one thing", html, false),
        (
            "1. <input type='checkbox' checked disabled /> one thing",
            done,
            true,
        ),
        (
            "<li><input type=\"checkbox\"> <b>one</b> thing</li>",
            html,
            false,
        ),
        (
            "* <label><input type='checkbox' checked disabled /> one thing</label><br>",
            done,
            true,
        ),
        ("<li>[ ] one thing</li>", "[ ]", false),
        ("- &#9744; one thing", "&#9744;", false),
        ("- &#X2611; one thing", "&#X2611;", true),
        ("- :white_check_mark: one thing", ":white_check_mark:", true),
        ("- âœ… one thing", "âœ…", true),
        ("â˜\u{90} one thing", "â˜\u{90}", false),
        ("- ( ) one thing", "( )", false),
        ("* (x) one thing", "(x)", true),
        ("a. [ ] one thing", "[ ]", false),
        ("iv) [x] one thing", "[x]", true),
        ("– [ ] one thing", "[ ]", false),
        ("· ❏ one thing", "❏", false),
        ("### [x] one thing", "[x]", true),
    ] {
        let expected = [(drawn.to_owned(), ticked, "one thing".to_owned())];
        assert_eq!(boxes(line), expected, "{line}");
    }
    let row = format!("| Done | Item |\n|---|---|\n| {done} | one thing |\n");
    assert_eq!(
        boxes(&row),
        [(done.to_owned(), true, "one thing".to_owned())]
    );
    let text = "# All\n## [ ] one thing\n- [ ] two things ✅\n";
    let document = Document::read(text);
    let sections: Vec<_> = document
        .items
        .iter()
        .map(|i| (i.section(), i.text.as_str()))
        .collect();
    assert_eq!(
        sections,
        [("All", "one thing"), ("one thing", "two things ✅")]
    );
}

#[test]
fn headings_are_items_where_there_is_nothing_else() {
    let text = "# Launch\n\n## Running\n\n### Backups are restored every month\n\nBecause.\n\n\
        ### Alerts reach the person on call\n### Runbook for each alert\n```\n# a comment in code\n```\n\
        ## Security\n\n### Secrets are in a vault\n### Keys are rotated quarterly ###\n";
    let document = Document::read(text);
    let found: Vec<_> = document
        .items
        .iter()
        .map(|i| (i.section(), i.line))
        .collect();
    let expected = [
        ("Running", 5),
        ("Running", 9),
        ("Running", 10),
        ("Security", 16),
        ("Security", 17),
    ];
    assert_eq!(found, expected);
    assert!(texts("# One\n\nProse.\n\n## How it works\n\nMore of it.\n").is_empty());
    // Beside anything that is an item, they are headings.
    assert_eq!(texts(&format!("{text}\n- [ ] one thing\n")), ["one thing"]);
}

#[test]
fn links_values_and_emphasis_are_no_boxes() {
    for line in [
        "- [](https://example.org) is the plan",
        "- [x](https://example.org) is the plan",
        "- [ ](https://example.org) is the plan",
        "- [x][plan] is the plan",
        "-[x](https://example.org) is the plan",
        "[x]: https://example.org",
        "[x]: https://example.org \"The plan\"",
        "- []byte is what it takes",
        "- [a] is the first of them",
        "[] is no list item",
        "*[x] emphasis* and more",
        "- [] yes [] no",
        "- <input type=checkbox> yes <input type=checkbox> no",
        "<input type=\"text\"> one thing",
        "a. one thing",
        "– one thing",
        "- <b>[plan]</b>(one)",
        "- (a) one of them",
        "| Field | Default |\n|---|---|\n| names | [] |",
        "```yaml\n- [] # nothing yet\n- [~]\n```",
    ] {
        let text = format!("- [ ] one thing\n\n{line}\n");
        let found = boxes(&text);
        assert_eq!(found.len(), 1, "{line}: {found:?}");
    }
    let row = "| Check | Done |\n|---|---|\n| Backups tested | [~] |\n";
    let expected = ("[~]".to_owned(), false, "Backups tested".to_owned());
    assert_eq!(boxes(row), [expected]);
}

#[test]
fn lines_end_as_they_like() {
    for ending in ["\n", "\r\n", "\r", "\r\r\n"] {
        let text = [
            "# Top",
            "",
            "- [ ] outer item",
            "  that goes on",
            "- [x] next",
        ]
        .join(ending);
        let document = Document::read(&text);
        assert_eq!(document.lines.len(), 5, "{ending:?}");
        assert_eq!(document.form.endings, [ending; 5]);
        let items = [("outer item that goes on", 3, 4), ("next", 5, 5)];
        let found = document.items.iter();
        let found: Vec<_> = found.map(|i| (i.text.as_str(), i.line, i.end)).collect();
        assert_eq!(found, items, "{ending:?}");
        assert_eq!(document.items[0].section(), "Top");
    }
}

#[test]
fn takes_bullets_when_there_are_no_boxes() {
    assert_eq!(
        texts("## A\n- backups run\n- names:\n- logs kept\n"),
        ["backups run", "logs kept"]
    );
}

#[test]
fn joins_wrapped_lines_and_knows_headings_and_parents() {
    let text = "Top\n===\n\n**Part**\n\n- [ ] outer item\n  that goes on\n  - [x] inner\n";
    let document = Document::read(text);
    let [outer, inner] = document.items.as_slice() else {
        panic!("two items: {:?}", document.items);
    };
    assert_eq!(outer.text, "outer item that goes on");
    assert_eq!((outer.line, outer.end), (6, 7));
    assert_eq!(outer.sections, ["Top", "Part"]);
    assert_eq!(inner.parent.as_deref(), Some("outer item that goes on"));
    assert!(inner.ticked() && !outer.ticked());
}

#[test]
fn reads_boxes_in_a_fenced_checklist_but_not_bullets_in_code() {
    let text = "```markdown\n### Go\n- [ ] in a fence\n```\n```yaml\n- key: value\n```\n";
    let document = Document::read(text);
    assert_eq!(document.items.len(), 1);
    assert_eq!(document.items.first().map(|i| i.section()), Some("Go"));
}

#[test]
fn reads_rows_of_tables_that_ask() {
    let text = "| Check | Done |\n|---|---|\n| Backups tested | [ ] |\n| Logs kept | ☐ |\n\ntail\n";
    let document = Document::read(text);
    assert_eq!(texts(text), ["Backups tested", "Logs kept"]);
    assert!(
        document
            .items
            .iter()
            .all(|item| item.end == 4 && item.mark.is_some())
    );
    assert!(texts("| Name | Age |\n|---|---|\n| Ada | 36 |\n").is_empty());
}

#[test]
fn reads_rows_whose_box_stands_where_the_item_is_expected() {
    let text = "| Item | Description | Owner | Status |\n|---|---|---|---|\n\
        | ☐ | Help desk set up | Ada | ⬜ |\n| ☑ | Escalation written down | Bob | ⬜ |\n";
    let document = Document::read(text);
    assert_eq!(texts(text), ["Help desk set up", "Escalation written down"]);
    assert!(document.items[1].ticked() && !document.items[0].ticked());
}

#[test]
fn reads_a_list_within_a_drawn_frame() {
    let text = "```\n╔══════════════╗\n║ GO LIVE      ║\n╠══════════════╣\n║              ║\n\
        ║  RESILIENCE  ║\n║  ──────────  ║\n║  □ Retries with backoff  ║\n\
        ║  ☑ Breakers on providers ║\n╚══════════════╝\n```\n";
    let document = Document::read(text);
    assert_eq!(
        texts(text),
        ["Retries with backoff", "Breakers on providers"]
    );
    assert_eq!(document.items[0].section(), "RESILIENCE");
    assert!(document.items[1].ticked());
    for (item, drawn) in document.items.iter().zip(["□", "☑"]) {
        let mark = item.mark.as_ref().unwrap();
        let line = &document.lines[item.line - 1];
        assert_eq!(&line[mark.start..mark.start + mark.len], drawn);
    }
}

#[test]
fn reads_a_list_that_was_pasted_without_its_bullets_but_no_prose() {
    let text = "🔍 Observability\n\n Structured logs for all components\n\n Traces for each job\n\n\
        Metrics:\n\n⚙ Resilience\n\n Retries with backoff\n\n Breakers around dependencies\n\n\
        Is a replay rehearsed?\n\n✅ Governance\n\n Audit log on\n\nThis text explains it.\n";
    let document = Document::read(text);
    assert_eq!(
        texts(text),
        [
            "Structured logs for all components",
            "Traces for each job",
            "Retries with backoff",
            "Breakers around dependencies",
            "Is a replay rehearsed?",
            "Audit log on"
        ]
    );
    let sections: Vec<_> = document.items.iter().map(|item| item.section()).collect();
    assert_eq!(
        sections[..3],
        ["Observability", "Observability", "Resilience"]
    );
    let prose = "A title\n\nThe first paragraph goes on\nover two lines.\n\nAnd another one.\n\n\
        So it goes on\nfor a while.\n";
    assert!(texts(&prose.repeat(4)).is_empty());
}

#[test]
fn a_line_with_several_boxes_is_a_choice_and_no_item() {
    let document = Document::read("**Status:** [ ] No | [ ] Yes\n");
    assert!(document.items.is_empty());
    assert_eq!(document.others.first().map(|o| o.boxes.len()), Some(2));
}

#[test]
fn forgets_what_an_earlier_run_wrote() {
    let text = "- [ ] one thing\n  > pass <!-- seaworthy -->\n\n<!-- seaworthy:begin -->\n- [ ] more\n<!-- seaworthy:end -->\n";
    assert_eq!(Document::read(text).lines, ["- [ ] one thing"]);
}

#[test]
fn survives_odd_input() {
    for text in [
        "",
        "|",
        "|||\n---",
        "```",
        "- [ ]",
        "[ ] ",
        "\u{feff}- [ ] a b",
        "# ",
        "**",
        "> > -",
        "- [ ] é[ ]",
    ] {
        let _read = Document::read(text);
    }
}
