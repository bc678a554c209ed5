//! Packets dropped without a word, in the network of this test alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use crate::ground::program;

/// Who is cut off.
#[derive(Debug, Default)]
pub(crate) struct Cuts(BTreeMap<Ipv4Addr, Vec<u16>>);

impl Cuts {
    /// Drops all packets to and from an address, and those of connections that go out from
    /// `ports`: on loopback they have another address.
    pub(crate) fn cut(&mut self, address: Ipv4Addr, ports: Vec<u16>) {
        self.0.insert(address, ports);
        self.enforce();
    }

    pub(crate) fn heal(&mut self, address: Ipv4Addr) {
        if self.0.remove(&address).is_some() {
            self.enforce();
        }
    }

    /// At the input, where the sender cannot notice: a packet dropped at the output is an error
    /// of the sending call.
    fn enforce(&self) {
        let mut rules = "table inet cuts\ndelete table inet cuts\ntable inet cuts {\n\
                         chain arriving {\ntype filter hook input priority 0; policy accept;\n"
            .to_owned();
        for (address, ports) in &self.0 {
            let _ = writeln!(rules, "ip saddr {address} drop\nip daddr {address} drop");
            for port in ports {
                let _ = writeln!(rules, "tcp sport {port} drop\ntcp dport {port} drop");
            }
        }
        rules.push_str("}\n}\n");
        let nft = program("nft").expect("the test needs it, so it was looked for");
        let mut nft = Command::new(nft)
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("nft can be started");
        let mut input = nft.stdin.take().expect("it is piped");
        input.write_all(rules.as_bytes()).expect("nft reads");
        drop(input);
        assert!(nft.wait().expect("nft ends").success(), "{rules}");
    }
}
