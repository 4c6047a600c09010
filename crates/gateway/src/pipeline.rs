//! The story of a model call.

use http::{HeaderMap, Uri};
use seaworthy_core::principal::{Permission, Principal};
use seaworthy_edge::body::RequestBody;

use crate::degradation::require_provider;
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::reply::Answer;
use crate::responses::keeping::Keeping;
use crate::responses::recollect::recollect;
use crate::routes::Asked;
use crate::stage::admit::{admit, look_for_room, note_wishes};
use crate::stage::attempt::attempt;
use crate::stage::authenticate::authenticate;
use crate::stage::authorize::authorize;
use crate::stage::consult::consult;
use crate::stage::decode::decode;
use crate::stage::plan::plan;
use crate::stage::recall::{Recalled, recall};
use crate::stage::screen::{Screened, screen};
use crate::stage::signature;

/// One model call, from the head of the request to an answer that is ready to be sent.
///
/// The last stage, [`crate::stage::settle`], runs when the answer has been sent or dropped, on
/// every path out of here.
pub(crate) async fn run(
    exchange: &mut Exchange,
    asked: Asked,
    mut caller: Caller,
) -> Result<Answer, Refusal> {
    signature::verify(exchange, &mut caller).await?;
    let principal = authenticate(exchange, &caller.headers, Permission::CallModels).await?;
    note_wishes(exchange, &principal, asked.operation, &caller.headers)?;
    look_for_room(exchange).await?;
    let mut request = decode(exchange, asked, caller.body).await?;
    authorize(exchange, &principal, &request)?;
    let keeping = recollect(exchange, &principal, &mut request).await?;
    let admission = admit(exchange, &principal, &request, &caller.headers)?;
    let request = screen(exchange, request, &caller.headers, &admission).await?;
    consult(exchange, &principal, &request).await?;
    let errand = Errand {
        principal,
        request,
        headers: caller.headers,
        keeping,
    };
    answer(exchange, errand).await
}

/// The part of the story that begins when it is known who asks, for what, and that it may be asked.
pub(crate) async fn answer(exchange: &mut Exchange, mut errand: Errand) -> Result<Answer, Refusal> {
    match recall(exchange, &mut errand).await? {
        Recalled::Answer(answer) => Ok(answer),
        Recalled::Unknown => call(exchange, errand).await,
        Recalled::Shared(shared) => shared.lead(exchange, errand).await,
    }
}

/// The part of the story that a caller's request goes through when nothing is remembered.
pub(crate) async fn call(exchange: &mut Exchange, errand: Errand) -> Result<Answer, Refusal> {
    require_provider(exchange)?;
    carry_out(exchange, errand).await
}

/// The part of the story that reaches a provider.
pub(crate) async fn carry_out(exchange: &mut Exchange, errand: Errand) -> Result<Answer, Refusal> {
    let Errand {
        principal,
        mut request,
        headers,
        keeping: _,
    } = errand;
    let plan = plan(exchange, &request)?;
    // For each attempt: its target's gate → reserve → dispatch → relay.
    attempt(exchange, &principal, &plan, &mut request, &headers).await
}

/// A request that may be carried out: who asks, for what, with which words around it.
#[derive(Debug)]
pub(crate) struct Errand {
    pub(crate) principal: Principal,
    pub(crate) request: Screened,
    pub(crate) headers: HeaderMap,
    /// How the answer is stored, if it is.
    pub(crate) keeping: Option<Box<Keeping>>,
}

/// What the caller sent.
pub(crate) struct Caller {
    pub(crate) target: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: RequestBody,
}
