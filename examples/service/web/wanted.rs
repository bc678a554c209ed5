//! What a request brings along. Where it makes no sense the answer is an error of this shop: axum's
//! own are plain text, and speak of Rust's types.

use std::error::Error;
use std::time::Duration;

use aurora_driver::Outcome;
use axum::Json;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::answer::{Refused, echo};
use crate::traffic::Kind;

/// How long a body may take to come. All that is wanted here fits into one packet.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(4);

/// What can be sent as a body, so that whoever sends something else is told.
pub(super) trait Sent: DeserializeOwned {
    /// What to send.
    const HOW: &'static str;
}

/// A body of JSON.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: Sent> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let come = Json::<T>::from_request(request, state);
        match tokio::time::timeout(BODY_TIMEOUT, come).await {
            Ok(Ok(Json(value))) => Ok(Self(value)),
            Err(_) => {
                let error = format!("the body did not come whole within {BODY_TIMEOUT:?}");
                let refused = Refused::new(StatusCode::REQUEST_TIMEOUT, error, T::HOW);
                Err(refused.with_outcome(Kind::Write, Outcome::NotSent))
            }
            Ok(Err(rejection)) => {
                let error = body_complaint(&rejection);
                Err(Refused::new(rejection.status(), error, T::HOW))
            }
        }
    }
}

fn body_complaint(rejection: &JsonRejection) -> String {
    match rejection {
        JsonRejection::JsonDataError(error) => {
            let cause = first_cause(error);
            // What follows is the name of a type. All that is sent here is an object, and a list
            // passes for one until it is too short.
            let cause = match cause.split_once(", expected") {
                Some((_, expected)) if expected.starts_with(" struct ") => "an object is expected",
                Some((cause, _)) => cause,
                None => &cause,
            };
            format!("the JSON is not what is wanted here: {}", echo(cause))
        }
        JsonRejection::JsonSyntaxError(error) => {
            format!("the body is no JSON: {}", first_cause(error))
        }
        JsonRejection::MissingJsonContentType(_) => {
            "the body is not said to be JSON: `Content-Type: application/json` is missing"
                .to_owned()
        }
        rejection if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            "the body is longer than 2 MiB".to_owned()
        }
        _ => "the body did not come whole".to_owned(),
    }
}

fn first_cause(error: &dyn Error) -> String {
    error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

/// What stands in the path.
#[derive(Debug)]
pub(super) struct Place<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Place<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => {
                let error = format!("{}: {}", echo(parts.uri.path()), path_complaint(&rejection));
                let next = "GET /products lists what there is, GET / is the page";
                Err(Refused::new(rejection.status(), error, next))
            }
        }
    }
}

fn path_complaint(rejection: &PathRejection) -> String {
    let PathRejection::FailedToDeserializePathParams(error) = rejection else {
        return "nothing can be there".to_owned();
    };
    match error.kind() {
        ErrorKind::InvalidUtf8InPathParam { .. } => {
            "it is not percent-encoded UTF-8: write a `%` itself as %25".to_owned()
        }
        ErrorKind::ParseError { value, .. } => {
            format!("`{}` is no whole number of 64 bits", echo(value))
        }
        _ => "nothing can be there".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use aurora_driver::Postgres;
    use axum::http::header;
    use axum::response::IntoResponse;
    use futures_util::stream::{self, StreamExt};
    use serde_json::{Value, json};

    use super::super::shop::NewOrder;
    use super::*;
    use crate::testing::{JSON, Open, PATIENCE};

    /// It is the shop's own error, and says nothing of Rust.
    #[track_caller]
    fn is_told_what_to_do(body: &Value) {
        for part in ["error", "next"] {
            let text = body[part].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "no {part}: {body}");
            for word in ["i64", "u64", "struct", "NewOrder", "Wanted", "deserialize"] {
                assert!(!text.contains(word), "{word} in {body}");
            }
        }
        assert!(body.get("outcome").is_some(), "{body}");
    }

    #[tokio::test]
    async fn a_body_that_makes_no_sense_is_refused_in_json_that_says_what_to_send() {
        let open = Open::<Postgres>::start(&["--readers", "0"]).await;
        let whole = json!({ "key": "k", "product": 1, "quantity": 1 }).to_string();
        let long = format!("\"{}\"", "x".repeat(3 << 20));
        let foreign = format!("{{\"{}\": 1}}", "x".repeat(9_000));
        for (header, body, status, cause) in [
            (JSON, "{", 400, "no JSON"),
            (JSON, "", 400, "no JSON"),
            (JSON, "[]", 422, "not what is wanted here: an object"),
            (JSON, "5", 422, "not what is wanted here: an object"),
            (JSON, &foreign, 422, "wanted here: xxx"),
            (
                JSON,
                "{\"key\": \"k\", \"product\": 1}",
                422,
                "missing field `quantity`",
            ),
            (
                JSON,
                "{\"key\": \"k\", \"product\": \"x\", \"quantity\": 1}",
                422,
                "product: ",
            ),
            (
                JSON,
                "{\"key\": \"k\", \"size\": 1}",
                422,
                "unknown field `size`",
            ),
            (
                "Content-Type: text/plain",
                &whole,
                415,
                "not said to be JSON",
            ),
            ("Accept: */*", &whole, 415, "not said to be JSON"),
            (JSON, &long, 413, "longer than 2 MiB"),
        ] {
            let answer = open.send("POST /orders", header, body).await;
            let told = answer.json();
            assert_eq!(answer.status, status, "{told}");
            is_told_what_to_do(&told);
            let text = told["error"].as_str().unwrap_or_default();
            assert!(text.contains(cause), "{cause:?} is not in {text}");
            assert!(text.len() < 1_000, "the answer repeats {text}");
            let next = told["next"].as_str().unwrap_or_default();
            assert!(next.contains("\"quantity\": 1"), "{next}");
        }
        for request in [
            "POST /api/simulator/crash",
            "POST /api/simulator/instances/shop-instance-1/lag",
            "DELETE /api/simulator/instances/shop-instance-1",
        ] {
            let answer = open.send(request, "Accept: */*", "{}").await;
            assert_eq!(answer.status, 415, "{request}");
            is_told_what_to_do(&answer.json());
        }
        open.close().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_whole_is_refused_in_time_and_nothing_was_applied() {
        let half = stream::iter([Ok::<_, Infallible>("{\"key\": ")]).chain(stream::pending());
        let request = Request::builder()
            .header(header::CONTENT_TYPE, "application/json")
            .body(axum::body::Body::from_stream(half))
            .expect("a request");
        let began = tokio::time::Instant::now();
        let refused = Body::<NewOrder>::from_request(request, &());
        let refused = tokio::time::timeout(PATIENCE, refused).await;
        let refused = refused.expect("in time").expect_err("half a body");
        let answer = refused.into_response();
        assert_eq!(began.elapsed(), BODY_TIMEOUT);
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
        let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await;
        let told = serde_json::from_slice(&body.expect("a body")).expect("JSON");
        is_told_what_to_do(&told);
        assert_eq!(told["outcome"], "not applied: it was not sent");
    }

    #[tokio::test]
    async fn where_nothing_is_the_answer_names_what_is_near() {
        let open = Open::<Postgres>::start(&["--readers", "0"]).await;
        for (path, near) in [
            ("/nothing", "/products"),
            ("/api/nothing", "/api/state"),
            ("/api/simulator", "/api/simulator/…"),
        ] {
            let told = open.get(path).await.json();
            let next = told["next"].as_str().unwrap_or_default();
            assert!(next.contains(near), "{path}: {told}");
        }
        open.close().await;
    }

    #[tokio::test]
    async fn a_path_that_cannot_be_and_a_method_that_is_not_allowed_are_answered_in_json() {
        let open = Open::<Postgres>::start(&["--readers", "0"]).await;
        let far = format!("GET /{}", "x".repeat(9_000));
        let far_product = format!("GET /products/{}", "x".repeat(9_000));
        for (request, status) in [
            ("GET /products/abc", 400),
            ("GET /products/99999999999999999999", 400),
            ("GET /orders/%ff", 400),
            ("POST /orders/%ff/payment", 400),
            ("GET /nothing", 404),
            (&far, 404),
            (&far_product, 400),
            ("DELETE /orders", 405),
            ("POST /api/stream", 405),
        ] {
            let answer = open.send(request, "Accept: */*", "").await;
            assert_eq!(answer.status, status, "{request}");
            is_told_what_to_do(&answer.json());
            assert!(answer.body.len() < 1_000, "the answer repeats {request}");
            let allows = answer.head.to_lowercase().contains("\r\nallow: ");
            assert_eq!(allows, status == 405, "{request}: {}", answer.head);
        }
        open.close().await;
    }
}
