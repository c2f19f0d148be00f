//! One rendering for all who ask at the same time, as Mesos batches its readers.
//!
//! Whoever asks while a view is being rendered waits for the next rendering, which begins after
//! the last of them came: so each gets a state not older than its request, and a crowd costs two
//! renderings. A text lives only as long as somebody is being sent it.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use tepui_runtime::http::Handler;

use super::{answer, jsonp};
use crate::checks::Refusal;

/// How often a rendering was shared: Mesos' key.
const HITS: &str = "master/http_cache_hits";

#[derive(Default)]
struct Slot {
    /// The last request that came before the state of `text` was looked at.
    up_to: u64,
    text: Weak<Vec<u8>>,
}

/// The renderings of one view.
#[derive(Default)]
struct Renderings {
    requests: AtomicU64,
    slot: Mutex<Slot>,
}

impl Renderings {
    /// The number of a request that comes now.
    fn arrive(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The text for a request, and whether another's was taken.
    fn text(
        &self,
        request: u64,
        render: impl FnOnce() -> Result<Vec<u8>, Refusal>,
    ) -> Result<(Arc<Vec<u8>>, bool), Refusal> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if request <= slot.up_to
            && let Some(text) = slot.text.upgrade()
        {
            return Ok((text, true));
        }
        let up_to = self.requests.load(Ordering::Acquire);
        let text = Arc::new(render()?);
        *slot = Slot {
            up_to,
            text: Arc::downgrade(&text),
        };
        Ok((text, false))
    }
}

/// Answers with the JSON that `render` gives, whatever the request says but for `jsonp`; it must
/// look at the state when it is called.
pub(super) fn everything<F>(render: F) -> Handler
where
    F: Fn() -> Result<Vec<u8>, Refusal> + Send + Sync + 'static,
{
    let (render, renderings) = (Arc::new(render), Arc::new(Renderings::default()));
    Arc::new(move |request, node| {
        let (render, renderings) = (Arc::clone(&render), Arc::clone(&renderings));
        Box::pin(async move {
            let function = match jsonp(&request) {
                Ok(function) => function,
                Err(refusal) => return refusal.into(),
            };
            let number = renderings.arrive();
            let metrics = node.metrics().clone();
            let rendered = node.blocking(move || {
                let (text, hit) = renderings.text(number, || render())?;
                if hit {
                    metrics.counter(HITS).increment(1);
                }
                Ok::<_, Refusal>(Bytes::from_owner(Text(text)))
            });
            match rendered.await {
                Some(Ok(text)) => answer(function, text),
                Some(Err(refusal)) => refusal.into(),
                None => super::unrendered(),
            }
        })
    })
}

struct Text(Arc<Vec<u8>>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_came_before_the_state_was_looked_at_shares_its_text() {
        let renderings = Renderings::default();
        let (first, second) = (renderings.arrive(), renderings.arrive());
        let late = std::cell::Cell::new(0);
        let (text, hit) = renderings
            .text(first, || {
                late.set(renderings.arrive());
                Ok(b"one".to_vec())
            })
            .unwrap();
        assert_eq!((text.as_slice(), hit), (&b"one"[..], false));
        let never = || -> Result<Vec<u8>, Refusal> { panic!("rendered again") };
        let (shared, hit) = renderings.text(second, never).unwrap();
        assert!(hit && Arc::ptr_eq(&text, &shared));
        let (next, hit) = renderings.text(late.get(), || Ok(b"two".to_vec())).unwrap();
        assert_eq!((next.as_slice(), hit), (&b"two"[..], false));
    }

    #[test]
    fn a_text_that_was_sent_is_gone() {
        let renderings = Renderings::default();
        let (first, second) = (renderings.arrive(), renderings.arrive());
        drop(renderings.text(first, || Ok(b"one".to_vec())).unwrap());
        let (text, hit) = renderings.text(second, || Ok(b"two".to_vec())).unwrap();
        assert_eq!((text.as_slice(), hit), (&b"two"[..], false));
    }

    #[test]
    fn a_failure_is_nobody_elses() {
        let renderings = Renderings::default();
        let (first, second) = (renderings.arrive(), renderings.arrive());
        let failed = || Err(Refusal::Internal("no".to_owned()));
        assert!(renderings.text(first, failed).is_err());
        let (_, hit) = renderings.text(second, || Ok(Vec::new())).unwrap();
        assert!(!hit);
    }
}
