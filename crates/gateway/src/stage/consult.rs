//! What do others say? Second opinions about what users and tools say are asked here, before anything
//! is planned.

use std::sync::Arc;

use seaworthy_config::{GuardAction, OnFailure};
use seaworthy_core::code::Code;
use seaworthy_core::principal::Principal;

use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::stage::screen::Screened;

/// The name in metrics and the log.
const GUARD: &str = "opinion";

/// Asks everybody who is configured to be asked; the first who says no decides.
pub(crate) async fn consult(
    exchange: &mut Exchange,
    caller: &Principal,
    _screened: &Screened,
) -> Result<(), Refusal> {
    let snapshot = Arc::clone(&exchange.snapshot);
    let Some(guarding) = exchange.guarding.clone() else {
        return Ok(());
    };
    for opinion in snapshot.opinions.iter() {
        for heard in guarding
            .heard
            .iter()
            .filter(|heard| opinion.concerns(heard))
        {
            let (place, asked) = (heard.place, opinion.flags(&exchange.gateway, caller, heard));
            match (asked.await, opinion.action, opinion.on_failure) {
                (Some(false), ..) | (Some(true), GuardAction::Allow, _) => {}
                (Some(true), GuardAction::Flag, _) => exchange.verdicts.add(GUARD, place, "flag"),
                (Some(true), ..) => {
                    exchange.verdicts.add(GUARD, place, "block");
                    let message = format!(
                        "A text of the request ({}) was judged not to be allowed. Take it out or \
                         put it in other words.",
                        place.as_str()
                    );
                    return Err(Refusal::new(Code::ContentFilter, message));
                }
                (None, _, OnFailure::Allow) => exchange.verdicts.add(GUARD, place, "unanswered"),
                (None, _, OnFailure::Block) => {
                    exchange.verdicts.add(GUARD, place, "unanswered");
                    let message = "A guard of this gateway could not be asked, and nothing passes \
                                   without its answer. Try again later.";
                    return Err(Refusal::new(Code::GuardUnavailable, message));
                }
            }
        }
    }
    Ok(())
}
