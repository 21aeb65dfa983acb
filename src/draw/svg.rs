//! The picture.

use super::implied::implied;
use super::layout::{LINE, Layout, MARGIN, Placed, Point, TooLarge, lay_out};
use super::shape::{curve, form, n, style, tips};
use super::{Drawing, EdgeKind, Node, NodeKind, escaped};
use std::fmt::Write as _;

/// Room for the legend below the picture.
const LEGEND: f64 = 40.0;

/// The picture as an SVG document of its own, with a legend.
///
/// # Errors
/// There is too much to draw.
pub fn svg(drawing: &Drawing) -> Result<String, TooLarge> {
    let layout = lay_out(drawing)?;
    let (legend, legend_width) = legend(drawing, layout.height + 4.0);
    let empty = drawing.nodes.is_empty();
    let width = layout.width.max(legend_width + 2.0 * MARGIN).max(if empty { 200.0 } else { 0.0 });
    let height = layout.height + LEGEND;
    let mut text = open(drawing, width, height, "role=\"img\" ");
    let _ = write!(text, "<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n<defs>{}</defs>\n", tips());
    if empty {
        let _ = writeln!(text, "<text x=\"{MARGIN}\" y=\"{}\">no tasks</text>", MARGIN + 12.0);
    }
    text.push_str(&contents(drawing, &layout, false));
    text.push_str(&legend);
    text.push_str("</svg>\n");
    Ok(text)
}

/// The picture as a part of a page: boxes can be reached by keyboard, and the legend stands apart.
pub(super) fn parts(drawing: &Drawing) -> Result<(String, String), TooLarge> {
    let layout = lay_out(drawing)?;
    let mut picture = open(drawing, layout.width, layout.height, "id=\"graph\" role=\"group\" ");
    let _ = writeln!(picture, "<defs>{}</defs>", tips());
    picture.push_str(&contents(drawing, &layout, true));
    picture.push_str("</svg>");
    let (inside, width) = legend(drawing, 0.0);
    let legend = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"legend\" width=\"{w}\" height=\"32\" viewBox=\"{x} 0 {w} 32\">{inside}</svg>",
        w = n(width),
        x = n(MARGIN),
    );
    Ok((picture, legend))
}

fn open(drawing: &Drawing, width: f64, height: f64, more: &str) -> String {
    let title = escaped(&drawing.title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" {more}aria-label=\"{title}\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\">\n\
         <title>{title}</title>\n<style>\n{}</style>\n",
        style(),
        w = n(width),
        h = n(height),
    )
}

fn contents(drawing: &Drawing, layout: &Layout, reachable: bool) -> String {
    let mut text = String::from("<g class=\"edges\">\n");
    let implied = implied(drawing);
    for (index, (edge, points)) in drawing.edges.iter().zip(&layout.edges).enumerate() {
        let word = edge.kind.word();
        let (more, note) = if implied[index] { (" implied", ", as others imply") } else { ("", "") };
        let _ = writeln!(
            text,
            "<g class=\"edge {word}{more}\" id=\"e{index}\"><title>{}{note}</title><path d=\"{}\" marker-end=\"url(#tip-{word})\"/></g>",
            escaped(&edge.tooltip),
            curve(points)
        );
    }
    text.push_str("</g>\n<g class=\"nodes\">\n");
    // In reading order, which is also the order of the tab key.
    let mut order: Vec<usize> = (0..drawing.nodes.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (&layout.nodes[*a].at, &layout.nodes[*b].at);
        a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y))
    });
    for index in order {
        text.push_str(&node(&drawing.nodes[index], &layout.nodes[index], index, reachable));
    }
    text.push_str("</g>\n");
    text
}

fn node(node: &Node, placed: &Placed, index: usize, reachable: bool) -> String {
    let more = if reachable {
        format!(
            " tabindex=\"0\" role=\"button\" aria-label=\"{}\"",
            escaped(&format!("{}, {}", node.name, node.kind.word()))
        )
    } else {
        String::new()
    };
    let mut text = format!(
        "<g class=\"node {}\" id=\"n{index}\"{more}><title>{}</title>{}",
        node.kind.word(),
        escaped(&node.tooltip),
        form(node.kind, placed)
    );
    let first = placed.at.y - (placed.lines.len() as f64 - 1.0) / 2.0 * LINE + 4.5;
    for (line, words) in placed.lines.iter().enumerate() {
        let _ = write!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            n(placed.at.x),
            n((line as f64).mul_add(LINE, first)),
            escaped(words)
        );
    }
    text.push_str("</g>\n");
    text
}

/// What the kinds in the picture mean, in one row from `top`; and how wide that is.
fn legend(drawing: &Drawing, top: f64) -> (String, f64) {
    let mut text = String::from("<g class=\"legend\">\n");
    let middle = top + 16.0;
    let mut x = MARGIN;
    let say = |text: &mut String, x: &mut f64, words: &str| {
        let _ = writeln!(text, "<text x=\"{}\" y=\"{}\">{}</text></g>", n(*x), n(middle + 4.0), escaped(words));
        *x += words.len() as f64 * 7.4 + 22.0;
    };
    for (kind, word, words) in NodeKind::TABLE {
        if drawing.nodes.iter().any(|node| node.kind == kind) {
            let at = Point { x: x + 14.0, y: middle };
            let sample = Placed { at, width: 28.0, height: 18.0, column: 14.0, lines: vec![] };
            let _ = write!(text, "<g class=\"node {word}\">{}", form(kind, &sample));
            x += 36.0;
            say(&mut text, &mut x, words);
        }
    }
    let drawn = |kind: EdgeKind| drawing.edges.iter().any(|edge| edge.kind == kind);
    let kinds = EdgeKind::TABLE.into_iter().filter(|row| drawn(row.0)).map(|(_, word, words)| (word, "", words));
    let faint = implied(drawing).contains(&true).then_some((EdgeKind::Data.word(), " implied", "implied by others"));
    for (word, more, words) in kinds.chain(faint) {
        let _ = write!(
            text,
            "<g class=\"edge {word}{more}\"><path d=\"M{} {}h40\" marker-end=\"url(#tip-{word})\"/>",
            n(x),
            n(middle)
        );
        x += 48.0;
        say(&mut text, &mut x, words);
    }
    text.push_str("</g>\n");
    (text, x - MARGIN)
}
