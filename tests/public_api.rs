//! What the public types promise beyond their methods; most of it holds if this file compiles.

use std::fmt::{Debug, Display};
use std::fs;
use std::hash::Hash;
use std::path::Path;

use aurora_driver::config::{ConfigBuilder, Credentials, HostPort, Observe, PoolLimits, Timing};
use aurora_driver::endpoint::{Endpoint, InstancePattern};
use aurora_driver::observe::{Histogram, Insights, Snapshot, StatementInsight};
use aurora_driver::sim::{
    ClusterState, Counters, RecordedFailover, SimCluster, SimClusterBuilder, SimError, Timeline,
};
use aurora_driver::{
    CloseReport, Cluster, Config, Connection, EngineKind, Epoch, Error, ErrorKind, Event, Events,
    Generation, Instance, InstanceId, MySql, Outcome, Postgres, ServerCode, Topology,
};

/// Beyond this a newcomer no longer sees what matters; what belongs together gets a module.
const ROOT_NAMES_MAX: usize = 25;

fn is_shared<T: Send + Sync + 'static>() {}
fn is_handle<T: Clone + Debug + Send + Sync + Unpin + 'static>() {}
fn is_value<T: Clone + PartialEq + Debug + Send + Sync + 'static>() {}
fn is_name<T: Clone + Ord + Hash + Debug + Display + Send + Sync + 'static>() {}
fn is_error<T: std::error::Error + Send + Sync + 'static>() {}
fn is_sent<T: Send>(_: T) {}

#[test]
fn handles_are_cheap_to_share_between_tasks() {
    is_handle::<Cluster<Postgres>>();
    is_handle::<Cluster<MySql>>();
    is_shared::<Connection<Postgres>>();
    is_shared::<Connection<MySql>>();
    is_handle::<Insights>();
    is_shared::<Events>();
    is_shared::<SimCluster>();
}

#[test]
fn what_describes_the_cluster_is_plain_data() {
    is_value::<Topology>();
    is_value::<Instance>();
    is_value::<Event>();
    is_value::<CloseReport>();
    is_value::<Endpoint>();
    is_value::<InstancePattern>();
    is_value::<ClusterState>();
    is_value::<Counters>();
    is_value::<Histogram>();
    is_value::<Snapshot>();
    is_value::<StatementInsight>();
    is_value::<RecordedFailover>();
    is_name::<InstanceId>();
    is_name::<Epoch>();
    is_name::<Generation>();
    is_name::<EngineKind>();
}

#[test]
fn what_configures_it_is_plain_data_too() {
    is_handle::<Config>();
    is_handle::<ConfigBuilder>();
    is_handle::<Credentials>();
    is_handle::<SimClusterBuilder>();
    is_value::<HostPort>();
    is_value::<PoolLimits>();
    is_value::<Observe>();
    is_value::<Timing>();
    is_value::<Timeline>();
}

#[test]
fn errors_are_one_pointer_wide_and_go_anywhere() {
    is_error::<Error>();
    is_error::<SimError>();
    is_value::<ErrorKind>();
    is_value::<Outcome>();
    is_value::<ServerCode>();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
}

/// Compiling it is the test: a task of a multi-threaded runtime may hold any of these.
#[expect(
    dead_code,
    reason = "its body is type-checked, which is all that is asked"
)]
fn the_futures_of_a_handle_may_change_threads(
    postgres: &Cluster<Postgres>,
    mysql: &Cluster<MySql>,
    mut connection: Connection<MySql>,
    events: &mut Events,
) {
    let patience = std::time::Duration::ZERO;
    is_sent(Cluster::<Postgres>::connect(""));
    is_sent(Cluster::<MySql>::connect(""));
    is_sent(postgres.writer());
    is_sent(postgres.reader());
    is_sent(postgres.ready(patience));
    is_sent(postgres.close(patience));
    is_sent(mysql.writer());
    is_sent(mysql.reader());
    is_sent(events.next());
    is_sent(async move {
        use mysql_async::prelude::Queryable;
        connection.query_drop("DO 1").await
    });
}

#[test]
fn the_root_has_few_names() {
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let lib = fs::read_to_string(lib).unwrap();
    let names = root_names(&lib);
    assert!(names.contains(&"Cluster") && names.contains(&"Postgres"));
    assert!(
        names.len() <= ROOT_NAMES_MAX,
        "{} names are re-exported at the root: {names:?}",
        names.len()
    );
}

/// The names that `pub use` brings to the outermost level.
fn root_names(lib: &str) -> Vec<&str> {
    let statements = lib.split("\npub use ").skip(1);
    statements
        .filter_map(|rest| rest.split(';').next())
        .flat_map(|path| match path.split_once('{') {
            Some((_, group)) => group.trim_end_matches('}').split(',').collect(),
            None => path.rsplit("::").take(1).collect::<Vec<_>>(),
        })
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn root_names_are_counted_one_by_one() {
    let lib = "mod a;\npub use a::{\n    B,\n    C,\n};\npub use a::d::E;\npub mod m {\n    pub use a::F;\n}\n";
    assert_eq!(root_names(lib), ["B", "C", "E"]);
}
