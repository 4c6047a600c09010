//! Conditions of steps and jobs: whether they can hold when an event starts the workflow.

use super::triggers::Event;

/// Brackets within each other; deeper ones are not followed.
const DEPTH: usize = 16;

/// What an expression is, as far as the files tell.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Text(String),
    Number(f64),
    Is(bool),
    /// Where the event happens, of which the form is known.
    Ref,
    RefName,
    Unknown,
}

/// Whether a step or job with this condition can run, without anything having failed.
pub(super) fn may_hold(condition: &str, event: Option<&Event>) -> bool {
    let plain = condition.replace("${{", " ").replace("}}", " ");
    if plain.trim().is_empty() {
        return true;
    }
    let mut parser = Parser {
        rest: plain.trim(),
        event,
    };
    let value = parser.or(DEPTH);
    // What cannot be read to its end says nothing.
    !parser.rest.trim().is_empty() || value.is_true() != Some(false)
}

struct Parser<'a> {
    rest: &'a str,
    event: Option<&'a Event>,
}

impl Parser<'_> {
    fn takes(&mut self, sign: &str) -> bool {
        let rest = self.rest.trim_start();
        let after = rest.strip_prefix(sign);
        self.rest = after.unwrap_or(rest);
        after.is_some()
    }

    fn or(&mut self, depth: usize) -> Value {
        let mut value = self.and(depth);
        while self.takes("||") {
            let other = self.and(depth);
            value = match value.is_true() {
                Some(true) => value,
                Some(false) => other,
                None if other.is_true() == Some(true) => other,
                None => Value::Unknown,
            };
        }
        value
    }

    fn and(&mut self, depth: usize) -> Value {
        let mut value = self.compared(depth);
        while self.takes("&&") {
            let other = self.compared(depth);
            value = match value.is_true() {
                Some(false) => value,
                Some(true) => other,
                None if other.is_true() == Some(false) => other,
                None => Value::Unknown,
            };
        }
        value
    }

    fn compared(&mut self, depth: usize) -> Value {
        let left = self.single(depth);
        let signs = ["==", "!=", "<=", ">=", "<", ">"];
        let Some(sign) = signs.into_iter().find(|sign| self.takes(sign)) else {
            return left;
        };
        let right = self.single(depth);
        let is = match sign {
            "==" => self.same(&left, &right),
            "!=" => self.same(&left, &right).map(|same| !same),
            _ => ordered(sign, &left, &right),
        };
        is.map_or(Value::Unknown, Value::Is)
    }

    fn single(&mut self, depth: usize) -> Value {
        let Some(deeper) = depth.checked_sub(1) else {
            self.rest = "(";
            return Value::Unknown;
        };
        if self.takes("!") {
            let value = self.single(deeper).is_true();
            return value.map_or(Value::Unknown, |is| Value::Is(!is));
        }
        if self.takes("(") {
            let value = self.or(deeper);
            self.takes(")");
            return value;
        }
        if self.takes("'") {
            return self.quoted();
        }
        let is_part = |c: char| c.is_alphanumeric() || "_-.*".contains(c);
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if self.takes("(") {
            return self.called(word, deeper);
        }
        if self.takes("[") {
            self.or(deeper);
            self.takes("]");
            return Value::Unknown;
        }
        self.named(word)
    }

    fn quoted(&mut self) -> Value {
        let mut text = String::new();
        while let Some((part, rest)) = self.rest.split_once('\'') {
            text.push_str(part);
            self.rest = rest;
            // Two of them stand for one.
            let Some(more) = rest.strip_prefix('\'') else {
                return Value::Text(text);
            };
            text.push('\'');
            self.rest = more;
        }
        Value::Unknown
    }

    fn called(&mut self, name: &str, depth: usize) -> Value {
        let mut given = Vec::new();
        while !self.takes(")") {
            given.push(self.or(depth));
            if !self.takes(",") && !self.rest.trim_start().starts_with(')') {
                return Value::Unknown;
            }
        }
        match (name.to_ascii_lowercase().as_str(), given.as_slice()) {
            ("always" | "success", []) => Value::Is(true),
            // Then something else has gone wrong.
            ("failure" | "cancelled", []) => Value::Is(false),
            ("startswith", [Value::Ref, Value::Text(start)]) => {
                let fits = self.event.and_then(|event| event.begins(start));
                fits.map_or(Value::Unknown, Value::Is)
            }
            ("contains", [Value::Text(text), Value::Text(part)]) => {
                Value::Is(text.to_lowercase().contains(&part.to_lowercase()))
            }
            _ => Value::Unknown,
        }
    }

    fn named(&self, word: &str) -> Value {
        if let Ok(number) = word.parse() {
            return Value::Number(number);
        }
        match word {
            "true" => Value::Is(true),
            "false" | "null" => Value::Is(false),
            "github.event_name" => match self.event {
                Some(event) => Value::Text(event.name.to_owned()),
                None => Value::Unknown,
            },
            "github.ref" => Value::Ref,
            "github.ref_name" => Value::RefName,
            _ => Value::Unknown,
        }
    }

    /// Whether two values are the same, without regard to capitals.
    fn same(&self, left: &Value, right: &Value) -> Option<bool> {
        match (left, right) {
            (Value::Text(a), Value::Text(b)) => Some(a.eq_ignore_ascii_case(b)),
            (Value::Ref, Value::Text(text)) | (Value::Text(text), Value::Ref) => {
                self.event?.is_at(text)
            }
            (Value::RefName, Value::Text(text)) | (Value::Text(text), Value::RefName) => {
                self.event?.is_at(&format!("refs/heads/{text}"))
            }
            (left, right) => Some((left.number()? - right.number()?).abs() < f64::EPSILON),
        }
    }
}

fn ordered(sign: &str, left: &Value, right: &Value) -> Option<bool> {
    let (left, right) = (left.number()?, right.number()?);
    Some(match sign {
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        _ => left >= right,
    })
}

impl Value {
    fn is_true(&self) -> Option<bool> {
        match self {
            Self::Text(text) => Some(!text.is_empty()),
            Self::Number(number) => Some(*number != 0.0),
            Self::Is(is) => Some(*is),
            Self::Ref | Self::RefName => Some(true),
            Self::Unknown => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Is(is) => Some(f64::from(u8::from(*is))),
            Self::Text(text) if text.is_empty() => Some(0.0),
            Self::Text(text) => text.parse().ok().or(Some(f64::NAN)),
            Self::Ref | Self::RefName | Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::may_hold;
    use crate::check::files::pipeline::triggers::Event;

    fn on(name: &'static str, branches: &[&str]) -> Event {
        Event {
            name,
            branches: branches.iter().map(|&branch| branch.to_owned()).collect(),
            is_change: true,
        }
    }

    #[test]
    fn a_condition_that_is_false_by_its_value_never_holds() {
        for condition in [
            "false",
            "${{ false }}",
            "1 == 2",
            "${{ 'a' == 'b' }}",
            "1 > 2",
            "!true",
            "!(1 == 1)",
            "false && always()",
            "always() && 0",
            "''",
            "null",
            "failure()",
            "success() && (failure() || cancelled())",
            "contains('abc', 'x')",
            "github.ref == 'x' && 'a' != 'A'",
            "'it''s' == 'its'",
        ] {
            assert!(!may_hold(condition, None), "{condition}");
        }
        for condition in [
            "",
            "true",
            "always()",
            "!cancelled()",
            "false || github.actor != 'a'",
            "github.event_name == 'push'",
            "github.ref == 'refs/heads/main'",
            "hashFiles('**/go.sum') != ''",
            "github.event.pull_request.draft == false",
            "needs.a.outputs['x'] == 'true'",
            "contains(fromJSON('[1]'), 2)",
            "what is this",
            "'open",
        ] {
            assert!(may_hold(condition, None), "{condition}");
        }
        let deep = "(".repeat(100_000);
        assert!(may_hold(&deep, None) && may_hold(&"!".repeat(100_000), None));
    }

    #[test]
    fn what_starts_the_workflow_decides() {
        let (change, push) = (on("pull_request", &[]), on("push", &["main"]));
        for (condition, on_request, on_push) in [
            ("github.event_name == 'pull_request'", true, false),
            ("github.event_name != 'pull_request'", false, true),
            ("github.event_name == 'schedule'", false, false),
            ("github.ref == 'refs/heads/main'", false, true),
            ("github.ref_name == 'main'", false, true),
            ("github.ref == 'refs/heads/nowhere'", false, false),
            ("startsWith(github.ref, 'refs/tags/')", false, false),
            ("startsWith(github.ref, 'refs/heads/')", false, true),
        ] {
            assert_eq!(
                may_hold(condition, Some(&change)),
                on_request,
                "{condition}"
            );
            assert_eq!(may_hold(condition, Some(&push)), on_push, "{condition}");
        }
        let everywhere = on("push", &[]);
        assert!(may_hold(
            "github.ref == 'refs/heads/main'",
            Some(&everywhere)
        ));
        assert!(!may_hold(
            "github.ref == 'refs/heads/nowhere'",
            Some(&everywhere)
        ));
    }
}
