//! The shop's questions to MySQL.

use aurora_driver::mysql::mysql_async::prelude::Queryable;
use aurora_driver::{Cluster, Connection, MySql, ServerCode};

use super::{Asked, Mark, Order, Product, Sales, Served, ShopError, Store, Taken, Wish};

/// Data definition commits by itself, so each statement may be run twice. Keys of orders are compared
/// byte by byte: by the usual collations `A` would be the order `a`.
const MIGRATIONS: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS schema_versions (version bigint PRIMARY KEY);
     CREATE TABLE IF NOT EXISTS products (
         id bigint PRIMARY KEY,
         name varchar(80) NOT NULL,
         price_cents bigint NOT NULL,
         stock bigint NOT NULL
     );
     CREATE TABLE IF NOT EXISTS orders (
         id bigint AUTO_INCREMENT PRIMARY KEY,
         request varchar(64) COLLATE utf8mb4_bin NOT NULL UNIQUE,
         product bigint NOT NULL REFERENCES products (id),
         quantity bigint NOT NULL,
         paid boolean NOT NULL DEFAULT false
     );
     INSERT IGNORE INTO schema_versions VALUES (1)",
    "INSERT IGNORE INTO products (id, name, price_cents, stock) VALUES
         (1, 'Green tea', 450, 1000000),
         (2, 'Teapot', 3900, 1000000),
         (3, 'Cup', 1200, 1000000),
         (4, 'Biscuits', 320, 1000000),
         (5, 'Honey', 780, 1000000);
     INSERT IGNORE INTO schema_versions VALUES (2)",
];

/// ER_NO_SUCH_TABLE (MySQL server error reference).
const NO_SUCH_TABLE: ServerCode = ServerCode::MySql(1146);

type ProductRow = (i64, String, i64, i64);

impl Store for MySql {
    fn migrations() -> &'static [&'static str] {
        MIGRATIONS
    }

    async fn run_script(cluster: &Cluster<Self>, script: &'static str) -> Result<(), ShopError> {
        // Owned, as the compiler follows no reference into a closure whose future is `Send`.
        let script = script.to_owned();
        cluster
            .write(async move |writer| Ok(writer.query_drop(&script).await?))
            .await
    }

    async fn schema_version(cluster: &Cluster<Self>) -> Result<i64, ShopError> {
        let asked = cluster
            .write(async move |writer| {
                let question = "SELECT coalesce(max(version), 0) FROM schema_versions";
                let version: Option<i64> = writer.query_first(question).await?;
                Ok::<_, ShopError>(version.unwrap_or(0))
            })
            .await;
        match asked {
            Err(ShopError::Database { error, .. }) if error.code() == Some(NO_SUCH_TABLE) => Ok(0),
            answer => answer,
        }
    }

    async fn products(cluster: &Cluster<Self>) -> Result<Served<Vec<Product>>, ShopError> {
        cluster
            .read(async move |reader| {
                let question = "SELECT id, name, price_cents, stock FROM products ORDER BY id";
                let rows: Vec<ProductRow> = reader.query(question).await?;
                Ok(Served {
                    value: rows.into_iter().map(product).collect(),
                    by: reader.instance().clone(),
                })
            })
            .await
    }

    async fn product(
        cluster: &Cluster<Self>,
        asked: Asked,
        id: i64,
    ) -> Result<Served<Option<Product>>, ShopError> {
        match asked {
            Asked::Reader => {
                let find = async move |reader: &mut _| find_product(reader, id).await;
                cluster.read(find).await
            }
            Asked::Writer => {
                let find = async move |writer: &mut _| find_product(writer, id).await;
                cluster.write(find).await
            }
        }
    }

    async fn order(
        cluster: &Cluster<Self>,
        asked: Asked,
        key: String,
    ) -> Result<Served<Option<Order>>, ShopError> {
        match asked {
            Asked::Reader => {
                let find = async move |reader: &mut _| find_order(reader, &key).await;
                cluster.read(find).await
            }
            Asked::Writer => {
                let find = async move |writer: &mut _| find_order(writer, &key).await;
                cluster.write(find).await
            }
        }
    }

    async fn take_order(
        cluster: &Cluster<Self>,
        wish: Wish,
        mark: Mark,
    ) -> Result<Served<Taken>, ShopError> {
        cluster
            .transaction(async move |mut transaction| {
                let by = transaction.instance().clone();
                // `INSERT IGNORE` would hide a missing product as well; this leaves one that is
                // there as it is.
                let insert = "INSERT INTO orders (request, product, quantity) VALUES (?, ?, ?) \
                              ON DUPLICATE KEY UPDATE request = request";
                transaction
                    .exec_drop(insert, (&wish.key, wish.product, wish.quantity))
                    .await?;
                if transaction.affected_rows() != 1 {
                    let question =
                        "SELECT product, quantity FROM orders WHERE request = ? FOR UPDATE";
                    let before: Option<(i64, i64)> =
                        transaction.exec_first(question, (&wish.key,)).await?;
                    let (product, quantity) = before.ok_or(ShopError::Missing("order"))?;
                    let value = wish.beside(product, quantity)?;
                    mark.pass_with(value);
                    return Ok(Served { value, by });
                }
                let take = "UPDATE products SET stock = stock - ? WHERE id = ? AND stock >= ?";
                let amounts = (wish.quantity, wish.product, wish.quantity);
                transaction.exec_drop(take, amounts).await?;
                if transaction.affected_rows() == 0 {
                    return Err(ShopError::SoldOut);
                }
                let value = Taken::Now;
                mark.pass_with(value);
                Ok(Served { value, by })
            })
            .await
    }

    async fn pay(
        cluster: &Cluster<Self>,
        key: String,
        mark: Mark,
    ) -> Result<Served<bool>, ShopError> {
        cluster
            .transaction(async move |mut transaction| {
                let by = transaction.instance().clone();
                let find = "SELECT paid FROM orders WHERE request = ? FOR UPDATE";
                let found: Option<bool> = transaction.exec_first(find, (&key,)).await?;
                if found == Some(false) {
                    let pay = "UPDATE orders SET paid = true WHERE request = ?";
                    transaction.exec_drop(pay, (&key,)).await?;
                }
                mark.pass();
                Ok(Served {
                    value: found.is_some(),
                    by,
                })
            })
            .await
    }

    async fn sales(cluster: &Cluster<Self>) -> Result<Served<Vec<Sales>>, ShopError> {
        cluster
            .read(async move |reader| {
                // Bounded, so that a shop that has run for long still answers.
                let question = "SELECT p.name, count(*), \
                    CAST(sum(o.quantity * p.price_cents) AS SIGNED) \
                    FROM (SELECT product, quantity FROM orders ORDER BY id DESC LIMIT 500) o \
                    JOIN products p ON p.id = o.product \
                    GROUP BY p.name ORDER BY 3 DESC, 1";
                let rows: Vec<(String, i64, i64)> = reader.query(question).await?;
                let sales = rows.into_iter().map(|(product, orders, cents)| Sales {
                    product,
                    orders,
                    cents,
                });
                Ok(Served {
                    value: sales.collect(),
                    by: reader.instance().clone(),
                })
            })
            .await
    }
}

async fn find_product(
    connection: &mut Connection<MySql>,
    id: i64,
) -> Result<Served<Option<Product>>, ShopError> {
    let question = "SELECT id, name, price_cents, stock FROM products WHERE id = ?";
    let row: Option<ProductRow> = connection.exec_first(question, (id,)).await?;
    Ok(Served {
        value: row.map(product),
        by: connection.instance().clone(),
    })
}

async fn find_order(
    connection: &mut Connection<MySql>,
    key: &str,
) -> Result<Served<Option<Order>>, ShopError> {
    let question = "SELECT request, product, quantity, paid FROM orders WHERE request = ?";
    let row: Option<(String, i64, i64, bool)> = connection.exec_first(question, (key,)).await?;
    Ok(Served {
        value: row.map(|(key, product, quantity, paid)| Order {
            key,
            product,
            quantity,
            paid,
        }),
        by: connection.instance().clone(),
    })
}

fn product((id, name, price_cents, stock): ProductRow) -> Product {
    Product {
        id,
        name,
        price_cents,
        stock,
    }
}
