//! How large a call can become.

use std::borrow::Cow;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use quick_cache::sync::Cache;
use seaworthy_core::money::Micros;
use seaworthy_core::usage::Usage;
use seaworthy_llm::tokens::{self, Vocabulary};

use crate::limits::{Charge, Sent};
use crate::routes::Operation;
use crate::snapshot::Target;
use crate::stage::screen::Screened;

/// What says that a request writes to the provider's cache, or that it has to do with sound.
static CACHE_CONTROL: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new("\"cache_control\""));
static CACHE_POINT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"cachePoint\""));
/// What fixes how the output is divided.
static BUDGET_TOKENS: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new("\"budget_tokens\""));
static AUDIO: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("audio"));

/// What a conversation or a prompt may be that the provider keeps: as much as models of OpenAI take
/// at their usual price.
const KEPT_TOKENS: u64 = 272_000;
/// Requests whose input the provider has counted before.
const KNOWN_INPUTS: usize = 16_384;

/// How many tokens the very same request was at the very same target when it was sent before, as
/// the provider reported: no count of ours can be better.
#[derive(Debug)]
pub(crate) struct KnownInputs {
    /// Random for each process, so that nobody can make two requests look like one.
    hasher: RandomState,
    tokens: Cache<u64, u64>,
}

/// Whether a kind of provider writes prompts to its cache, and charges for it where that has a price, without being
/// asked to.
fn writes_unasked(kind: &str) -> bool {
    matches!(kind, "openai" | "azure-openai")
}

impl Default for KnownInputs {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            tokens: Cache::new(KNOWN_INPUTS),
        }
    }
}

impl KnownInputs {
    fn key(&self, target: &Target, operation: Operation, body: &[u8]) -> u64 {
        self.hasher.hash_one((&*target.id, operation, body))
    }

    /// Remembers what a provider has reported.
    pub(crate) fn learn(&self, key: u64, usage: &Usage) {
        if !usage.estimated {
            self.tokens.insert(key, usage.total_input());
        }
    }
}

/// How the input of a call was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measured {
    /// By its size: quick, and up to five times too much.
    Bytes,
    /// Counted.
    Tokens,
    /// As its provider reported it.
    Reported,
}

/// The most that a call can use.
#[derive(Debug, Clone)]
pub(crate) struct Size {
    operation: Operation,
    body: Bytes,
    vocabulary: Vocabulary,
    measured: Measured,
    input: u64,
    /// Of each choice.
    pub(crate) output: u64,
    choices: u64,
    sent: Sent,
    /// Input that is not in the request, as the provider keeps it.
    kept: u64,
    /// What is reserved for tools and images.
    pieces: Micros,
    /// Names the request for [`KnownInputs`], where it matters how many tokens it is.
    pub(crate) key: Option<u64>,
}

impl Size {
    /// The size of a request as far as it shows without counting, and as far as it is known where that
    /// matters.
    pub(crate) fn of(
        request: &Screened,
        target: &Target,
        charge: &Charge,
        known: Option<&KnownInputs>,
    ) -> Self {
        let (operation, body) = (request.operation, &request.body);
        let key = known.map(|known| known.key(target, operation, body));
        let reported = known
            .zip(key)
            .and_then(|(known, key)| known.tokens.get(&key));
        let is_charged = matches!(operation, Operation::Chat(_) | Operation::Embeddings(_));
        let kept = if request.head.reads_kept {
            KEPT_TOKENS
        } else {
            0
        };
        let (measured, input) = match reported {
            // What is kept grows between two requests that are the same.
            Some(tokens) if is_charged && kept == 0 => (Measured::Reported, tokens),
            _ if is_charged => (Measured::Bytes, tokens::most_by_size(body) + kept),
            _ => (Measured::Reported, 0),
        };
        let vocabulary = match target.provider.kind() {
            "openai" | "azure-openai" => Vocabulary::of_openai(&target.model),
            _ => Vocabulary::Unknown,
        };
        // It only matters where it makes the call dearer.
        let matters = charge.depends_on_what_is_sent();
        let plain = if matters || !charge.pieces.are_none() {
            tokens::without_escaped_names(body)
        } else {
            Cow::Borrowed(&body[..])
        };
        let has = |needle: &Finder<'_>| matters && needle.find(&plain).is_some();
        Self {
            operation,
            body: body.clone(),
            vocabulary,
            measured,
            input,
            output: 0,
            choices: request.head.choices,
            kept,
            sent: Sent {
                writes_cache: writes_unasked(target.provider.kind())
                    || has(&CACHE_CONTROL)
                    || has(&CACHE_POINT),
                has_audio: has(&AUDIO),
            },
            pieces: charge.pieces.reserved(&plain),
            key,
        }
    }

    /// Takes what the provider has reported of the same request in the meantime.
    pub(crate) fn relearn(&mut self, known: &KnownInputs) {
        if self.measured != Measured::Reported
            && self.kept == 0
            && let Some(tokens) = self.key.and_then(|key| known.tokens.get(&key))
        {
            (self.measured, self.input) = (Measured::Reported, tokens);
        }
    }

    /// Whether counting can make it smaller.
    pub(crate) fn is_rough(&self) -> bool {
        self.measured == Measured::Bytes
    }

    /// Counts the input. It takes a few milliseconds for each 100 KiB, off the thread that serves
    /// other requests too.
    pub(crate) async fn count(&mut self) {
        let (vocabulary, body) = (self.vocabulary, self.body.clone());
        let count = move || tokens::most_input_tokens(vocabulary, &body);
        if let Ok(tokens) = tokio::task::spawn_blocking(count).await {
            self.input = self.input.min(tokens.saturating_add(self.kept));
        }
        self.measured = Measured::Tokens;
    }

    /// The least that counting could make of it.
    pub(crate) fn at_least(&self) -> Self {
        Self {
            input: self
                .input
                .min(tokens::least_by_size(&self.body).saturating_add(self.kept)),
            ..self.clone()
        }
    }

    /// The input.
    pub(crate) fn input(&self) -> u64 {
        self.input
    }

    /// As usage.
    pub(crate) fn usage(&self) -> Usage {
        let output_tokens = match self.operation {
            Operation::Chat(_) => self.output.saturating_mul(self.choices),
            _ => 0,
        };
        Usage {
            input_tokens: self.input,
            output_tokens,
            ..Usage::default()
        }
    }

    /// The most that it can cost.
    pub(crate) fn cost(&self, charge: &Charge) -> Micros {
        let tokens = charge.worst_case(&self.usage(), self.sent);
        tokens.plus(self.pieces)
    }

    /// Whether the request fixes how its output is to be divided, so that a smaller bound would
    /// contradict it.
    pub(crate) fn divides_output(&self) -> bool {
        BUDGET_TOKENS.find(&self.body).is_some()
    }

    /// The most output with which the call takes no more than `allowed`, by `taken`.
    pub(crate) fn affordable(&self, allowed: u64, taken: impl Fn(&Self) -> u64) -> u64 {
        let fits = |output| {
            let size = Self {
                output,
                ..self.clone()
            };
            taken(&size) <= allowed
        };
        let (mut most, mut too_many) = (0, self.output.saturating_add(1));
        if !fits(0) {
            return 0;
        }
        while too_many - most > 1 {
            let middle = most + (too_many - most) / 2;
            if fits(middle) {
                most = middle;
            } else {
                too_many = middle;
            }
        }
        most
    }
}
