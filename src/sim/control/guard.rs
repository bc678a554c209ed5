//! Refuses what another web site makes a browser send here.
//!
//! A page may make a browser send requests to a loopback address, and by a DNS name that it
//! controls even read the answers ("DNS rebinding"). So the `Host` must be an address or
//! `localhost`, an `Origin` must be our own, and a body must say that it is JSON, which a
//! foreign form cannot (Fetch Standard, "CORS-safelisted request-header").

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Refused;

pub(super) async fn guard(request: Request, next: Next) -> Response {
    match check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

fn check(headers: &HeaderMap) -> Result<(), Refused> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(header::HOST).unwrap_or("");
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_err() && !bare.eq_ignore_ascii_case("localhost") {
        return Err(Refused::new(
            StatusCode::FORBIDDEN,
            format!("the host `{host}` is not one of this API"),
            "ask by its IP address or as localhost",
        ));
    }
    let own = format!("http://{host}");
    if text(header::ORIGIN).is_some_and(|origin| !origin.eq_ignore_ascii_case(&own)) {
        return Err(Refused::new(
            StatusCode::FORBIDDEN,
            "another web site's page may not use this API",
            "open the page of this address itself",
        ));
    }
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || text(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    let kind = text(header::CONTENT_TYPE).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    if has_body && !kind.eq_ignore_ascii_case("application/json") {
        return Err(Refused::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body does not say that it is JSON",
            "send the header `Content-Type: application/json`",
        ));
    }
    Ok(())
}
