//! An identity provider: its public keys, kept fresh, and the tokens that were verified with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use seaworthy_config::JwtIssuer;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::key::KeyDigest;
use seaworthy_core::principal::Principal;
use seaworthy_edge::client::{Dial, Origin, OriginError, Timeouts, Upstream};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::jwks::{self, Key};
use super::jws::{Algorithm, Unverified};
use super::{Doubt, Flaw, Verdict, claims};

/// Most verified tokens that are remembered of one issuer.
const CAPACITY: usize = 4_096;
/// Sets of keys are a few kilobytes.
const MAX_JWKS_BYTES: usize = 512 * 1024;
/// After how long it is worth to come back with a token whose key is not known yet.
const LEAST_WAIT: Duration = Duration::from_secs(1);
/// How often tokens of unknown keys may make us ask in a row, so that a new key is found although
/// somebody had another one looked for a moment ago.
const BURST: u32 = 5;
/// An attempt that took so long and failed was not answered, and the next one may not be either.
const TOO_LONG: Duration = Duration::from_secs(1);
/// The longest pause between attempts that are not answered, unless the configured one is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a request waits for keys that are being fetched.
const PATIENCE: Duration = Duration::from_secs(5);
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(3),
    first_byte: Duration::from_secs(3),
    first_token: None,
    between_chunks: Duration::from_secs(3),
    total: Duration::from_secs(4),
    deadline: None,
};

/// A configured identity provider.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) name: String,
    pub(crate) config: JwtIssuer,
    algorithms: Vec<Algorithm>,
    origin: Origin,
    dial: Arc<dyn Dial>,
    state: Mutex<State>,
    /// Counts the attempts to fetch that have ended.
    rounds: watch::Sender<u64>,
    is_fetching: AtomicBool,
    /// Changes whenever the keys do: what was verified with others counts no more.
    key_set: AtomicU64,
    verified: Cache<KeyDigest, Arc<Verified>>,
    /// Names of keys that the issuer was not known to have, with how many attempts to fetch had
    /// begun when each was seen first.
    strangers: Cache<String, u64>,
}

#[derive(Debug, Default)]
struct State {
    keys: Arc<Vec<Key>>,
    /// When the keys were last confirmed by the provider.
    fetched_at: Option<UnixMillis>,
    attempted_at: Option<UnixMillis>,
    /// When all that unknown names of keys made us ask will have been an interval apart.
    paid_at: Option<UnixMillis>,
    is_wanted: bool,
    /// How many attempts to fetch have begun.
    begun: u64,
    /// Which of them was the last to succeed.
    confirmed: u64,
    /// How many in a row, up to the last one, were not answered. Nobody waits for the next one then.
    unanswered: u32,
    /// What went wrong the last time; `None` when it went well.
    error: Option<String>,
}

impl State {
    /// How long it is until a request may make us ask again. For an unknown name beside known keys:
    /// once in an interval, and a few times in a row after a rest.
    fn until_next_ask(&self, now: UnixMillis, interval: Duration, has_keys: bool) -> Duration {
        if has_keys && self.unanswered == 0 {
            let ahead = self.paid_at.map(|paid| paid.since(now)).unwrap_or_default();
            return ahead.saturating_sub(interval * (BURST - 1));
        }
        let since = self.attempted_at.map(|last| now.since(last));
        since.map_or(Duration::ZERO, |since| {
            self.pause(interval).saturating_sub(since)
        })
    }

    /// How long an issuer is left alone after an attempt: the longer, the more were not answered.
    fn pause(&self, interval: Duration) -> Duration {
        let doublings = self.unanswered.saturating_sub(1).min(16);
        (interval * 2_u32.pow(doublings)).min(LONGEST_PAUSE.max(interval))
    }

    fn pay_for_an_ask(&mut self, now: UnixMillis, interval: Duration) {
        let from = self.paid_at.map_or(now, |paid| paid.max(now));
        self.paid_at = Some(from.plus(interval));
    }

    /// Whether the issuer is known not to have published the key of a token: it was asked after
    /// the key was named here first, or after it says that it signed with it.
    fn has_no_key_for(&self, token: &Unverified<'_>, first_seen: Option<u64>) -> bool {
        if first_seen.is_some_and(|begun| self.confirmed > begun) {
            return true;
        }
        let issued_at = token.claims.get("iat").and_then(serde_json::Value::as_f64);
        // Times in tokens are in whole seconds.
        let asked_at = self.fetched_at.map(UnixMillis::seconds);
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds of this age are exact in floating point"
        )]
        let is_older = |(issued, asked): (f64, i64)| issued <= asked as f64;
        issued_at.zip(asked_at).is_some_and(is_older)
    }
}

#[derive(Debug)]
struct Verified {
    principal: Principal,
    expires_at: UnixMillis,
    key_set: u64,
}

impl Issuer {
    pub(crate) fn new(
        name: &str,
        config: &JwtIssuer,
        dial: &Arc<dyn Dial>,
    ) -> Result<Self, OriginError> {
        let allowed = config.algorithms.iter();
        Ok(Self {
            name: name.to_owned(),
            algorithms: allowed
                .filter_map(|name| Algorithm::from_name(name.as_str()))
                .collect(),
            origin: Origin::parse(&config.jwks_url.to_string())?,
            dial: Arc::clone(dial),
            config: config.clone(),
            state: Mutex::default(),
            rounds: watch::Sender::new(0),
            is_fetching: AtomicBool::new(false),
            key_set: AtomicU64::new(0),
            verified: Cache::new(CAPACITY),
            strangers: Cache::new(CAPACITY),
        })
    }

    /// Judges a token that names this issuer.
    pub(crate) async fn judge(
        &self,
        presented: &str,
        token: &Unverified<'_>,
        now: UnixMillis,
        wake: &Notify,
    ) -> Verdict {
        let digest = KeyDigest::of(presented);
        if let Some(principal) = self.remembered(&digest, now) {
            return Verdict::Live(principal);
        }
        match self.verify(token, now, wake).await {
            Ok((expires_at, key_set)) => {
                match claims::principal(&token.claims, &self.name, &self.config) {
                    Ok(principal) => {
                        let verified = Verified {
                            principal: principal.clone(),
                            expires_at,
                            key_set,
                        };
                        self.verified.insert(digest, Arc::new(verified));
                        Verdict::Live(principal)
                    }
                    Err(flaw) => Verdict::Refused(flaw),
                }
            }
            Err(verdict) => verdict,
        }
    }

    /// Who presented this token a moment ago. As long as the keys it was verified with count.
    fn remembered(&self, digest: &KeyDigest, now: UnixMillis) -> Option<Principal> {
        let verified = self.verified.get(digest)?;
        let is_good = verified.expires_at > now
            && verified.key_set == self.key_set.load(Ordering::Acquire)
            && self.keys(now).is_some();
        is_good.then(|| verified.principal.clone())
    }

    async fn verify(
        &self,
        token: &Unverified<'_>,
        now: UnixMillis,
        wake: &Notify,
    ) -> Result<(UnixMillis, u64), Verdict> {
        if !self.algorithms.contains(&token.algorithm) {
            return Err(Verdict::Refused(Flaw::WrongAlgorithm));
        }
        // What can be told without keys is told without them: it costs the issuer nothing.
        let expires_at =
            claims::check(&token.claims, &self.config, now).map_err(Verdict::Refused)?;
        let mut asked = 0;
        loop {
            // Before the look at the keys, so that no end of an attempt is missed.
            let rounds = self.rounds.subscribe();
            let key_set = self.key_set.load(Ordering::Acquire);
            let flaw = match self.keys(now) {
                Some(keys) => match jwks::verify(&keys, token) {
                    Ok(()) => return Ok((expires_at, key_set)),
                    Err(flaw) => Some(flaw),
                },
                None => None,
            };
            match flaw {
                Some(Flaw::UnknownSigningKey) | None => {}
                Some(flaw) => return Err(Verdict::Refused(flaw)),
            }
            self.note_stranger(token);
            // The first attempt to end may have begun before the key was there.
            if asked == 2 || !self.may_ask(now, flaw.is_some()) {
                return Err(self.cannot_find(flaw, token, now));
            }
            asked += 1;
            wake.notify_one();
            // One request after the other would wait for what does not come.
            if self.state.lock().unanswered > 0 {
                return Err(self.cannot_find(flaw, token, now));
            }
            ended(rounds).await;
        }
    }

    /// The keys, while they can be relied on.
    fn keys(&self, now: UnixMillis) -> Option<Arc<Vec<Key>>> {
        let state = self.state.lock();
        let fetched_at = state.fetched_at?;
        let is_fresh = now.since(fetched_at) < self.config.jwks_ttl.as_std();
        is_fresh.then(|| Arc::clone(&state.keys))
    }

    /// Whether the issuer may be asked out of turn, whoever makes up names.
    fn may_ask(&self, now: UnixMillis, has_keys: bool) -> bool {
        let interval = self.config.jwks_min_interval.as_std();
        let mut state = self.state.lock();
        // What is under way already may be waited for.
        if state.is_wanted || self.is_fetching.load(Ordering::Acquire) {
            return true;
        }
        let may = state.until_next_ask(now, interval, has_keys).is_zero();
        if may && has_keys {
            state.pay_for_an_ask(now, interval);
        } else if may {
            state.attempted_at = Some(now);
        }
        state.is_wanted |= may;
        may
    }

    /// Remembers when a key was asked for first that the issuer is not known to have.
    fn note_stranger(&self, token: &Unverified<'_>) {
        let kid = token.kid.clone().unwrap_or_default();
        if self.strangers.get(&kid).is_none() {
            self.strangers.insert(kid, self.state.lock().begun);
        }
    }

    fn cannot_find(&self, flaw: Option<Flaw>, token: &Unverified<'_>, now: UnixMillis) -> Verdict {
        let kid = token.kid.as_deref().unwrap_or_default();
        let first_seen = self.strangers.get(kid);
        let state = self.state.lock();
        let cause = match (flaw, &state.error) {
            (Some(flaw), None) if state.has_no_key_for(token, first_seen) => {
                return Verdict::Refused(flaw);
            }
            (Some(_), None) => "it was asked a moment ago",
            (_, error) => error.as_deref().unwrap_or("no answer yet"),
        };
        let interval = self.config.jwks_min_interval.as_std();
        let left = state.until_next_ask(now, interval, flaw.is_some());
        Verdict::CannotSay(Doubt {
            cause: format!(
                "the keys of the issuer `{}` cannot be fetched: {cause}",
                self.name
            ),
            again_in: left.max(LEAST_WAIT),
        })
    }

    /// Whether it is time to fetch the keys, or somebody waits for them.
    pub(crate) fn is_due(&self, now: UnixMillis) -> bool {
        let state = self.state.lock();
        let since = |at: UnixMillis| now.since(at);
        let pause = state.pause(self.config.jwks_min_interval.as_std());
        let is_tired = state.attempted_at.is_some_and(|at| since(at) < pause);
        let is_old = state
            .fetched_at
            .is_none_or(|at| since(at) >= self.config.jwks_refresh.as_std());
        state.is_wanted || (is_old && !is_tired)
    }

    /// Fetches the keys. What is known stays until there is something better. One at a time.
    pub(crate) async fn fetch(&self, now: UnixMillis) {
        if self.is_fetching.swap(true, Ordering::AcqRel) {
            return;
        }
        let round = Round(self);
        {
            let mut state = self.state.lock();
            state.is_wanted = false;
            state.attempted_at = Some(now);
            state.begun += 1;
        }
        let began = Instant::now();
        let fetched = self.fetched().await;
        let mut state = self.state.lock();
        match fetched {
            Ok(keys) => {
                if *state.keys != keys {
                    state.keys = Arc::new(keys);
                    self.key_set.fetch_add(1, Ordering::AcqRel);
                    tracing::info!(issuer = self.name, "the keys of the issuer changed");
                }
                state.fetched_at = Some(now);
                state.confirmed = state.begun;
                state.unanswered = 0;
                state.error = None;
            }
            Err(error) => {
                tracing::warn!(
                    issuer = self.name,
                    error,
                    "the keys of the issuer could not be fetched"
                );
                state.error = Some(error);
                state.unanswered = match began.elapsed() >= TOO_LONG {
                    true => state.unanswered.saturating_add(1),
                    false => 0,
                };
            }
        }
        drop(state);
        drop(round);
    }

    async fn fetched(&self) -> Result<Vec<Key>, String> {
        let chain = |error: &dyn std::error::Error| seaworthy_core::error::chain(error);
        // A connection of its own: there is one request in minutes.
        let upstream = Upstream::new(self.origin.clone(), Arc::clone(&self.dial), 0);
        let path = self.origin.target("").map_err(|error| chain(&error))?;
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.method_mut() = Method::GET;
        *request.uri_mut() = path.into();
        let headers = request.headers_mut();
        headers.insert(http::header::HOST, upstream.host());
        let json = http::HeaderValue::from_static("application/json");
        headers.insert(http::header::ACCEPT, json);
        let response = upstream.send(request, TIMEOUTS).await;
        let response = response.map_err(|error| chain(&error))?;
        if response.status() != StatusCode::OK {
            return Err(format!("status {}", response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), MAX_JWKS_BYTES);
        let body = body.collect().await.map_err(|error| error.to_string())?;
        jwks::parse(&body.to_bytes())
            .ok_or_else(|| "the answer is no set of keys with a usable one in it".to_owned())
    }

    /// How old the keys are, and what went wrong the last time.
    pub(crate) fn status(&self, now: UnixMillis) -> serde_json::Value {
        let state = self.state.lock();
        serde_json::json!({
            "name": self.name,
            "keys": state.keys.len(),
            "age_seconds": state.fetched_at.map(|at| now.since(at).as_secs()),
            "error": state.error,
        })
    }
}

/// Waits for the end of an attempt to fetch; what came of it shows in the state.
async fn ended(mut rounds: watch::Receiver<u64>) {
    let _in_time = tokio::time::timeout(PATIENCE, rounds.changed()).await;
}

/// A running attempt to fetch. Its end is told, whatever the end is.
struct Round<'a>(&'a Issuer);

impl Drop for Round<'_> {
    fn drop(&mut self) {
        self.0.is_fetching.store(false, Ordering::Release);
        self.0.rounds.send_modify(|rounds| *rounds += 1);
    }
}
