//! A host and its port, as text: checked for its characters, not for its meaning.

use std::fmt;
use std::net::IpAddr;

use super::invalid;
use crate::error::Result;

/// A host name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// A name, or an IPv4 or IPv6 address (without brackets).
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl HostPort {
    /// A host and a port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// Reads `host`, `host:port`, `[ipv6]` or `[ipv6]:port`.
    pub(super) fn parse(text: &str, default_port: u16) -> Result<Self> {
        let (host, port) = split_port(text)?;
        let port = match port {
            Some(port) => parse_port(port)?,
            None => default_port,
        };
        Ok(Self::new(Host::parse(host)?.into_text(), port))
    }

    pub(super) fn validate(&self) -> Result<()> {
        if self.port == 0 {
            return Err(invalid(format!(
                "the port of `{}` is 0: use 1 to 65535",
                self.host.escape_debug()
            )));
        }
        Host::parse(&self.host).map(drop)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The text of one host, told apart and spelt in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// A literal address.
    Address(IpAddr),
    /// A DNS name in lower case; a final dot (a name that no search domain may follow) is kept.
    Name(String),
}

/// The longest name that DNS can carry, in its text form (RFC 1035, section 2.3.4).
const MAX_NAME_LENGTH: usize = 253;
/// The longest part between two dots (RFC 1035, section 2.3.4).
const MAX_LABEL_LENGTH: usize = 63;

impl Host {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        validate_name(text)?;
        Ok(Self::Name(text.to_ascii_lowercase()))
    }

    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Name(name) => name,
        }
    }

    /// Whether it can only be this machine.
    pub(super) fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Name(name) => name.strip_suffix('.').unwrap_or(name) == "localhost",
        }
    }
}

/// Splits `host:port`; only brackets make a host with colons of its own.
pub(crate) fn split_port(text: &str) -> Result<(&str, Option<&str>)> {
    if text.starts_with('[') {
        return match text.split_once(']') {
            Some((_, "")) => Ok((text, None)),
            Some((host, rest)) if rest.starts_with(':') => {
                Ok((&text[..host.len() + 1], Some(&rest[1..])))
            }
            _ => Err(invalid(format!(
                "`{}` is no bracketed IPv6 address: write `[::1]` or `[::1]:5432`",
                text.escape_debug()
            ))),
        };
    }
    match text.split_once(':') {
        None => Ok((text, None)),
        Some((_, port)) if port.contains(':') => Err(invalid(format!(
            "`{}` has more than one `:`: put an IPv6 address in brackets, `[::1]:5432`",
            text.escape_debug()
        ))),
        Some((host, port)) => Ok((host, Some(port))),
    }
}

pub(crate) fn parse_port(text: &str) -> Result<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(invalid(format!(
            "`{}` is no port: use 1 to 65535",
            text.escape_debug()
        ))),
    }
}

fn validate_name(name: &str) -> Result<()> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    let reason = if bare.is_empty() {
        "it is empty"
    } else if bare.len() > MAX_NAME_LENGTH {
        "it is longer than 253 characters"
    } else if bare.split('.').any(str::is_empty) {
        "it has an empty part between two dots"
    } else if bare.split('.').any(|label| label.len() > MAX_LABEL_LENGTH) {
        "a part between two dots is longer than 63 characters"
    } else if !bare.bytes().all(is_name_byte) {
        "names are made of letters, digits, `-`, `_` and `.` (others in their `xn--` form)"
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(80).collect();
    Err(invalid(format!(
        "`{}` is no host name: {reason}",
        shown.escape_debug()
    )))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_optional_and_ipv6_stands_in_brackets() {
        let read = |text| HostPort::parse(text, 5432).map(|parsed| parsed.to_string());
        assert_eq!(read("DB.example").unwrap(), "db.example:5432");
        assert_eq!(read("db.example:3307").unwrap(), "db.example:3307");
        assert_eq!(read("127.0.0.1").unwrap(), "127.0.0.1:5432");
        assert_eq!(read("[::1]").unwrap(), "[::1]:5432");
        assert_eq!(read("[0:0:0:0:0:0:0:1]:6000").unwrap(), "[::1]:6000");
    }

    #[test]
    fn a_host_that_makes_no_sense_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "empty"),
            (".", "empty"),
            ("a..b", "empty part"),
            ("::1", "brackets"),
            ("[::1", "bracketed"),
            ("[::1]x", "bracketed"),
            ("[nonsense]", "made of letters"),
            ("db:", "no port"),
            ("db:0", "no port"),
            ("db:+80", "no port"),
            ("db:65536", "no port"),
            ("d b", "made of letters"),
            ("bücher.example", "xn--"),
            ("db\n", "made of letters"),
        ] {
            let error = HostPort::parse(text, 1).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
        let long = format!("{}.example", "x".repeat(64));
        assert!(HostPort::parse(&long, 1).is_err());
    }
}
