//! What others are asked about: the end of what users and tools say, place by place.

use std::borrow::Cow;

use seaworthy_guard::Place;

use crate::guards::guarding::Heard;

/// The most that others are asked about of one place, in bytes.
const MAX_HEARD: usize = 32 * 1024;

/// A text that others may be asked about.
pub(super) struct Told<'t> {
    pub(super) place: Place,
    /// As it leaves.
    pub(super) text: Cow<'t, str>,
    pub(super) is_suspicious: bool,
}

/// The last of what was told at each place, text by text.
pub(super) fn ends_of(told: &[Told<'_>]) -> Vec<Heard> {
    let mut heard: Vec<Heard> = Vec::new();
    for told in told {
        match heard.iter_mut().find(|heard| heard.place == told.place) {
            Some(heard) => heard.is_suspicious |= told.is_suspicious,
            None => heard.push(Heard {
                place: told.place,
                text: String::new(),
                is_suspicious: told.is_suspicious,
            }),
        }
    }
    for heard in &mut heard {
        let of_place = told.iter().rev().filter(|told| told.place == heard.place);
        heard.text = end_of(of_place.map(|told| &*told.text));
    }
    heard
}

/// The end of texts of which the last one comes first, each on a line of its own. No more of them are looked at
/// than have room.
fn end_of<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut pieces: Vec<&str> = Vec::new();
    let mut room = MAX_HEARD;
    for text in texts {
        let from = text.ceil_char_boundary(text.len().saturating_sub(room));
        pieces.push(text.get(from..).unwrap_or_default());
        match room.checked_sub(text.len() + 1) {
            Some(left) => room = left,
            None => break,
        }
    }
    pieces.reverse();
    pieces.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_many_texts_is_kept_and_the_others_are_not_looked_at() {
        let texts: Vec<String> = (0..100_000).map(|n| format!("é{n:0>98}")).collect();
        let mut looked_at = 0;
        let end = end_of(
            texts
                .iter()
                .rev()
                .inspect(|_| looked_at += 1)
                .map(String::as_str),
        );
        let joined = texts.join("\n");
        assert!(joined.ends_with(&end), "{end}");
        assert!((MAX_HEARD - 2..=MAX_HEARD).contains(&end.len()));
        assert!(looked_at <= MAX_HEARD / 100 + 1, "{looked_at}");
    }

    #[test]
    fn each_place_is_heard_by_itself() {
        let told = |place, text: &'static str, is_suspicious| Told {
            place,
            text: text.into(),
            is_suspicious,
        };
        let heard = ends_of(&[
            told(Place::Input, "one", false),
            told(Place::ToolResult, "two", true),
            told(Place::Input, "three", false),
        ]);
        let all: Vec<_> = heard
            .iter()
            .map(|heard| (heard.place, &*heard.text, heard.is_suspicious))
            .collect();
        let expected = [
            (Place::Input, "one\nthree", false),
            (Place::ToolResult, "two", true),
        ];
        assert_eq!(all, expected);
        assert_eq!(end_of([""].into_iter()), "");
        let long = "x".repeat(MAX_HEARD + 1);
        assert_eq!(end_of([&*long, "y"].into_iter()).len(), MAX_HEARD);
        assert_eq!(end_of(["y", &*long].into_iter()).len(), MAX_HEARD);
    }
}
