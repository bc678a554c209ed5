//! Who a client is: the checks of the authentication plugins, without any packet.
//!
//! Plugins: MySQL client/server protocol, "Authentication Methods".

use mysql_common::packets::AuthPlugin;
use mysql_common::scramble::{scramble_native, scramble_sha256};

/// An authentication plugin that this server takes a proof from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plugin {
    /// `caching_sha2_password`, the default of MySQL 8.0.
    CachingSha2,
    /// `mysql_native_password`.
    Native,
    /// `mysql_clear_password`: the password itself, such as an IAM token. Over TLS only.
    Clear,
}

impl Plugin {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CachingSha2 => "caching_sha2_password",
            Self::Native => "mysql_native_password",
            Self::Clear => "mysql_clear_password",
        }
    }

    /// The plugin whose proof the client has sent unasked; `None`: it must be asked for another.
    pub(super) fn offered(plugin: Option<&AuthPlugin<'_>>, over_tls: bool) -> Option<Self> {
        match plugin {
            Some(AuthPlugin::CachingSha2Password) => Some(Self::CachingSha2),
            // A client too old to name its plugin knows no other.
            None | Some(AuthPlugin::MysqlNativePassword) => Some(Self::Native),
            Some(AuthPlugin::MysqlClearPassword) if over_tls => Some(Self::Clear),
            Some(
                AuthPlugin::MysqlClearPassword
                | AuthPlugin::MysqlOldPassword
                | AuthPlugin::Ed25519
                | AuthPlugin::MariadbParsec { .. }
                | AuthPlugin::Other(_),
            ) => None,
        }
    }

    /// Whether `proof` is what a client that knows `password` answers to `nonce`.
    pub(super) fn proves(self, password: &str, nonce: &[u8], proof: &[u8]) -> bool {
        let expected: Option<Vec<u8>> = match self {
            Self::CachingSha2 => scramble_sha256(nonce, password.as_bytes()).map(|it| it.to_vec()),
            Self::Native => scramble_native(nonce, password.as_bytes()).map(|it| it.to_vec()),
            Self::Clear => return without_nul(proof) == password.as_bytes(),
        };
        match expected {
            Some(expected) => proof == expected,
            // An empty password is proven by nothing; `caching_sha2_password` may say so by a NUL.
            None => without_nul(proof).is_empty(),
        }
    }
}

/// Passwords in clear text end with a NUL.
fn without_nul(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(&[0]).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &[u8] = b"abcdefghijklmnopqrst";

    #[test]
    fn a_scramble_proves_its_password_and_no_other() {
        let proof = scramble_sha256(NONCE, b"secret").expect("a password");
        assert!(Plugin::CachingSha2.proves("secret", NONCE, &proof));
        assert!(!Plugin::CachingSha2.proves("Secret", NONCE, &proof));
        assert!(!Plugin::CachingSha2.proves("secret", b"another nonce here!!", &proof));
        assert!(!Plugin::Native.proves("secret", NONCE, &proof));
        let proof = scramble_native(NONCE, b"secret").expect("a password");
        assert!(Plugin::Native.proves("secret", NONCE, &proof));
        assert!(!Plugin::Native.proves("", NONCE, &proof));
    }

    #[test]
    fn an_empty_proof_proves_only_an_empty_password() {
        for plugin in [Plugin::CachingSha2, Plugin::Native, Plugin::Clear] {
            assert!(plugin.proves("", NONCE, b""), "{plugin:?}");
            assert!(!plugin.proves("secret", NONCE, b""), "{plugin:?}");
        }
        assert!(Plugin::CachingSha2.proves("", NONCE, b"\0"));
    }

    #[test]
    fn a_password_in_clear_text_is_taken_over_tls_alone() {
        let clear = AuthPlugin::MysqlClearPassword;
        assert_eq!(Plugin::offered(Some(&clear), true), Some(Plugin::Clear));
        assert_eq!(Plugin::offered(Some(&clear), false), None);
        assert!(Plugin::Clear.proves("token", NONCE, b"token\0"));
        assert!(!Plugin::Clear.proves("token", NONCE, b"toke\0"));
    }
}
