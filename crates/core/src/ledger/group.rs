//! What usage can be summed by.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Settlement;
use crate::clock::UnixMillis;

/// A dimension that usage can be summed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// The user that the key belongs to.
    User,
    /// The model that was asked for.
    Model,
    /// The class of work.
    Operation,
    /// The API key.
    Key,
    /// The team that the caller belongs to.
    Team,
    /// The agent that called.
    Agent,
    /// The session of the agent.
    Session,
    /// The target that answered, `provider/model`.
    Target,
    /// The hour in which the call was settled, in UTC as in the exports of providers.
    Hour,
    /// The day in which the call was settled, in UTC.
    Day,
}

impl GroupBy {
    /// Every dimension.
    pub const ALL: [Self; 10] = [
        Self::User,
        Self::Model,
        Self::Operation,
        Self::Key,
        Self::Team,
        Self::Agent,
        Self::Session,
        Self::Target,
        Self::Hour,
        Self::Day,
    ];

    /// The name in the command line and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Model => "model",
            Self::Operation => "operation",
            Self::Key => "key",
            Self::Team => "team",
            Self::Agent => "agent",
            Self::Session => "session",
            Self::Target => "target",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

impl std::str::FromStr for GroupBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|by| by.as_str() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("expected one of {names}, found {text:?}")
        })
    }
}

/// A name that a settlement has to have under a dimension: the calls of one user, for example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Only {
    by: GroupBy,
    name: String,
}

impl Only {
    /// `None` for hours and days, which are no names: usage is asked for from one moment to another.
    #[must_use]
    pub fn new(by: GroupBy, name: &str) -> Option<Self> {
        let is_time = matches!(by, GroupBy::Hour | GroupBy::Day);
        (!is_time).then(|| Self {
            by,
            name: name.to_owned(),
        })
    }

    /// The dimension.
    #[must_use]
    pub fn by(&self) -> GroupBy {
        self.by
    }

    /// The name; empty for what has none there.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is true of a settlement.
    #[must_use]
    pub fn is_true_of(&self, settlement: &Settlement) -> bool {
        Coordinates::of(settlement, self.by).text == self.name
    }
}

impl std::str::FromStr for Only {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || format!("expected a dimension and a name, as in user=ada, found {text:?}");
        let (by, name) = text.split_once('=').ok_or_else(expected)?;
        let by: GroupBy = by.parse()?;
        Self::new(by, name).ok_or_else(|| {
            format!("expected a dimension with names, found {text:?}: use since and until")
        })
    }
}

/// What of a settlement usage can be summed by.
#[derive(Debug, Clone, Copy)]
pub struct Coordinates<'a> {
    /// When it was settled.
    pub settled_at: UnixMillis,
    /// The column that [`GroupBy`] names; nothing is read of it for hours and days.
    pub text: &'a str,
}

impl<'a> Coordinates<'a> {
    /// Those of a settlement under a dimension.
    #[must_use]
    pub fn of(settlement: &'a Settlement, by: GroupBy) -> Self {
        let said = |name: &'a Option<std::sync::Arc<str>>| name.as_deref().unwrap_or_default();
        let attribution = &settlement.attribution;
        let text = match by {
            GroupBy::User => &*settlement.user_id,
            GroupBy::Model => &*settlement.model,
            GroupBy::Operation => &settlement.operation,
            GroupBy::Key => &*settlement.key_id,
            GroupBy::Team => said(&attribution.team),
            GroupBy::Agent => said(&attribution.agent),
            GroupBy::Session => said(&attribution.session),
            GroupBy::Target => &*settlement.target,
            GroupBy::Hour | GroupBy::Day => "",
        };
        Self {
            settled_at: settlement.settled_at,
            text,
        }
    }

    /// The group that it belongs to: `2026-11-27T14` is an hour, `2026-11-27` a day.
    #[must_use]
    pub fn group(self, by: GroupBy) -> Cow<'a, str> {
        match by {
            GroupBy::Hour => Cow::Owned(self.moment("%Y-%m-%dT%H")),
            GroupBy::Day => Cow::Owned(self.moment("%Y-%m-%d")),
            _ => Cow::Borrowed(self.text),
        }
    }

    fn moment(self, format: &str) -> String {
        let moment = jiff::Timestamp::from_millisecond(self.settled_at.0);
        let moment = moment.unwrap_or(if self.settled_at.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        });
        moment.strftime(format).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_days_are_those_of_utc() {
        let at = |settled_at| Coordinates {
            settled_at: UnixMillis(settled_at),
            text: "ada",
        };
        let moment = at(1_700_000_000_000);
        assert_eq!(moment.group(GroupBy::Hour), "2023-11-14T22");
        assert_eq!(moment.group(GroupBy::Day), "2023-11-14");
        assert_eq!(moment.group(GroupBy::User), "ada");
        for end in [i64::MIN, i64::MAX] {
            assert!(!at(end).group(GroupBy::Day).is_empty());
        }
    }

    #[test]
    fn every_dimension_is_read_as_it_is_written() {
        for by in GroupBy::ALL {
            assert_eq!(by.as_str().parse(), Ok(by));
        }
        assert!("colour".parse::<GroupBy>().is_err());
        assert_eq!(
            "user=a=b".parse(),
            Ok(Only::new(GroupBy::User, "a=b").unwrap())
        );
        for text in ["user", "colour=red", "day=2026-11-28"] {
            assert!(text.parse::<Only>().is_err(), "{text}");
        }
    }
}
