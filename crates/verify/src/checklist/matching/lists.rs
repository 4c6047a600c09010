//! Lists whose items have known answers: they teach, and those held out tell how sure it may be.

/// Whole lists with known answers; their items are phrasings too.
const LISTS: &str = include_str!("../../../data/lists.tsv");

/// An item of a list with known answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed {
    /// Which list it is from.
    pub(super) list: &'static str,
    answers: &'static str,
    pub(super) heading: &'static str,
    pub(super) text: &'static str,
}

impl Listed {
    /// The requirements of which any is right, the best first, or `none`.
    pub(super) fn answers(&self) -> impl Iterator<Item = &'static str> {
        self.answers.split(',')
    }
}

/// Every item of the lists with known answers.
pub(super) fn listed() -> impl Iterator<Item = Listed> {
    let mut list = "";
    LISTS.lines().filter_map(move |line| {
        if let Some(name) = line.strip_prefix("> ") {
            list = name;
        }
        let mut fields = line.splitn(3, '\t');
        let (answers, heading, text) = (fields.next()?, fields.next()?, fields.next()?);
        (!line.starts_with('#')).then_some(Listed {
            list,
            answers,
            heading,
            text,
        })
    })
}
