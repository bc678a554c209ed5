//! Why a connect failed, in a form that several callers can be told.

use crate::engine::Failure;
use crate::error::{Error, ErrorKind, ServerCode};
use crate::id::InstanceId;
use crate::topology::observation::Fault;

/// A failure without its source, which is one caller's.
#[derive(Debug, Clone)]
pub(super) struct Obstacle {
    pub(super) fault: Fault,
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    pub(super) code: Option<ServerCode>,
}

impl Obstacle {
    pub(super) fn of(failure: &Failure) -> Self {
        Self {
            fault: failure.fault,
            kind: failure.error.kind(),
            message: failure.error.message().to_owned(),
            code: failure.error.code(),
        }
    }

    pub(super) fn failure(&self, instance: &InstanceId) -> Failure {
        Failure {
            fault: self.fault,
            error: Error::new(self.kind, self.message.clone())
                .with_instance(instance)
                .with_code(self.code),
        }
    }
}
