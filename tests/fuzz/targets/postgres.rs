//! Hostile bytes for the PostgreSQL front.
#![no_main]

use std::net::TcpStream;

use aurora_driver::EngineKind;
use aurora_driver_fuzz::Target;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((mode, bytes)) = input.split_first() else {
        return;
    };
    let target = Target::of(EngineKind::Postgres);
    let stream = target.connect();
    if mode & 1 == 1 {
        log_in(target, &stream);
    }
    target.feed(stream, bytes);
});

/// A real client logs in on a copy of the socket and is dropped without a goodbye.
fn log_in(target: &Target, stream: &TcpStream) {
    let copy = stream.try_clone().expect("a descriptor");
    copy.set_nonblocking(true).expect("a socket");
    target.runtime.block_on(async {
        let copy = tokio::net::TcpStream::from_std(copy).expect("a socket");
        let mut config = tokio_postgres::Config::new();
        config
            .user(target.cluster.user())
            .password(target.cluster.password())
            .dbname(target.cluster.database());
        let login = config.connect_raw(copy, tokio_postgres::NoTls);
        drop(login.await.expect("a login"));
    });
    stream.set_nonblocking(false).expect("a socket");
}
