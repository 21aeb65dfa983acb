//! The reference of keys in Markdown, from the tables of keys.

use super::keys::{KeyInfo, Only, Shape};
use super::schema::all_scopes;
use super::uses::NODES;
use std::fmt::Write as _;

/// A Markdown table of keys for each kind of table in a `tasks.toml`.
pub fn key_reference() -> String {
    let mut text = String::new();
    for scope in all_scopes() {
        if !text.is_empty() {
            text.push('\n');
        }
        // Writing to a string can't fail.
        let _ = writeln!(text, "## {}\n\n| key | value | meaning | example |\n|---|---|---|---|", scope.heading);
        for key in scope.keys {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} |",
                key.name,
                cell(&words(&key.shape, false)),
                cell(&meaning(key)),
                cell(&format!("`{}`", key.example)),
            );
        }
    }
    text.push_str("\n## Built-in nodes\n\n| `uses` | what it does | `with` | example |\n|---|---|---|---|\n");
    for node in NODES {
        let with: Vec<String> = node.with.keys.iter().map(|key| format!("`{}`", key.info.name)).collect();
        let _ = writeln!(text, "| `{0}` | {1} | {2} | `uses = \"{0}\"` |", node.name, cell(node.doc), with.join(", "));
    }
    text
}

fn meaning(key: &KeyInfo) -> String {
    let mut text = key.doc.to_owned();
    if key.required {
        text.push_str(" Required.");
    }
    if key.only == Only::Command {
        text.push_str(" Only with `run` or `exec`.");
    }
    if key.only == Only::Acting {
        text.push_str(" Only with `run`, `exec` or `uses`.");
    }
    text
}

/// A `|` would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// A shape in words; `many`: in the plural.
fn words(shape: &Shape, many: bool) -> String {
    let s = if many { "s" } else { "" };
    match shape {
        Shape::Text(what) if many => what.split(" or ").map(|one| format!("{one}s")).collect::<Vec<_>>().join(" or "),
        Shape::Text(what) => (*what).to_owned(),
        Shape::Bool => "`true` or `false`".to_owned(),
        Shape::Count => format!("positive integer{s}"),
        Shape::Whole => format!("whole number{s}"),
        Shape::Number(number) => format!("`{number}`"),
        Shape::Duration => format!("duration{s}"),
        Shape::Scalar => format!("string{s}, number{s} or boolean{s}"),
        Shape::Words(list) => list.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" or "),
        Shape::List(item, _) => format!("list{s} of {}", words(item, true)),
        Shape::Map(item) => format!("table{s} from names to {}", words(item, true)),
        Shape::Table(scope) => format!("{scope} table{s}"),
        Shape::Any(shapes) => {
            let all: Vec<String> = shapes.iter().map(|shape| words(shape, many)).collect();
            all.join(" or ")
        }
    }
}
