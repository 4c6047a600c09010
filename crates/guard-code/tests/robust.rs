//! Nothing panics, whatever the text.

use proptest::prelude::*;
use seaworthy_guard_code::{CodePolicy, Language, check};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn parsers_survive_any_text(text in "(\\PC{0,60}|[<>&;{}()\\[\\]\"'`$|#%=:/\\\\a-z0-9 \n]{0,120}){0,4}") {
        for language in [Language::Json, Language::Python, Language::JavaScript, Language::Shell, Language::Sql] {
            check(language, &text, &CodePolicy::default());
        }
    }
}
