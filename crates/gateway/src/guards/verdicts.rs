//! What guards decided about one exchange: names and counts, never content.

use seaworthy_guard::{Action, Category, Place, Verdict};

/// What was decided, counted by guard, place and action.
#[derive(Debug, Default)]
pub(crate) struct Verdicts(Vec<Counted>);

/// One line of the count.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) guard: &'static str,
    pub(crate) place: &'static str,
    pub(crate) action: &'static str,
    pub(crate) times: u64,
}

impl Verdicts {
    /// Counts one decision.
    pub(crate) fn add(&mut self, guard: &'static str, place: Place, action: &'static str) {
        let place = place.as_str();
        let same = |known: &&mut Counted| {
            known.guard == guard && known.place == place && known.action == action
        };
        match self.0.iter_mut().find(same) {
            Some(known) => known.times += 1,
            None => self.0.push(Counted {
                guard,
                place,
                action,
                times: 1,
            }),
        }
    }

    /// Counts one decision about a match of a family.
    pub(crate) fn judge(&mut self, category: Category, place: Place, action: Action) {
        self.add(category.as_str(), place, name(action));
    }

    /// Counts what an engine decided about a text.
    pub(crate) fn extend(&mut self, place: Place, verdict: &Verdict) {
        for judged in &verdict.judged {
            self.add(judged.finding.category.as_str(), place, name(judged.action));
        }
    }

    /// Adds the counts of another part of the exchange.
    pub(crate) fn append(&mut self, other: Self) {
        for counted in other.0 {
            let same = |known: &&mut Counted| {
                known.guard == counted.guard
                    && known.place == counted.place
                    && known.action == counted.action
            };
            match self.0.iter_mut().find(same) {
                Some(known) => known.times += counted.times,
                None => self.0.push(counted),
            }
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Counted> {
        self.0.iter()
    }

    /// The guards that decided something, each once, with commas between them; `None` if none did.
    pub(crate) fn names(&self) -> Option<String> {
        let mut names: Vec<&str> = self.0.iter().map(|counted| counted.guard).collect();
        names.sort_unstable();
        names.dedup();
        (!names.is_empty()).then(|| names.join(","))
    }
}

fn name(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Flag => "flag",
        Action::Tokenize => "tokenize",
        Action::Redact => "redact",
        Action::Block => "block",
    }
}
