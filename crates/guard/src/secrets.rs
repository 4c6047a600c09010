//! Finds credentials: provider keys by shape, private keys, passwords in URLs, and values that are
//! assigned to a secret's name.

mod assignment;
mod checks;
mod pattern;
mod shapes;
mod special;

pub(crate) use pattern::Pattern;
pub use pattern::PatternError;
pub use shapes::{Example, ShapeError};

use crate::cursor::Cursor;
use crate::detector::{Detector, Rule, Scan, Window};
use crate::finding::{Category, Finding, Severity};
use crate::trigger::Triggers;
use shapes::{Shape, ShapeFile};

/// The built-in shapes, in the project's own words.
const SHAPES: &str = include_str!("../data/secrets.toml");

/// What an occurrence of a literal may be the beginning of.
#[derive(Debug, Clone, Copy)]
enum Target {
    Shape(usize),
    Assignment(assignment::Keyword),
    PrivateKey,
    Url { web: bool },
}

/// Finds credentials.
#[derive(Debug)]
pub struct Secrets {
    shapes: Vec<Shape>,
    named: Vec<shapes::Named>,
    rules: Vec<Rule>,
    private_key: Rule,
    url_password: Rule,
    generic_secret: Rule,
    generic_password: Rule,
    triggers: Triggers,
    targets: Vec<Target>,
}

impl Secrets {
    /// The detector with the built-in shapes.
    pub fn built_in() -> Result<Self, ShapeError> {
        Self::from_toml(SHAPES)
    }

    /// A detector with the shapes of a file in the format of the built-in one.
    pub fn from_toml(source: &str) -> Result<Self, ShapeError> {
        let file = ShapeFile::parse(source)?;
        let generic = Category::GenericSecret;
        let secret = Category::Secret;
        let private_key = Rule::new(
            "private_key",
            secret,
            Severity::Critical,
            special::MAX_PRIVATE_KEY,
        );
        let url_password = Rule::new(
            "connection_password",
            secret,
            Severity::High,
            special::MAX_URL,
        );
        let generic_secret = Rule::new(
            "generic_secret",
            generic,
            Severity::Medium,
            assignment::MAX_LEN,
        );
        let generic_password = Rule::new(
            "generic_password",
            generic,
            Severity::Medium,
            assignment::MAX_LEN,
        );
        let mut literals: Vec<String> = Vec::new();
        let mut targets = Vec::new();
        for (index, shape) in file.shapes.iter().enumerate() {
            literals.push(shape.prefix.clone());
            targets.push(Target::Shape(index));
        }
        for keyword in assignment::KEYWORDS {
            literals.push(keyword.text.to_owned());
            targets.push(Target::Assignment(keyword));
        }
        literals.push(special::PRIVATE_KEY_PREFIX.to_owned());
        targets.push(Target::PrivateKey);
        for (scheme, web) in special::SCHEMES {
            literals.push(scheme.to_owned());
            targets.push(Target::Url { web });
        }
        let mut rules: Vec<Rule> = file.shapes.iter().map(|shape| shape.rule.clone()).collect();
        rules.extend(file.named.iter().map(|named| named.rule.clone()));
        rules.extend(
            [
                &private_key,
                &url_password,
                &generic_secret,
                &generic_password,
            ]
            .map(Rule::clone),
        );
        rules.dedup_by(|a, b| a.id == b.id && a.max_len_bytes <= b.max_len_bytes);
        Ok(Self {
            triggers: Triggers::new(literals.iter().map(String::as_str))?,
            shapes: file.shapes,
            named: file.named,
            rules,
            private_key,
            url_password,
            generic_secret,
            generic_password,
            targets,
        })
    }

    /// One made-up credential for each pattern, for tests and drills; `pick(n)` draws from `0..n`.
    pub fn examples(&self, mut pick: impl FnMut(usize) -> usize) -> Vec<Example> {
        let shaped = self.shapes.iter().map(|shape| shape.example(&mut pick));
        shaped.collect()
    }

    fn read_target(&self, target: Target, cursor: &mut Cursor<'_>) -> Option<Finding> {
        let start = cursor.position();
        match target {
            Target::Shape(index) => self.shapes[index].read(cursor),
            Target::PrivateKey => special::read_private_key(cursor)
                .then(|| self.private_key.at(start..cursor.position())),
            Target::Url { web } => {
                let password = special::read_url_password(cursor, web)?;
                Some(self.url_password.at(password))
            }
            Target::Assignment(keyword) => {
                let found = assignment::read(keyword, cursor)?;
                let context = cursor.behind(found.value.start);
                let value = found.bytes;
                let named = self
                    .named
                    .iter()
                    .find(|named| named.accepts(context, value));
                let rule = match named {
                    Some(named) => &named.rule,
                    // The second question takes longer, and few values come to it.
                    None if !checks::looks_random(value, keyword.is_password) => return None,
                    None if checks::is_placeholder(value) => return None,
                    None if keyword.is_password => &self.generic_password,
                    None => &self.generic_secret,
                };
                Some(rule.at(found.value))
            }
        }
    }
}

impl Detector for Secrets {
    fn rules(&self) -> &[Rule] {
        &self.rules
    }

    fn scan(&self, window: Window<'_>, scan: &mut Scan) {
        let open = self.triggers.scan(&window, |literal, start| {
            let mut cursor = window.cursor(start);
            let target = self.targets[literal];
            let found = match target {
                Target::Shape(_) if !cursor.starts_token(start) => return,
                _ => self.read_target(target, &mut cursor),
            };
            scan.settle(start, &cursor, found);
        });
        if !window.complete && open < window.text.len() {
            scan.open(open);
        }
    }
}

#[cfg(test)]
mod tests;
