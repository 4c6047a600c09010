//! Was it sent before? Requests at protected routes say when they were made, and bear a nonce.
//!
//! A request that was signed as AWS's clients do has both already: its date and its signature.

use std::collections::HashSet;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use seaworthy_config::Config;
use seaworthy_core::clock::UnixMillis;
use seaworthy_core::code::Code;
use seaworthy_core::fingerprint::{Fingerprint, Fingerprinter};
use seaworthy_core::nonces::{Seen, Use};
use seaworthy_core::principal::Principal;
use seaworthy_core::sigv4::Presented;

use crate::exchange::Exchange;
use crate::refusal::Refusal;
use crate::routes::{Access, ROUTES};
use crate::snapshot::CompileError;
use seaworthy_core::error::chain;

/// When the request was made.
const TIMESTAMP: &str = "x-seaworthy-timestamp";
/// What no other request bears.
const NONCE: &str = "x-seaworthy-nonce";
/// Longest nonce that is accepted.
const MAX_NONCE_BYTES: usize = 128;
/// After how long a caller with too many nonces may find room.
const ROOM_AFTER: Duration = Duration::from_secs(5);
/// After how long a store that is away is asked again.
const STORE_AFTER: Duration = Duration::from_secs(2);

/// Which routes take fresh requests only, and what counts as fresh.
#[derive(Debug)]
pub(crate) struct Freshness {
    routes: HashSet<&'static str>,
    window: Duration,
    clock_skew: Duration,
    requires_nonce: bool,
    most_nonces: usize,
}

/// Why a request does not count as fresh. The names are those in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stale {
    Missing(&'static str),
    Malformed(&'static str),
    Old(Duration),
    Ahead(Duration),
    Repeated,
    TooMany,
}

impl Stale {
    fn reason(self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Malformed(_) => "malformed",
            Self::Old(_) => "too_old",
            Self::Ahead(_) => "ahead",
            Self::Repeated => "repeated",
            Self::TooMany => "no_room",
        }
    }
}

impl Freshness {
    /// `None` while no route is protected.
    pub(crate) fn build(config: &Config) -> Result<Option<Self>, CompileError> {
        let settings = &config.replay_protection;
        let mut routes = HashSet::new();
        for wanted in &settings.routes {
            let found = matching(wanted);
            if found.is_empty() {
                return Err(CompileError::Replay(wanted.clone()));
            }
            routes.extend(found);
        }
        let built = Self {
            routes,
            window: settings.window.into(),
            clock_skew: settings.clock_skew.into(),
            requires_nonce: settings.require_nonce,
            most_nonces: settings.max_nonces.get(),
        };
        Ok((!built.routes.is_empty()).then_some(built))
    }

    /// Whether a moment is near enough to now.
    fn judge(&self, made_at: UnixMillis, now: UnixMillis) -> Result<(), Stale> {
        let (age, ahead) = (now.since(made_at), made_at.since(now));
        if age > self.window {
            return Err(Stale::Old(age));
        }
        if ahead > self.clock_skew {
            return Err(Stale::Ahead(ahead));
        }
        Ok(())
    }

    /// How long a nonce is remembered: while its request counts as fresh anywhere, even one that was
    /// dated ahead, by a replica whose clock is behind.
    fn keep(&self) -> Duration {
        self.window + 2 * self.clock_skew
    }
}

/// The protected routes that a pattern stands for.
fn matching(pattern: &str) -> Vec<&'static str> {
    let fits = |path: &str| match pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == pattern,
    };
    let routes = ROUTES
        .iter()
        .filter(|route| route.access != Access::Public && fits(route.path));
    routes.map(|route| route.path).collect()
}

/// Refuses what is not fresh, where only that is taken. Asked once the caller is known and may do
/// what it wants: a nonce is its caller's, and nobody else can use it up.
pub(crate) async fn require_fresh(
    exchange: &Exchange,
    headers: &HeaderMap,
    caller: &Principal,
) -> Result<(), Refusal> {
    let Some(rules) = &exchange.snapshot.freshness else {
        return Ok(());
    };
    if !rules.routes.contains(exchange.route) {
        return Ok(());
    }
    let metrics = &exchange.gateway.metrics;
    let now = exchange.gateway.clock.now();
    let said = match exchange.signed_by.is_some() {
        true => signed(headers),
        false => written(headers, rules.requires_nonce),
    };
    let judged = said.and_then(|(made_at, nonce)| rules.judge(made_at, now).map(|()| nonce));
    let stale = match judged {
        Err(stale) => stale,
        Ok(None) => return Ok(()),
        Ok(Some(nonce)) => {
            let used = Use {
                caller: owner(caller),
                nonce: Fingerprint::of(nonce.as_bytes()),
                keep: rules.keep(),
                most: rules.most_nonces,
            };
            match exchange.gateway.nonces.use_up(&used, now).await {
                Ok(Seen::Never) => return Ok(()),
                Ok(Seen::Before) => Stale::Repeated,
                Ok(Seen::NoRoom) => Stale::TooMany,
                Err(error) => {
                    metrics.count_replay("cannot_verify");
                    return Err(cannot_say(chain(&error)));
                }
            }
        }
    };
    metrics.count_replay(stale.reason());
    Err(refused(rules, stale))
}

/// What the headers of a request say: when it was made, and its nonce.
fn written(headers: &HeaderMap, requires_nonce: bool) -> Result<(UnixMillis, Option<&str>), Stale> {
    let timestamp = only(headers, TIMESTAMP)?.ok_or(Stale::Missing(TIMESTAMP))?;
    let made_at = UnixMillis::parse(timestamp).ok_or(Stale::Malformed(TIMESTAMP))?;
    let nonce = only(headers, NONCE)?;
    if nonce.is_none() && requires_nonce {
        return Err(Stale::Missing(NONCE));
    }
    let is_nonce = |text: &str| {
        (1..=MAX_NONCE_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    };
    match nonce {
        Some(text) if !is_nonce(text) => Err(Stale::Malformed(NONCE)),
        nonce => Ok((made_at, nonce)),
    }
}

/// What a verified signature says.
fn signed(headers: &HeaderMap) -> Result<(UnixMillis, Option<&str>), Stale> {
    let date = only(headers, "x-amz-date")?.and_then(UnixMillis::parse);
    let date = date.ok_or(Stale::Missing("x-amz-date"))?;
    let authorization = only(headers, "authorization")?;
    let signature = authorization.and_then(Presented::signature_in);
    Ok((
        date,
        Some(signature.ok_or(Stale::Missing("authorization"))?),
    ))
}

/// The value of a header that may stand once.
fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Stale> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text)),
        _ => Err(Stale::Malformed(name)),
    }
}

/// Whose nonces they are.
fn owner(caller: &Principal) -> Fingerprint {
    let mut print = Fingerprinter::default();
    print.part(b"nonces");
    print.part(caller.key_id.as_bytes());
    print.part(caller.user_id.as_bytes());
    print.finish()
}

fn refused(rules: &Freshness, stale: Stale) -> Refusal {
    let refuse = |code, message: String| Refusal::new(code, message);
    match stale {
        Stale::Missing(name) => refuse(
            Code::FreshnessRequired,
            format!("This route takes fresh requests only: `{name}` is missing. {WANTED}"),
        ),
        Stale::Malformed(name) => refuse(
            Code::FreshnessRequired,
            format!("`{name}` is not what it has to be. {WANTED}"),
        ),
        Stale::Old(age) => refuse(
            Code::StaleRequest,
            format!(
                "The request was made {} s ago; at most {} s are accepted. Make it anew.",
                age.as_secs(),
                rules.window.as_secs()
            ),
        ),
        Stale::Ahead(ahead) => refuse(
            Code::StaleRequest,
            format!(
                "The request is dated {} s ahead of this gateway's clock; at most {} s are \
                 accepted. Set the clock of the caller.",
                ahead.as_secs(),
                rules.clock_skew.as_secs()
            ),
        ),
        Stale::Repeated => {
            let message = "A request with this nonce came before. Each request, a repeated one \
                           too, needs a nonce of its own; an `Idempotency-Key` keeps it from \
                           being carried out twice.";
            let mut refusal = refuse(Code::ReplayedRequest, message.to_owned());
            // Clients send the same nonce when they try again by themselves.
            let no = HeaderValue::from_static("false");
            refusal.headers.insert("x-should-retry", no);
            refusal
        }
        Stale::TooMany => refuse(
            Code::RateLimited,
            format!(
                "The credential has sent {} requests that still count as fresh, and no more can be \
                 told apart. Send fewer.",
                rules.most_nonces
            ),
        )
        .retry_after(ROOM_AFTER),
    }
}

const WANTED: &str = "Send the time in `x-seaworthy-timestamp`, as Unix time in seconds or RFC 3339, \
                      and 1 to 128 random printable characters without spaces in \
                      `x-seaworthy-nonce`.";

fn cannot_say(cause: String) -> Refusal {
    let message = "It cannot be told now whether the request came before, because the store of \
                   nonces does not answer. Try again with another nonce.";
    let mut refusal = Refusal::new(Code::StoreUnavailable, message).retry_after(STORE_AFTER);
    refusal.detail = Some(cause);
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_routes_that_are_not_open_to_everyone() {
        assert_eq!(matching("/v1/messages"), ["/v1/messages"]);
        let control = matching("/admin/v1/*");
        assert!(control.contains(&"/admin/v1/status") && control.contains(&"/admin/v1/keys"));
        let all = matching("*");
        assert!(all.contains(&"/model/{model}/converse"));
        assert!(!all.contains(&"/metrics") && !all.contains(&"/health/live"));
        assert!(matching("/health/*").is_empty());
        assert!(matching("/v1/chat").is_empty());
    }
}
