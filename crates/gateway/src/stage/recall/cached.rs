//! Remembered answers.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use seaworthy_config::{Cache, CacheScope, Config};
use seaworthy_core::cache::Entry;
use seaworthy_core::cache::control::CacheControl;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::code::Code;
use seaworthy_core::fingerprint::{Fingerprint, Fingerprinter};
use serde_json::Value;

use crate::exchange::Exchange;
use crate::flight::Reader;
use crate::headers::name;
use crate::pipeline::Errand;
use crate::refusal::Refusal;
use crate::reply::Answer;
use crate::routes::Operation;
use crate::stage::plan;
use crate::stage::recall::count::count;
use crate::stage::recall::key::{Asked, Said};
use crate::stage::recall::other_form::{self, Wanted};
use crate::stage::recall::semantic::{self, Probe, Semantic};
use crate::stage::recall::{kept, key, shared};

/// How answers are remembered, as the configuration in force has it.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(super) scope: CacheScope,
    pub(super) ttl: Duration,
    max_entry_bytes: u64,
    coalesce: bool,
    semantic: Option<Semantic>,
    /// Everything in the configuration that can change an answer. A change makes all answers
    /// unknown, so that none escapes the guards in force.
    pub(super) rules: Fingerprint,
}

/// Sections that cannot change what is answered, only whether.
const WITHOUT_INFLUENCE: [&str; 15] = [
    "server",
    "admin",
    "auth",
    "replay_protection",
    "storage",
    "shared_state",
    "rate_limits",
    "cost_controls",
    "cost_config",
    "budgets",
    "prices",
    "resilience",
    "cache",
    "idempotency",
    "logging",
];

impl Memory {
    /// `None` if nothing is to be remembered.
    pub(crate) fn new(config: &Config, rule_texts: &[String]) -> Option<Arc<Self>> {
        let Cache {
            enabled,
            scope,
            store: _,
            ttl,
            max_size: _,
            max_entry_size,
            coalesce,
            ref semantic,
            warm_up: _,
        } = config.cache;
        enabled.then(|| {
            let mut value = serde_json::to_value(config).unwrap_or_default();
            if let Value::Object(sections) = &mut value {
                sections.retain(|name, _| !WITHOUT_INFLUENCE.contains(&name.as_str()));
            }
            let mut rules = Fingerprinter::default();
            rules.part(env!("CARGO_PKG_VERSION").as_bytes());
            rules.json(&value);
            rule_texts
                .iter()
                .for_each(|text| rules.part(text.as_bytes()));
            Arc::new(Self {
                scope,
                ttl: ttl.into(),
                max_entry_bytes: max_entry_size.bytes(),
                coalesce,
                semantic: Semantic::new(semantic),
                rules: rules.finish(),
            })
        })
    }
}

impl Memory {
    fn asked<'a>(
        &'a self,
        errand: &'a Errand,
        model: &'a str,
        policy: Option<&'a str>,
    ) -> Asked<'a> {
        Asked {
            tenant: key::tenant(self.scope, &errand.principal),
            rules: &self.rules,
            policy,
            model,
            operation: errand.request.operation,
            stream: errand.request.head.stream,
            framing: errand.request.framing,
            query: errand.request.query.as_deref(),
            headers: &errand.headers,
            body: &errand.request.received,
        }
    }
}

/// What was found.
pub(crate) enum Looked {
    /// Answers of this kind are not remembered, or this one must not be.
    Off,
    Found(Answer),
    /// It can be remembered once it is known.
    Missing(Ticket),
}

/// The right to remember an answer.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) key: Fingerprint,
    /// Whether equal requests may share the call.
    pub(crate) can_be_joined: bool,
    ttl: Duration,
    max_entry_bytes: u64,
    /// What the request means, if that is compared.
    probe: Option<Probe>,
}

/// Looks for a remembered answer that will do.
pub(crate) async fn look(exchange: &mut Exchange, errand: &Errand) -> Result<Looked, Refusal> {
    let operation = errand.request.operation;
    let Some(memory) = exchange.snapshot.cache.clone() else {
        return Ok(Looked::Off);
    };
    let model = exchange.snapshot.model(&errand.request.head.model);
    let (Operation::Chat(_) | Operation::Embeddings(_), Some(model)) = (operation, model.cloned())
    else {
        return Ok(Looked::Off);
    };
    let values = errand.headers.get_all("cache-control");
    let control = CacheControl::parse(values.iter().filter_map(|value| value.to_str().ok()));
    let policy = exchange.guarding.as_ref();
    let policy = policy.map(|guarding| guarding.policy_text());
    // What another model answers in the place of this one is remembered as that one's own: it is no answer
    // once this one is asked again.
    let made_by = plan::instead_of(exchange, operation, Arc::clone(&model));
    let asked = memory.asked(errand, &model.name, policy.as_deref());
    let made = memory.asked(errand, &made_by.name, policy.as_deref());
    let Some(said) = asked.said().filter(|_| !control.no_store) else {
        exchange.cache = Some("bypass");
        return match control.only_if_cached {
            true => Err(not_cached()),
            false => Ok(Looked::Off),
        };
    };
    let key = made.key(&said);
    let now = exchange.gateway.clock.now();
    let mut found = None;
    if control.may_use() {
        let is_other = made_by.name != model.name;
        for asked in std::iter::once(&asked).chain(is_other.then_some(&made)) {
            if found.is_none() {
                found = find(exchange, &asked.key(&said), now).await;
            }
            if found.is_none() {
                found = find_other_form(exchange, errand, (asked, &said), now).await;
            }
        }
    }
    if let Some(entry) = found.filter(|entry| control.accepts(entry, now)) {
        exchange.model = Some(Arc::clone(&model));
        count(exchange, errand, &model).await?;
        exchange.cache = Some("hit");
        exchange.gateway.metrics.count_cache_hit("exact");
        return Ok(Looked::Found(answer(entry, now)));
    }
    if control.only_if_cached {
        return Err(not_cached());
    }
    let puts_back = exchange.guarding.as_ref();
    let puts_back = puts_back.is_some_and(|guarding| guarding.puts_back());
    let is_compared = control.may_use() && !puts_back;
    let mut probe = None;
    if let Some(semantic) = memory.semantic.as_ref().filter(|_| is_compared) {
        let looking = semantic::look(exchange, &errand.principal, made, semantic);
        let (found, meaning) = Box::pin(looking).await;
        if let Some(near) = found.filter(|near| control.accepts(&near.entry, now)) {
            exchange.model = Some(Arc::clone(&model));
            count(exchange, errand, &model).await?;
            exchange.cache = Some("semantic");
            exchange.gateway.metrics.count_cache_hit("semantic");
            let mut answer = answer(near.entry, now);
            if let Ok(cost) = HeaderValue::from_str(&near.cost.to_string()) {
                answer.headers.insert(&name::COST, cost);
            }
            return Ok(Looked::Found(answer));
        }
        probe = meaning;
    }
    exchange.gateway.metrics.cache_misses.inc();
    exchange.cache = Some(if control.no_cache { "refresh" } else { "miss" });
    Ok(Looked::Missing(Ticket {
        key,
        can_be_joined: memory.coalesce && control.may_use(),
        ttl: memory.ttl,
        max_entry_bytes: memory.max_entry_bytes,
        probe,
    }))
}

/// The answer to the same request in the other form, told in this one.
async fn find_other_form(
    exchange: &Exchange,
    errand: &Errand,
    (asked, said): (&Asked<'_>, &Said),
    now: UnixMillis,
) -> Option<Entry> {
    let mut found = None;
    for key in asked.keys_of_other_form(said) {
        if found.is_none() {
            found = find(exchange, &key, now).await;
        }
    }
    let wanted = Wanted {
        dialect: asked.operation.dialect(),
        framing: asked.stream.then_some(asked.framing),
        include_usage: errand.request.head.include_usage,
    };
    other_form::told(found?, wanted)
}

/// The answer of an equal request, which is being made; `None` if that one failed.
pub(crate) async fn follow(
    exchange: &mut Exchange,
    errand: &Errand,
    reader: Reader,
) -> Result<Option<Answer>, Refusal> {
    let head = shared::head(exchange, &reader).await;
    let is_success = head.is_some_and(|head| head.status == 200);
    let model = exchange.snapshot.model(&errand.request.head.model).cloned();
    let Some(model) = model.filter(|_| is_success) else {
        return Ok(None);
    };
    exchange.model = Some(Arc::clone(&model));
    count(exchange, errand, &model).await?;
    let answer = shared::serve(exchange, reader).await;
    Ok(answer.map(|mut answer| {
        kept::strip(&mut answer.headers);
        exchange.cache = Some("coalesced");
        exchange.gateway.metrics.count_cache_hit("coalesced");
        answer
    }))
}

/// Remembers an answer that was complete and successful.
pub(crate) async fn keep(
    exchange_of: &Exchange,
    ticket: Ticket,
    headers: &HeaderMap,
    body: bytes::Bytes,
) {
    let gateway = &exchange_of.gateway;
    let now = gateway.clock.now();
    let entry = Entry {
        stored_at: now,
        expires_at: now.plus(ticket.ttl),
        headers: kept::headers_to_keep(headers),
        body,
    };
    if entry.weight() > ticket.max_entry_bytes {
        return;
    }
    if let Some(probe) = ticket.probe {
        gateway.meanings.keep(probe, ticket.key, entry.expires_at);
    }
    if let Some(local) = gateway.answers.local() {
        local.keep_now(ticket.key, entry);
        return;
    }
    if let Err(error) = gateway.answers.keep(ticket.key, entry).await {
        let cause = seaworthy_core::error::chain(&error);
        tracing::warn!(cause, "an answer could not be remembered");
    }
}

/// The answer under a key, if it can be read.
pub(crate) async fn find(exchange: &Exchange, key: &Fingerprint, now: UnixMillis) -> Option<Entry> {
    let answers = &exchange.gateway.answers;
    if let Some(local) = answers.local() {
        return local.find_now(key, now);
    }
    match answers.find(key, now).await {
        Ok(found) => found,
        Err(error) => {
            // Without its memory the gateway asks again.
            let cause = seaworthy_core::error::chain(&error);
            tracing::warn!(cause, "the remembered answers cannot be read");
            None
        }
    }
}

fn answer(entry: Entry, now: UnixMillis) -> Answer {
    let age = entry.age(now).as_secs();
    let mut answer = kept::answer(200, &entry.headers, entry.body);
    answer
        .headers
        .insert(http::header::AGE, HeaderValue::from(age));
    answer
}

fn not_cached() -> Refusal {
    Refusal::new(
        Code::NotCached,
        "The request asks for a remembered answer only (`cache-control: only-if-cached`), and there \
         is none. Leave the directive out to ask the provider.",
    )
}
