//! An answer that is kept in parts, and read a few of them at a time while it is sent.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use seaworthy_core::objects::{Object, ObjectStore, Part};
use seaworthy_core::store::Result;

/// How much is read ahead of a client.
const PAGE_BYTES: u64 = 1 << 20;

type Loading = Pin<Box<dyn Future<Output = Result<Vec<Part>>> + Send>>;

/// The content of an object.
pub(crate) struct Paged {
    objects: Arc<dyn ObjectStore>,
    id: Arc<str>,
    /// The number of the next part that is not read yet.
    next: u64,
    /// Bytes that are still to be sent.
    left: u64,
    read: VecDeque<Bytes>,
    loading: Option<Loading>,
}

impl Paged {
    pub(crate) fn new(objects: &Arc<dyn ObjectStore>, object: &Object) -> Self {
        Self {
            objects: Arc::clone(objects),
            id: object.id.as_str().into(),
            next: 0,
            left: object.bytes,
            read: VecDeque::new(),
            loading: None,
        }
    }

    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// The next piece; `None` at the end, `Err` when the rest is gone or cannot be read.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Bytes, Cut>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        loop {
            if let Some(piece) = self.read.pop_front() {
                self.left = self.left.saturating_sub(piece.len() as u64);
                return Poll::Ready(Some(Ok(piece)));
            }
            let loading = self.loading.get_or_insert_with(|| {
                let (objects, id, next) =
                    (Arc::clone(&self.objects), Arc::clone(&self.id), self.next);
                Box::pin(async move { objects.parts(&id, next, PAGE_BYTES).await })
            });
            let loaded = ready!(loading.as_mut().poll(cx));
            self.loading = None;
            match loaded {
                Ok(parts) if !parts.is_empty() => {
                    self.next = parts.last().map_or(self.next, |(last, _)| last + 1);
                    self.read = parts.into_iter().map(|(_, part)| part).collect();
                }
                Ok(_) => return Poll::Ready(Some(Err(Cut))),
                Err(error) => {
                    tracing::warn!(%error, "a file could not be read to its end");
                    return Poll::Ready(Some(Err(Cut)));
                }
            }
        }
    }
}

/// What was announced cannot be sent in full.
#[derive(Debug, thiserror::Error)]
#[error("the rest of the content is gone or cannot be read")]
pub(crate) struct Cut;

impl fmt::Debug for Paged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Paged");
        shown.field("id", &self.id).field("left", &self.left);
        shown.finish_non_exhaustive()
    }
}
