//! May this be asked? Input guards belong here: they judge, redact or refuse the request before it
//! can leave.

use crate::refusal::Refusal;
use crate::stage::admit::Admission;
use crate::stage::decode::Request;

/// A request that passed every input guard.
#[derive(Debug)]
pub(crate) struct Screened(Request);

impl std::ops::Deref for Screened {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.0
    }
}

/// Screens a request. No guard is configured yet, so that every admitted request passes.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the guards that are to come refuse"
)]
pub(crate) fn screen(request: Request, _admission: &Admission) -> Result<Screened, Refusal> {
    Ok(Screened(request))
}
