//! The words of a step. A name of an instance or a host is still as the file has it.

use serde::Deserialize;

use crate::sim::fault::WrittenFault;

/// What a step does.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Action {
    Crash {
        instance: String,
    },
    Restart {
        instance: String,
    },
    Failover {
        instance: Option<String>,
    },
    AddReader {},
    Remove {
        instance: String,
    },
    ScaleOut {
        count: usize,
    },
    ScaleIn {
        count: usize,
    },
    Rename {
        instance: String,
        to: String,
    },
    Upgrade {
        version: String,
    },
    Backtrack {
        to_ms: u64,
    },
    Tier {
        instance: String,
        tier: u8,
    },
    Silence {
        instance: String,
    },
    Refuse {
        instance: String,
    },
    Slow {
        instance: String,
        ms: u64,
    },
    Restore {
        instance: String,
    },
    Listener {
        instance: String,
        state: Listener,
    },
    Lag {
        instance: String,
        ms: u64,
    },
    PauseReplication {
        instance: String,
    },
    ResumeReplication {
        instance: String,
    },
    View {
        instance: String,
        shows: View,
        other: Option<String>,
    },
    ClearView {
        instance: String,
    },
    DnsFlip {
        ms: u64,
    },
    DnsTtl {
        name: String,
        seconds: u64,
    },
    BreakDns(BrokenDns),
    MendDns {},
    Fault {
        fault: WrittenFault,
    },
    EndFaults {},
    CustomEndpoint {
        name: String,
        kind: Kind,
        members: Option<Vec<String>>,
        except: Option<Vec<String>>,
    },
    RemoveCustomEndpoint {
        name: String,
    },
}

/// What an instance does with connections, beyond the words of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Listener {
    Draining,
    Full,
    Starting,
}

/// What an instance's copy of the topology gets wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum View {
    NoWriter,
    OneRow,
    GarbageLag,
    ForeignRows,
    SecondWriter,
    StaleClaim,
    Lingering,
}

/// A fault of the DNS with all that it may need.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BrokenDns {
    pub(crate) fault: Fault,
    pub(crate) ms: Option<u64>,
    pub(crate) name: Option<String>,
    pub(crate) address: Option<String>,
}

/// What the DNS gets wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    Silent,
    Slow,
    ServFail,
    NxDomain,
    Wrong,
    Truncated,
}

/// Which members a custom endpoint hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Reader,
    Writer,
    Any,
}

impl Action {
    /// Which keys contradict each other or are missing, beyond what the types say.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        match self {
            Self::View { shows, other, .. } => {
                let names_another = matches!(
                    shows,
                    View::SecondWriter | View::StaleClaim | View::Lingering
                );
                match (names_another, other) {
                    (true, None) => Some("name the instance that is shown: add `other`"),
                    (false, Some(_)) => Some("`other` means nothing here: leave it out"),
                    _ => None,
                }
            }
            Self::BreakDns(broken) => broken.flaw(),
            Self::Fault { fault } => fault.clone().fault().err(),
            Self::CustomEndpoint {
                members, except, ..
            } if members.is_some() == except.is_some() => {
                Some("say who belongs to it: add one of `members` and `except`")
            }
            _ => None,
        }
    }
}

impl BrokenDns {
    fn flaw(&self) -> Option<&'static str> {
        let (slow, wrong) = (self.fault == Fault::Slow, self.fault == Fault::Wrong);
        if slow != self.ms.is_some() {
            Some("`ms` says how slow, and goes with `slow` alone")
        } else if wrong != self.name.is_some() || wrong != self.address.is_some() {
            Some("`name` and `address` say what is wrong, and go with `wrong` alone")
        } else {
            None
        }
    }
}
