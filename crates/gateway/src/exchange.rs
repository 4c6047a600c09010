//! One request through the gateway, from its head to the last byte of its answer.
//!
//! The exchange travels with the answer: it ends when the answer's body is sent or dropped, whatever
//! the reason, and ending it is what settles, counts and logs it, exactly once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use seaworthy_core::code::Code;
use seaworthy_core::dialect::{Dialect, Family};
use seaworthy_core::ledger::{Attribution, Outcome};
use seaworthy_core::money::Micros;
use seaworthy_core::principal::{Principal, scope};
use seaworthy_core::resilience::line::Priority;
use seaworthy_core::trace::{RequestId, TraceContext};
use seaworthy_core::usage::Usage;
use seaworthy_llm::tier::{self, ServiceTier};
use seaworthy_llm::usage::{Piece, pieces_of_reply};
use seaworthy_llm::{Framing, Loss};
use tokio::time::Instant;

use crate::caller_address::caller_address;
use crate::gateway::Gateway;
use crate::guards::guarding::Guarding;
use crate::guards::verdicts::Verdicts;
use crate::headers::name;
use crate::open_call::{Claimed, OpenCall};
use crate::routes::{Action, Operation};
use crate::snapshot::{Model, Snapshot, Target};
use crate::stage;
use crate::stage::admit::Permit;
use crate::stage::recall::count::Counted;
use crate::waiting::Herald;

/// One request and everything that is learned about it on the way.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) gateway: Arc<Gateway>,
    /// The configuration that was in force when the request came.
    pub(crate) snapshot: Arc<Snapshot>,
    /// The worker thread that serves the request.
    pub(crate) worker: usize,
    /// The address that the request came from, before proxies of ours.
    pub(crate) peer: IpAddr,
    pub(crate) request_id: RequestId,
    /// The caller's ID of a larger piece of work.
    pub(crate) correlation_id: Option<RequestId>,
    pub(crate) trace: TraceContext,
    pub(crate) family: Family,
    pub(crate) action: Option<Action>,
    /// The path of the route, as in the table; empty for what is not asked over HTTP.
    pub(crate) route: &'static str,
    pub(crate) started: Instant,
    /// Who signed the request, if its signature was checked.
    pub(crate) signed_by: Option<Principal>,
    pub(crate) principal: Option<Principal>,
    /// The agent that calls: named by the caller, or the only one its credential allows.
    pub(crate) agent: Option<Arc<str>>,
    /// The session that the call belongs to: named by the caller, or bound to its credential.
    pub(crate) session: Option<Arc<str>>,
    /// The class of work, beside its operation, that the caller says it is.
    pub(crate) class: Option<Arc<str>>,
    pub(crate) model: Option<Arc<Model>>,
    pub(crate) stream: bool,
    /// How the caller wants to have a stream.
    pub(crate) framing: Framing,
    /// Tells whoever waits for a stream that it has to wait.
    pub(crate) herald: Herald,
    /// How much it matters.
    pub(crate) priority: Priority,
    /// When the caller stops waiting.
    pub(crate) deadline: Option<Instant>,
    /// How often somebody was asked.
    pub(crate) attempts: u32,
    /// How long it waited for its turn.
    pub(crate) waited: Duration,
    /// How long the provider that was asked last wants to be left alone.
    pub(crate) advice: Option<Duration>,
    /// What the attempt before this one had claimed and not used.
    pub(crate) spare_claim: Option<Claimed>,
    /// From the start to the first byte of a provider's answer.
    pub(crate) first_byte: Option<Duration>,
    /// The status that the caller saw; 499 when it saw none.
    pub(crate) status: u16,
    pub(crate) outcome: Outcome,
    pub(crate) code: Option<Code>,
    /// For the log only.
    pub(crate) detail: Option<String>,
    pub(crate) upstream_request_id: Option<String>,
    /// What a translation between two dialects left out so far.
    pub(crate) dropped: Vec<Loss>,
    /// What guards the answer; `None` until the request was screened, and where nothing is guarded.
    pub(crate) guarding: Option<Arc<Guarding>>,
    /// What guards decided about the request and its answer.
    pub(crate) verdicts: Verdicts,
    /// How the caller stands under its limits.
    pub(crate) limit_headers: Vec<(HeaderName, HeaderValue)>,
    /// The bound of the output, where it is lower than the caller's own.
    pub(crate) shortened_to: Option<u64>,
    pub(crate) permit: Option<Permit>,
    pub(crate) call: Option<OpenCall>,
    /// What remembered answers had to do with it.
    pub(crate) cache: Option<&'static str>,
    /// The place under the limits of a request that makes no call of its own.
    pub(crate) counted: Option<Counted>,
    /// Whether it is a request of a batch.
    pub(crate) is_of_batch: bool,
    /// Whether another exchange has taken its place, which is going to be settled instead.
    is_handed_over: bool,
}

impl Exchange {
    pub(crate) fn begin(
        gateway: Arc<Gateway>,
        worker: usize,
        peer: IpAddr,
        headers: &HeaderMap,
    ) -> Self {
        let id = |name: &HeaderName| {
            headers
                .get(name)
                .and_then(|id| RequestId::accept(id.as_bytes()))
        };
        let snapshot = gateway.snapshot();
        let proxies = &snapshot.loaded.config.server.trusted_proxies;
        let peer = caller_address(peer, headers, proxies);
        Self {
            snapshot,
            worker,
            peer,
            request_id: id(&name::REQUEST_ID).unwrap_or_else(RequestId::generate),
            correlation_id: id(&name::CORRELATION_ID),
            trace: TraceContext::continue_from(
                headers.get(&name::TRACEPARENT).map(HeaderValue::as_bytes),
            ),
            family: Family::OpenAi,
            action: None,
            route: "",
            started: Instant::now(),
            signed_by: None,
            principal: None,
            agent: None,
            session: None,
            class: None,
            model: None,
            stream: false,
            framing: Framing::ServerSentEvents,
            herald: Herald::default(),
            priority: Priority::default(),
            deadline: None,
            attempts: 0,
            waited: Duration::ZERO,
            advice: None,
            spare_claim: None,
            first_byte: None,
            status: Code::ClientClosed.status(),
            outcome: Outcome::Cancelled,
            code: None,
            detail: None,
            upstream_request_id: None,
            dropped: Vec::new(),
            guarding: None,
            verdicts: Verdicts::default(),
            limit_headers: Vec::new(),
            shortened_to: None,
            permit: None,
            call: None,
            cache: None,
            counted: None,
            is_of_batch: false,
            is_handed_over: false,
            gateway,
        }
    }

    /// Whom a call is accounted to beside its caller's key and user.
    pub(crate) fn attribution(&self, caller: &Principal) -> Attribution {
        Attribution {
            team: caller.team_id.clone(),
            agent: self.agent.clone(),
            session: self.session.clone(),
        }
    }

    /// Moves the exchange to a task of its own. What stays behind only shows the answer.
    pub(crate) fn hand_over(&mut self) -> Box<Self> {
        let shell = Self {
            gateway: Arc::clone(&self.gateway),
            snapshot: Arc::clone(&self.snapshot),
            request_id: self.request_id.clone(),
            correlation_id: self.correlation_id.clone(),
            signed_by: None,
            principal: self.principal.clone(),
            agent: self.agent.clone(),
            session: self.session.clone(),
            class: self.class.clone(),
            model: self.model.clone(),
            herald: self.herald.clone(),
            first_byte: None,
            outcome: Outcome::Cancelled,
            code: None,
            detail: None,
            upstream_request_id: None,
            dropped: Vec::new(),
            guarding: self.guarding.clone(),
            verdicts: Verdicts::default(),
            limit_headers: Vec::new(),
            permit: None,
            call: None,
            spare_claim: None,
            counted: None,
            is_handed_over: true,
            ..*self
        };
        Box::new(std::mem::replace(self, shell))
    }

    /// The name of what was asked for, in logs and metrics.
    pub(crate) fn action_name(&self) -> &'static str {
        self.action.map_or("unknown", Action::as_str)
    }

    pub(crate) fn operation(&self) -> Option<Operation> {
        match self.action {
            Some(Action::Model(operation)) => Some(operation),
            _ => None,
        }
    }

    /// Whether the caller's credential is for this model.
    pub(crate) fn may_call(&self, model: &Model) -> bool {
        let scopes = self.principal.as_ref().map(|caller| &caller.scopes);
        scopes.is_none_or(|scopes| scope::allows(&scopes.models, &model.name))
    }

    /// The name that the caller has for the model.
    pub(crate) fn model_name(&self) -> &str {
        self.model.as_ref().map_or("", |model| &model.name)
    }

    pub(crate) fn target(&self) -> Option<&Arc<Target>> {
        self.call.as_ref().map(|call| &call.target)
    }

    /// What the call has used so far, if one was dispatched.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.call.as_ref().and_then(OpenCall::usage)
    }

    /// What that costs.
    pub(crate) fn cost(&self) -> Option<Micros> {
        self.call.as_ref().and_then(OpenCall::cost_so_far)
    }

    /// What guards the answer, if anything of it may change.
    pub(crate) fn answer_guard(&self) -> Option<&Arc<Guarding>> {
        let guarding = self.guarding.as_ref();
        guarding.filter(|guarding| guarding.reads_answers())
    }

    /// Size of the request, to estimate its tokens should the provider not say.
    pub(crate) fn input_bytes(&self) -> usize {
        self.call.as_ref().map_or(0, OpenCall::input_bytes)
    }

    /// Whether anything in the answer may be paid for by the piece.
    pub(crate) fn counts_pieces(&self) -> bool {
        self.call.as_ref().is_some_and(OpenCall::counts_pieces)
    }

    /// Notes what the answer brings that is paid for by the piece.
    pub(crate) fn note_pieces(&mut self, found: &[Piece]) {
        if let Some(call) = &mut self.call {
            call.note_pieces(found);
        }
    }

    /// Whether it makes a difference in which tier of service the provider serves the call.
    pub(crate) fn has_price_by_tier(&self) -> bool {
        let call = self.call.as_ref();
        call.is_some_and(OpenCall::has_price_by_tier)
    }

    /// Notes the tier of service that the provider says it served the call in, if it says so.
    pub(crate) fn note_tier(&mut self, tier: Option<ServiceTier>) {
        if let (Some(call), Some(tier)) = (&mut self.call, tier) {
            call.note_tier(tier);
        }
    }

    /// Notes what a whole answer says and brings that makes a difference to its price.
    pub(crate) fn note_pieces_of(&mut self, dialect: Dialect, reply: &[u8]) {
        if self.has_price_by_tier() {
            self.note_tier(tier::told(reply));
        }
        if self.counts_pieces() {
            self.note_pieces(&pieces_of_reply(dialect, reply));
        }
    }

    /// Notes that the provider's answer is complete and what it used, before its end is sent on.
    pub(crate) fn note_complete(&mut self, usage: Usage) {
        let now = self.gateway.clock.now();
        if let Some(call) = &mut self.call {
            call.note_complete(usage, now);
        }
    }

    /// Notes that the request failed for this reason.
    pub(crate) fn fail(&mut self, code: Code) {
        self.outcome = Outcome::Failure;
        self.code = Some(code);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.is_handed_over {
            return;
        }
        if std::thread::panicking() {
            self.fail(Code::Internal);
        } else if self.outcome == Outcome::Cancelled {
            self.code = Some(Code::ClientClosed);
        }
        stage::settle::settle(self);
    }
}
