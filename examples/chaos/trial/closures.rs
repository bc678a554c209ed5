//! Callers that give their work as closures: what a failover interrupts is done again by the
//! driver, and only what certainly was not done.

use std::cell::Cell;

use aurora_driver::Error;

use super::history::{Fate, Intent};
use super::workload::Caller;

/// Why a closure of a caller's failed.
#[derive(Debug)]
enum Broken {
    /// The caller has changed its mind.
    OffByItself,
    ByDriver(Error),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::ByDriver(error)
    }
}

impl Caller<'_> {
    /// One piece of work of any kind.
    pub(super) async fn closure(&mut self) -> Result<(), Error> {
        match self.rng.u32(0..3) {
            0 => self.write_by_closure().await,
            1 => self.transact_by_closure().await,
            _ => self.read_by_closure().await,
        }
    }

    async fn write_by_closure(&mut self) -> Result<(), Error> {
        let history = self.history;
        let key = history.new_key();
        history.fate(key, Fate::Unknown);
        let runs = Runs::begin(self);
        let work = self.cluster.write(async |writer| {
            runs.one_more();
            self.handed_out(Intent::Write, writer);
            let instance = writer.instance().clone();
            let write = writer.write(key);
            history
                .call(self.handle, "write in closure", Some(&instance), write)
                .await
        });
        let answer = history.call(self.handle, "write()", None, work).await;
        history.answered(&[key], &answer);
        answer
    }

    async fn read_by_closure(&mut self) -> Result<(), Error> {
        let history = self.history;
        let runs = Runs::begin(self);
        let work = self.cluster.read(async |reader| {
            runs.one_more();
            self.handed_out(Intent::Read, reader);
            let instance = reader.instance().clone();
            let count = reader.count();
            history
                .call(self.handle, "count in closure", Some(&instance), count)
                .await
        });
        history
            .call(self.handle, "read()", None, work)
            .await
            .map(drop)
    }

    /// Some keys; some closures change their mind at the end.
    async fn transact_by_closure(&mut self) -> Result<(), Error> {
        let history = self.history;
        let keys: Vec<u64> = (0..self.rng.usize(1..=3))
            .map(|_| history.new_key())
            .collect();
        let changes_its_mind = self.rng.u32(0..6) == 0;
        for key in &keys {
            history.fate(
                *key,
                if changes_its_mind {
                    Fate::NotSent
                } else {
                    Fate::Unknown
                },
            );
        }
        let runs = Runs::begin(self);
        let work = async {
            let done = self.cluster.transaction(async |mut transaction| {
                runs.one_more();
                for key in &keys {
                    transaction.write(*key).await?;
                }
                match changes_its_mind {
                    true => Err(Broken::OffByItself),
                    false => Ok(()),
                }
            });
            match done.await {
                Ok(()) => Ok(true),
                Err(Broken::OffByItself) => Ok(false),
                Err(Broken::ByDriver(error)) => Err(error),
            }
        };
        let committed = history.call(self.handle, "transaction()", None, work).await;
        match &committed {
            Ok(true) => history.answered(&keys, &Ok(())),
            // It stays as it was: nothing was committed.
            Ok(false) => {}
            Err(error) => history.failed(&keys, error),
        }
        committed.map(drop)
    }
}

/// Counts how often a closure is run, and writes it down in the end, however that comes.
struct Runs<'a> {
    caller: (usize, &'a super::history::History),
    count: Cell<u32>,
}

impl<'a> Runs<'a> {
    fn begin(caller: &Caller<'a>) -> Self {
        Self {
            caller: (caller.handle, caller.history),
            count: Cell::new(0),
        }
    }

    fn one_more(&self) {
        self.count.set(self.count.get() + 1);
    }
}

impl Drop for Runs<'_> {
    fn drop(&mut self) {
        let (handle, history) = self.caller;
        history.runs.borrow_mut().push((handle, self.count.get()));
    }
}
