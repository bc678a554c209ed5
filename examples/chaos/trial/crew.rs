//! Many futures at once, in an order that does not depend on who was woken first.
//!
//! `tokio::sync::watch` wakes those who wait for it in an order of its own dice, which no seed
//! reaches. So who was woken is only remembered, and then they are polled by their number.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

/// Runs futures to their end, at most 64 of them.
pub(crate) struct Crew<'a> {
    members: Vec<Option<Pin<Box<dyn Future<Output = ()> + 'a>>>>,
    wakers: Vec<Waker>,
    woken: Arc<Woken>,
}

/// Who was woken since it was last polled, one bit each.
struct Woken {
    bits: AtomicU64,
    all: Mutex<Option<Waker>>,
}

struct Bell {
    bit: u64,
    woken: Arc<Woken>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.woken.bits.fetch_or(self.bit, Ordering::AcqRel);
        let all = self.woken.all.lock().expect("nobody panics with it");
        if let Some(all) = &*all {
            all.wake_by_ref();
        }
    }
}

impl<'a> Crew<'a> {
    pub(crate) fn new(
        members: impl IntoIterator<Item = Pin<Box<dyn Future<Output = ()> + 'a>>>,
    ) -> Self {
        let members: Vec<_> = members.into_iter().map(Some).collect();
        assert!(members.len() <= 64, "there is a bit for 64");
        let woken = Arc::new(Woken {
            bits: AtomicU64::new(u64::MAX),
            all: Mutex::new(None),
        });
        let bell = |number: usize| {
            Arc::new(Bell {
                bit: 1 << number,
                woken: Arc::clone(&woken),
            })
        };
        Self {
            wakers: (0..members.len())
                .map(|number| bell(number).into())
                .collect(),
            members,
            woken,
        }
    }
}

impl Future for Crew<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        *this.woken.all.lock().expect("nobody panics with it") = Some(context.waker().clone());
        let woken = this.woken.bits.swap(0, Ordering::AcqRel);
        for (number, member) in this.members.iter_mut().enumerate() {
            if woken & (1 << number) == 0 {
                continue;
            }
            let mut context = Context::from_waker(&this.wakers[number]);
            if let Some(future) = member
                && future.as_mut().poll(&mut context).is_ready()
            {
                *member = None;
            }
        }
        match this.members.iter().all(Option::is_none) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}
