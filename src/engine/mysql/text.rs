//! The texts of statements, where they are known.

use std::borrow::Cow;
use std::sync::Arc;

use mysql_async::Statement;

/// What `exec_*` takes for a statement: a text, or one that was prepared by `prep`.
///
/// Implemented for all that is `mysql_async::prelude::StatementLike`.
pub trait StatementText {
    /// The text, unless it has been prepared.
    fn text(&self) -> Option<Cow<'_, [u8]>>;

    /// The number of the prepared statement, if it is one.
    fn prepared(&self) -> Option<u32> {
        None
    }
}

macro_rules! texts {
    ($($text:ty),*) => {
        $(
            impl StatementText for $text {
                fn text(&self) -> Option<Cow<'_, [u8]>> {
                    let bytes: &[u8] = self.as_ref();
                    Some(Cow::Borrowed(bytes))
                }
            }
        )*
    };
}

macro_rules! strings {
    ($($text:ty),*) => {
        $(
            impl StatementText for $text {
                fn text(&self) -> Option<Cow<'_, [u8]>> {
                    Some(Cow::Borrowed(self.as_bytes()))
                }
            }
        )*
    };
}

strings!(str, String, Box<str>, Arc<str>, Cow<'_, str>);
texts!([u8], Vec<u8>, Box<[u8]>, Arc<[u8]>, Cow<'_, [u8]>);

impl StatementText for Statement {
    fn text(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn prepared(&self) -> Option<u32> {
        Some(self.id())
    }
}

impl<T: StatementText + ?Sized> StatementText for &T {
    fn text(&self) -> Option<Cow<'_, [u8]>> {
        (**self).text()
    }

    fn prepared(&self) -> Option<u32> {
        (**self).prepared()
    }
}
