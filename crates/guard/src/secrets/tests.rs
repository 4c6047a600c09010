//! Credentials are made at test time, so that none lies in the repository.

use super::*;
use crate::testing::Dice;

fn secrets() -> Secrets {
    Secrets::built_in().unwrap()
}

fn rules_found(detector: &Secrets, text: &str) -> Vec<(String, String)> {
    let mut scan = Scan::default();
    detector.scan(Window::whole(text), &mut scan);
    let name = |finding: &Finding| {
        (
            finding.rule.to_string(),
            text[finding.span.clone()].to_owned(),
        )
    };
    scan.findings.iter().map(name).collect()
}

const CARRIERS: [&str; 12] = [
    "KEY",
    "my key is KEY, keep it safe.",
    "{\"key\": \"KEY\"}",
    "export THING=KEY\n",
    "Authorization: Bearer KEY\r\n",
    "https://example.org/?k=KEY&x=1",
    "```\nclient = Client('KEY')\n```",
    "{\"args\": \"line\\nKEY\\n\"}",
    "- KEY\n- other",
    "|KEY|",
    "(KEY)",
    "ключ:KEY.",
];

#[test]
fn every_shape_is_found_in_every_carrier() {
    let detector = secrets();
    let mut dice = Dice::new(7);
    let (mut planted, mut found, mut exact) = (0, 0, 0);
    for _ in 0..20 {
        for example in detector.examples(|count| dice.below(count)) {
            for carrier in CARRIERS {
                let text = carrier.replace("KEY", &example.text);
                let hits = rules_found(&detector, &text);
                planted += 1;
                found += usize::from(
                    hits.iter()
                        .any(|(rule, value)| *rule == example.rule && *value == example.text),
                );
                exact += usize::from(
                    hits.iter()
                        .filter(|(rule, _)| !rule.starts_with("generic"))
                        .count()
                        == 1,
                );
            }
        }
    }
    println!("planted {planted}, found {found}, found once {exact}");
    assert!(found * 1000 >= planted * 995, "{found} of {planted}");
    assert!(exact * 100 >= planted * 97, "{exact} of {planted}");
}

/// Formats written down a second time, independently of the shape file.
#[test]
fn well_known_formats_are_found() {
    let detector = secrets();
    let mut dice = Dice::new(11);
    for _ in 0..50 {
        let cases = [
            ("github_token", format!("gh{}_{}", "p", dice.alnum(36))),
            (
                "openai_key",
                format!(
                    "sk-{}{}{}{}",
                    "proj-",
                    dice.alnum(74),
                    "T3Blbk",
                    dice.alnum(76)
                ),
            ),
            (
                "anthropic_key",
                format!("sk-{}api03-{}AA", "ant-", dice.alnum(93)),
            ),
            (
                "aws_access_key_id",
                format!("AK{}{}", "IA", dice.base32(16)),
            ),
            ("stripe_key", format!("sk_{}_{}", "live", dice.alnum(24))),
            (
                "slack_token",
                format!(
                    "xo{}-{}-{}-{}",
                    "xb",
                    dice.digits(12),
                    dice.digits(12),
                    dice.alnum(24)
                ),
            ),
            (
                "sendgrid_key",
                format!("S{}.{}.{}", "G", dice.alnum(22), dice.alnum(43)),
            ),
            ("gcp_api_key", format!("AI{}{}", "za", dice.alnum(35))),
            ("huggingface_token", format!("h{}_{}", "f", dice.alnum(34))),
            (
                "jwt",
                format!(
                    "ey{}{}.eyJ{}.{}",
                    "J",
                    dice.alnum(33),
                    dice.alnum(80),
                    dice.alnum(43)
                ),
            ),
        ];
        for (rule, text) in cases {
            let hits = rules_found(&detector, &text);
            assert!(
                hits.contains(&(rule.to_owned(), text.clone())),
                "{rule}: {hits:?}"
            );
        }
    }
}

#[test]
fn named_credentials_need_their_name() {
    let detector = secrets();
    let mut dice = Dice::new(5);
    let value = dice.alnum(40);
    let named = format!("aws_secret_access_key = {value}\n");
    assert_eq!(
        rules_found(&detector, &named),
        [("aws_secret_access_key".into(), value.clone())]
    );
    assert!(rules_found(&detector, &format!("commit {value}")).is_empty());
    let generic = format!("\"session_token\": \"{value}\"");
    assert_eq!(
        rules_found(&detector, &generic),
        [("generic_secret".into(), value)]
    );
}

#[test]
fn private_keys_and_passwords_in_urls_are_found() {
    let detector = secrets();
    let mut dice = Dice::new(6);
    let body: Vec<String> = (0..20).map(|_| dice.alnum(64)).collect();
    for joint in ["\n", "\\n", "\r\n"] {
        let (head, foot) = ("-----BEGIN RSA PRIVATE", "-----END RSA PRIVATE");
        let key = format!(
            "{head} KEY-----{joint}{}{joint}{foot} KEY-----",
            body.join(joint)
        );
        assert_eq!(
            rules_found(&detector, &format!("x {key} y")),
            [("private_key".into(), key)]
        );
    }
    let password = format!("{}9x", dice.alnum(10));
    let url = format!("DB=postgres://app:{password}@db.internal:5432/x");
    assert_eq!(
        rules_found(&detector, &url),
        [("connection_password".into(), password)]
    );
    for harmless in [
        "postgres://app:password@localhost/x",
        "https://host:8080/a@b",
        "redis://:${PW}@h",
    ] {
        assert!(rules_found(&detector, harmless).is_empty(), "{harmless}");
    }
}

#[test]
fn examples_and_ordinary_text_are_left_alone() {
    let detector = secrets();
    for harmless in [
        format!("AK{}IOSFODNN7EXAMPLE", "IA"),
        format!("gh{}_{}", "p", "x".repeat(36)),
        format!("sk-{}-your-key-here-{}", "proj", "a".repeat(40)),
        "The token limit is 4096; the secret of good bread is patience.".to_owned(),
        "let token = self.tokens.next_token(kind);".to_owned(),
        "password: String, // hashed".to_owned(),
        "if token == other_token2 { return }".to_owned(),
        "The e-mail's Message-ID is 0f3a2c44-9c1d-4f7f-8a25-cf1f3c0d5b6e.".to_owned(),
        "sha256 = 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        "secret_name = \"database/prod/credentials\"".to_owned(),
    ] {
        assert!(rules_found(&detector, &harmless).is_empty(), "{harmless}");
    }
}

#[test]
fn a_shape_file_with_a_mistake_is_refused_with_the_shapes_name() {
    let wrong = "[[shape]]\nid = \"mine\"\nseverity = \"high\"\npatterns = [\"ab<nope 3>\"]";
    let error = Secrets::from_toml(wrong).unwrap_err().to_string();
    assert!(error.contains("mine") && error.contains("nope"), "{error}");
}

#[test]
fn a_private_key_that_breaks_off_ends_where_the_next_one_begins() {
    let body: String = (0..96_usize)
        .map(|n| char::from(b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwgg"[n * 7 % 38]))
        .collect();
    let (head, foot) = (
        "-----BEGIN PRIVATE KEY-----\n",
        "\n-----END PRIVATE KEY-----",
    );
    let broken = format!("{head}{body}\n");
    let text = format!("{broken}{head}{body}{foot} and {head}zz\n{broken}");
    let mut scan = Scan::default();
    Secrets::built_in()
        .unwrap()
        .scan(Window::whole(&text), &mut scan);
    let found: Vec<&str> = scan
        .findings
        .iter()
        .map(|finding| &text[finding.span.clone()])
        .collect();
    let whole = format!("{head}{body}{foot}");
    assert_eq!(found, [&*broken, &*whole, &*broken]);
}
