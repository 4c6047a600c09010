//! Detectors and a policy joined: judges a whole text, or hands out a guard for a stream.

use std::borrow::Cow;
use std::sync::Arc;

use crate::detector::{Detector, Scan, Window};
use crate::finding::Finding;
use crate::invisible::visible;
use crate::normalise::decode::encoded_pieces;
use crate::normalise::plain_faces;
use crate::policy::{Action, Place, Policy, Selector, Verdict};
use crate::render::{Piece, Renderer};
use crate::stream::StreamGuard;
use crate::vault::Vault;

/// The holdback that fits every built-in rule, in bytes.
pub const DEFAULT_HOLDBACK_BYTES: usize = 16 * 1024;

/// Why an engine was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EngineError {
    /// A rule may need more text than a stream may hold back.
    #[error(
        "rule {rule} may keep {needed} bytes open, but a stream holds back at most {allowed}; \
         shorten the rule or raise the holdback"
    )]
    TooLong {
        /// The rule.
        rule: String,
        /// What it needs, in bytes.
        needed: usize,
        /// What is allowed, in bytes.
        allowed: usize,
    },
    /// A policy line names a rule that no detector has.
    #[error("the policy speaks of rule {0:?}, which no detector has; known rules: {1}")]
    UnknownRule(String, String),
    /// Placeholders make sense only on the way to a provider.
    #[error("`tokenize` holds only for input and tool_result, found {0}; use `redact` there")]
    TokenizeOutbound(&'static str),
}

/// Detectors and what follows their matches.
pub struct Engine {
    detectors: Vec<Arc<dyn Detector>>,
    policy: Policy,
    holdback_bytes: usize,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("detectors", &self.detectors.len())
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// A judged text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome<'t> {
    /// What may pass; when blocked, only what stood before the match.
    pub text: Cow<'t, str>,
    /// What was decided.
    pub verdict: Verdict,
}

impl Engine {
    /// Joins detectors and policy; refuses what could not be kept.
    pub fn new(
        detectors: Vec<Box<dyn Detector>>,
        policy: Policy,
        holdback_bytes: usize,
    ) -> Result<Self, EngineError> {
        let detectors = detectors.into_iter().map(Arc::from).collect();
        Self::joined(detectors, policy, holdback_bytes)
    }

    /// The same detectors and further ones under another policy, for one request.
    pub fn derive(
        &self,
        policy: Policy,
        further: Vec<Arc<dyn Detector>>,
    ) -> Result<Self, EngineError> {
        let detectors = self.detectors.iter().cloned().chain(further).collect();
        Self::joined(detectors, policy, self.holdback_bytes)
    }

    fn joined(
        detectors: Vec<Arc<dyn Detector>>,
        policy: Policy,
        holdback_bytes: usize,
    ) -> Result<Self, EngineError> {
        let rules = || detectors.iter().flat_map(|detector| detector.rules());
        if let Some(rule) = rules().find(|rule| rule.max_len_bytes > holdback_bytes) {
            return Err(EngineError::TooLong {
                rule: rule.id.to_string(),
                needed: rule.max_len_bytes,
                allowed: holdback_bytes,
            });
        }
        for line in &policy.lines {
            if let Selector::Rule(id) = &line.selector
                && !rules().any(|rule| *rule.id == **id)
            {
                let known: Vec<&str> = rules().map(|rule| &*rule.id).collect();
                return Err(EngineError::UnknownRule(id.clone(), known.join(", ")));
            }
            let outbound = line.places.iter().find(|place| !place.is_inbound());
            if let (Action::Tokenize, Some(place)) = (line.action, outbound) {
                return Err(EngineError::TokenizeOutbound(place.as_str()));
            }
        }
        Ok(Self {
            detectors,
            policy,
            holdback_bytes,
        })
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The most bytes that a stream holds back.
    pub fn holdback_bytes(&self) -> usize {
        self.holdback_bytes
    }

    /// Every match in a whole text, in the order of the text, whatever the policy says.
    pub fn findings(&self, text: &str) -> Vec<Finding> {
        let mut scan = Scan::default();
        self.scan(Window::whole(text), &mut scan);
        scan.findings
            .sort_by_key(|finding| (finding.span.start, finding.span.end));
        scan.findings
    }

    pub(crate) fn scan(&self, window: Window<'_>, scan: &mut Scan) {
        for detector in &self.detectors {
            detector.scan(window, scan);
        }
    }

    /// Finds what stands behind encodings: the encoding is the match.
    fn scan_encoded(&self, text: &str, scan: &mut Scan) {
        for (at, hidden) in encoded_pieces(text) {
            for text in hidden {
                let mut inner = Scan::default();
                self.scan(Window::whole(&text), &mut inner);
                let found = inner.findings.into_iter();
                scan.findings.extend(found.map(|finding| Finding {
                    span: at.clone(),
                    ..finding
                }));
            }
        }
    }

    /// Judges a whole text; without a vault, `tokenize` redacts.
    pub fn apply<'t>(
        &self,
        place: Place,
        text: &'t str,
        mut vault: Option<&mut Vault>,
    ) -> Outcome<'t> {
        let mut scan = Scan::default();
        let mut seen = visible(text);
        if place.is_inbound() {
            // What is given is whole, so that its disguises can be taken off.
            if let Some(plain) = plain_faces(&seen) {
                seen = Cow::Owned(plain);
            }
            self.scan_encoded(&seen, &mut scan);
        }
        self.scan(Window::whole(&seen), &mut scan);
        if scan.findings.is_empty() {
            let text = match place.is_inbound() {
                // What holds no match leaves as it was written.
                true => Cow::Borrowed(text),
                false => seen,
            };
            return Outcome {
                text,
                verdict: Verdict::default(),
            };
        }
        let mut out = String::with_capacity(seen.len());
        let mut renderer = Renderer::new(place);
        let piece = Piece {
            text: &seen,
            begin: 0,
        };
        renderer.advance(
            (piece, seen.len()),
            scan.findings,
            (&self.policy, &mut vault),
            &mut out,
        );
        Outcome {
            text: Cow::Owned(out),
            verdict: renderer.into_verdict(),
        }
    }

    /// A guard for one stream of text.
    pub fn stream(self: &Arc<Self>, place: Place) -> StreamGuard {
        StreamGuard::new(Arc::clone(self), place)
    }
}

#[cfg(test)]
mod tests;
