//! The room's tests: what is read, what is refused and where, files and profiles, robustness.

mod bad;
mod good;
mod includes;
mod robust;

use super::*;

/// A workspace of files, loaded with profiles in force.
pub(super) fn load_files(files: &[(&str, &str)], profiles: &[&str]) -> Loaded {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let profiles: Vec<String> = profiles.iter().map(|name| (*name).to_owned()).collect();
    load(&dir.path().join("tasks.toml"), &profiles, &crate::config::Looked::default())
}

/// A single file that is right.
pub(super) fn good(text: &str) -> Config {
    good_in(text, &[])
}

/// The same with profiles in force.
pub(super) fn good_in(text: &str, profiles: &[&str]) -> Config {
    let loaded = load_files(&[("tasks.toml", text)], profiles);
    assert_eq!(said(&loaded), Vec::<String>::new(), "{text}");
    comes_back(&loaded.config);
    loaded.config
}

/// Written down and read back, it is the same, texts apart.
fn comes_back(config: &Config) {
    let bytes = postcard::to_stdvec(config).unwrap();
    let mut back: Config = postcard::from_bytes(&bytes).unwrap();
    assert!(back.tasks.is_empty());
    for task in &config.tasks {
        let bytes = postcard::to_stdvec(&**task).unwrap();
        back.tasks.push(Arc::new(postcard::from_bytes(&bytes).unwrap()));
    }
    let mut without_texts = config.clone();
    without_texts.files.iter_mut().for_each(|file| file.text = "".into());
    assert_eq!(format!("{back:?}"), format!("{without_texts:?}"));
}

/// The task `t` of a file that has its version put in front.
pub(super) fn task(text: &str) -> Task {
    let config = good(&format!("version = 1\n{text}"));
    named(&config, "t").clone()
}

/// A task by its full name.
pub(super) fn named<'c>(config: &'c Config, name: &str) -> &'c Task {
    config.tasks.iter().find(|task| task.name.as_str() == name).unwrap()
}

/// The text under a span.
pub(super) fn under(config: &Config, at: At) -> &str {
    &config.files[usize::from(at.file.0)].text[at.start as usize..at.end as usize]
}

/// Each diagnostic as `code «text under the span» message / help`.
pub(super) fn said(loaded: &Loaded) -> Vec<String> {
    let one = |diagnostic: &Diagnostic| {
        let spans: Vec<String> =
            diagnostic.labels.iter().map(|label| format!("«{}»", under(&loaded.config, label.at))).collect();
        let help = diagnostic.help.as_deref().map(|help| format!(" / {help}")).unwrap_or_default();
        format!("{} {} {}{help}", diagnostic.code, spans.join(" "), diagnostic.message)
    };
    loaded.diagnostics.iter().map(one).collect()
}
