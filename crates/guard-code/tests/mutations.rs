//! The parsers meet what no person wrote: programs that are cut, doubled, spliced and spoilt, by seeds.
//! `SEAWORTHY_TEST_CASES=200000` tries as many; a parser that ends the process fails the test.

use seaworthy_guard::testing::Dice;
use seaworthy_guard_code::{CodePolicy, Language, MAX_CODE_BYTES, Problem, check};

const PROGRAMS: [(Language, &str); 14] = [
    (
        Language::Python,
        "import os\n\n@cached\nclass A(B, metaclass=M):\n    \"\"\"doc\"\"\"\n    def f(self, *a, k: int = 1, **kw) -> dict[str, int]:\n        try:\n            with open(f\"{a!r:>{k}}\") as g, lock:\n                return {x: y for x, y in zip(a, g) if x not in kw}\n        except (OSError, *more) as e:\n            raise ValueError('no') from e\n        finally:\n            del a[1:2, ...]\n",
    ),
    (
        Language::Python,
        "async def main():\n    async for i in aiter():\n        yield await i\n    match point:\n        case {'x': 0, **rest} | [1, *_] if rest:\n            print(f'''{rest}\n{lambda: 1}''')\n        case _:\n            pass\nx = (n := 10) if y else z @ w // 2 ** -1\nwhile True: break\n",
    ),
    (
        Language::Python,
        "def g():\n\tif a:\n\t  b = 1\n  \\\n\n\tglobal c; c = r'\\x', b\"\\0\", rf\"{c}\"\n# end\n",
    ),
    (
        Language::JavaScript,
        "import a, { b as c } from 'd';\nexport default class X extends (Y ?? Z) {\n  #p = 1; static { this.q = 2; }\n  get r() { return this?.#p ** 2; }\n  async *s([x, , ...y] = [], { z = 1, ...w }) { yield* await x; }\n}\n",
    ),
    (
        Language::JavaScript,
        "label: for (const k in o) { if (!k) continue label; else break; }\nconst t = `a${`b${c}`}d`, r = /[/]\\/(?<n>x)/giu.test(t) / 2;\nconst e = <A b={1} {...c}>text {d} <B.C/></A>;\nswitch (x) { case 1: default: throw new E }\nvar f = async x => ({ [x]: x++ }), g = function* () {}\n",
    ),
    (
        Language::JavaScript,
        "<!-- html comment\nlet y = a ? b : c ? d : e, z = 0x1Fn | 1_000e-3;\nif (a) ; else do x--; while (x > 0)\n--> end\n",
    ),
    (
        Language::Shell,
        "#!/bin/bash\nset -euo pipefail\nfor f in \"$@\" *.txt; do\n  case \"${f##*/}\" in (a|b*) echo \"$((1 + ${#f}))\" ;; *) : ;& esac\ndone\ncat <<-'EOF' | sed 's/a/b/' > out 2>&1\n\thello $x\n\tEOF\n",
    ),
    (
        Language::Shell,
        "f() { local -a x=(1 2 [5]=3); [[ $1 =~ ^a.*$ && -f $2 ]] || return 1; }\ncat <<A <<B\n$(date)\nA\n`id`\nB\nwhile read -r l; do echo ${l^^} {1..5}; done < <(ls -la)\n((i++)) && x=$'\\n' y=$\"t\"\n",
    ),
    (
        Language::Shell,
        "if ! grep -q \"$(echo \"${a:-`b`}\")\" file; then\n  echo {a,b{1..3}} ~/x & wait $!\nelif true; then select x in 1 2; do break; done\nfi\n",
    ),
    (
        Language::Sql,
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT a.*, count(*) FILTER (WHERE b > 1) OVER (PARTITION BY c ORDER BY d) FROM t a LEFT JOIN u USING (id) WHERE x IN (SELECT 'it''s') AND y BETWEEN 1 AND 2 OR z IS NOT NULL LIMIT 5;",
    ),
    (
        Language::Sql,
        "CREATE TABLE IF NOT EXISTS \"t\" (id SERIAL PRIMARY KEY, d DECIMAL(10, 2) DEFAULT 0.5, CHECK (d > 0));\nINSERT INTO t VALUES (1, E'\\n'), (2, $$x$$) ON CONFLICT DO NOTHING; -- end\nUPDATE t SET d = CASE WHEN id = 1 THEN -d ELSE d::int END; /* a */ DROP TABLE t;",
    ),
    (
        Language::Json,
        "{\"a\": [1, -2.5e-3, true, null, \"\\u00e9\\ud83d\\ude00\"], \"b\": {\"c\": {}}, \"d\": \"\"}",
    ),
    (
        Language::Json,
        "[[[[]]], {\"a\": {\"b\": [0]}}, \"\\\\\\\"\"]",
    ),
    (Language::Json, "\"plain\""),
];

const LANGUAGES: [Language; 5] = [
    Language::Json,
    Language::Python,
    Language::JavaScript,
    Language::Shell,
    Language::Sql,
];

/// What parsers stumble over: half of a pair, beginnings of literals, and characters that few expect.
const SPOILERS: [&str; 40] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "`",
    "\"\"\"",
    "f\"{",
    "${",
    "$(",
    "$((",
    "<<EOF\n",
    "<<-'",
    "/*",
    "*/",
    "//",
    "#",
    "\\",
    "\\\n",
    "\n\t",
    "\r",
    "\0",
    "\u{b}",
    "\u{feff}",
    "\u{2028}",
    "\u{e01d1}",
    "ß",
    "\u{10ffff}",
    "=>",
    "<A>",
    "</",
    "--",
    "$$",
    "E'",
    "{1..",
    "::",
    "\n        ",
];

fn pick_range(length: usize, most: usize, dice: &mut Dice) -> (usize, usize) {
    let begin = dice.below(length + 1);
    (begin, length.min(begin + dice.below(most)))
}

/// The text between two places, each moved to a character's boundary.
fn between(text: &str, (begin, end): (usize, usize)) -> &str {
    &text[text.floor_char_boundary(begin)..text.floor_char_boundary(end)]
}

/// One change; `others` are programs of any language.
fn mutate(text: &mut String, dice: &mut Dice) {
    let (begin, end) = pick_range(text.len(), 40, dice);
    let range = text.floor_char_boundary(begin)..text.floor_char_boundary(end);
    match dice.below(6) {
        0 => text.replace_range(range, ""),
        1 => {
            let doubled = text[range.clone()].repeat(1 + dice.below(200));
            text.insert_str(range.start, &doubled);
        }
        2 | 3 => text.insert_str(range.start, dice.pick(&SPOILERS)),
        4 => {
            let (_, other) = PROGRAMS[dice.below(PROGRAMS.len())];
            let part = between(other, pick_range(other.len(), 80, dice));
            text.replace_range(range, part);
        }
        _ => text.truncate(range.end),
    }
}

/// How many cases more than the default are wanted.
fn cases() -> Option<u64> {
    std::env::var("SEAWORTHY_TEST_CASES").ok()?.parse().ok()
}

/// Texts that are one piece over and over, as long as may be judged if many cases are wanted.
fn long_texts() -> impl Iterator<Item = (Language, String)> {
    let length = if cases().is_some() {
        MAX_CODE_BYTES
    } else {
        2048
    };
    let further = [
        "a ", "a\n", "if a:\n", "a;", "0,", "'' ", "\"\\", "<<a\n", "f'{a}' ", "x=$a ",
    ];
    SPOILERS.into_iter().chain(further).flat_map(move |piece| {
        LANGUAGES.map(|language| (language, piece.repeat(length / piece.len())))
    })
}

#[test]
fn parsers_survive_programs_that_are_spoilt() {
    for seed in 0..cases().unwrap_or(1_000) {
        let mut dice = Dice::new(seed);
        let (language, program) = PROGRAMS[dice.below(PROGRAMS.len())];
        let mut text = program.to_owned();
        for _ in 0..1 + dice.below(8) {
            mutate(&mut text, &mut dice);
        }
        check(language, &text, &CodePolicy::default());
    }
    for (language, text) in long_texts() {
        check(language, &text, &CodePolicy::default());
    }
}

#[test]
fn what_takes_a_parser_too_long_is_left_unjudged() {
    // Each took more than ten seconds, most of them a minute.
    for (language, piece) in [
        (Language::Python, "\\\n"),
        (Language::Shell, ")"),
        (Language::Shell, "\0"),
        (Language::Shell, "<<EOF\n"),
    ] {
        let text = piece.repeat(MAX_CODE_BYTES / piece.len());
        let problems = check(language, &text, &CodePolicy::default());
        assert_eq!(problems, [Problem::TooComplex], "{language:?} {piece:?}");
    }
}

#[test]
fn long_code_of_people_is_judged() {
    for (language, program) in PROGRAMS {
        let count = match language {
            Language::Json => 1,
            _ => 16 * 1024 / program.len(),
        };
        let text = format!("{program}\n").repeat(count);
        let problems = check(language, &text, &CodePolicy::default());
        assert!(!problems.contains(&Problem::TooComplex), "{program}");
    }
}
