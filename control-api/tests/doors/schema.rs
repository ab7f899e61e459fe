//! The part of JSON Schema (2020-12) that `proto/websocket/` uses, enough to hold frames against
//! it. A keyword this does not know fails, so that none is passed over in silence.

use std::path::PathBuf;

use serde_json::Value;

/// What is wrong with a message of the server, if anything.
pub(crate) fn complaint(message: &Value) -> Option<String> {
    let kind = message
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("description");
    let names = [format!("{kind}.server"), kind.to_owned()];
    let Some(schema) = names.iter().find_map(|name| file(name)) else {
        return Some(format!("no schema for {kind}"));
    };
    check(&schema, message, kind).err()
}

fn file(name: &str) -> Option<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../proto/websocket");
    let text = std::fs::read_to_string(folder.join(format!("{name}.schema.json"))).ok()?;
    Some(serde_json::from_str(&text).expect("a schema is JSON"))
}

fn check(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let rules = schema.as_object().expect("a schema is an object");
    for (keyword, rule) in rules {
        let good = match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" | "properties" | "pattern" => {
                true
            }
            "$ref" => return check(&resolve(rule.as_str().unwrap()), value, at),
            "type" => match rule.as_array() {
                Some(kinds) => kinds.iter().any(|kind| is_of(kind, value)),
                None => is_of(rule, value),
            },
            "const" => rule == value,
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_i64() >= rule.as_i64(),
            "maximum" => value.as_i64() <= rule.as_i64(),
            "minLength" => value.as_str().map(|it| it.len() as u64) >= rule.as_u64(),
            "maxLength" => value.as_str().map(|it| it.len() as u64) <= rule.as_u64(),
            "maxItems" => value.as_array().map(|it| it.len() as u64) <= rule.as_u64(),
            "required" => {
                let names = rule.as_array().unwrap();
                names
                    .iter()
                    .all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(rule, item, &format!("{at}[{index}]"))?;
                }
                true
            }
            "additionalProperties" => {
                for (name, inner) in value.as_object().into_iter().flatten() {
                    let place = format!("{at}.{name}");
                    match (schema["properties"].get(name), rule) {
                        (Some(known), _) => check(known, inner, &place)?,
                        (None, Value::Bool(false)) => return Err(format!("{place} is unknown")),
                        (None, rule) => check(rule, inner, &place)?,
                    }
                }
                true
            }
            "oneOf" | "anyOf" => {
                let mut options = rule.as_array().unwrap().iter();
                options.any(|option| check(option, value, at).is_ok())
            }
            unknown => return Err(format!("{unknown} is no keyword this knows")),
        };
        if !good {
            return Err(format!("{at}: {value} against {keyword} {rule}"));
        }
    }
    Ok(())
}

fn resolve(reference: &str) -> Value {
    let (name, pointer) = reference.split_once('#').unwrap();
    let name = name.strip_suffix(".schema.json").unwrap_or("types");
    let mut found = file(name).unwrap().pointer(pointer).unwrap().clone();
    // References inside `types` are to itself, which `resolve` takes for granted.
    if let Some(object) = found.as_object_mut() {
        object.remove("description");
    }
    found
}

fn is_of(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("{other} is no type"),
    }
}

#[test]
fn a_frame_that_differs_from_its_schema_is_caught() {
    let good = serde_json::json!({"type": "speakers", "sequence": 1,
        "speakers": [{"participant": "ada", "level": 9}]});
    assert_eq!(complaint(&good), None);
    for (pointer, value) in [
        ("/sequence", Value::from(0)),
        ("/speakers/0/level", Value::from("loud")),
        ("/speakers/0", serde_json::json!({"participant": "ada"})),
        (
            "/speakers/0",
            serde_json::json!({"participant": "ada", "level": 9, "mood": 1}),
        ),
        ("/type", Value::from("weather")),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(complaint(&bad).is_some(), "{bad}");
    }
}

#[test]
fn each_message_and_each_reason_stands_in_the_docs() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/api.md")).expect("docs/api.md is there");
    let names = std::fs::read_dir(root.join("proto/websocket")).expect("schemas are there");
    let mut missing = Vec::new();
    for name in names {
        let name = name.expect("an entry").file_name();
        let name = name.to_string_lossy().into_owned();
        let kind = name.split('.').next().unwrap_or_default().to_owned();
        if kind != "types" && !page.contains(&format!("`{kind}`")) {
            missing.push(kind);
        }
    }
    let layers = file("layers").expect("layers have a schema");
    let given = "/properties/subscriptions/items/properties/reason/enum";
    let cause = "/properties/estimate/properties/cause/enum";
    for pointer in [given, cause] {
        let words = layers.pointer(pointer).and_then(Value::as_array);
        for word in words.expect("a list of words") {
            let word = word.as_str().expect("a word");
            if !page.contains(&format!("`{word}`")) {
                missing.push(word.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "docs/api.md lacks {missing:?}");
}
