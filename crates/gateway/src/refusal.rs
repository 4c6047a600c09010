//! Why the gateway said no: a code, a sentence, and what the caller can do about it.

use std::time::Duration;

use http::HeaderMap;
use seaworthy_core::code::Code;

/// A request that gets no answer from a model. Boxed, so that the good path carries no weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal(Box<Details>);

/// What is known about a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Details {
    pub(crate) code: Code,
    /// For the caller: no provider bodies, no SQL, no keys, no paths.
    pub(crate) message: String,
    /// The field of the request that is to blame.
    pub(crate) param: Option<String>,
    /// When it makes sense to try again.
    pub(crate) retry_after: Option<Duration>,
    /// For the log only.
    pub(crate) detail: Option<String>,
    /// Another status than the code's own: a provider's, passed on.
    pub(crate) status: Option<u16>,
    /// Another class of error than the dialect's usual one for the status.
    pub(crate) kind: Option<&'static str>,
    /// Headers to send along.
    pub(crate) headers: HeaderMap,
    /// Methods that the path knows, with [`Code::MethodNotAllowed`].
    pub(crate) allow: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            code,
            message: message.into(),
            param: None,
            retry_after: None,
            detail: None,
            status: None,
            kind: None,
            headers: HeaderMap::new(),
            allow: None,
        }))
    }

    pub(crate) fn at(mut self, param: impl Into<Option<String>>) -> Self {
        self.0.param = param.into();
        self
    }

    pub(crate) fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Adds the chain of causes, for the log.
    pub(crate) fn because(mut self, error: &dyn std::error::Error) -> Self {
        self.0.detail = Some(seaworthy_core::error::chain(error));
        self
    }
}

impl std::ops::Deref for Refusal {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl std::ops::DerefMut for Refusal {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

impl From<seaworthy_llm::Fault> for Refusal {
    fn from(fault: seaworthy_llm::Fault) -> Self {
        let param = fault.param;
        Self::new(Code::InvalidRequest, fault.message).at(param)
    }
}

impl From<seaworthy_llm::Lost> for Refusal {
    fn from(lost: seaworthy_llm::Lost) -> Self {
        let param = lost.refused.first().map(|loss| loss.path.clone());
        Self::new(Code::InvalidRequest, lost.to_string()).at(param)
    }
}
