//! The table of routes as an OpenAPI 3.1 document.

use axum::Json;
use serde_json::{Map, Value, json};

use super::routes::{ROUTES, Route};

pub(super) async fn document() -> Json<Value> {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation(route);
    }
    Json(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "aurora-sim",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Looks at and disturbs a simulated Aurora cluster.",
        },
        "paths": paths,
    }))
}

fn operation(route: &Route) -> Value {
    let refusal = json!({
        "description": "Refused, with the cause and the next step",
        "content": {"application/json": {"schema": {
            "type": "object",
            "required": ["error", "next"],
            "properties": {"error": {"type": "string"}, "next": {"type": "string"}},
        }}},
    });
    let kind = match route.path {
        "/" => "text/html",
        "/api/stream" => "text/event-stream",
        _ => "application/json",
    };
    let done = json!({"description": route.summary, "content": {kind: {}}});
    let mut operation = json!({
        "summary": route.summary,
        "responses": {"2XX": done, "4XX": refusal},
    });
    if route.path.contains("{id}") {
        operation["parameters"] = json!([{
            "name": "id", "in": "path", "required": true, "schema": {"type": "string"},
        }]);
    }
    if let Some((name, kind, required)) = route.field {
        let mut schema = json!({"type": "object", "additionalProperties": false});
        schema["properties"][name] = json!({"type": kind});
        if required {
            schema["required"] = json!([name]);
        }
        operation["requestBody"] = json!({
            "required": required,
            "content": {"application/json": {"schema": schema}},
        });
    }
    operation
}
