//! Files that are generated from the code's tables are what the code generates.

use weir::graph::audit::codes;

fn json(value: &serde_json::Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap();
    text.push('\n');
    text
}

#[test]
fn generated_files_are_up_to_date() {
    let mut files = vec![
        ("schema/json/tasks.schema.json".to_owned(), json(&weir::config::tasks_schema())),
        ("schema/json/events.schema.json".to_owned(), json(&weir::ui::events_schema())),
        ("schema/json/report.schema.json".to_owned(), json(&weir::ui::report_schema())),
        ("schema/json/detect.schema.json".to_owned(), json(&weir::rule::detect_schema())),
        ("schema/json/evidence.schema.json".to_owned(), json(&weir::evidence::evidence_schema())),
        ("docs/reference/keys.md".to_owned(), weir::config::key_reference()),
        ("docs/audit/README.md".to_owned(), codes::index()),
    ];
    files.extend(codes::ALL.iter().map(|code| (format!("docs/audit/{}", codes::page_name(code)), codes::page(code))));
    let refresh = std::env::var_os("WEIR_REFRESH").is_some_and(|value| value == "1");
    let mut findings = Vec::new();
    for (file, expected) in files {
        let path = crate::root().join(&file);
        if refresh {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, expected).unwrap();
            continue;
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        if found != expected {
            let line = found.lines().zip(expected.lines()).take_while(|(a, b)| a == b).count() + 1;
            findings.push(format!("{file}:{line}: differs from what the code generates"));
        }
    }
    crate::assert_none(&findings, "write them anew with `WEIR_REFRESH=1 cargo test --test checks generated`");
}
