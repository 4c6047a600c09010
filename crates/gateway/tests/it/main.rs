//! The pipeline on connections in memory: a client in front, a scripted provider behind, a clock
//! that moves only when told to, and nothing may be left over.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod access;
mod attempts;
mod batches;
mod broken_answers;
mod cache;
mod cache_semantic;
mod cache_tenants;
mod confidential;
mod crowd;
mod degradation;
mod embeddings;
mod faces;
mod faithful;
mod files;
mod guards;
mod guards_bypasses;
mod guards_control;
mod guards_embeddings;
mod guards_flood;
mod guards_joints;
mod guards_long;
mod guards_native;
mod guards_opinions;
mod guards_unread;
mod guards_unseen;
mod health;
mod hedges;
mod idempotency;
mod identity;
mod leaving;
mod lifecycle;
mod limits;
mod matrix;
mod metering;
mod money;
mod once;
mod packing;
mod provider_errors;
mod replay;
mod requests;
mod responses;
mod sandbox;
mod support;
mod timeouts;
mod too_busy;
mod translate;
mod waiting;
