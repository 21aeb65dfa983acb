//! One HTML page around the picture: nothing is fetched, what it shows is in it.

use super::layout::TooLarge;
use super::{Drawing, escaped, svg};
use serde_json::{Value, json};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page. `details` holds what is said of each node, in the order of the nodes, as `page.js` reads
/// it; `codes` what a finding's code means.
///
/// # Errors
/// There is too much to draw.
pub fn html(drawing: &Drawing, details: &[Value], codes: &Value) -> Result<String, TooLarge> {
    let (picture, legend) = svg::parts(drawing)?;
    let edges: Vec<Value> =
        drawing.edges.iter().map(|edge| json!([edge.from, edge.to, edge.kind.word(), edge.tooltip])).collect();
    let data = json!({ "tasks": details, "edges": edges, "codes": codes });
    let title = escaped(&drawing.title);
    Ok(format!(
        r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>{title}</title>
<style>
{STYLE}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<div id="find" role="search">
<input id="search" type="search" placeholder="Find a task  ( / )" aria-label="Find a task" autocomplete="off" spellcheck="false" role="combobox" aria-expanded="false" aria-controls="matches" aria-autocomplete="list">
<ul id="matches" role="listbox" aria-label="Tasks found" hidden></ul>
</div>
<div id="zoom" role="group" aria-label="Zoom">
<button type="button" id="out" title="Zoom out ( - )" aria-label="Zoom out">&minus;</button>
<button type="button" id="fit" title="Show everything ( 0 )">Fit</button>
<button type="button" id="in" title="Zoom in ( + )" aria-label="Zoom in">+</button>
</div>
</header>
<main>
<div id="stage">{picture}</div>
<aside id="panel" tabindex="-1" aria-labelledby="name" hidden></aside>
</main>
<footer>{legend}<span>drag to move &middot; wheel to zoom &middot; Tab and Enter open a task &middot; Esc closes it</span></footer>
<noscript>The picture works without scripts; details of tasks need them.</noscript>
<script type="application/json" id="data">{data}</script>
<script>
{SCRIPT}</script>
</body>
</html>
"##,
        data = embedded(&data),
    ))
}

/// JSON that stays what it is inside a `script` element, whatever texts it holds.
fn embedded(data: &Value) -> String {
    let mut out = String::new();
    for c in data.to_string().chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}
