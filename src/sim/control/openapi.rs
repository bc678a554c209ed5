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
    let in_path = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{'));
    let in_path: Vec<Value> = in_path
        .map(|part| {
            let name = part.trim_end_matches('}');
            json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})
        })
        .collect();
    if !in_path.is_empty() {
        operation["parameters"] = json!(in_path);
    }
    if !route.fields.is_empty() {
        let mut schema = json!({"type": "object", "additionalProperties": false});
        let mut required = Vec::new();
        for field in route.fields {
            schema["properties"][field.name] = match field.kind {
                "strings" => json!({"type": "array", "items": {"type": "string"}}),
                kind => json!({"type": kind}),
            };
            if let Some(values) = field.values {
                schema["properties"][field.name]["enum"] = json!(values);
            }
            if field.required {
                required.push(field.name);
            }
        }
        let needed = !required.is_empty();
        schema["required"] = json!(required);
        operation["requestBody"] = json!({
            "required": needed,
            "content": {"application/json": {"schema": schema}},
        });
    }
    operation
}
