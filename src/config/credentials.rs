//! Who logs in: a user with a password, or with a provider that is asked for one each time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use super::{invalid, without_nul};
use crate::error::{Error, ErrorKind, Result};

/// A user, and how to get the password.
///
/// ```
/// use aurora_driver::config::{Credentials, LoginTarget};
///
/// let fixed = Credentials::new("app", "secret");
/// assert!(!format!("{fixed:?}").contains("secret"));
///
/// let token = Credentials::with_provider("app", |target: LoginTarget| async move {
///     sign_iam_token(&target.host, target.port, &target.user).await
/// });
/// # async fn sign_iam_token(_: &str, _: u16, _: &str) -> Result<String, std::io::Error> { Ok(String::new()) }
/// # let _ = token;
/// ```
#[derive(Clone)]
pub struct Credentials {
    user: String,
    password: Password,
}

#[derive(Clone)]
enum Password {
    None,
    Fixed(SecretString),
    Provider(Arc<dyn PasswordProvider>),
}

/// What a new connection is about to log in to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginTarget {
    /// The name of the instance's host, as its certificate carries it; IAM tokens are bound to
    /// it.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The database user.
    pub user: String,
}

/// The error of a [`PasswordProvider`]: any error will do.
pub type ProviderError = Box<dyn std::error::Error + Send + Sync>;

/// Gives the password for a login.
///
/// It is asked once for every new connection and the answer is used for that one login and
/// dropped, so a provider alone decides for how long a token lives. Closures from
/// [`LoginTarget`] to a future of a string are providers.
pub trait PasswordProvider: Send + Sync + 'static {
    /// The password, or token, for one login.
    ///
    /// The time it takes counts against the connect timeout, and it may be dropped at any await.
    fn password(
        &self,
        target: LoginTarget,
    ) -> Pin<Box<dyn Future<Output = Result<SecretString, ProviderError>> + Send + '_>>;
}

impl<F, Fut, S, E> PasswordProvider for F
where
    F: Fn(LoginTarget) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<S, E>> + Send + 'static,
    S: Into<SecretString>,
    E: Into<ProviderError>,
{
    fn password(
        &self,
        target: LoginTarget,
    ) -> Pin<Box<dyn Future<Output = Result<SecretString, ProviderError>> + Send + '_>> {
        let answer = self(target);
        Box::pin(async move { answer.await.map(Into::into).map_err(Into::into) })
    }
}

impl Credentials {
    /// A user and a password that does not change.
    pub fn new(user: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self {
            user: user.into(),
            password: Password::Fixed(password.into()),
        }
    }

    /// A user who needs no password.
    pub fn without_password(user: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            password: Password::None,
        }
    }

    /// A user whose password, or IAM token, is asked for at every login.
    pub fn with_provider(user: impl Into<String>, provider: impl PasswordProvider) -> Self {
        Self {
            user: user.into(),
            password: Password::Provider(Arc::new(provider)),
        }
    }

    /// The user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether logins with both are the same; two providers are when they are clones of one.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.user == other.user
            && match (&self.password, &other.password) {
                (Password::None, Password::None) => true,
                (Password::Fixed(one), Password::Fixed(two)) => {
                    one.expose_secret() == two.expose_secret()
                }
                (Password::Provider(one), Password::Provider(two)) => Arc::ptr_eq(one, two),
                (Password::None | Password::Fixed(_) | Password::Provider(_), _) => false,
            }
    }

    /// The password for one login to `host`; `None` for a user without one.
    pub(crate) async fn password_for(&self, host: &str, port: u16) -> Result<Option<SecretString>> {
        match &self.password {
            Password::None => Ok(None),
            Password::Fixed(password) => Ok(Some(password.clone())),
            Password::Provider(provider) => {
                let target = LoginTarget {
                    host: host.to_owned(),
                    port,
                    user: self.user.clone(),
                };
                let asked = provider.password(target).await;
                asked.map(Some).map_err(|source| {
                    Error::new(
                        ErrorKind::Authentication,
                        format!(
                            "the password provider gave no password for user `{}` at {host}:{port}; \
                             its own error is the source of this one",
                            self.user.escape_debug()
                        ),
                    )
                    .with_source(source)
                })
            }
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        if self.user.is_empty() {
            return Err(invalid(
                "no user is given: write `user:password@` before the host",
            ));
        }
        without_nul("the user", Some(&self.user))?;
        if let Password::Fixed(password) = &self.password {
            let password = secrecy::ExposeSecret::expose_secret(password);
            without_nul("the password", Some(password))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = match self.password {
            Password::None => "none",
            Password::Fixed(_) => "[redacted]",
            Password::Provider(_) => "[provider]",
        };
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("password", &format_args!("{password}"))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn debug_shows_the_user_and_never_the_password() {
        let shown = format!("{:?}", Credentials::new("app", "hunter2"));
        assert!(
            shown.contains("app") && shown.contains("redacted"),
            "{shown}"
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[tokio::test]
    async fn a_provider_is_asked_anew_for_each_login_and_told_where() {
        let asked = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&asked);
        let credentials = Credentials::with_provider("app", move |target: LoginTarget| {
            let number = counter.fetch_add(1, Ordering::Relaxed);
            async move {
                Ok::<_, ProviderError>(format!(
                    "{number}:{}@{}:{}",
                    target.user, target.host, target.port
                ))
            }
        });
        for expected in ["0:app@i-1:3306", "1:app@i-1:3306"] {
            let password = credentials.password_for("i-1", 3306).await.unwrap();
            assert_eq!(password.unwrap().expose_secret(), expected);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_provider_that_fails_is_an_authentication_error_with_its_source() {
        let credentials = Credentials::with_provider("app", |_: LoginTarget| async {
            Err::<String, _>(std::io::Error::other("no role"))
        });
        let error = credentials.password_for("i-1", 3306).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert!(error.to_string().contains("i-1:3306"), "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, "no role");
    }

    #[tokio::test]
    async fn a_user_without_a_password_has_none() {
        let credentials = Credentials::without_password("app");
        assert!(credentials.password_for("i-1", 1).await.unwrap().is_none());
    }
}
