use super::*;
use proptest::prelude::*;

fn drawing(names: &[&str], edges: &[(usize, usize)]) -> Drawing {
    Drawing {
        title: "tasks".into(),
        nodes: names
            .iter()
            .map(|name| Node { name: (*name).into(), kind: NodeKind::Command, tooltip: String::new() })
            .collect(),
        edges: edges
            .iter()
            .map(|(from, to)| Edge { from: *from, to: *to, kind: EdgeKind::Data, tooltip: String::new() })
            .collect(),
    }
}

fn many(count: usize, edges: &[(usize, usize)]) -> Drawing {
    let names: Vec<String> = (0..count).map(|index| format!("task-{index}")).collect();
    drawing(&names.iter().map(String::as_str).collect::<Vec<_>>(), edges)
}

/// No box lies on another one, all is inside, and each edge joins its boxes.
fn sound(drawing: &Drawing) {
    let placed = layout::lay_out(drawing).unwrap();
    for (index, a) in placed.nodes.iter().enumerate() {
        assert!(a.at.x - a.width / 2.0 >= 0.0 && a.at.x + a.width / 2.0 <= placed.width, "{a:?}");
        assert!(a.at.y - a.height / 2.0 >= 0.0 && a.at.y + a.height / 2.0 <= placed.height, "{a:?}");
        for b in &placed.nodes[..index] {
            let beside = (a.at.x - b.at.x).abs() >= (a.width + b.width) / 2.0 - 0.1;
            let above = (a.at.y - b.at.y).abs() >= (a.height + b.height) / 2.0 - 0.1;
            assert!(beside || above, "{a:?} lies on {b:?}");
        }
    }
    for (edge, points) in drawing.edges.iter().zip(&placed.edges) {
        assert!(points.len() >= 2);
        for (node, point) in [(edge.from, points[0]), (edge.to, *points.last().unwrap())] {
            let node = &placed.nodes[node];
            assert!((point.x - node.at.x).abs() <= node.width / 2.0 + 0.1 && (point.y - node.at.y).abs() < 0.1);
        }
    }
}

#[test]
fn boxes_stand_apart_and_edges_meet_them() {
    sound(&many(3, &[(0, 1), (1, 2), (0, 2)]));
    sound(&many(0, &[]));
    sound(&many(1, &[]));
    // Twice the same edge, and a circle.
    sound(&many(3, &[(0, 1), (0, 1), (1, 2), (2, 0)]));
    // Nothing hangs together.
    sound(&many(60, &[]));
}

#[test]
fn the_order_of_edges_is_left_to_right() {
    let chain = many(4, &[(0, 1), (1, 2), (2, 3)]);
    let placed = layout::lay_out(&chain).unwrap();
    assert!(placed.nodes.windows(2).all(|pair| pair[0].at.x < pair[1].at.x));
}

#[test]
fn a_thousand_tasks_are_drawn() {
    // One that all wait for and a chain beside it: the bends of all its arrows would be a quarter of a million.
    let fan: Vec<(usize, usize)> = (1..1000).flat_map(|task| [(0, task), (task.max(2) - 1, task)]).collect();
    sound(&many(1000, &fan.into_iter().filter(|(from, to)| from != to).collect::<Vec<_>>()));
    let wide: Vec<(usize, usize)> = (1..1000).map(|task| (task, 0)).collect();
    sound(&many(1000, &wide));
    let apart: Vec<(usize, usize)> = (0..500).map(|pair| (2 * pair, 2 * pair + 1)).collect();
    sound(&many(1000, &apart));
}

#[test]
fn too_many_are_refused() {
    assert_eq!(svg(&many(2001, &[])), Err(TooLarge { nodes: 2001 }));
}

#[test]
fn what_longer_ways_imply_is_told() {
    let told = |edges: &[(usize, usize)]| implied::implied(&many(5, edges));
    assert_eq!(told(&[(0, 1), (1, 2), (0, 2)]), [false, false, true]);
    assert_eq!(told(&[(0, 3), (2, 3), (1, 2), (0, 1)]), [true, false, false, false]);
    assert_eq!(told(&[(0, 1), (0, 2), (1, 3), (2, 3)]), [false; 4]);
    assert_eq!(told(&[(0, 1), (1, 2), (2, 0)]), [false; 3]);
    let mut waiting = many(3, &[(0, 1), (1, 2), (0, 2)]);
    waiting.edges[1].kind = EdgeKind::WaitFor;
    assert_eq!(implied::implied(&waiting), [false; 3]);
    assert!(svg(&many(3, &[(0, 1), (1, 2), (0, 2)])).unwrap().contains("class=\"edge data implied\" id=\"e2\""));
}

#[test]
fn the_same_is_drawn_the_same() {
    let one = many(40, &(1..40).flat_map(|task| [(task / 2, task), (task / 3, task)]).collect::<Vec<_>>());
    assert_eq!(svg(&one).unwrap(), svg(&one).unwrap());
}

#[test]
fn names_are_cut_into_lines_where_words_end() {
    assert_eq!(layout::wrapped("build"), ["build"]);
    let long = "services/payments/api:test:integration:with-a-database-and-more";
    let lines = layout::wrapped(long);
    assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= 30), "{lines:?}");
    assert_eq!(lines.concat(), long);
    assert_eq!(layout::wrapped(&"x".repeat(95)).concat().len(), 95);
    assert_eq!(layout::wrapped(""), [""]);
}

#[test]
fn texts_stay_texts() {
    let mut evil = drawing(&["a</text><script>alert(1)</script>", "b\"'&\u{1b}[31m"], &[(0, 1)]);
    evil.title = "<!--</title>".into();
    evil.nodes[0].tooltip = "]]> </title><script>".into();
    let picture = svg(&evil).unwrap();
    assert!(!picture.contains("<script") && !picture.contains('\u{1b}') && !picture.contains("<!--"), "{picture}");
    let details = serde_json::json!([{ "description": "</script><!--<script>\u{2028}" }, {}]);
    let page = html(&evil, details.as_array().unwrap(), &serde_json::json!({})).unwrap();
    assert_eq!(page.matches("<script").count(), 2, "its own two");
    assert_eq!(page.matches("<!--").count(), 0);
    let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["tasks"], details);
}

#[test]
fn nothing_is_fetched() {
    let page = html(&drawing(&["a"], &[]), &[serde_json::json!({})], &serde_json::json!({})).unwrap();
    let picture = svg(&drawing(&["a"], &[])).unwrap();
    for text in [&page, &picture] {
        let foreign = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!foreign.contains("http:") && !foreign.contains("https:") && !foreign.contains("@import"));
    }
}

#[test]
fn kinds_have_words_of_their_own() {
    let mut words: Vec<&str> = NodeKind::TABLE.iter().map(|row| row.0.word()).collect();
    words.extend(EdgeKind::TABLE.iter().map(|row| row.0.word()));
    let count = words.len();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), count);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_graph_is_drawn_soundly(
        count in 1usize..24,
        pairs in proptest::collection::vec((0usize..24, 0usize..24), 0..40),
    ) {
        let edges: Vec<(usize, usize)> =
            pairs.into_iter().map(|(a, b)| (a % count, b % count)).filter(|(a, b)| a != b).collect();
        sound(&many(count, &edges));
    }
}
