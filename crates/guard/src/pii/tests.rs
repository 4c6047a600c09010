//! One sentence for each kind, and sentences that only look like one.

use super::*;

fn found(text: &str) -> Vec<(String, String)> {
    let mut scan = Scan::default();
    Pii::built_in()
        .unwrap()
        .scan(Window::whole(text), &mut scan);
    scan.findings
        .iter()
        .map(|finding| {
            (
                finding.rule.to_string(),
                text[finding.span.clone()].to_owned(),
            )
        })
        .collect()
}

/// The rule, the match, the sentence.
const KINDS: &[(&str, &str, &str)] = &[
    (
        "email",
        "ann.o'neil+x@mail.example.org",
        "Write to ann.o'neil+x@mail.example.org.",
    ),
    ("email", "bob@exämple.de", "bob@exämple.de, please"),
    (
        "phone_number",
        "+44 20 7946 0958",
        "on +44 20 7946 0958 today",
    ),
    ("phone_number", "(415) 555-2671", "call (415) 555-2671"),
    (
        "phone_number",
        "05 12 34 56 78",
        "Mon numéro: 05 12 34 56 78.",
    ),
    ("phone_number", "467 3395", "Phone: 467 3395\n"),
    (
        "credit_card",
        "4111 1111 1111 1111",
        "pay with 4111 1111 1111 1111 now",
    ),
    ("credit_card", "378282246310005", "378282246310005"),
    (
        "credit_card",
        "4111.1111.1111.1111",
        "card: 4111.1111.1111.1111.",
    ),
    (
        "iban",
        "GB82 WEST 1234 5698 7654 32",
        "to GB82 WEST 1234 5698 7654 32 please",
    ),
    (
        "iban",
        "de89370400440532013000",
        "iban de89370400440532013000",
    ),
    ("us_ssn", "219-09-9999", "My number is 219-09-9999."),
    ("national_id", "12345678Z", "DNI 12345678Z"),
    ("national_id", "756.1234.5678.97", "AHV 756.1234.5678.97"),
    ("national_id", "X1234567L", "NIE X1234567L."),
    ("national_id", "RSSMRA85T10A562S", "CF: RSSMRA85T10A562S"),
    ("national_id", "AB 12 34 56 C", "NI number AB 12 34 56 C"),
    ("national_id", "111.444.777-35", "CPF 111.444.777-35"),
    ("national_id", "S1234567D", "S1234567D"),
    (
        "national_id",
        "11010519491231002X",
        "身份证 11010519491231002X。",
    ),
    ("ip_address", "203.0.113.77", "from 203.0.113.77:443"),
    (
        "ip_address",
        "203.0.113.77",
        "Abcdev; \"quoted\" 203.0.113.77;",
    ),
    (
        "ip_address",
        "2001:db8:85a3::8a2e:370:7334",
        "at 2001:db8:85a3::8a2e:370:7334.",
    ),
    ("mac_address", "3c:22:fb:aa:01:9e", "MAC 3c:22:fb:aa:01:9e"),
    (
        "passport_number",
        "C01X00T47",
        "passport number is C01X00T47",
    ),
    (
        "driver_licence",
        "F162823540116",
        "my driver's license number is F162823540116",
    ),
    ("date_of_birth", "2/8/1935", "She was born on 2/8/1935."),
    (
        "date_of_birth",
        "8 February 1935",
        "Date of birth: 8 February 1935",
    ),
    (
        "street_address",
        "221 Baker Street",
        "lives at 221 Baker Street, London",
    ),
    (
        "person_name",
        "Ada Lovelace",
        "Hello, my name is Ada Lovelace and",
    ),
    ("postal_code", "35350", "my zip code is 35350"),
    ("national_id", "12345678Z", "DNI 12345678Z, please"),
    ("national_id", "12345678-Z", "DNI 12345678-Z, please"),
    ("mac_address", "3c-22-fb-aa-01-9e", "MAC 3c-22-fb-aa-01-9e"),
    (
        "ip_address",
        "2001:0db8:85a3:1234:5678:9abc:203.113.113.177",
        "at 2001:0db8:85a3:1234:5678:9abc:203.113.113.177 now",
    ),
    ("phone_number", "4 67 33 95", "4 67 33 95 office"),
    ("phone_number", "+1 234 5678", "+1 234 5678"),
    ("phone_number", "(1) 234 5678", "(1) 234 5678"),
];

#[test]
fn words_that_are_numbers_are_not_asked_for_identifiers() {
    for (length, next, may) in [
        (1, Some(b' '), false),
        (8, Some(b','), false),
        (10, Some(b'.'), false),
        (9, Some(b' '), true),
        (18, Some(b' '), true),
        (2, Some(b':'), true),
        (2, Some(b'-'), true),
        (8, Some(b'-'), true),
        (1, Some(b'-'), false),
        (5, Some(b':'), false),
    ] {
        assert_eq!(token::may_begin_with_digits(length, next), may, "{length}");
    }
}

#[test]
fn each_kind_is_found_where_it_stands() {
    for &(rule, value, text) in KINDS {
        let hits = found(text);
        assert_eq!(hits, [(rule.to_owned(), value.to_owned())], "{text}");
    }
}

#[test]
fn numbers_that_are_nobodys_are_left_alone() {
    for text in [
        "In 1977 the population was 1,234,567 and grew by 3.14159265 percent.",
        "Released on 2024-05-17 10:34:35 as version 1.2.3.4",
        "let x = 0xdeadbeef + a::b + std::fmt::Debug;",
        "commit 8f4e2d1c9b7a6e5f4d3c2b1a0f9e8d7c6b5a4f3e",
        "4111 1111 1111 1112 is not a card, 127.0.0.1 is nobody's address",
        "Order 1234567890123456 shipped; 10 000 000 units; lines 120-140",
        "@decorator and user@localhost and a @ b",
        "The 2024 World Cup; 12 Angry Men; 7 Habits of Effective People",
        "000-12-3456 and 666-12-3456 and 123-00-4567",
        "uuid 123e4567-e89b-12d3-a456-426614174000",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn a_version_of_four_parts_is_no_address() {
    for text in [
        "version 1.2.3.4, version number is 1.2.3.4",
        "Upgrade from v1.2.3.4 to v1.2.4.1, or version 1.2.3.4 to 1.2.4.1",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36 OPR/106.1.2.3",
        "HeadlessChrome/98.7.6.5 and curl/8.5.1.2",
        "[[package]]\nname = \"x\"\nversion = \"1.2.3.4\"",
        "{\"resolved\": \"1.2.3.4\", \"requested\": \"[1.2.3.4, )\"}",
        "[assembly: AssemblyVersion(\"1.2.3.4\")] <FileVersion>1.2.3.4</FileVersion> api_version: 1.2.3.4",
        "GEM\n  specs:\n    rails (7.1.8.1)\n      activesupport (= 7.1.8.1)\n    net-ssh (7.1.8.2)\n",
        "foo==1.2.3.4\nbar>=1.2.3.4\n\"baz\": \"^1.2.3.4\"\nqux ~> 1.2.3.4",
        "Bump foo from 1.2.3.4 to 1.2.3.5",
        "lib-1.2.3.4.jar foo-1.2.3.4.tar.gz Foo.1.2.3.4.nupkg",
        "implementation 'org.example:lib:1.2.3.4'",
        "a network such as 203.0.0.0",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
    for text in [
        "the version of the server at 203.0.113.7",
        "conversion 203.0.113.7",
        "PING db (203.0.113.7) 203.0.113.7",
        "http://203.0.113.7/x and host/203.0.113.7, db.example.org/203.0.113.7",
        "ping 203.0.113.7 (203.0.113.7) 56(84) bytes",
        "if ip == \"203.0.113.7\"",
        "version 1.2.3.4 from 203.0.113.7",
        "    client (203.0.113.7)",
        "203.0.113.7.",
    ] {
        let addresses = found(text)
            .into_iter()
            .filter(|(rule, _)| rule == "ip_address");
        let count = text.matches("203.0.113.7").count();
        assert_eq!(addresses.count(), count, "{text}");
    }
}

#[test]
fn what_stands_behind_calm_text_is_found_wherever_it_begins() {
    for (rule, value, sentence) in KINDS {
        for before in 0..40 {
            let text = format!("{}. {sentence}", "so be it ".repeat(8).split_at(before).0);
            let expected = (rule.to_string(), value.to_string());
            assert!(found(&text).contains(&expected), "{rule}: {text}");
        }
    }
}
