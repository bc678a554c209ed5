//! Reads that are confined to the members of a custom endpoint.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use aurora_driver::sim::{CustomEndpointKind, CustomEndpointMembers, DnsFault, SimCluster};
use aurora_driver::{Cluster, EngineKind, ErrorKind, InstanceId};

use crate::database::{Database, PATIENCE, eventually, insert, on_both_engines, start, start_with};

on_both_engines!(
    reads_go_to_the_members_alone_and_writes_to_the_writer,
    a_custom_endpoint_among_the_seeds_confines_reads_too,
    members_are_found_by_their_addresses_where_names_do_not_tell,
    reads_follow_a_membership_that_changes,
    a_reader_that_is_added_to_the_members_gets_reads,
    a_member_that_is_down_gets_no_reads_and_stays_a_member,
    a_read_waits_for_the_only_member_rather_than_go_elsewhere,
    the_only_member_gets_the_reads_also_as_the_writer,
    the_writer_is_read_from_only_while_no_other_member_is_there,
    the_known_members_stay_when_the_name_leads_nowhere,
    an_endpoint_that_leads_to_strangers_has_no_members,
    without_a_member_a_read_fails_and_says_why,
);

const NAME: &str = "reports";

fn add(simulated: &SimCluster, members: impl IntoIterator<Item = InstanceId>) -> String {
    let members = CustomEndpointMembers::fixed(members);
    let added = simulated.custom_endpoint(NAME, CustomEndpointKind::Any, members);
    added.expect("the endpoint is new")
}

async fn connect<E: Database>(simulated: &SimCluster, keys: &str) -> Cluster<E> {
    let url = format!("{}&{keys}", simulated.url());
    Cluster::connect(&url).await.expect("the cluster is there")
}

/// Whom so many reads go to.
async fn read_from<E: Database>(cluster: &Cluster<E>, reads: usize) -> BTreeSet<InstanceId> {
    let mut instances = BTreeSet::new();
    for _ in 0..reads {
        let reader = cluster.reader().await.expect("a member is up");
        instances.insert(reader.instance().clone());
    }
    instances
}

/// Waits until reads go to all of these, and never to others than `allowed`.
async fn spread<E: Database>(
    cluster: &Cluster<E>,
    wanted: &BTreeSet<InstanceId>,
    allowed: &BTreeSet<InstanceId>,
) {
    let spreading = async {
        loop {
            let instances = read_from(cluster, 20).await;
            assert!(instances.is_subset(allowed), "{instances:?}");
            if instances == *wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let spread = tokio::time::timeout(PATIENCE, spreading).await;
    spread.unwrap_or_else(|_| panic!("reads do not come to go to {wanted:?}"));
}

async fn reads_go_to_the_members_alone_and_writes_to_the_writer<E: Database>() {
    let (simulated, _) = start_with::<E>(|builder| builder.readers(4)).await;
    let members: BTreeSet<_> = simulated.readers().into_iter().take(2).collect();
    let host = add(&simulated, members.clone());
    let cluster = connect::<E>(&simulated, &format!("custom_endpoint={host}")).await;
    spread(&cluster, &members, &members).await;
    assert_eq!(read_from(&cluster, 100).await, members);
    insert(&cluster, 1).await.unwrap();
    let writer = cluster.writer().await.unwrap();
    assert_eq!(Some(writer.instance()), simulated.writer().as_ref());
}

async fn a_custom_endpoint_among_the_seeds_confines_reads_too<E: Database>() {
    let (simulated, everywhere) = start::<E>().await;
    let member = simulated.readers().remove(0);
    let host = add(&simulated, [member.clone()]);
    let url = simulated.url();
    let url = url.replace(&simulated.cluster_endpoint(), &host);
    let cluster = Cluster::<E>::connect(&url).await.unwrap();
    assert_eq!(read_from(&cluster, 50).await, [member].into());
    let readers = BTreeSet::from_iter(simulated.readers());
    assert_eq!(read_from(&everywhere, 50).await, readers, "other handles");
}

async fn members_are_found_by_their_addresses_where_names_do_not_tell<E: Database>() {
    let network = match <E as Database>::KIND {
        EngineKind::MySql => 2,
        _ => 1,
    };
    let (simulated, _) = start_with::<E>(|builder| {
        let instances = (21..=24).map(|last| (last, Ipv4Addr::new(127, 77, network, last)));
        instances.fold(builder, |builder, (last, address)| {
            builder.instance(last.to_string(), address)
        })
    })
    .await;
    let members: BTreeSet<_> = simulated.readers().into_iter().take(2).collect();
    let host = add(&simulated, members.clone());
    let keys = format!("custom_endpoint={host}&instance_pattern=127.77.{network}.%3F");
    let cluster = connect::<E>(&simulated, &keys).await;
    spread(&cluster, &members, &members).await;
    assert_eq!(read_from(&cluster, 50).await, members);
}

async fn reads_follow_a_membership_that_changes<E: Database>() {
    let (simulated, _) = start::<E>().await;
    let [old, new] = <[InstanceId; 2]>::try_from(simulated.readers()).unwrap();
    let host = add(&simulated, [old.clone()]);
    // Each query counts: no answer is that of a cache.
    simulated.set_dns_ttl(&host, Duration::ZERO).unwrap();
    let cluster = connect::<E>(&simulated, &format!("custom_endpoint={host}")).await;
    assert_eq!(read_from(&cluster, 50).await, [old.clone()].into());
    simulated.remove_custom_endpoint(NAME).unwrap();
    add(&simulated, [new.clone()]);
    simulated.set_dns_ttl(&host, Duration::ZERO).unwrap();
    let both = BTreeSet::from([old, new.clone()]);
    spread(&cluster, &both, &both).await;
    let new = BTreeSet::from([new]);
    spread(&cluster, &new, &both).await;
    assert_eq!(read_from(&cluster, 50).await, new);
}

async fn a_reader_that_is_added_to_the_members_gets_reads<E: Database>() {
    let (simulated, _) = start::<E>().await;
    let [excluded, member] = <[InstanceId; 2]>::try_from(simulated.readers()).unwrap();
    let members = CustomEndpointMembers::all_except([excluded]);
    let kind = CustomEndpointKind::Reader;
    let host = simulated.custom_endpoint(NAME, kind, members).unwrap();
    let keys = format!("custom_endpoint={host}&slow_start=0s");
    let cluster = connect::<E>(&simulated, &keys).await;
    assert_eq!(read_from(&cluster, 50).await, [member.clone()].into());
    let added = simulated.add_reader().unwrap();
    let both = BTreeSet::from([member, added]);
    spread(&cluster, &both, &both).await;
}

async fn a_member_that_is_down_gets_no_reads_and_stays_a_member<E: Database>() {
    let (simulated, _) = start_with::<E>(|builder| builder.readers(3)).await;
    let members: BTreeSet<_> = simulated.readers().into_iter().take(2).collect();
    let host = add(&simulated, members.clone());
    let keys = format!("custom_endpoint={host}&slow_start=0s");
    let cluster = connect::<E>(&simulated, &keys).await;
    spread(&cluster, &members, &members).await;
    let down = members.first().unwrap();
    simulated.crash(down).unwrap();
    eventually("the end of its reads", || {
        !cluster
            .topology()
            .readers()
            .any(|reader| reader.id() == down)
    })
    .await;
    let mut rest = members.clone();
    rest.remove(down);
    assert_eq!(read_from(&cluster, 20).await, rest);
    spread(&cluster, &members, &members).await;
}

async fn a_read_waits_for_the_only_member_rather_than_go_elsewhere<E: Database>() {
    let (simulated, _) = start_with::<E>(|builder| builder.readers(3)).await;
    let member = simulated.readers().remove(1);
    let host = add(&simulated, [member.clone()]);
    let cluster = connect::<E>(&simulated, &format!("custom_endpoint={host}")).await;
    assert_eq!(read_from(&cluster, 1).await, [member.clone()].into());
    simulated.crash(&member).unwrap();
    eventually("the loss of the member", || {
        let topology = cluster.topology();
        !topology.readers().any(|reader| *reader.id() == member)
    })
    .await;
    assert_eq!(read_from(&cluster, 20).await, [member].into());
}

async fn the_only_member_gets_the_reads_also_as_the_writer<E: Database>() {
    let (simulated, _) = start::<E>().await;
    let member = simulated.readers().remove(0);
    let host = add(&simulated, [member.clone()]);
    let cluster = connect::<E>(&simulated, &format!("custom_endpoint={host}")).await;
    assert_eq!(read_from(&cluster, 1).await, [member.clone()].into());
    simulated.failover(Some(&member)).unwrap();
    eventually("its promotion", || {
        let topology = cluster.topology();
        topology
            .writer()
            .is_some_and(|writer| *writer.id() == member)
    })
    .await;
    assert_eq!(read_from(&cluster, 20).await, [member].into());
}

async fn the_writer_is_read_from_only_while_no_other_member_is_there<E: Database>() {
    let (simulated, _) = start::<E>().await;
    let writer = simulated.writer().unwrap();
    let reader = simulated.readers().remove(0);
    let members = BTreeSet::from([writer.clone(), reader.clone()]);
    let host = add(&simulated, members.clone());
    let cluster = connect::<E>(&simulated, &format!("custom_endpoint={host}")).await;
    let reader_alone = BTreeSet::from([reader.clone()]);
    spread(&cluster, &reader_alone, &members).await;
    assert_eq!(read_from(&cluster, 50).await, reader_alone);
    simulated.remove_instance(&reader).unwrap();
    spread(&cluster, &[writer].into(), &members).await;
}

async fn the_known_members_stay_when_the_name_leads_nowhere<E: Database>() {
    let (simulated, _) = start::<E>().await;
    let member = simulated.readers().remove(0);
    let host = add(&simulated, [member.clone()]);
    let endpoint = format!("custom_endpoint={host}");
    let cluster = connect::<E>(&simulated, &endpoint).await;
    assert_eq!(read_from(&cluster, 1).await, [member.clone()].into());
    let _broken = simulated.break_dns(DnsFault::NxDomain);
    // It shares what is known of the cluster. Both ask more often than it takes for a member to
    // be no longer one.
    let keys = format!("{endpoint}&checkout_timeout=12s");
    let later = connect::<E>(&simulated, &keys).await;
    let message = later.reader().await.unwrap_err().to_string();
    assert!(message.contains("does not exist"), "{message}");
    assert_eq!(read_from(&cluster, 20).await, [member].into());
}

async fn an_endpoint_that_leads_to_strangers_has_no_members<E: Database>() {
    let (simulated, _) = start::<E>().await;
    let host = add(&simulated, simulated.readers());
    let _wrong = simulated.break_dns(DnsFault::Wrong {
        name: host.clone(),
        address: Ipv4Addr::new(127, 99, 99, 99),
    });
    let keys = format!("custom_endpoint={host}&checkout_timeout=300ms");
    let cluster = connect::<E>(&simulated, &keys).await;
    let message = cluster.reader().await.unwrap_err().to_string();
    assert!(message.contains("127.99.99.99"), "{message}");
    assert!(message.contains("of no known instance"), "{message}");
}

async fn without_a_member_a_read_fails_and_says_why<E: Database>() {
    let (simulated, _) = start::<E>().await;
    let members = CustomEndpointMembers::fixed(simulated.writer());
    let kind = CustomEndpointKind::Reader;
    let host = simulated.custom_endpoint(NAME, kind, members).unwrap();
    let keys = format!("custom_endpoint={host}&checkout_timeout=300ms");
    let cluster = connect::<E>(&simulated, &keys).await;
    let error = cluster.reader().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoReader);
    let message = error.to_string();
    assert!(
        message.contains("no member of the custom endpoint is known"),
        "{message}"
    );
    assert!(message.contains(&host), "{message}");
    cluster.writer().await.expect("writes go on");
}
