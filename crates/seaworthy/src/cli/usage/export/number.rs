//! Numbers as people and spreadsheets write them.

/// What stands before the decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decimals {
    /// `1,234.56`
    Point,
    /// `1.234,56`
    Comma,
}

impl Decimals {
    fn sign(self) -> char {
        match self {
            Self::Point => '.',
            Self::Comma => ',',
        }
    }

    fn thousands(self) -> char {
        self.other().sign()
    }

    fn other(self) -> Self {
        match self {
            Self::Point => Self::Comma,
            Self::Comma => Self::Point,
        }
    }

    /// A number as it is written in errors.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::Point => "1234.56",
            Self::Comma => "1234,56",
        }
    }

    /// The number with a point before decimals and nothing between thousands; `None` if what stands there
    /// is not between thousands. Whether the rest are digits is for others to see.
    pub(super) fn plain(self, text: &str) -> Option<String> {
        let text = bare(text);
        let (number, exponent) = split_exponent(&text);
        let (whole, decimals) = match number.split_once(self.sign()) {
            Some((whole, decimals)) => (whole, Some(decimals)),
            None => (number, None),
        };
        let mut groups = whole.split(self.thousands());
        let first = groups.next().unwrap_or_default();
        let others: Vec<&str> = groups.collect();
        let are_groups = can_begin_groups(first) && others.iter().all(|group| group.len() == 3);
        if !(others.is_empty() || are_groups) {
            return None;
        }
        let mut plain = format!("{first}{}", others.concat());
        if let Some(decimals) = decimals {
            plain.push('.');
            plain.push_str(decimals);
        }
        plain.push_str(exponent);
        Some(plain)
    }
}

/// What a number shows of how the numbers beside it are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It has no sign within.
    Nothing,
    /// `1,234` is either.
    Either,
    /// It can be read in one way only.
    Decimals(Decimals),
}

impl Told {
    pub(super) fn by(text: &str, is_count: bool) -> Self {
        let text = bare(text);
        let (number, _) = split_exponent(&text);
        let count = |decimals: Decimals| number.matches(decimals.sign()).count();
        let used = match (count(Decimals::Point), count(Decimals::Comma)) {
            (0, 0) => return Self::Nothing,
            (_, 0) => Decimals::Point,
            (0, _) => Decimals::Comma,
            // The last one of both kinds stands before the decimals.
            _ if number.rfind('.') > number.rfind(',') => return Self::Decimals(Decimals::Point),
            _ => return Self::Decimals(Decimals::Comma),
        };
        if count(used) > 1 {
            return Self::Decimals(used.other());
        }
        let (whole, rest) = number.split_once(used.sign()).unwrap_or((number, ""));
        let may_be_thousands = can_begin_groups(whole) && rest.len() == 3;
        match (may_be_thousands, is_count) {
            (false, _) => Self::Decimals(used),
            (true, true) => Self::Decimals(used.other()),
            (true, false) => Self::Either,
        }
    }
}

fn can_begin_groups(text: &str) -> bool {
    (1..=3).contains(&text.len()) && !text.starts_with('0')
}

fn split_exponent(text: &str) -> (&str, &str) {
    text.split_at(text.find(['e', 'E']).unwrap_or(text.len()))
}

/// The number without its currency and what is never a decimal sign.
fn bare(text: &str) -> String {
    let text = text.trim();
    let text = text.trim_start_matches("USD").trim_end_matches("USD");
    let between = ['$', '_', '\'', '\u{2019}', '\u{a0}', '\u{202f}', ' '];
    text.replace(between, "")
}
