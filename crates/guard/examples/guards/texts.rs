//! Kinds of text that guards read every day, made from a fixed seed.

use std::fmt::Write as _;

use seaworthy_guard::testing::Dice;

/// Names it, and writes one line or passage of it.
type Kind = (&'static str, fn(&mut Dice, &mut String));

/// What the scan for personal data keeps, in MB/s.
const USUAL: f64 = 100.0;
/// The same of texts of which each word may be data about people: less than what is wanted of all texts, so that these
/// do not become slower still.
const LEAST: [(&str, f64); 3] = [
    ("small numbers", 35.0),
    ("a list of UUIDs", 80.0),
    ("a list of addresses of machines", 80.0),
];

/// What the scans are measured with, beside prose and code.
const KINDS: [Kind; 22] = [
    ("small numbers", |dice, out| {
        let most = [10, 100, 1_000, 10_000][dice.below(4)];
        let _ = write!(out, "{} ", dice.below(most));
    }),
    ("a table of values with commas", |dice, out| {
        let (id, city, name) = (dice.below(90_000), dice.pick(&WORDS), dice.pick(&WORDS));
        let (month, day, price) = (dice.below(12) + 1, dice.below(28) + 1, dice.below(99_999));
        let _ = writeln!(
            out,
            "{id},{name},{city},2024-{month:02}-{day:02},{}.{:02},{},true",
            price / 100,
            price % 100,
            dice.below(40)
        );
    }),
    ("an access log", |dice, out| {
        let _ = writeln!(
            out,
            "{} - - [{:02}/Oct/2024:13:{:02}:36 +0000] \"GET /api/v1/{}/{} HTTP/1.1\" 200 {} \
             \"https://shop.example/{}\" \"Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/117.0\"",
            address(dice),
            dice.below(28) + 1,
            dice.below(60),
            dice.pick(&WORDS),
            dice.below(10_000),
            dice.below(100_000),
            dice.pick(&WORDS)
        );
    }),
    ("a log in JSON", |dice, out| {
        let _ = writeln!(
            out,
            "{{\"ts\":\"2024-10-{:02}T13:{:02}:36.{:03}Z\",\"level\":\"info\",\"msg\":\"{} {}\",\"duration_ms\":{},\
             \"status\":200,\"trace_id\":\"{}\",\"user\":{}}}",
            dice.below(28) + 1,
            dice.below(60),
            dice.below(1000),
            dice.pick(&WORDS),
            dice.pick(&WORDS),
            dice.below(2000),
            hex(dice, 32),
            dice.below(99_999)
        );
    }),
    ("a list of addresses of machines", |dice, out| {
        let _ = writeln!(out, "{}", address(dice));
    }),
    ("a hexadecimal dump", |dice, out| {
        let _ = write!(out, "{:08x}: ", dice.below(1 << 24));
        for _ in 0..8 {
            *out += &hex(dice, 4);
            out.push(' ');
        }
        let _ = writeln!(out, " {}", dice.string("abcd....efg.#xyz. ", 16));
    }),
    ("a list of UUIDs", |dice, out| {
        let _ = writeln!(
            out,
            "{}-{}-4{}-a{}-{}",
            hex(dice, 8),
            hex(dice, 4),
            hex(dice, 3),
            hex(dice, 3),
            hex(dice, 12)
        );
    }),
    ("a list of mail addresses", |dice, out| {
        let (name, house) = (dice.pick(&WORDS), dice.pick(&WORDS));
        let _ = writeln!(out, "{name}.{}@{house}.example", dice.below(100));
    }),
    ("minified JavaScript", |dice, out| {
        let (a, b, c) = (
            dice.pick(&LETTERS),
            dice.pick(&LETTERS),
            dice.pick(&LETTERS),
        );
        let _ = write!(
            out,
            "function {a}({b},{c}){{for(var e=0;e<{b}.length;e++){c}[e]=({b}[e]<<{}|{a}({c}>>>{}))+.{};return {b}&&!{c}\
             ?0:{a}.{}({b},{c})}}",
            dice.below(9),
            dice.below(32),
            dice.below(100),
            dice.pick(&WORDS)
        );
    }),
    ("base64", |dice, out| {
        const SIGNS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        *out += &dice.string(SIGNS, 76);
        out.push('\n');
    }),
    ("a dump of a database", |dice, out| {
        let _ = writeln!(
            out,
            "INSERT INTO `orders` VALUES ({},'{}','{}',{}.{:02},'2024-05-{:02} 10:{:02}:00',NULL,{});",
            dice.below(1_000_000),
            dice.pick(&WORDS),
            dice.pick(&WORDS),
            dice.below(1000),
            dice.below(100),
            dice.below(28) + 1,
            dice.below(60),
            dice.below(2)
        );
    }),
    ("German prose", |dice, out| {
        *out += dice.pick(&[
            "Am Morgen des zweiten Tages lagen die Kähne noch fest, und über dem Fluss stand dünner Nebel. ",
            "Niemand wusste, wie viele Säcke die Händler in den 14 Schuppen gelagert hatten, außer dem Küfer. ",
            "„Größere Mengen“, sagte sie, „müssen wir bis übermorgen zählen.“ ",
        ]);
    }),
    ("Chinese prose", |dice, out| {
        *out += dice.pick(&[
            "清晨的港口很安静，第一批渔船刚刚回来，海鸥停在墙边。",
            "今年的收成比去年多了3成，村里的人都很高兴。",
            "老人点上烟斗，看了看天空，然后慢慢地走回家去。",
        ]);
    }),
    ("Arabic prose", |dice, out| {
        *out += dice.pick(&[
            "كان الميناء هادئا عندما عادت القوارب الأولى في الصباح. ",
            "جلس الرجل العجوز على الجدار ونظر إلى البحر طويلا، ثم قال: لا بأس. ",
            "وصلت السفينة بعد 14 يوما محملة بالقمح والزيت. ",
        ]);
    }),
    ("a table in Markdown", |dice, out| {
        let _ = writeln!(
            out,
            "| {} | {:6} | {:5.2} | `{}` | {} % |",
            dice.pick(&WORDS),
            dice.below(100_000),
            dice.below(10_000) as f64 / 100.0,
            dice.pick(&WORDS),
            dice.below(100)
        );
    }),
    ("a stack trace", |dice, out| {
        let (module, class, call) = (dice.pick(&WORDS), dice.pick(&WORDS), dice.pick(&WORDS));
        let _ = writeln!(
            out,
            "\tat example.{module}.{class}Service.{call}({class}Service.java:{}) ~[{module}-5.3.{}.jar:?]",
            dice.below(900),
            dice.below(30)
        );
    }),
    ("vectors", |dice, out| {
        let sign = dice.pick(&["", "-"]);
        let _ = write!(out, "{sign}0.0{}, ", dice.digits(6));
    }),
    ("times of events", |dice, out| {
        let _ = writeln!(
            out,
            "2024-05-{:02} 10:{:02}:{:02}.{} WARN [worker-{}] {} took {} ms",
            dice.below(28) + 1,
            dice.below(60),
            dice.below(60),
            dice.digits(3),
            dice.below(16),
            dice.pick(&WORDS),
            dice.below(5000)
        );
    }),
    ("telephone numbers", |dice, out| {
        let _ = writeln!(
            out,
            "{}: +1 ({}) 555-{}",
            dice.pick(&WORDS),
            200 + dice.below(700),
            dice.digits(4)
        );
    }),
    ("a configuration", |dice, out| {
        let (name, word) = (dice.pick(&WORDS), dice.pick(&WORDS));
        let _ = writeln!(
            out,
            "{name}:\n  url: https://{word}.example/v{}\n  token: ${{{word}_TOKEN}}\n  max_tokens: {}\n  timeout: {}s",
            dice.below(4),
            dice.below(9000),
            dice.below(90)
        );
    }),
    ("HTML", |dice, out| {
        let word = dice.pick(&WORDS);
        let _ = writeln!(
            out,
            "<tr class=\"row-{}\"><td><a href=\"https://www.{word}.example/{word}?id={}&amp;p=2\">{word}</a></td>\
             <td style=\"width:{}px\">&nbsp;{}</td></tr>",
            dice.below(4),
            dice.below(9000),
            dice.below(900),
            dice.below(1000)
        );
    }),
    ("a shell script", |dice, out| {
        *out += &command(dice);
        out.push('\n');
    }),
];

const LETTERS: [&str; 8] = ["a", "b", "n", "r", "t", "i", "o", "u"];

const WORDS: [&str; 24] = [
    "harbour", "orders", "crate", "Lisbon", "invoice", "session", "Bergen", "item", "queue",
    "client", "render", "widget", "profile", "Oslo", "stock", "parcel", "cart", "billing", "Anna",
    "merge", "token", "search", "export", "ledger",
];

fn hex(dice: &mut Dice, length: usize) -> String {
    dice.string("0123456789abcdef", length)
}

fn address(dice: &mut Dice) -> String {
    let part = |dice: &mut Dice| dice.below(255) + 1;
    format!(
        "{}.{}.{}.{}",
        part(dice),
        part(dice),
        part(dice),
        part(dice)
    )
}

/// A command of some 200 bytes.
fn command(dice: &mut Dice) -> String {
    let (one, two) = (dice.pick(&WORDS), dice.pick(&WORDS));
    let number = dice.below(9000);
    match dice.below(4) {
        0 => format!(
            "docker run -d --name {one}-{number} --restart unless-stopped -p {number}:8080 -e LOG_LEVEL=info \
             -v \"$PWD/{two}:/data\" --memory 512m registry.example/{one}/{two}:1.4.{number} --workers 4 --quiet"
        ),
        1 => format!(
            "find . -name '*.{one}' -not -path './node_modules/*' -mtime -{number} | xargs grep -n '{two}' | sort -u \
             > /tmp/{one}-{number}.txt && wc -l /tmp/{one}-{number}.txt; echo \"done with {two}\" # {number} of them"
        ),
        2 => format!(
            "curl -sS -X POST https://{one}.example/v1/{two} -H 'content-type: application/json' -d '{{\"name\": \
             \"{one}\", \"count\": {number}, \"kind\": \"{two}\"}}' --max-time 30 --retry 3 --fail | jq .{one}"
        ),
        _ => format!(
            "for file in src/{one}/*.py; do python -m {two}.check --strict --line-length {number} \"$file\" || exit 1; \
             done; git add -u && git commit -m \"{one}: tidy {two} after {number}\" && git push origin {two}"
        ),
    }
}

/// How many MB/s the scan of a kind for personal data must at least reach.
pub(crate) fn least(kind: &str) -> f64 {
    let known = LEAST.iter().find(|(name, _)| *name == kind);
    known.map_or(USUAL, |(_, least)| *least)
}

/// `bytes` of each kind, with its name.
pub(crate) fn kinds(bytes: usize) -> impl Iterator<Item = (&'static str, String)> {
    KINDS
        .iter()
        .map(move |(name, write)| (*name, repeat(bytes, *write)))
}

/// `bytes` of a file of credentials, each made up.
pub(crate) fn credentials(bytes: usize) -> String {
    repeat(bytes, |dice, out| {
        let service = dice.pick(&WORDS).to_uppercase();
        let key = format!("{:016x}{:016x}", dice.roll(), dice.roll());
        let _ = writeln!(out, "{service}_API_KEY={key}");
    })
}

fn repeat(bytes: usize, write: fn(&mut Dice, &mut String)) -> String {
    let mut dice = Dice::new(5);
    let mut text = String::new();
    while text.len() < bytes {
        write(&mut dice, &mut text);
    }
    text
}
