//! Locks by name: PostgreSQL's advisory locks, MySQL's `GET_LOCK`. Each instance has its own.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Who holds which lock, and who waits for which.
#[derive(Debug, Default)]
pub(crate) struct NamedLocks {
    table: Mutex<Table>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    held: HashMap<String, Vec<Hold>>,
    waiting: HashMap<u64, String>,
}

/// A lock taken by a session, as often as it took it.
#[derive(Debug)]
struct Hold {
    session: u64,
    shared: bool,
    times: usize,
}

impl NamedLocks {
    /// Takes a lock, once more if the session has it; `false` while another's is in the way.
    pub(crate) fn try_take(&self, key: &str, session: u64, shared: bool) -> bool {
        let mut table = self.lock();
        let holds = table.held.entry(key.to_owned()).or_default();
        let in_the_way = |hold: &Hold| hold.session != session && !(hold.shared && shared);
        if holds.iter().any(in_the_way) {
            return false;
        }
        let mut own = holds.iter_mut();
        match own.find(|hold| hold.session == session && hold.shared == shared) {
            Some(hold) => hold.times += 1,
            None => holds.push(Hold {
                session,
                shared,
                times: 1,
            }),
        }
        true
    }

    /// Gives one taking of a lock back; `false` if the session has not got it.
    pub(crate) fn release(&self, key: &str, session: u64, shared: bool) -> bool {
        let mut table = self.lock();
        let Some(holds) = table.held.get_mut(key) else {
            return false;
        };
        let own = |hold: &Hold| hold.session == session && hold.shared == shared;
        let Some(place) = holds.iter().position(own) else {
            return false;
        };
        holds[place].times -= 1;
        if holds[place].times == 0 {
            holds.remove(place);
            if holds.is_empty() {
                table.held.remove(key);
            }
            drop(table);
            self.changed.notify_waiters();
        }
        true
    }

    /// Gives all of a session's locks back and returns how many takings that were.
    pub(crate) fn release_all(&self, session: u64) -> usize {
        let mut table = self.lock();
        table.waiting.remove(&session);
        let mut released = 0;
        table.held.retain(|_, holds| {
            let own = holds.iter().filter(|hold| hold.session == session);
            released += own.map(|hold| hold.times).sum::<usize>();
            holds.retain(|hold| hold.session != session);
            !holds.is_empty()
        });
        drop(table);
        if released > 0 {
            self.changed.notify_waiters();
        }
        released
    }

    /// A session that holds the lock.
    pub(crate) fn holder(&self, key: &str) -> Option<u64> {
        let table = self.lock();
        table.held.get(key)?.first().map(|hold| hold.session)
    }

    /// Waits until some lock is given back. `false` at once if that could never end, because
    /// the holder waits for the session itself, directly or by others.
    ///
    /// Cancel safety: dropping the future ends the waiting and changes nothing else.
    pub(crate) async fn wait(&self, key: &str, session: u64) -> bool {
        let changed = self.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let _waiting = {
            let mut table = self.lock();
            if table.would_deadlock(key, session) {
                return false;
            }
            if !table.held.contains_key(key) {
                return true;
            }
            table.waiting.insert(session, key.to_owned());
            Waiting {
                locks: self,
                session,
            }
        };
        changed.await;
        true
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn would_deadlock(&self, key: &str, session: u64) -> bool {
        let mut seen = Vec::new();
        let mut keys = vec![key];
        while let Some(key) = keys.pop() {
            for hold in self.held.get(key).into_iter().flatten() {
                if hold.session == session && !seen.is_empty() {
                    return true;
                }
                if hold.session != session && !seen.contains(&hold.session) {
                    seen.push(hold.session);
                    keys.extend(self.waiting.get(&hold.session).map(String::as_str));
                }
            }
        }
        false
    }
}

/// Being in the table of those who wait.
struct Waiting<'a> {
    locks: &'a NamedLocks,
    session: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.locks.lock().waiting.remove(&self.session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_as_often_as_it_was_taken_and_shared_only_among_sharers() {
        let locks = NamedLocks::default();
        assert!(locks.try_take("a", 1, false));
        assert!(locks.try_take("a", 1, false));
        assert!(!locks.try_take("a", 2, true));
        assert!(locks.release("a", 1, false));
        assert!(!locks.try_take("a", 2, true));
        assert!(locks.release("a", 1, false));
        assert!(!locks.release("a", 1, false));
        assert!(locks.try_take("a", 2, true) && locks.try_take("a", 3, true));
        assert!(!locks.try_take("a", 1, false));
        assert_eq!((locks.release_all(2), locks.release_all(3)), (1, 1));
        assert_eq!(locks.holder("a"), None);
    }

    #[tokio::test]
    async fn a_circle_of_waiting_sessions_is_noticed() {
        let locks = NamedLocks::default();
        for session in 1..=3 {
            assert!(locks.try_take(&session.to_string(), session, false));
        }
        let mut first = std::pin::pin!(locks.wait("2", 1));
        let mut second = std::pin::pin!(locks.wait("3", 2));
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        assert!(!locks.wait("1", 3).await);
        locks.release_all(3);
        assert!(first.await && second.await);
    }
}
