//! Customers: each looks around, orders, pays, and begins again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aurora_driver::Outcome;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::shop::{Mark, Shop, ShopError, Store, Wish};
use crate::traffic::{Kind, Traffic};

/// How long a customer thinks between two requests.
const THOUGHT: Duration = Duration::from_millis(20);

/// How often the office asks for the sales.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);

/// No customer waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Products are 1 to this.
const PRODUCTS: i64 = 5;

/// How many pages a customer looks at before an order.
const LOOKS: i64 = 4;

/// Runs until it is finished.
#[derive(Debug)]
pub(crate) struct Load {
    tasks: JoinSet<()>,
}

impl Load {
    pub(crate) fn start<E: Store>(
        shop: &Shop<E>,
        traffic: &Arc<Traffic>,
        customers: usize,
        end: CancellationToken,
    ) -> Self {
        let mut tasks = JoinSet::new();
        for number in 0..customers {
            let customer = Customer {
                shop: shop.clone(),
                traffic: Arc::clone(traffic),
                number,
            };
            let end = end.clone();
            tasks.spawn(async move { customer.shop_until(end).await });
        }
        if customers > 0 {
            let (shop, traffic) = (shop.clone(), Arc::clone(traffic));
            tasks.spawn(async move {
                while !waited(&end, REPORT_INTERVAL).await {
                    let began_at = Instant::now();
                    let sales = patiently(shop.sales()).await;
                    traffic.count(Kind::Report, began_at, &sales);
                }
            });
        }
        Self { tasks }
    }

    /// Waits until every customer has left.
    pub(crate) async fn finish(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

struct Customer<E: Store> {
    shop: Shop<E>,
    traffic: Arc<Traffic>,
    number: usize,
}

impl<E: Store> Customer<E> {
    async fn shop_until(self, end: CancellationToken) {
        // Other runs over the same database have other orders.
        let run = fastrand::u64(..);
        let mut turn = 0_i64;
        // So that they do not all come at the same moment.
        let entrance = THOUGHT.mul_f64(fastrand::f64());
        if waited(&end, entrance).await {
            return;
        }
        loop {
            turn += 1;
            let product = (turn + i64::try_from(self.number).unwrap_or(0)) % PRODUCTS + 1;
            for look in 0..LOOKS {
                let began_at = Instant::now();
                if look == 0 {
                    let seen = patiently(self.shop.products()).await;
                    self.traffic.count(Kind::Read, began_at, &seen);
                } else {
                    let seen = patiently(self.shop.product(product)).await;
                    self.traffic.count(Kind::Read, began_at, &seen);
                }
                if waited(&end, THOUGHT).await {
                    return;
                }
            }
            let key = format!("{run:016x}-{}-{turn}", self.number);
            let wish = Wish {
                key: key.clone(),
                product,
                quantity: 1,
            };
            let began_at = Instant::now();
            let taken = patiently(self.shop.take_order(wish, &Mark::default())).await;
            self.traffic.count(Kind::Write, began_at, &taken);
            if taken.is_ok() {
                let began_at = Instant::now();
                let paid = patiently(self.shop.pay(key, &Mark::default())).await;
                self.traffic.count(Kind::Write, began_at, &paid);
            }
            if waited(&end, THOUGHT).await {
                return;
            }
        }
    }
}

async fn patiently<T>(request: impl Future<Output = Result<T, ShopError>>) -> Result<T, ShopError> {
    let answer = tokio::time::timeout(PATIENCE, request).await;
    // What became of it no customer asks.
    let outcome = Outcome::Unknown;
    let limit = PATIENCE;
    answer.unwrap_or(Err(ShopError::TooSlow { limit, outcome }))
}

/// Waits that long; whether the end came meanwhile.
async fn waited(end: &CancellationToken, period: Duration) -> bool {
    tokio::select! {
        biased;
        () = end.cancelled() => true,
        () = tokio::time::sleep(period) => false,
    }
}
