//! The data plane: one pipeline from request bytes to response bytes.
//!
//! [`pipeline`] is the story of a model call; each step of it is a file in [`stage`]. [`service`]
//! stands in front of it: request IDs, the route table, and the few answers that need no model.
//! There is no other way to a provider: [`provider::Provider::send`] wants a
//! [`stage::reserve::Reservation`], and only that stage can make one.

mod admin;
mod auth_token;
mod batches;
mod budgets;
mod caller_address;
mod deep_health;
mod degradation;
mod door;
mod echo;
mod exchange;
mod features;
mod files;
mod flight;
mod gateway;
mod guards;
mod hasty;
mod headers;
mod health;
mod identity;
mod in_place;
mod intent_sharer;
mod internal_call;
mod key_survey;
mod keyring;
mod ledger_queue;
mod limits;
mod metrics;
mod models;
mod objects;
mod offered_tools;
mod once;
mod open_call;
mod packing;
mod pieces;
mod pipeline;
mod provider;
mod refusal;
mod reload;
mod reply;
mod reports;
mod request_log;
mod resilience;
mod responses;
mod routes;
mod sandbox;
mod service;
mod shared_state;
mod snapshot;
mod spend;
mod stage;
mod translate;
mod unreadable;
mod waiting;

pub use gateway::{Dependencies, Gateway, Reload};
pub use guards::{GuardError, check as check_guards};
pub use health::Lifecycle;
pub use identity::password::hash as hash_password;
pub use keyring::KeyRing;
pub use ledger_queue::LedgerQueue;
pub use metrics::{Metrics, ProcessUsage, SecretMetrics, StoreMetrics, TlsMetrics};
pub use request_log::{RequestLog, Style};
pub use routes::{model_route_names, route_names};
pub use service::{DataPlane, Plane};
pub use snapshot::{CompileError, Snapshot};
pub use unreadable::render_refusal;
