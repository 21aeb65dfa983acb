//! Rank 1: nodes and edges as plain data → where they stand → SVG, and one HTML page that shows it.
//! Knows nothing of tasks, configuration, files or runs: names, kinds and texts are handed to it.

mod implied;
mod layout;
mod page;
mod shape;
mod svg;
#[cfg(test)]
mod tests;

pub use layout::TooLarge;
pub use page::html;
pub use svg::svg;

/// What is to be drawn. An edge goes from what comes first to what comes after it.
#[derive(Debug, Clone, Default)]
pub struct Drawing {
    /// What it shows, in one line.
    pub title: String,
    /// The boxes.
    pub nodes: Vec<Node>,
    /// The arrows between them.
    pub edges: Vec<Edge>,
}

/// A box.
#[derive(Debug, Clone)]
pub struct Node {
    /// The text in it; long ones take several lines.
    pub name: String,
    /// Its shape and colour.
    pub kind: NodeKind,
    /// What is said when the pointer rests on it.
    pub tooltip: String,
}

/// An arrow.
#[derive(Debug, Clone)]
pub struct Edge {
    /// What comes first: an index into [`Drawing::nodes`].
    pub from: usize,
    /// What comes after it.
    pub to: usize,
    /// Its line.
    pub kind: EdgeKind,
    /// What is said when the pointer rests on it.
    pub tooltip: String,
}

/// How a box is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// Runs, and is skipped while fresh.
    Command,
    /// Does nothing itself.
    Group,
    /// Runs each time.
    Always,
    /// Stays while others need it.
    Service,
    /// Does the same again and again.
    Soak,
    /// Destroys state.
    Reset,
    /// Only ever run by name.
    Manual,
}

impl NodeKind {
    /// Every kind, the word for it, and what the legend says.
    pub const TABLE: [(Self, &'static str, &'static str); 7] = [
        (Self::Command, "command", "skipped while fresh"),
        (Self::Group, "group", "group"),
        (Self::Always, "always", "always runs"),
        (Self::Service, "service", "service"),
        (Self::Soak, "soak", "soak"),
        (Self::Reset, "reset", "reset"),
        (Self::Manual, "manual", "manual"),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::TABLE.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

/// How an arrow is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeKind {
    /// What the one leaves behind is an input of the other.
    Data,
    /// Steps of a sequence.
    Sequence,
    /// Order, and nothing else.
    Order,
    /// Order, if both run.
    WaitFor,
    /// Afterwards.
    Cleanup,
}

impl EdgeKind {
    /// Every kind, the word for it, and what the legend says.
    pub const TABLE: [(Self, &'static str, &'static str); 5] = [
        (Self::Data, "data", "data"),
        (Self::Sequence, "sequence", "sequence"),
        (Self::Order, "order", "order only"),
        (Self::WaitFor, "wait", "waits, if it runs"),
        (Self::Cleanup, "cleanup", "cleanup"),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::TABLE.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

/// Text for XML and HTML, in attributes too. What XML forbids is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
