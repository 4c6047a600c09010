//! What people decided: attestations, waivers and signatures, each with a name and an end.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::check::Severity;
use crate::requirement::Requirements;

mod seals;

pub use seals::{Seal, Signer};

/// Where decisions are kept in a repository.
pub const FILE: &str = ".seaworthy/readiness.toml";

const HEAD: &str = "# Words that people gave about this system's readiness. Review changes like code.\n\
    # `seaworthy attest`, `waive` and `sign` add to it; `seaworthy check` reads it.\n\n";

/// The decisions of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decisions {
    /// Somebody says that something holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attestation: Vec<Attestation>,
    /// Somebody accepts that something does not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiver: Vec<Waiver>,
    /// Somebody signs for a role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signature: Vec<Signature>,
    /// Whose decisions count only when a key signed them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signer: Vec<Signer>,
    /// What keys signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seal: Vec<Seal>,
}

/// Somebody says that something holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// A requirement's ID, or the hash of a checklist item.
    pub item: String,
    /// Who says so.
    pub by: String,
    /// When it was said.
    pub made: Date,
    /// The last day on which it counts, in UTC.
    pub until: Date,
    /// Where the evidence is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// Somebody accepts that something does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// A requirement's ID, or the hash of a checklist item.
    pub item: String,
    /// Why it is acceptable.
    pub reason: String,
    /// Who accepts it.
    pub by: String,
    /// When it was accepted.
    pub made: Date,
    /// The last day on which it counts, in UTC.
    pub until: Date,
}

/// Somebody signs for a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The role, as in `signoff.ROLE`.
    pub role: String,
    /// Who signs.
    pub name: String,
    /// When.
    pub made: Date,
    /// The last day on which it counts, in UTC.
    pub until: Date,
}

/// Why a decision is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// The file cannot be understood.
    #[error("the decisions cannot be read: {0}")]
    Unreadable(String),
    /// Nothing has this name.
    #[error(
        "there is no requirement `{0}`; give an ID such as `backup.restore-tested`, or the 16 digits \
         that `check --checklist` shows beside an item"
    )]
    UnknownItem(String),
    /// Nobody can sign for this role.
    #[error("there is no role `{found}`; the roles are {known}")]
    UnknownRole {
        /// What was asked for.
        found: String,
        /// What there is.
        known: String,
    },
    /// A name or reason is empty.
    #[error("{0} is empty; say it in words")]
    Empty(&'static str),
    /// It ends before it begins.
    #[error("{until} is past; give a day to come")]
    Past {
        /// The last day given.
        until: Date,
    },
    /// The key is no Ed25519 key in PEM.
    #[error(
        "expected an Ed25519 key in PEM, found something else ({0}); make one with \
         `openssl genpkey -algorithm ed25519 -out key.pem`"
    )]
    Key(String),
    /// This person decides with another key.
    #[error("{0} has another key in this file; whoever changes it edits `signer`, for all to see")]
    OtherKey(String),
    /// This person decides with a key.
    #[error("{0} decides with a key in this file; give it with --sign-key, or nothing is decided")]
    Unsigned(String),
    /// It would hold too long.
    #[error("{until} is more than {days} days away, the longest for {what}; decide again then")]
    TooLong {
        /// The last day given.
        until: Date,
        /// The longest time allowed.
        days: i32,
        /// For what.
        what: String,
    },
}

impl Decisions {
    /// Reads the file's text.
    ///
    /// # Errors
    /// When it is not understood in full: a decision that cannot be read must not be guessed.
    pub fn parse(text: &str) -> Result<Self, DecisionError> {
        toml::from_str(text).map_err(|error| DecisionError::Unreadable(error.to_string()))
    }

    /// The file's text.
    ///
    /// # Errors
    /// Never for decisions that were parsed or added.
    pub fn render(&self) -> Result<String, DecisionError> {
        let body = toml::to_string(self);
        let body = body.map_err(|error| DecisionError::Unreadable(error.to_string()))?;
        Ok(format!("{HEAD}{body}"))
    }

    /// Adds an attestation; an earlier one for the same item by the same person goes.
    ///
    /// # Errors
    /// When the item does not exist, a text is empty or the time is not acceptable.
    pub fn attest(&mut self, new: Attestation, known: &Requirements) -> Result<(), DecisionError> {
        let severity = severity_of(&new.item, known)?;
        require("the name", &new.by)?;
        within(new.made, new.until, 365, || {
            format!("an attestation ({})", severity.name())
        })?;
        self.attestation
            .retain(|old| (&old.item, &old.by) != (&new.item, &new.by));
        self.attestation.push(new);
        Ok(())
    }

    /// Adds a waiver; an earlier one for the same item goes.
    ///
    /// # Errors
    /// When the item does not exist, a text is empty or the time is not acceptable.
    pub fn waive(&mut self, new: Waiver, known: &Requirements) -> Result<(), DecisionError> {
        let severity = severity_of(&new.item, known)?;
        require("the name", &new.by)?;
        require("the reason", &new.reason)?;
        let longest = longest_waiver(severity);
        within(new.made, new.until, longest, || {
            format!("a waiver ({})", severity.name())
        })?;
        self.waiver.retain(|old| old.item != new.item);
        self.waiver.push(new);
        Ok(())
    }

    /// Adds a signature; an earlier one for the same role goes.
    ///
    /// # Errors
    /// When the role does not exist, the name is empty or the time is not acceptable.
    pub fn sign(&mut self, mut new: Signature, known: &Requirements) -> Result<(), DecisionError> {
        require("the name", &new.name)?;
        new.role = role(&new.role, known)?;
        within(new.made, new.until, 365, || "a signature".to_owned())?;
        self.signature.retain(|old| old.role != new.role);
        self.signature.push(new);
        Ok(())
    }

    /// The waiver that counts today.
    pub(crate) fn waiver_of(&self, item: &str, severity: Severity, today: Date) -> Option<&Waiver> {
        self.waiver.iter().find(|w| {
            w.item == item
                && today <= w.until
                && days(w.made, w.until) <= longest_waiver(severity)
                && self.is_genuine(&w.by, &w.statement())
        })
    }

    /// The checks whose failure is accepted today, and by whom and why: those of a waived requirement
    /// of their own name, and those of which every requirement is waived.
    #[must_use]
    pub fn waived_checks(&self, known: &Requirements, today: Date) -> BTreeMap<String, String> {
        let words = |id: &str, severity| {
            let waiver = self.waiver_of(id, severity, today)?;
            let Waiver {
                by, until, reason, ..
            } = waiver;
            Some(format!("waived by {by} until {until}: {reason}"))
        };
        let mut all: BTreeMap<String, Vec<(bool, Option<String>)>> = BTreeMap::new();
        for (id, requirement) in known.iter() {
            for probe in &requirement.probes {
                let found = (id == probe, words(id, requirement.severity));
                all.entry(probe.clone()).or_default().push(found);
            }
        }
        let waived = all.into_iter().filter_map(|(check, found)| {
            let own = found
                .iter()
                .find(|(is_own, _)| *is_own)
                .and_then(|(_, w)| w.clone());
            let each = || {
                found
                    .iter()
                    .map(|(_, w)| w.clone())
                    .collect::<Option<Vec<_>>>()
            };
            let words = own.or_else(|| each()?.into_iter().next())?;
            Some((check, words))
        });
        waived.collect()
    }

    /// The person's word that counts today: who, until when, and where the evidence is.
    pub(crate) fn word_for(
        &self,
        item: &str,
        today: Date,
    ) -> Option<(String, Date, Option<String>)> {
        let signed = self
            .signature
            .iter()
            .filter(|s| item.strip_prefix("signoff.") == Some(&s.role))
            .filter(|s| self.is_genuine(&s.name, &s.statement()));
        let signed = signed.map(|s| (s.name.clone(), s.until, None));
        let attested = self
            .attestation
            .iter()
            .filter(|a| a.item == item && self.is_genuine(&a.by, &a.statement()));
        let attested = attested.map(|a| (a.by.clone(), a.until, a.evidence.clone()));
        signed.chain(attested).find(|(_, until, _)| today <= *until)
    }

    /// The signatures that count, whenever they end.
    #[must_use]
    pub fn genuine_signatures(&self) -> Vec<Signature> {
        let genuine = |s: &&Signature| self.is_genuine(&s.name, &s.statement());
        self.signature.iter().filter(genuine).cloned().collect()
    }

    /// Every decision that does nothing today, and why: lists like this only grow otherwise.
    #[must_use]
    pub fn idle(&self, known: &Requirements, today: Date) -> Vec<String> {
        let attested = self
            .attestation
            .iter()
            .map(|a| ("attestation", &a.item, a.until));
        let waived = self.waiver.iter().map(|w| ("waiver", &w.item, w.until));
        let items = attested.chain(waived).filter_map(|(what, item, until)| {
            let why = if severity_of(item, known).is_err() {
                "names nothing that exists".to_owned()
            } else if until < today {
                format!("ended on {until}")
            } else {
                return None;
            };
            Some(format!("the {what} for {item} {why}"))
        });
        let long = self.waiver.iter().filter_map(|w| {
            let longest = longest_waiver(severity_of(&w.item, known).ok()?);
            let counts = days(w.made, w.until) <= longest;
            (!counts).then(|| format!("the waiver for {} is longer than {longest} days", w.item))
        });
        let signed = self.signature.iter().filter(|s| s.until < today);
        let signed = signed.map(|s| format!("the signature of {} ended on {}", s.role, s.until));
        let forged = self.forged();
        items.chain(long).chain(signed).chain(forged).collect()
    }
}

/// The longest time for which something can be accepted that does not hold.
fn longest_waiver(severity: Severity) -> i32 {
    match severity {
        Severity::Critical => 90,
        Severity::High => 180,
        Severity::Medium | Severity::Low => 365,
    }
}

/// How grave an item is; one that nobody described counts as medium.
fn severity_of(item: &str, known: &Requirements) -> Result<Severity, DecisionError> {
    let is_hash = item.len() == 16 && item.bytes().all(|b| b.is_ascii_hexdigit());
    match known.get(item) {
        Some(requirement) => Ok(requirement.severity),
        None if is_hash => Ok(Severity::Medium),
        None => Err(DecisionError::UnknownItem(item.to_owned())),
    }
}

/// The role's name in full: `security` signs as `security-lead`.
///
/// # Errors
/// When nobody can sign for such a role.
pub fn role(asked: &str, known: &Requirements) -> Result<String, DecisionError> {
    let roles = || {
        known
            .iter()
            .filter_map(|(id, _)| id.strip_prefix("signoff."))
    };
    let lead = format!("{asked}-lead");
    let found = roles().find(|role| *role == asked || *role == lead);
    found
        .map(str::to_owned)
        .ok_or_else(|| DecisionError::UnknownRole {
            found: asked.to_owned(),
            known: roles().collect::<Vec<_>>().join(", "),
        })
}

fn require(what: &'static str, text: &str) -> Result<(), DecisionError> {
    if text.trim().is_empty() {
        return Err(DecisionError::Empty(what));
    }
    Ok(())
}

fn within(
    made: Date,
    until: Date,
    longest: i32,
    what: impl Fn() -> String,
) -> Result<(), DecisionError> {
    if until < made {
        return Err(DecisionError::Past { until });
    }
    if days(made, until) > longest {
        return Err(DecisionError::TooLong {
            until,
            days: longest,
            what: what(),
        });
    }
    Ok(())
}

fn days(from: Date, to: Date) -> i32 {
    // Dates in range are never too far apart for a count of days.
    from.until(to).map_or(i32::MAX, |span| span.get_days())
}

#[cfg(test)]
mod tests;
