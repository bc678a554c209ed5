//! The shop over HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State as Of;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::State;
use super::answer::Refused;
use super::wanted::{Body, Place, Sent};
use crate::backend::CHECKOUT_TIMEOUT;
use crate::shop::{Mark, Served, ShopError, Store, Taken, Wish};
use crate::traffic::{Kind, Traffic};

/// No request takes longer at the database; a failover of the fast kind fits in it several times.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

// The driver knows why there is no connection, and this does not. A request that asks several times,
// as an order does, waits as long each time; there this may come first.
const _: () = assert!(CHECKOUT_TIMEOUT.as_millis() < REQUEST_TIMEOUT.as_millis());

/// As much as the databases keep of a key. Letters, digits and marks of ASCII are the same to every
/// character set; of others, and of spaces, databases have views of their own.
const KEY_LENGTH_MAX: usize = 64;

/// More of one thing than anybody carries home.
const QUANTITY_MAX: i64 = 1_000;

/// An order as a customer sends it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrder {
    key: String,
    product: i64,
    quantity: i64,
}

const HOW_TO_ORDER: &str =
    "send {\"key\": \"…\", \"product\": 1, \"quantity\": 1} as `Content-Type: application/json`";

impl Sent for NewOrder {
    const HOW: &'static str = HOW_TO_ORDER;
}

pub(super) async fn products<E: Store>(Of(state): Of<Arc<State<E>>>) -> Response {
    let asked = state.shop.products();
    answer(&state.traffic, Kind::Read, asked).await
}

pub(super) async fn product<E: Store>(
    Of(state): Of<Arc<State<E>>>,
    Place(id): Place<i64>,
) -> Response {
    let asked = state.shop.product(id);
    answer(&state.traffic, Kind::Read, asked).await
}

pub(super) async fn order<E: Store>(
    Of(state): Of<Arc<State<E>>>,
    Place(key): Place<String>,
) -> Response {
    if !is_key(&key) {
        return no_key().into_response();
    }
    let asked = state.shop.order(key);
    answer(&state.traffic, Kind::Read, asked).await
}

pub(super) async fn take_order<E: Store>(
    Of(state): Of<Arc<State<E>>>,
    Body(order): Body<NewOrder>,
) -> Response {
    let NewOrder {
        key,
        product,
        quantity,
    } = order;
    if !is_key(&key) {
        return no_key().into_response();
    }
    if !(1..=QUANTITY_MAX).contains(&quantity) {
        return refused("the quantity must be 1 to 1000").into_response();
    }
    let mark = Mark::default();
    let taking = async {
        // A foreign key would refuse it too, but in the database's words.
        let known = state.shop.product(product).await;
        known.map_err(ShopError::before_any_write)?;
        let wish = Wish {
            key,
            product,
            quantity,
        };
        state.shop.take_order(wish, &mark).await
    };
    match timed(&state.traffic, Kind::Write, &mark, taking).await {
        Ok(served) => {
            let (status, is_repeated) = match served.value {
                Taken::Now => (StatusCode::CREATED, false),
                Taken::Before => (StatusCode::OK, true),
            };
            let body = json!({ "taken": true, "repeated": is_repeated });
            (status, Json(body)).into_response()
        }
        Err(error) => Refused::of(Kind::Write, &error).into_response(),
    }
}

pub(super) async fn pay<E: Store>(
    Of(state): Of<Arc<State<E>>>,
    Place(key): Place<String>,
) -> Response {
    if !is_key(&key) {
        return no_key().into_response();
    }
    let mark = Mark::default();
    let paying = state.shop.pay(key, &mark);
    match timed(&state.traffic, Kind::Write, &mark, paying).await {
        Ok(_) => Json(json!({ "paid": true })).into_response(),
        Err(error) => Refused::of(Kind::Write, &error).into_response(),
    }
}

pub(super) async fn sales<E: Store>(Of(state): Of<Arc<State<E>>>) -> Response {
    let asked = state.shop.sales();
    answer(&state.traffic, Kind::Report, asked).await
}

async fn answer<T: Serialize>(
    traffic: &Traffic,
    kind: Kind,
    asked: impl Future<Output = Result<Served<T>, ShopError>>,
) -> Response {
    // Nothing in it can stay.
    match timed(traffic, kind, &Mark::default(), asked).await {
        Ok(served) => Json(served.value).into_response(),
        Err(error) => Refused::of(kind, &error).into_response(),
    }
}

async fn timed<T>(
    traffic: &Traffic,
    kind: Kind,
    mark: &Mark,
    asked: impl Future<Output = Result<Served<T>, ShopError>>,
) -> Result<Served<T>, ShopError> {
    let began_at = Instant::now();
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, asked).await;
    let answer = answer.unwrap_or_else(|_| {
        let (limit, outcome) = (REQUEST_TIMEOUT, mark.outcome());
        Err(ShopError::TooSlow { limit, outcome })
    });
    traffic.count(kind, began_at, &answer);
    answer
}

fn is_key(key: &str) -> bool {
    (1..=KEY_LENGTH_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

fn no_key() -> Refused {
    refused("a key has 1 to 64 letters, digits and marks of ASCII, and no space")
}

fn refused(error: &'static str) -> Refused {
    Refused::new(StatusCode::UNPROCESSABLE_ENTITY, error, HOW_TO_ORDER)
}
