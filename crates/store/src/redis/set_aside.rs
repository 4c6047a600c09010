//! What the server is asked about shares.

use std::time::Duration;

use super::counters::RedisCounters;
use super::encode::{self, Words};
use super::link::Asked;
use super::shares::Question;

/// A holder that was not heard of for so long is looked for. Nothing rests on it but how long calls
/// wait for what a dead one had: they wait longer than this.
pub(super) const HOLDER_LIFETIME: Duration = Duration::from_secs(3);

/// The answer to a question.
#[derive(Debug)]
pub(super) enum Aside {
    /// The shares, in the order of the question.
    Set(Vec<u64>),
    /// There was a later question: this one has changed nothing.
    Late,
    /// The holder has been ended, or the server has lost what it knew.
    Ended,
}

impl RedisCounters {
    /// Sets aside what a replica may spend without asking.
    ///
    /// # Errors
    /// When no answer comes in time. What is set aside may be more than is known here then.
    pub(super) async fn set_aside(&self, question: &Question) -> Asked<Aside> {
        let known = self.known_epoch();
        let mut call = self.scripts().shares.prepare_invoke();
        call.key(self.key("epoch"))
            .key(self.key("holders"))
            .key(self.share_key(&question.holder))
            .key(self.key("touched"))
            .arg(known)
            .arg(&question.holder)
            .arg(HOLDER_LIFETIME.as_millis() as u64)
            .arg(question.number)
            .arg(question.parts);
        for ask in &question.accounts {
            call.key(&ask.key)
                .arg(encode::limit(ask.limit))
                .arg(encode::amount(ask.least))
                .arg(encode::amount(ask.held));
        }
        let mut words = Words::new(self.link().call(&call, self.patient()).await?);
        Ok(match words.text().as_str() {
            "set" => {
                let mut shares = Vec::with_capacity(question.accounts.len());
                while !words.is_empty() {
                    shares.push(words.number());
                }
                Aside::Set(shares)
            }
            "late" => Aside::Late,
            _ => Aside::Ended,
        })
    }

    /// Ends a holder: what it has comes back, or counts as spent.
    ///
    /// # Errors
    /// When no answer comes in time.
    pub(super) async fn release(&self, holder: &str, is_spent: bool) -> Asked<()> {
        let mut call = self.scripts().release.prepare_invoke();
        call.key(self.key("holders"))
            .key(self.share_key(holder))
            .key(self.key("touched"))
            .arg(holder)
            .arg(u8::from(is_spent));
        let _done: u8 = self.link().call(&call, self.patient()).await?;
        Ok(())
    }

    /// Where the share of a holder lies.
    pub(super) fn share_key(&self, holder: &str) -> String {
        self.key(&format!("share:{holder}"))
    }
}
