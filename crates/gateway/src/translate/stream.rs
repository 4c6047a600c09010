//! One streamed answer on its way into another dialect, event by event.

use seaworthy_core::call::Delta;
use seaworthy_core::code::Code;
use seaworthy_core::dialect::Dialect;
use seaworthy_core::usage::Usage;
use seaworthy_llm::usage::UsageMeter;
use seaworthy_llm::{
    ErrorView, Event, Framing, Loss, ProviderError, StreamDecoder, StreamEncoder, StreamSettings,
};

use super::{Translation, error};
use crate::guards::output::OutputGuard;
use crate::guards::verdicts::Verdicts;
use crate::refusal::Refusal;

/// Reads events of the provider and writes events for the caller.
#[derive(Debug)]
pub(crate) struct StreamTranslator {
    translation: Translation,
    decoder: StreamDecoder,
    /// Judges what is between the two.
    guard: Option<OutputGuard>,
    encoder: StreamEncoder,
    /// Between the two; empty between events.
    deltas: Vec<Delta>,
    usage_seen: bool,
    /// The provider said why the model stopped.
    finished: bool,
    /// The end was written.
    ended: bool,
}

impl StreamTranslator {
    pub(crate) fn new(
        translation: Translation,
        (framing, settings): (Framing, StreamSettings),
        (id, model): (&str, &str),
        guard: Option<OutputGuard>,
    ) -> Self {
        Self {
            translation,
            decoder: StreamDecoder::new(translation.provider).or_named(id, model),
            guard,
            encoder: StreamEncoder::with_framing(translation.caller, framing, settings),
            deltas: Vec::new(),
            usage_seen: false,
            finished: false,
            ended: false,
        }
    }

    /// The dialect of the events that are pushed.
    pub(crate) fn provider(&self) -> Dialect {
        self.translation.provider
    }

    /// Appends what an event becomes. After an error nothing more may be pushed.
    pub(crate) fn push(
        &mut self,
        event: &Event,
        meter: &UsageMeter,
        input_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        if self.ended {
            return Ok(());
        }
        let read = self.decoder.push(event, &mut self.deltas);
        let mut deltas = std::mem::take(&mut self.deltas);
        if let Some(guard) = &mut self.guard {
            let mut passed = Vec::new();
            for delta in deltas.drain(..) {
                guard.push(delta, &mut passed);
            }
            deltas = passed;
        }
        for delta in deltas.drain(..) {
            match &delta {
                Delta::Error {
                    status,
                    kind,
                    message,
                } => {
                    return Err(failed(self.translation, *status, kind, message));
                }
                // Some dialects begin with the usage, others end with it: an estimate stands in.
                Delta::Start { .. } if !self.usage_seen => {
                    let estimate = meter.usage_or_estimate(input_bytes);
                    self.encoder.push(&Delta::Usage(estimate), out);
                }
                Delta::Usage(_) => self.usage_seen = true,
                Delta::Finish { .. } => self.finished = true,
                _ => {}
            }
            self.encoder.push(&delta, out);
        }
        self.deltas = deltas;
        match read {
            // What comes after the end does not undo the answer.
            Err(_) if self.finished => Ok(()),
            // The fault may quote the answer, which belongs neither in the log nor in an error.
            Err(_) => Err(Refusal::new(
                Code::UpstreamInvalid,
                "The provider sent an event that its API does not promise.",
            )),
            Ok(()) => Ok(()),
        }
    }

    /// Appends the end of the answer, once, with what it used in all. Fails when the provider never
    /// said that the model stopped.
    pub(crate) fn finish(&mut self, usage: Usage, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        if !self.finished {
            return Err(Refusal::new(
                Code::UpstreamInvalid,
                "The provider ended its answer without one.",
            ));
        }
        self.encoder.push(&Delta::Usage(usage), out);
        self.encoder.finish(out);
        Ok(())
    }

    /// Appends an error as the end of the answer.
    pub(crate) fn fail(&mut self, error: &ErrorView<'_>, out: &mut Vec<u8>) {
        self.ended = true;
        self.encoder.fail_with(error, out);
    }

    /// Whether a guard ended the answer; what comes after is not for the caller.
    pub(crate) fn is_blocked(&self) -> bool {
        self.guard.as_ref().is_some_and(OutputGuard::is_blocked)
    }

    /// What guards decided about the answer.
    pub(crate) fn take_verdicts(&mut self) -> Verdicts {
        let guard = self.guard.as_mut();
        guard.map(OutputGuard::take_verdicts).unwrap_or_default()
    }

    /// What could not be told in the caller's dialect so far.
    pub(crate) fn dropped(&self) -> impl Iterator<Item = Loss> {
        self.encoder
            .dropped()
            .iter()
            .cloned()
            .map(super::of_response)
    }
}

/// An error of the provider within its stream.
pub(crate) fn failed(translation: Translation, status: u16, kind: &str, message: &str) -> Refusal {
    let provider_error = ProviderError {
        kind: Some(kind.to_owned()),
        ..ProviderError::default()
    };
    let told = error::told(translation.caller.family(), status, &provider_error);
    let message = match message {
        "" => "The provider failed in the middle of its answer.",
        message => message,
    };
    let mut refusal = Refusal::new(error::code(status), message);
    refusal.status = Some(told.status);
    refusal
}
