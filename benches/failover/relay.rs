//! A network that can be cut: every connection to an instance goes through a relay, which keeps the
//! bytes to itself while the cut lasts. Nothing is closed and nothing is refused, as when packets are
//! dropped, and after the healing everything arrives, as TCP would send it again.

use std::net::Ipv4Addr;

use anyhow::Context;
use aurora_driver::sim::{DnsFault, DnsFaultGuard, SimCluster};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The relays' addresses are those of the instances with the last number so much higher; a cluster
/// has at most 16 instances.
const ADDRESS_OFFSET: u8 = 100;

/// The relays in front of all instances; the cluster's names lead to them as long as it lives.
pub(crate) struct Network {
    open: watch::Sender<bool>,
    _relays: JoinSet<()>,
    _names: Vec<DnsFaultGuard>,
}

impl Network {
    /// Puts relays in front of the instances of a cluster whose writer will stay the writer.
    pub(crate) async fn in_front_of(cluster: &SimCluster) -> anyhow::Result<Self> {
        let (open, is_open) = watch::channel(true);
        let mut relays = JoinSet::new();
        for instance in cluster.instances() {
            let (address, port) = (instance.address, cluster.port());
            let listener = TcpListener::bind((relay_of(address), port)).await;
            let listener = listener.context("a relay cannot listen")?;
            relays.spawn(relay(listener, address, port, is_open.clone()));
        }
        let mut names = Vec::new();
        for answer in cluster.dns_answers() {
            let address = answer.address.context("a name leads nowhere")?;
            names.push(cluster.break_dns(DnsFault::Wrong {
                name: answer.name,
                address: relay_of(address),
            }));
        }
        Ok(Self {
            open,
            _relays: relays,
            _names: names,
        })
    }

    pub(crate) fn cut(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn heal(&self) {
        self.open.send_replace(true);
    }
}

fn relay_of(address: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d.wrapping_add(ADDRESS_OFFSET))
}

async fn relay(listener: TcpListener, address: Ipv4Addr, port: u16, open: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        connections.spawn(connection(near, address, port, open.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(
    near: TcpStream,
    address: Ipv4Addr,
    port: u16,
    mut open: watch::Receiver<bool>,
) -> std::io::Result<()> {
    passable(&mut open).await;
    let far = TcpStream::connect((address, port)).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let there = pass(near_in, far_out, open.clone());
    let back = pass(far_in, near_out, open);
    tokio::try_join!(there, back).map(drop)
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut open: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut bytes).await?;
        passable(&mut open).await;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..count]).await?;
    }
}

/// The sender lives as long as the relays; without it nothing would be cut any more.
async fn passable(open: &mut watch::Receiver<bool>) {
    let _ = open.wait_for(|open| *open).await;
}
