//! Keys and settlements to store.

use std::sync::Arc;

use seaworthy_core::clock::UnixMillis;
use seaworthy_core::key::{KeyDigest, KeyRecord};
use seaworthy_core::ledger::{Attribution, Flags, GroupBy, Outcome, Settlement};
use seaworthy_core::money::Micros;
use seaworthy_core::price::Extras;
use seaworthy_core::principal::{Role, Scopes};
use seaworthy_core::store::UsageQuery;
use seaworthy_core::usage::Usage;

/// A live key whose every field depends on `name`.
pub(crate) fn key(name: &str) -> KeyRecord {
    KeyRecord {
        id: format!("key_{name}"),
        name: format!("{name}'s key, “quoted” \0 and odd"),
        user_id: format!("user_{name}"),
        role: Role::User,
        team_id: None,
        scopes: Scopes::default(),
        environment: None,
        service: None,
        hint: "swk_abcd".to_owned(),
        digest: KeyDigest::of(name),
        created_at: UnixMillis(1_000),
        expires_at: None,
        revoked_at: None,
        rotated_from: None,
    }
}

/// A call by ada at moment 1000 that used one input and ten output tokens.
pub(crate) fn settlement(call_id: &str) -> Settlement {
    Settlement {
        call_id: call_id.to_owned(),
        request_id: format!("req_{call_id}"),
        settled_at: UnixMillis(1_000),
        duration_ms: 250,
        key_id: Arc::from("key_1"),
        user_id: Arc::from("ada"),
        attribution: Attribution::default(),
        attempt: 1,
        operation: "chat".into(),
        model: Arc::from("gpt-5"),
        target: Arc::from("openai/gpt-5"),
        stream: true,
        outcome: Outcome::Success,
        status: 200,
        extras: Extras::default(),
        cost: Micros(1_250),
        flags: Flags::default(),
        usage: Usage {
            input_tokens: 1,
            output_tokens: 10,
            ..Usage::default()
        },
    }
}

/// Everything, by user.
pub(crate) const BY_USER: UsageQuery = UsageQuery {
    by: GroupBy::User,
    since: None,
    until: None,
    only: Vec::new(),
};
