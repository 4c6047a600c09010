//! The story of a model call.

use http::HeaderMap;
use seaworthy_core::principal::Permission;
use seaworthy_edge::body::RequestBody;

use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::reply::Answer;
use crate::routes::Operation;
use crate::stage::admit::admit;
use crate::stage::authenticate::authenticate;
use crate::stage::authorize::authorize;
use crate::stage::decode::decode;
use crate::stage::dispatch::dispatch;
use crate::stage::plan::plan;
use crate::stage::recall::recall;
use crate::stage::relay::relay;
use crate::stage::reserve::reserve;
use crate::stage::screen::screen;

/// One model call, from the head of the request to an answer that is ready to be sent.
///
/// The last stage, [`crate::stage::settle`], runs when the answer has been sent or dropped, on
/// every path out of here.
pub(crate) async fn run(
    exchange: &mut Exchange,
    operation: Operation,
    caller: Caller,
) -> Result<Answer, Refusal> {
    let principal = authenticate(exchange, &caller.headers, Permission::CallModels).await?;
    let request = decode(exchange, operation, caller.body).await?;
    authorize(exchange, &principal, &request)?;
    let admission = admit(exchange, &principal)?;
    let mut request = screen(exchange, request, &admission)?;
    if let Some(answer) = recall(&request) {
        return Ok(answer);
    }
    let plan = plan(exchange, &request)?;
    let reservation = reserve(exchange, &principal, &plan, &mut request).await?;
    let reply = dispatch(
        exchange,
        &plan,
        &reservation,
        request,
        caller.headers,
        caller.query,
    )
    .await?;
    relay(exchange, reply).await
}

/// What the caller sent.
pub(crate) struct Caller {
    pub(crate) headers: HeaderMap,
    pub(crate) query: Option<String>,
    pub(crate) body: RequestBody,
}
