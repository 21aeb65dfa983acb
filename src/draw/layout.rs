//! Where everything stands. The layout itself is dagre's; here each connected part is handed to it on its
//! own, and the parts are put beside each other.

use super::{Drawing, Edge, Node};
use dagre::graph::{Graph, GraphOptions};
use dagre::{EdgeLabel, LayoutOptions, NodeLabel, RankDir, Ranker};
use std::collections::BTreeMap;
use std::fmt;
use unicode_width::UnicodeWidthStr;

/// More boxes than this take minutes, and nobody finds anything among them.
const MOST_NODES: usize = 2_000;
/// dagre's time grows with the bends of long arrows: past this many, the longest are drawn straight.
const MOST_BENDS: usize = 10_000;

/// Columns of a line in a box.
const COLUMNS: usize = 30;
/// Of a monospaced character of 13 px.
const CHARACTER: f64 = 7.9;
/// From one line to the next.
pub(super) const LINE: f64 = 17.0;
const PADDING: (f64, f64) = (17.0, 10.0);
/// Between boxes above each other, between ranks, and around everything.
const GAPS: (f64, f64) = (16.0, 78.0);
pub(super) const MARGIN: f64 = 24.0;
/// Between parts that are not connected.
const APART: f64 = 34.0;

/// A place, in pixels from the upper left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// A box that has its place.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    /// Its middle.
    pub(super) at: Point,
    pub(super) width: f64,
    pub(super) height: f64,
    /// From its middle to the edge of its column, which is as wide as the widest box in it.
    pub(super) column: f64,
    /// Its text.
    pub(super) lines: Vec<String>,
}

/// Everything in its place.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) nodes: Vec<Placed>,
    /// The points that each edge goes through, its ends on the boxes' borders.
    pub(super) edges: Vec<Vec<Point>>,
}

/// There is too much to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// How many boxes there are.
    pub nodes: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tasks are too many to draw; at most {MOST_NODES}", self.nodes)
    }
}

/// Gives everything its place.
///
/// # Errors
/// There is too much of it.
pub(super) fn lay_out(drawing: &Drawing) -> Result<Layout, TooLarge> {
    let count = drawing.nodes.len();
    if count > MOST_NODES {
        return Err(TooLarge { nodes: count });
    }
    let mut nodes: Vec<Placed> = drawing.nodes.iter().map(measured).collect();
    let routed = routed(count, &drawing.edges);
    let parts = parts(count, &drawing.edges);
    let mut bends: Vec<Vec<Point>> = vec![Vec::new(); drawing.edges.len()];
    let mut sizes = Vec::with_capacity(parts.len());
    for part in &parts {
        let edges: Vec<usize> = part.edges.iter().copied().filter(|edge| routed[*edge]).collect();
        sizes.push((place(part, &edges, drawing, &mut nodes, &mut bends), part.nodes.len() == 1));
    }
    let (corners, width, height) = shelves(&sizes);
    for (part, corner) in parts.iter().zip(corners) {
        let by = |point: &mut Point| {
            point.x += corner.x;
            point.y += corner.y;
        };
        part.nodes.iter().for_each(|node| by(&mut nodes[*node].at));
        for edge in &part.edges {
            bends[*edge].iter_mut().for_each(by);
        }
    }
    let edges = drawing.edges.iter().zip(bends);
    let edges = edges.map(|(edge, bends)| path(&nodes[edge.from], &nodes[edge.to], bends)).collect();
    Ok(Layout { width: width + 2.0 * MARGIN, height: height + 2.0 * MARGIN, nodes, edges })
}

fn measured(node: &Node) -> Placed {
    let lines = wrapped(&node.name);
    let columns = lines.iter().map(|line| line.width()).max().unwrap_or(0).max(4);
    let width = (columns as f64).mul_add(CHARACTER, 2.0 * PADDING.0).ceil();
    let height = (lines.len() as f64).mul_add(LINE, 2.0 * PADDING.1).ceil();
    Placed { at: Point { x: 0.0, y: 0.0 }, width, height, column: width / 2.0, lines }
}

/// A name in lines of at most [`COLUMNS`] columns, cut where its words end.
pub(super) fn wrapped(name: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in name.split_inclusive([':', '/', '-', '_', '.', ' ', '=']) {
        let last = lines.last().map_or(0, |line| line.width());
        if last > 0 && last + word.width() > COLUMNS {
            lines.push(String::new());
        }
        for c in word.chars() {
            let room = lines.last().is_none_or(|line| line.width() < COLUMNS);
            if !room {
                lines.push(String::new());
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
        }
    }
    lines
}

/// Nodes that hang together, and the edges among them.
struct Part {
    nodes: Vec<usize>,
    edges: Vec<usize>,
}

fn parts(count: usize, edges: &[Edge]) -> Vec<Part> {
    let mut of: Vec<usize> = (0..count).collect();
    fn root(of: &mut [usize], mut node: usize) -> usize {
        while of[node] != node {
            of[node] = of[of[node]];
            node = of[node];
        }
        node
    }
    for edge in edges {
        let (a, b) = (root(&mut of, edge.from), root(&mut of, edge.to));
        of[a.max(b)] = a.min(b);
    }
    let mut place: Vec<Option<usize>> = vec![None; count];
    let mut parts: Vec<Part> = Vec::new();
    for node in 0..count {
        let root = root(&mut of, node);
        let at = *place[root].get_or_insert_with(|| {
            parts.push(Part { nodes: vec![], edges: vec![] });
            parts.len() - 1
        });
        parts[at].nodes.push(node);
    }
    for (index, edge) in edges.iter().enumerate() {
        let root = root(&mut of, edge.from);
        if let Some(at) = place[root] {
            parts[at].edges.push(index);
        }
    }
    parts
}

/// Which edges dagre is asked to lead around the boxes: the shortest first, while their bends last.
fn routed(count: usize, edges: &[Edge]) -> Vec<bool> {
    // The longest path to each node; rounds are bounded, in case the edges make a circle.
    let mut rank = vec![0_usize; count];
    for _ in 0..count {
        let mut moved = false;
        for edge in edges {
            if edge.from != edge.to && rank[edge.to] <= rank[edge.from] && rank[edge.from] < count {
                rank[edge.to] = rank[edge.from] + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    let span = |edge: &Edge| rank[edge.to].abs_diff(rank[edge.from]);
    let mut shortest: Vec<usize> = (0..edges.len()).filter(|index| edges[*index].from != edges[*index].to).collect();
    shortest.sort_by_key(|index| span(&edges[*index]));
    let mut routed = vec![false; edges.len()];
    let mut bends = 0;
    for index in shortest {
        bends += 2 * span(&edges[index]);
        if bends > MOST_BENDS {
            break;
        }
        routed[index] = true;
    }
    routed
}

/// Lays out one part; its size. Its upper left is at 0, 0.
fn place(
    part: &Part,
    edges: &[usize],
    drawing: &Drawing,
    nodes: &mut [Placed],
    bends: &mut [Vec<Point>],
) -> (f64, f64) {
    if let [alone] = part.nodes[..] {
        let node = &mut nodes[alone];
        node.at = Point { x: node.width / 2.0, y: node.height / 2.0 };
        return (node.width, node.height);
    }
    let mut graph = Graph::with_options(GraphOptions { directed: true, multigraph: true, compound: false });
    for index in &part.nodes {
        let mut label = NodeLabel::default();
        (label.width, label.height) = (nodes[*index].width, nodes[*index].height);
        graph.set_node(index.to_string(), Some(label));
    }
    for index in edges {
        let edge = &drawing.edges[*index];
        let (from, to, name) = (edge.from.to_string(), edge.to.to_string(), index.to_string());
        graph.set_edge(from.as_str(), to.as_str(), Some(EdgeLabel::default()), Some(name.as_str()));
    }
    let options = LayoutOptions {
        rankdir: RankDir::LR,
        nodesep: GAPS.0,
        edgesep: 10.0,
        ranksep: GAPS.1,
        // The best ranker (network simplex) may take minutes for a thousand nodes; this one ends.
        ranker: Ranker::TightTree,
        ..LayoutOptions::default()
    };
    dagre::layout(&mut graph, Some(options));
    let (mut width, mut height) = (0.0_f64, 0.0_f64);
    // The boxes of a rank stand in a column, in the middle of it.
    let mut columns: BTreeMap<i64, f64> = BTreeMap::new();
    for index in &part.nodes {
        let Some(label) = graph.node(&index.to_string()) else { continue };
        let node = &mut nodes[*index];
        node.at = Point { x: label.x.unwrap_or_default(), y: label.y.unwrap_or_default() };
        width = width.max(node.at.x + node.width / 2.0);
        height = height.max(node.at.y + node.height / 2.0);
        let half = columns.entry(node.at.x.round() as i64).or_default();
        *half = half.max(node.width / 2.0);
    }
    for index in &part.nodes {
        let node = &mut nodes[*index];
        // And a little more, so that arrows arrive level.
        node.column = columns.get(&(node.at.x.round() as i64)).copied().unwrap_or_default() + 8.0;
    }
    let mut beside: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for index in edges {
        *beside.entry((drawing.edges[*index].from, drawing.edges[*index].to)).or_default() += 1;
    }
    for index in edges {
        let edge = &drawing.edges[*index];
        let (from, to, name) = (edge.from.to_string(), edge.to.to_string(), index.to_string());
        let Some(label) = graph.edge(&from, &to, Some(&name)) else { continue };
        let inner = label.points.len().saturating_sub(2);
        let alone = beside.get(&(edge.from, edge.to)) == Some(&1);
        for bend in label.points.iter().skip(1).take(inner) {
            let at = Point { x: bend.x, y: bend.y };
            match columns.get(&(at.x.round() as i64)) {
                // Level past the boxes of a column, and curved only between columns.
                Some(half) => bends[*index].extend([-half, *half].map(|by| Point { x: at.x + by, ..at })),
                // Between columns it is only needed to keep two edges of the same boxes apart.
                None if alone => {}
                None => bends[*index].push(at),
            }
            width = width.max(at.x);
            height = height.max(at.y);
        }
        if edge_leads_back(&nodes[edge.from], &nodes[edge.to]) {
            // The points of a column were put from left to right.
            bends[*index].sort_by(|a, b| b.x.total_cmp(&a.x));
        }
    }
    (width, height)
}

/// Puts parts beside and below each other: the upper left of each, and the size of all.
/// What stands alone comes last, below the rest.
fn shelves(sizes: &[((f64, f64), bool)]) -> (Vec<Point>, f64, f64) {
    let area: f64 = sizes.iter().map(|((width, height), _)| (width + APART) * (height + APART)).sum();
    let widest = sizes.iter().map(|(size, _)| size.0).fold(0.0, f64::max);
    let limit = widest.max((area * 1.7).sqrt());
    let mut tallest: Vec<usize> = (0..sizes.len()).collect();
    tallest.sort_by(|a, b| sizes[*a].1.cmp(&sizes[*b].1).then(sizes[*b].0.1.total_cmp(&sizes[*a].0.1)));
    let mut corners = vec![Point { x: MARGIN, y: MARGIN }; sizes.len()];
    let (mut x, mut y, mut shelf, mut width) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
    let mut alone = false;
    for index in tallest {
        let ((wide, high), single) = sizes[index];
        if x > 0.0 && (x + wide > limit || single != alone) {
            (x, y, shelf) = (0.0, y + shelf + APART, 0.0);
        }
        corners[index] = Point { x: MARGIN + x, y: MARGIN + y };
        width = width.max(x + wide);
        shelf = shelf.max(high);
        x += wide + APART;
        alone = single;
    }
    (corners, width, y + shelf)
}

fn edge_leads_back(from: &Placed, to: &Placed) -> bool {
    from.at.x > to.at.x
}

/// An edge's points: it leaves on the right and arrives on the left, unless it leads back; level
/// until it is out of the column.
fn path(from: &Placed, to: &Placed, bends: Vec<Point>) -> Vec<Point> {
    let out = if edge_leads_back(from, to) { -1.0 } else { 1.0 };
    let beside = |node: &Placed, by: f64| Point { x: node.at.x + by, y: node.at.y };
    let start = [beside(from, out * from.width / 2.0), beside(from, out * from.column)];
    let end = [beside(to, -out * to.column), beside(to, -out * to.width / 2.0)];
    let mut points: Vec<Point> = start.into_iter().chain(bends).chain(end).collect();
    points.dedup();
    points
}
