//! Bodies of requests: what is in them, and what they are refused for.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use crate::id::InstanceId;
use crate::sim::SimCluster;

use super::answer::Refused;

/// A body as it came, if it could be read at all.
pub(super) type Body = Result<Bytes, BytesRejection>;

/// The body as what a route wants.
pub(super) fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    serde_json::from_slice(&body?)
        .map_err(|error| unfit(format!("the body cannot be used: {error}")))
}

/// The body, or what stands for it where there is none.
pub(super) fn read_or_default<T: DeserializeOwned + Default>(body: Body) -> Result<T, Refused> {
    match body {
        Ok(body) if body.is_empty() => Ok(T::default()),
        body => read(body),
    }
}

pub(super) fn unfit(error: impl Into<String>) -> Refused {
    let next = "see /openapi.json for the body of this request";
    Refused::new(StatusCode::UNPROCESSABLE_ENTITY, error, next)
}

/// The instance that a path names.
pub(super) fn known(cluster: &SimCluster, id: &str) -> Result<InstanceId, Refused> {
    let state = cluster.state();
    let instance = state.instance(id);
    let instance = instance.ok_or_else(|| Refused::unknown_instance(id))?;
    Ok(instance.id.clone())
}

impl From<BytesRejection> for Refused {
    fn from(rejection: BytesRejection) -> Self {
        let next = "send a short JSON object, as in /openapi.json";
        Self::new(rejection.status(), rejection.body_text(), next)
    }
}
