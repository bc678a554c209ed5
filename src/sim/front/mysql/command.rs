//! What a client can ask: the packets of the command phase, read.
//!
//! Layouts: MySQL client/server protocol, "Command Phase".

use mysql_common::io::ParseBuf;
use mysql_common::packets::AuthPlugin;

/// One command.
#[derive(Debug, PartialEq)]
pub(super) enum Command<'a> {
    Quit,
    InitDb(&'a [u8]),
    Query(&'a [u8]),
    FieldList {
        table: &'a [u8],
    },
    Statistics,
    ProcessKill(u32),
    Ping,
    ChangeUser(ChangeUser<'a>),
    Prepare(&'a [u8]),
    /// What follows the id needs the statement to be understood.
    Execute {
        id: u32,
        rest: &'a [u8],
    },
    SendLongData {
        id: u32,
        parameter: u16,
        data: &'a [u8],
    },
    CloseStatement(u32),
    ResetStatement(u32),
    FetchRows(u32),
    SetMultiStatements(bool),
    ResetConnection,
    /// One that MySQL 8.0 does not know either, or that is beyond this server.
    Unknown,
}

/// COM_CHANGE_USER without the client's proof: it rests on an old nonce, so that a new one is
/// asked for in any case.
#[derive(Debug, PartialEq)]
pub(super) struct ChangeUser<'a> {
    pub(super) user: &'a [u8],
    pub(super) database: &'a [u8],
    pub(super) plugin: Option<AuthPlugin<'a>>,
}

impl<'a> Command<'a> {
    /// `None`: the packet is malformed.
    pub(super) fn parse(packet: &'a [u8]) -> Option<Self> {
        let (&code, rest) = packet.split_first()?;
        let mut buffer = ParseBuf(rest);
        Some(match code {
            COM_QUIT => Self::Quit,
            COM_INIT_DB => Self::InitDb(rest),
            COM_QUERY => Self::Query(rest),
            // A pattern for field names may follow; it is not applied.
            COM_FIELD_LIST => Self::FieldList {
                table: buffer.eat_null_str(),
            },
            COM_STATISTICS => Self::Statistics,
            COM_PROCESS_KILL => Self::ProcessKill(buffer.checked_eat_u32_le()?),
            COM_PING => Self::Ping,
            COM_CHANGE_USER => Self::ChangeUser(ChangeUser::parse(buffer)?),
            COM_STMT_PREPARE => Self::Prepare(rest),
            COM_STMT_EXECUTE => Self::Execute {
                id: buffer.checked_eat_u32_le()?,
                rest: buffer.0,
            },
            COM_STMT_SEND_LONG_DATA => Self::SendLongData {
                id: buffer.checked_eat_u32_le()?,
                parameter: buffer.checked_eat_u16_le()?,
                data: buffer.0,
            },
            COM_STMT_CLOSE => Self::CloseStatement(buffer.checked_eat_u32_le()?),
            COM_STMT_RESET => Self::ResetStatement(buffer.checked_eat_u32_le()?),
            COM_STMT_FETCH => Self::FetchRows(buffer.checked_eat_u32_le()?),
            COM_SET_OPTION => match buffer.checked_eat_u16_le()? {
                MULTI_STATEMENTS_ON => Self::SetMultiStatements(true),
                MULTI_STATEMENTS_OFF => Self::SetMultiStatements(false),
                _ => Self::Unknown,
            },
            COM_RESET_CONNECTION => Self::ResetConnection,
            _ => Self::Unknown,
        })
    }
}

impl<'a> ChangeUser<'a> {
    fn parse(mut buffer: ParseBuf<'a>) -> Option<Self> {
        let user = buffer.eat_null_str();
        let _proof = buffer.checked_eat_u8_str()?;
        let database = buffer.eat_null_str();
        // Clients of old stop here. Connection attributes may follow, as at login.
        let plugin = buffer
            .checked_eat_u16_le()
            .map(|_collation| AuthPlugin::from_bytes(buffer.eat_null_str()));
        Some(Self {
            user,
            database,
            plugin,
        })
    }
}

const COM_QUIT: u8 = 0x01;
const COM_INIT_DB: u8 = 0x02;
const COM_QUERY: u8 = 0x03;
const COM_FIELD_LIST: u8 = 0x04;
const COM_STATISTICS: u8 = 0x09;
const COM_PROCESS_KILL: u8 = 0x0c;
const COM_PING: u8 = 0x0e;
const COM_CHANGE_USER: u8 = 0x11;
const COM_STMT_PREPARE: u8 = 0x16;
const COM_STMT_EXECUTE: u8 = 0x17;
const COM_STMT_SEND_LONG_DATA: u8 = 0x18;
const COM_STMT_CLOSE: u8 = 0x19;
const COM_STMT_RESET: u8 = 0x1a;
const COM_SET_OPTION: u8 = 0x1b;
const COM_STMT_FETCH: u8 = 0x1c;
const COM_RESET_CONNECTION: u8 = 0x1f;

const MULTI_STATEMENTS_ON: u16 = 0;
const MULTI_STATEMENTS_OFF: u16 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_command_is_malformed_and_nothing_worse() {
        let whole: [&[u8]; 9] = [
            &[COM_PROCESS_KILL, 1, 0, 0, 0],
            &[COM_STMT_EXECUTE, 1, 0, 0, 0],
            &[COM_STMT_SEND_LONG_DATA, 1, 0, 0, 0, 0, 0],
            &[COM_STMT_CLOSE, 1, 0, 0, 0],
            &[COM_STMT_RESET, 1, 0, 0, 0],
            &[COM_STMT_FETCH, 1, 0, 0, 0],
            &[COM_SET_OPTION, 1, 0],
            &[COM_CHANGE_USER, b'u', 0, 2, 1, 2],
            &[COM_QUIT],
        ];
        for packet in whole {
            assert!(Command::parse(packet).is_some(), "{packet:?}");
            let truncated = &packet[..packet.len() - 1];
            assert_eq!(Command::parse(truncated), None, "{truncated:?}");
        }
    }

    #[test]
    fn a_change_of_user_is_read_with_and_without_a_plugin() {
        let packet = b"\x11app\0\x03abcdb\0";
        let bare = ChangeUser {
            user: b"app",
            database: b"db",
            plugin: None,
        };
        assert_eq!(Command::parse(packet), Some(Command::ChangeUser(bare)));
        let packet = b"\x11app\0\x03abcdb\0\x2d\0mysql_native_password\0\0";
        let full = ChangeUser {
            user: b"app",
            database: b"db",
            plugin: Some(AuthPlugin::MysqlNativePassword),
        };
        assert_eq!(Command::parse(packet), Some(Command::ChangeUser(full)));
    }
}
