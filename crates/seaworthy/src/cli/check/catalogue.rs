//! Questions to `seaworthy check` that need no run: what there is, and whether a report is genuine.

use seaworthy_verify::report::{catalogue, seal};

use super::super::decide;
use super::{Arguments, Form, read, two_forms};
use crate::exit::{self, Failure};
use crate::output;

/// Answers such a question; `None` when a run is wanted.
pub(super) fn answer(arguments: &Arguments) -> Result<Option<u8>, Failure> {
    if arguments.list {
        let requirements = decide::requirements()?;
        output::write(match arguments.format {
            Form::Json => catalogue::json(&requirements),
            Form::Pretty => catalogue::list(&requirements),
            _ => return Err(two_forms("--list")),
        })?;
        return Ok(Some(exit::OK));
    }
    if let Some(id) = &arguments.explain {
        let Some(text) = catalogue::explain(id, &decide::requirements()?) else {
            let message =
                format!("there is no check or requirement `{id}`; see `seaworthy check --list`");
            return Err(Failure::new(exit::USAGE, message));
        };
        output::write(text)?;
        return Ok(Some(exit::OK));
    }
    let (Some(report), Some(key)) = (&arguments.verify_report, &arguments.public_key) else {
        return Ok(None);
    };
    match seal::verify(&read(report)?, read(key)?.as_bytes()) {
        Ok(()) => output::line(format!("{} is what this key signed", report.display()))?,
        Err(error @ (seal::SealError::Wrong | seal::SealError::Unsigned)) => {
            output::note(format_args!("seaworthy: {}: {error}", report.display()));
            return Ok(Some(exit::FAILED));
        }
        Err(error) => return Err(Failure::of(exit::USAGE, &error)),
    }
    Ok(Some(exit::OK))
}
