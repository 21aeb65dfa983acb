//! Shapes, lines and colours by kind: told apart by form first, by colour second.

use super::layout::{Placed, Point};
use super::{EdgeKind, NodeKind};
use std::fmt::Write as _;

/// How far the box behind another one stands out.
const PILE: f64 = 4.0;

/// Light, dark.
type Pair = (&'static str, &'static str);

/// Fill and border of a box.
fn box_colours(kind: NodeKind) -> (Pair, Pair) {
    match kind {
        NodeKind::Command => (("#eef4ff", "#16263d"), ("#4a78c4", "#6f9fe8")),
        NodeKind::Group => (("#f3f3f5", "#24272d"), ("#84888f", "#8d939c")),
        NodeKind::Always => (("#fff6e3", "#33270f"), ("#b97f10", "#d9a441")),
        NodeKind::Service => (("#e9f7f1", "#12302a"), ("#2f8f73", "#5cc0a2")),
        NodeKind::Soak => (("#eaf6fb", "#122d38"), ("#2b87a8", "#62b7d6")),
        NodeKind::Reset => (("#ffecea", "#3d1a18"), ("#c8372d", "#f0746a")),
        NodeKind::Manual => (("#f5eefc", "#2c1f3b"), ("#8a55c0", "#b78be6")),
    }
}

/// Colour, dashes and width of a line.
fn line_style(kind: EdgeKind) -> (Pair, &'static str, f64) {
    match kind {
        EdgeKind::Data => (("#5b6472", "#98a2b0"), "none", 1.5),
        EdgeKind::Sequence => (("#3c6e57", "#6fb393"), "none", 2.6),
        EdgeKind::Order => (("#5b6472", "#98a2b0"), "7 4", 1.5),
        EdgeKind::WaitFor => (("#5b6472", "#98a2b0"), "1.5 4", 1.8),
        EdgeKind::Cleanup => (("#b4532a", "#e29a76"), "9 3 2 3", 1.5),
    }
}

/// The rules of a picture; `scope` stands before each selector.
pub(super) fn style() -> String {
    let mut light = String::from(
        "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#1c2129}\n\
         .ground{fill:#fff}.edge path{fill:none}.edge.implied path{opacity:.3}\n\
         .node .body{stroke-width:1.5}.node.reset .body{stroke-width:2.5}.group text{font-weight:600}.legend text{font-size:12px;font-weight:400}\n",
    );
    let mut dark = String::from("text{fill:#e4e8ee}.ground{fill:#12151a}");
    for (kind, word, _) in NodeKind::TABLE {
        let (fill, border) = box_colours(kind);
        let _ =
            writeln!(light, ".{word} .body{{fill:{};stroke:{}}}.{word} .band{{fill:{}}}", fill.0, border.0, border.0);
        let _ = write!(dark, ".{word} .body{{fill:{};stroke:{}}}.{word} .band{{fill:{}}}", fill.1, border.1, border.1);
    }
    for (kind, word, _) in EdgeKind::TABLE {
        let (colour, dashes, width) = line_style(kind);
        let _ = writeln!(
            light,
            ".{word} path{{stroke:{};stroke-width:{width};stroke-dasharray:{dashes}}}#tip-{word} path{{fill:{};stroke:none}}",
            colour.0, colour.0
        );
        let _ = write!(dark, ".{word} path{{stroke:{}}}#tip-{word} path{{fill:{}}}", colour.1, colour.1);
    }
    format!("{light}@media (prefers-color-scheme:dark){{{dark}}}\n")
}

/// The arrows' tips, to be referred to.
pub(super) fn tips() -> String {
    let mut text = String::new();
    for (_, word, _) in EdgeKind::TABLE {
        let _ = write!(
            text,
            "<marker id=\"tip-{word}\" viewBox=\"0 0 10 8\" refX=\"9.5\" refY=\"4\" markerWidth=\"10\" markerHeight=\"8\" \
             markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0 10 4 0 8z\"/></marker>"
        );
    }
    text
}

/// The form of a box.
pub(super) fn form(kind: NodeKind, placed: &Placed) -> String {
    let (w, h) = (placed.width, placed.height);
    let (x, y) = (placed.at.x - w / 2.0, placed.at.y - h / 2.0);
    let polygon = |points: &[(f64, f64)]| {
        let points: Vec<String> = points.iter().map(|(dx, dy)| format!("{},{}", n(x + dx), n(y + dy))).collect();
        format!("<polygon class=\"body\" points=\"{}\"/>", points.join(" "))
    };
    let rectangle = |radius: f64| {
        format!(
            "<rect class=\"body\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{}\"/>",
            n(x),
            n(y),
            n(w),
            n(h),
            n(radius)
        )
    };
    match kind {
        NodeKind::Command => rectangle(7.0),
        NodeKind::Group => rectangle(18.0_f64.min(h / 2.0)),
        NodeKind::Always => format!(
            "{}<rect class=\"band\" x=\"{}\" y=\"{}\" width=\"6\" height=\"{}\"/>",
            rectangle(0.0),
            n(x),
            n(y),
            n(h)
        ),
        // Plugs on its side: others are connected to it.
        NodeKind::Service => {
            let plug = |dy: f64| {
                format!("<rect class=\"band\" x=\"{}\" y=\"{}\" width=\"8\" height=\"4\"/>", n(x), n(y + h * dy - 2.0))
            };
            format!("{}{}{}", rectangle(2.0), plug(0.3), plug(0.7))
        }
        // A pile: the one in front, and the edges of those behind it.
        NodeKind::Soak => {
            let (right, bottom) = (w - PILE, h - PILE);
            let front = polygon(&[(0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom)]);
            let behind = [(PILE, bottom), (right, bottom), (right, PILE), (w, PILE), (w, h), (PILE, h)];
            format!("{front}{}", polygon(&behind))
        }
        NodeKind::Reset => {
            let c = 9.0;
            polygon(&[(c, 0.0), (w - c, 0.0), (w, c), (w, h - c), (w - c, h), (c, h), (0.0, h - c), (0.0, c)])
        }
        NodeKind::Manual => {
            let c = 11.0;
            polygon(&[(c, 0.0), (w - c, 0.0), (w, h / 2.0), (w - c, h), (c, h), (0.0, h / 2.0)])
        }
    }
}

/// A line through points, level where it meets each of them.
pub(super) fn curve(points: &[Point]) -> String {
    let mut path = String::new();
    let Some((first, rest)) = points.split_first() else { return path };
    let _ = write!(path, "M{} {}", n(first.x), n(first.y));
    let mut from = first;
    for to in rest {
        let _ = if (to.y - from.y).abs() < 0.5 {
            write!(path, "L{} {}", n(to.x), n(to.y))
        } else {
            let middle = f64::midpoint(from.x, to.x);
            write!(path, "C{} {} {} {} {} {}", n(middle), n(from.y), n(middle), n(to.y), n(to.x), n(to.y))
        };
        from = to;
    }
    path
}

/// A number with at most one digit after the point.
pub(super) fn n(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
