//! The handles that calls use, made once for each model and target.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use seaworthy_core::ledger::Outcome;
use seaworthy_core::money::Micros;
use seaworthy_core::usage::Usage;

use super::{
    Metrics, ModelTargetLabels, ProviderStatusLabels, RequestLabels, TargetLabels, TokenLabels,
};

/// The handles that a call of one model at one target needs.
#[derive(Debug)]
pub(crate) struct CallMetrics {
    /// Successful calls: the only combination of labels that is frequent enough to keep.
    pub(crate) succeeded: Counter,
    pub(crate) unary_latency: Histogram,
    pub(crate) stream_latency: Histogram,
    pub(crate) first_byte: Histogram,
    pub(crate) provider_latency: Histogram,
    pub(crate) provider_ok: Counter,
    provider_responses: Family<ProviderStatusLabels, Counter>,
    target: String,
    input: Counter,
    cached_read: Counter,
    cache_write: Counter,
    output: Counter,
    reasoning: Counter,
    estimated: Counter,
    pub(crate) over_reserved: Counter,
    cost_usd: Counter<f64, AtomicU64>,
}

impl CallMetrics {
    pub(crate) fn new(metrics: &Metrics, action: &'static str, model: &str, target: &str) -> Self {
        let requests = RequestLabels {
            action,
            model: model.to_owned(),
            status: 200,
            outcome: Outcome::Success.as_str(),
        };
        let at_target = TargetLabels {
            target: target.to_owned(),
        };
        let tokens = |r#type| {
            let labels = TokenLabels {
                model: model.to_owned(),
                target: target.to_owned(),
                r#type,
            };
            metrics.tokens.get_or_create_owned(&labels)
        };
        let ok = ProviderStatusLabels {
            target: target.to_owned(),
            status: "200".to_owned(),
        };
        Self {
            succeeded: metrics.requests.get_or_create_owned(&requests),
            unary_latency: metrics.latency(action, model, false),
            stream_latency: metrics.latency(action, model, true),
            first_byte: metrics.first_byte.get_or_create_owned(&at_target),
            provider_latency: metrics.provider_latency.get_or_create_owned(&at_target),
            provider_ok: metrics.provider_responses.get_or_create_owned(&ok),
            provider_responses: metrics.provider_responses.clone(),
            target: target.to_owned(),
            input: tokens("input"),
            cached_read: tokens("cached_read"),
            cache_write: tokens("cache_write"),
            output: tokens("output"),
            reasoning: tokens("reasoning"),
            cost_usd: metrics.cost_usd.get_or_create_owned(&ModelTargetLabels {
                model: model.to_owned(),
                target: target.to_owned(),
            }),
            estimated: metrics.estimated_usage.get_or_create_owned(&at_target),
            over_reserved: metrics.over_reserved.get_or_create_owned(&at_target),
        }
    }

    /// Counts a provider's answer; `None` where none came.
    pub(crate) fn count_provider_response(&self, status: Option<u16>) {
        if status == Some(200) {
            self.provider_ok.inc();
            return;
        }
        let status = status.map_or_else(|| "error".to_owned(), |status| status.to_string());
        let labels = ProviderStatusLabels {
            target: self.target.clone(),
            status,
        };
        self.provider_responses.get_or_create(&labels).inc();
    }

    pub(crate) fn count_usage(&self, usage: &Usage, cost: Micros) {
        if cost > Micros::ZERO {
            self.cost_usd.inc_by(dollars(cost));
        }
        let count = |counter: &Counter, tokens: u64| {
            if tokens > 0 {
                counter.inc_by(tokens);
            }
        };
        count(&self.input, usage.input_tokens);
        count(&self.cached_read, usage.cached_read_tokens);
        count(
            &self.cache_write,
            usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
        );
        count(&self.output, usage.output_tokens);
        count(&self.reasoning, usage.reasoning_tokens);
        count(&self.estimated, u64::from(usage.estimated));
    }
}

/// For graphs only: accounts are kept in whole micro-dollars.
fn dollars(cost: Micros) -> f64 {
    let micros = u32::try_from(cost.0).unwrap_or(u32::MAX);
    f64::from(micros) / 1_000_000.0
}
