//! A model call of the gateway itself: everything that a caller's request goes through applies, but
//! for the look at credentials.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use seaworthy_core::principal::{Credential, Identity, Principal, Role, Scopes};
use seaworthy_llm::Framing;

use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::pipeline::{self, Errand};
use crate::refusal::Refusal;
use crate::reply::{Answer, respond};
use crate::routes::{Action, Asked, Operation};
use crate::stage::admit::admit;
use crate::stage::decode::Request;
use crate::stage::screen::screen;

/// The gateway as a caller, with the user that its calls are accounted to.
pub(crate) fn principal(user: &str) -> Principal {
    Principal::new(Identity {
        credential: Credential::None,
        key_id: user.into(),
        user_id: user.into(),
        team_id: None,
        roles: vec![Role::User],
        scopes: Scopes::default(),
        session: None,
        environment: None,
    })
}

/// Makes a call that is not streamed. Returns the status and the body, which is an error in the
/// operation's dialect where the call was refused.
pub(crate) async fn call(
    gateway: &Arc<Gateway>,
    caller: Principal,
    operation: Operation,
    body: Bytes,
) -> (u16, Bytes) {
    // The worker is only a place for connections and records; any of them serves.
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let headers = HeaderMap::new();
    let mut exchange = Box::new(Exchange::begin(Arc::clone(gateway), 0, peer, &headers));
    exchange.action = Some(Action::Model(operation));
    exchange.principal = Some(caller.clone());
    let result = answer(&mut exchange, caller, operation, body).await;
    let response = respond(exchange, result, false);
    let status = response.status().as_u16();
    let collected = response.into_body().collect().await;
    let body = collected.map(http_body_util::Collected::to_bytes);
    (status, body.unwrap_or_default())
}

async fn answer(
    exchange: &mut Exchange,
    caller: Principal,
    operation: Operation,
    body: Bytes,
) -> Result<Answer, Refusal> {
    let headers = HeaderMap::new();
    let asked = Asked {
        operation,
        in_path: None,
        framing: Framing::ServerSentEvents,
        query: None,
    };
    let request = Request::understand(asked, body)?;
    let admission = admit(exchange, &caller, &request, &headers)?;
    let request = screen(exchange, request, &headers, &admission)?;
    let errand = Errand {
        principal: caller,
        request,
        headers,
        keeping: None,
    };
    pipeline::carry_out(exchange, errand).await
}
