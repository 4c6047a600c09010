//! Model calls that no request asks for: those of the gateway itself, and those of batches. Everything
//! that a caller's request goes through applies, but for the look at credentials.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use seaworthy_core::code::Code;
use seaworthy_core::money::Micros;
use seaworthy_core::principal::{Credential, Identity, Principal, Role, Scopes};
use seaworthy_core::resilience::line::Priority;
use seaworthy_core::trace::RequestId;
use seaworthy_llm::Framing;

use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::pipeline::{self, Errand};
use crate::refusal::Refusal;
use crate::reply::{Answer, respond};
use crate::responses::recollect::recollect;
use crate::routes::{Action, Asked, Operation};
use crate::stage::admit::{Permit, admit};
use crate::stage::authorize::authorize;
use crate::stage::consult::consult;
use crate::stage::decode::Request;
use crate::stage::screen::screen;

/// The gateway as a caller, with the user that its calls are accounted to.
pub(crate) fn principal(user: &str) -> Principal {
    Principal::new(Identity {
        credential: Credential::None,
        key_id: user.into(),
        earlier_keys: Arc::default(),
        user_id: user.into(),
        team_id: None,
        roles: vec![Role::User],
        scopes: Scopes::default(),
        session: None,
        environment: None,
    })
}

/// What came of a call of the gateway's own.
pub(crate) struct Called {
    pub(crate) status: u16,
    /// An error in the operation's dialect where the call was refused.
    pub(crate) body: Bytes,
    pub(crate) cost: Micros,
}

/// Makes a call that is not streamed.
pub(crate) async fn call(
    gateway: &Arc<Gateway>,
    caller: Principal,
    operation: Operation,
    body: Bytes,
) -> Called {
    // The worker is only a place for connections and records; any of them serves.
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let headers = HeaderMap::new();
    let mut exchange = Box::new(Exchange::begin(Arc::clone(gateway), 0, peer, &headers));
    exchange.action = Some(Action::Model(operation));
    exchange.principal = Some(caller.clone());
    let result = answer(&mut exchange, caller, operation, body).await;
    let response = respond(exchange, result, false);
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let exchange = body.exchange_mut();
    let cost = exchange.and_then(|exchange| exchange.cost());
    let collected = body.collect().await;
    let body = collected.map(http_body_util::Collected::to_bytes);
    Called {
        status,
        body: body.unwrap_or_default(),
        cost: cost.unwrap_or_default(),
    }
}

/// Whose call it is that nobody waits for.
pub(crate) struct OnBehalf<'a> {
    pub(crate) caller: Principal,
    pub(crate) agent: Option<Arc<str>>,
    pub(crate) session: Option<Arc<str>>,
    /// The batch that the call belongs to.
    pub(crate) batch: &'a str,
}

/// The answer to such a call.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) request_id: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// A drain waits as long as it is held.
    pub(crate) permit: Option<Permit>,
}

impl Answered {
    /// What is answered when something broke here.
    pub(crate) fn broken() -> Self {
        Self {
            status: Code::Internal.status(),
            request_id: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"{}"),
            permit: None,
        }
    }
}

/// Makes the call of a batch: with low priority, limited, paid for and settled like any other.
pub(crate) async fn call_on_behalf(
    gateway: &Arc<Gateway>,
    on_behalf: OnBehalf<'_>,
    operation: Operation,
    body: Bytes,
) -> Answered {
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut exchange = Box::new(Exchange::begin(
        Arc::clone(gateway),
        0,
        peer,
        &HeaderMap::new(),
    ));
    let OnBehalf {
        caller,
        agent,
        session,
        batch,
    } = on_behalf;
    exchange.action = Some(Action::Model(operation));
    exchange.principal = Some(caller.clone());
    exchange.agent = agent;
    exchange.session = session;
    exchange.correlation_id = RequestId::accept(batch.as_bytes());
    exchange.priority = Priority::Low;
    exchange.is_of_batch = true;
    let request_id = exchange.request_id.as_str().to_owned();
    let result = answer_on_behalf(&mut exchange, caller, operation, body).await;
    let response = respond(exchange, result, false);
    let (head, mut body) = response.into_parts();
    let permit = body
        .exchange_mut()
        .and_then(|exchange| exchange.permit.take());
    let collected = body.collect().await;
    Answered {
        status: head.status.as_u16(),
        request_id,
        headers: head.headers,
        body: collected
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default(),
        permit,
    }
}

async fn answer_on_behalf(
    exchange: &mut Exchange,
    caller: Principal,
    operation: Operation,
    body: Bytes,
) -> Result<Answer, Refusal> {
    let headers = HeaderMap::new();
    let mut request = Request::understand(asked(operation), body)?;
    authorize(exchange, &caller, &request)?;
    let keeping = recollect(exchange, &caller, &mut request).await?;
    let admission = admit(exchange, &caller, &request, &headers)?;
    let request = screen(exchange, request, &headers, &admission).await?;
    consult(exchange, &caller, &request).await?;
    let errand = Errand {
        principal: caller,
        request,
        headers,
        keeping,
    };
    pipeline::answer(exchange, errand).await
}

fn asked(operation: Operation) -> Asked {
    Asked {
        operation,
        in_path: None,
        framing: Framing::ServerSentEvents,
        query: None,
    }
}

async fn answer(
    exchange: &mut Exchange,
    caller: Principal,
    operation: Operation,
    body: Bytes,
) -> Result<Answer, Refusal> {
    let headers = HeaderMap::new();
    let request = Request::understand(asked(operation), body)?;
    let admission = admit(exchange, &caller, &request, &headers)?;
    let request = screen(exchange, request, &headers, &admission).await?;
    let errand = Errand {
        principal: caller,
        request,
        headers,
        keeping: None,
    };
    pipeline::carry_out(exchange, errand).await
}
