//! How one check ended: four outcomes, and the shape in which a probe says so.

/// How a check ended. A probe that could not run is never a pass: it says what was missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The control was seen to work.
    Pass {
        /// What was seen.
        found: String,
    },
    /// The control was seen not to work.
    Fail {
        /// What should have been seen.
        expected: String,
        /// What was seen instead.
        found: String,
    },
    /// The question does not arise for this server.
    NotApplicable {
        /// The fact that makes it so.
        why: String,
    },
    /// Nothing can be said.
    NotVerified {
        /// What is needed to find out.
        missing: String,
    },
}

/// The name of an [`Outcome`] without its words, for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Seen to work.
    Pass,
    /// Seen not to work.
    Fail,
    /// The question does not arise.
    NotApplicable,
    /// Not known.
    NotVerified,
}

impl Outcome {
    /// The outcome's name.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Pass { .. } => Status::Pass,
            Self::Fail { .. } => Status::Fail,
            Self::NotApplicable { .. } => Status::NotApplicable,
            Self::NotVerified { .. } => Status::NotVerified,
        }
    }

    /// The outcome with every sentence passed through `change`.
    pub(crate) fn map_text(self, change: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Pass { found } => Self::Pass {
                found: change(&found),
            },
            Self::Fail { expected, found } => Self::Fail {
                expected: change(&expected),
                found: change(&found),
            },
            Self::NotApplicable { why } => Self::NotApplicable { why: change(&why) },
            Self::NotVerified { missing } => Self::NotVerified {
                missing: change(&missing),
            },
        }
    }
}

/// What a probe returns: what it saw when the control works, or why it stopped.
pub(crate) type Probed = Result<String, Stop>;

/// Every way for a probe to end other than a pass, so that `?` carries it.
#[derive(Debug)]
pub(crate) enum Stop {
    Fail { expected: String, found: String },
    NotApplicable { why: String },
    NotVerified { missing: String },
}

impl From<Probed> for Outcome {
    fn from(probed: Probed) -> Self {
        match probed {
            Ok(found) => Self::Pass { found },
            Err(Stop::Fail { expected, found }) => Self::Fail { expected, found },
            Err(Stop::NotApplicable { why }) => Self::NotApplicable { why },
            Err(Stop::NotVerified { missing }) => Self::NotVerified { missing },
        }
    }
}

/// Ends a probe with a failure.
pub(crate) fn fail<T>(expected: impl Into<String>, found: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Fail {
        expected: expected.into(),
        found: found.into(),
    })
}

/// Ends a probe because the question does not arise.
pub(crate) fn not_applicable<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::NotApplicable { why: why.into() })
}

/// Ends a probe because something needed is missing.
pub(crate) fn not_verified<T>(missing: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::NotVerified {
        missing: missing.into(),
    })
}

/// Goes on only when `holds`.
pub(crate) fn ensure(
    holds: bool,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> Result<(), Stop> {
    if holds { Ok(()) } else { fail(expected, found) }
}
