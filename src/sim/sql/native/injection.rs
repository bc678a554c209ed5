//! PostgreSQL's functions of fault injection.

use std::time::Duration;

use super::{Arguments, Registry};
use crate::sim::sql::context::Context;
use crate::sim::sql::injection::{DiskFault, Injection, Segment, inject};
use crate::sim::sql::{SqlError, Value};

pub(super) fn register(registry: &Registry<'_>) -> rusqlite::Result<()> {
    registry.volatile("sim_inject_crash", |context, arguments| {
        let what = arguments.text(0);
        run(context, &Injection::Crash { what })
    })?;
    registry.volatile("sim_inject_replica_failure", |context, arguments| {
        let replica = arguments.text(2);
        run(
            context,
            &Injection::ReplicaFailure {
                percent: arguments.real(0),
                interval: seconds(arguments, 1),
                replica: (!replica.is_empty()).then_some(replica),
            },
        )
    })?;
    registry.volatile("sim_inject_disk", |context, arguments| {
        let segment = match arguments.integer(2) {
            0 => Segment::Node,
            _ => Segment::Disk,
        };
        let congestion = arguments.len() > 4;
        let fault = DiskFault {
            percent: arguments.real(0),
            segment: Some((segment, arguments.integer(1))),
            interval: seconds(arguments, 3),
            congestion: congestion.then(|| (arguments.real(4), arguments.real(5))),
        };
        run(context, &Injection::Disk(fault))
    })
}

fn run(context: &Context, injection: &Injection) -> Result<Value, SqlError> {
    inject(context, injection)?;
    Ok(Value::Text(String::new()))
}

fn seconds(arguments: &Arguments<'_, '_>, place: usize) -> Duration {
    Duration::from_secs(u64::try_from(arguments.integer(place)).unwrap_or(0))
}
