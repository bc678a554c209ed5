//! Clients that come in their thousands and want nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use aurora_driver::EngineKind;
use aurora_driver::sim::SimCluster;
use socket2::{Domain, Socket, Type};

use crate::within;

/// Connects and closes of one engine; the two together are fifty thousand.
const CONNECTS: u32 = 25_000;
/// Clients that connect at the same time.
const THREADS: u32 = 4;
/// Connections that were abandoned must not leave this much behind. One that is open costs some
/// 100 KiB, so that a leak of one in a hundred would show.
const MEMORY_MAX_KIB: u64 = 24 * 1024;

// One test, as it looks at the memory of the whole process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_connects_and_closes_leave_the_clusters_as_they_were() {
    let mut startup = vec![0, 0, 0, 38, 0, 3, 0, 0];
    startup.extend_from_slice(b"user\0app\0database\0app\0a\0b\0c\0\0");
    storm(EngineKind::Postgres, startup).await;
    // The head of a login of 32 bytes and the first four of them.
    storm(EngineKind::MySql, vec![32, 0, 0, 1, 0x85, 0xa6, 0x0f, 0]).await;
}

async fn storm(engine: EngineKind, half_login: Vec<u8>) {
    let cluster = SimCluster::builder(engine).readers(0).start().await;
    let cluster = cluster.expect("a cluster");
    let writer = cluster.writer().expect("a writer");
    let ip = cluster.address_of(&writer).expect("an address");
    let address = SocketAddr::from((ip, cluster.port()));

    // What the first ones allocate is there for all.
    connects(address, THREADS, &half_login).await;
    let memory_before = own_memory_kib();
    connects(address, CONNECTS, &half_login).await;

    let url = cluster.url();
    let answer = within(async {
        match engine {
            EngineKind::Postgres => {
                let driver = aurora_driver::Cluster::<aurora_driver::Postgres>::connect(&url);
                let driver = driver.await.expect("a cluster");
                let connection = driver.writer().await.expect("a writer");
                let row = connection.query_one("SELECT 1", &[]).await.expect("a row");
                row.get::<_, i32>(0)
            }
            _ => {
                use mysql_async::prelude::Queryable;
                let driver = aurora_driver::Cluster::<aurora_driver::MySql>::connect(&url);
                let driver = driver.await.expect("a cluster");
                let mut connection = driver.writer().await.expect("a writer");
                let answer = connection.query_first("SELECT 1").await.expect("an answer");
                answer.expect("a row")
            }
        }
    })
    .await;
    assert_eq!(answer, 1);
    // They are accepted in turn, so that all that came before the answer have been.
    let counters = cluster.counters(&writer).expect("counters");
    // Where the backlog was full, the system turns a client away without telling the cluster.
    assert!(counters.connects > u64::from(CONNECTS / 2), "{counters:?}");
    within(async {
        while own_memory_kib() > memory_before + MEMORY_MAX_KIB {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    cluster.stop().await;
}

async fn connects(address: SocketAddr, count: u32, half_login: &[u8]) {
    let mut threads = Vec::new();
    for thread in 0..THREADS {
        let half_login = half_login.to_vec();
        threads.push(tokio::task::spawn_blocking(move || {
            for number in (thread..count).step_by(THREADS as usize) {
                connect(address, number, &half_login);
            }
        }));
    }
    for thread in threads {
        thread.await.expect("a scripted client");
    }
}

/// One of the ways to want nothing.
fn connect(address: SocketAddr, number: u32, half_login: &[u8]) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    // Each from an address of its own: the ports of one would run out.
    let source = Ipv4Addr::from((127 << 24) + (1 << 23) + number + 1);
    let source = SocketAddr::from((source, 0));
    socket.bind(&source.into()).expect("a loopback address");
    socket.connect(&address.into()).expect("a listener");
    let mut stream = TcpStream::from(socket);
    // The cluster may hang up first.
    let sent = match number % 4 {
        0 => Ok(()),
        1 => stream.write_all(half_login),
        2 => stream.write_all(b"GET / HTTP/1.1\r\n\r\n"),
        _ => stream.write_all(&[0xFF; 64]),
    };
    if let Err(error) = sent {
        let hung_up = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
        assert!(hung_up.contains(&error.kind()), "{error}");
    }
    if number % 8 == 2 {
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

/// The memory of this process that no file stands behind.
fn own_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a Linux system");
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|kib| kib.parse().ok()).expect("a number")
}
