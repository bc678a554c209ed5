//! Many futures at once, in an order that does not depend on who was woken first.
//!
//! `tokio::sync::watch` wakes those who wait for it in an order of its own dice, which no seed
//! reaches. So who was woken is only remembered, and then they are polled by their number.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

const WORD_BITS: usize = u64::BITS as usize;

/// Runs futures to their end.
pub(crate) struct Crew<'a> {
    members: Vec<Option<Pin<Box<dyn Future<Output = ()> + 'a>>>>,
    running: usize,
    wakers: Vec<Waker>,
    woken: Arc<Woken>,
}

/// Who was woken since it was last polled, one bit each.
struct Woken {
    bits: Vec<AtomicU64>,
    all: Mutex<Option<Waker>>,
}

struct Bell {
    word: usize,
    bit: u64,
    woken: Arc<Woken>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.woken.bits[self.word].fetch_or(self.bit, Ordering::AcqRel);
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
        let words = members.len().div_ceil(WORD_BITS);
        let woken = Arc::new(Woken {
            bits: (0..words).map(|_| AtomicU64::new(u64::MAX)).collect(),
            all: Mutex::new(None),
        });
        let bell = |number: usize| {
            Arc::new(Bell {
                word: number / WORD_BITS,
                bit: 1 << (number % WORD_BITS),
                woken: Arc::clone(&woken),
            })
        };
        Self {
            wakers: (0..members.len())
                .map(|number| bell(number).into())
                .collect(),
            running: members.len(),
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
        for (word, bits) in this.woken.bits.iter().enumerate() {
            let mut woken = bits.swap(0, Ordering::AcqRel);
            while woken != 0 {
                let number = word * WORD_BITS + woken.trailing_zeros() as usize;
                woken &= woken - 1;
                let Some(Some(future)) = this.members.get_mut(number) else {
                    continue;
                };
                let mut context = Context::from_waker(&this.wakers[number]);
                if future.as_mut().poll(&mut context).is_ready() {
                    this.members[number] = None;
                    this.running -= 1;
                }
            }
        }
        match this.running {
            0 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}
