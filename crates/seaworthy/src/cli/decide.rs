//! `seaworthy attest`, `waive` and `sign`: people's words about readiness, kept in their repository.

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use seaworthy_verify::decisions::{self, Attestation, DecisionError, Decisions, Signature, Waiver};
use seaworthy_verify::requirement::Requirements;
use serde_json::json;

use crate::app;
use crate::exit::{self, Failure};
use crate::output::{self, Format};

/// How long a signature counts when no end is given.
const SIGNATURE_DAYS: i64 = 90;

/// Where the decisions are.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The file of decisions, to be reviewed and committed like code.
    #[arg(long, value_name = "FILE", default_value = decisions::FILE)]
    decisions: PathBuf,
    /// Sign the decision with this Ed25519 key (PEM). From then on, decisions of that name count only
    /// when it signed them.
    #[arg(long, value_name = "FILE")]
    sign_key: Option<PathBuf>,
    /// The form to print.
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
}

#[derive(Debug, clap::Args)]
pub(super) struct Attest {
    /// A requirement such as `team.trained`, or the 16 digits that `check --checklist` shows.
    item: String,
    /// Who says that it holds.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// The last day on which this counts (UTC), at most a year away.
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Date,
    /// Where the evidence is.
    #[arg(long, value_name = "TEXT")]
    evidence: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
pub(super) struct Waive {
    /// A requirement such as `tls.hsts`, or the 16 digits that `check --checklist` shows.
    item: String,
    /// Why it is acceptable.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who accepts it.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// The last day on which this counts (UTC): at most 90 days away for what is critical, 180 for
    /// high, a year for the rest.
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Date,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
pub(super) struct Sign {
    /// The role: `engineering`, `devops`, `security`, `product-manager`, `area-reviewer` or
    /// `final-approval`.
    #[arg(long, value_name = "ROLE")]
    role: String,
    /// Who signs.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The last day on which this counts (UTC); without it, 90 days from now.
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<Date>,
    #[command(flatten)]
    place: Place,
}

pub(super) fn attest(arguments: Attest) -> Result<(), Failure> {
    let item = arguments.item.clone();
    change(&arguments.place, |decisions, known, today| {
        let new = Attestation {
            item: arguments.item,
            by: arguments.by,
            made: today,
            until: arguments.until,
            evidence: arguments.evidence,
        };
        let said = (new.by.clone(), new.statement());
        decisions.attest(new, known).map(|()| said)
    })?;
    said("attested", &item, &arguments.place)
}

pub(super) fn waive(arguments: Waive) -> Result<(), Failure> {
    let item = arguments.item.clone();
    change(&arguments.place, |decisions, known, today| {
        let new = Waiver {
            item: arguments.item,
            reason: arguments.reason,
            by: arguments.by,
            made: today,
            until: arguments.until,
        };
        let said = (new.by.clone(), new.statement());
        decisions.waive(new, known).map(|()| said)
    })?;
    said("waived", &item, &arguments.place)
}

pub(super) fn sign(arguments: Sign) -> Result<(), Failure> {
    let role = arguments.role.clone();
    change(&arguments.place, |decisions, known, today| {
        let later = || today.saturating_add(jiff::Span::new().days(SIGNATURE_DAYS));
        let new = Signature {
            // As the file will have it, because that is what is signed.
            role: decisions::role(&arguments.role, known)?,
            name: arguments.name,
            made: today,
            until: arguments.until.unwrap_or_else(later),
        };
        let said = (new.name.clone(), new.statement());
        decisions.sign(new, known).map(|()| said)
    })?;
    said("signed as", &role, &arguments.place)
}

/// The decisions in a file; none when there is no file.
pub(super) fn read(path: &Path) -> Result<Decisions, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Decisions::parse(&text).map_err(|error| refused(path, &error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Decisions::default()),
        Err(error) => Err(cannot("read", path, &error)),
    }
}

pub(super) fn requirements() -> Result<Requirements, Failure> {
    Requirements::builtin().map_err(|error| Failure::of(exit::FAILED, &error))
}

/// Today in UTC, in which every decision ends.
pub(super) fn today() -> Date {
    let now = jiff::Timestamp::from_millisecond(app::clock().now().0).unwrap_or_default();
    now.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// Edits the decisions; `edit` says who said what, so that it can be signed.
fn change(
    place: &Place,
    edit: impl FnOnce(&mut Decisions, &Requirements, Date) -> Result<(String, String), DecisionError>,
) -> Result<(), Failure> {
    let path = place.decisions.as_path();
    let mut decisions = read(path)?;
    let (name, statement) =
        edit(&mut decisions, &requirements()?, today()).map_err(|error| refused(path, &error))?;
    if let Some(file) = &place.sign_key {
        let key = std::fs::read(file).map_err(|error| cannot("read", file, &error))?;
        let sealed = decisions.seal(&name, &statement, &key);
        sealed.map_err(|error| refused(path, &error))?;
    }
    let counts = decisions.must_count(&name, &statement);
    counts.map_err(|error| refused(path, &error))?;
    let text = decisions.render().map_err(|error| refused(path, &error))?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| cannot("create", folder, &error))?;
    }
    std::fs::write(path, text).map_err(|error| cannot("write", path, &error))
}

fn said(what: &str, item: &str, place: &Place) -> Result<(), Failure> {
    let file = &place.decisions;
    match place.format {
        Format::Pretty => output::line(format_args!("{what} {item} in {}", file.display())),
        Format::Json => output::json(&json!({what.replace(' ', "_"): item, "file": file})),
    }
}

fn refused(path: &Path, error: &DecisionError) -> Failure {
    Failure::new(exit::USAGE, format!("{}: {error}", path.display()))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        exit::USAGE,
        format!("cannot {what} {}: {error}", path.display()),
    )
}
