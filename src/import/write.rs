//! A draft as text, laid out as a person would write it, with a comment at each thing that could
//! not be carried over.

use super::draft::{Action, Draft, Edge, Note, TaskDraft};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

/// Lists and tables that would be longer take a line for each entry.
const WIDTH: usize = 100;

/// A list as TOML, in a line.
pub(super) fn array(list: &[String]) -> String {
    strings(list).to_string()
}

impl Draft {
    /// As text.
    pub fn render(&self) -> String {
        let mut document = DocumentMut::new();
        let mut head = format!(
            "# Made from {} by `weir import`. A line `# weir import: …` says what is different now.\n",
            self.from
        );
        for note in self.notes.iter().filter(|note| !matches!(note.at, "env" | "settings")) {
            head.push_str(&comment(note));
        }
        let root = document.as_table_mut();
        put(root, "version", Value::from(1), &[]);
        if let Some(mut key) = root.key_mut("version") {
            key.leaf_decor_mut().set_prefix(head);
        }
        root.insert("settings", Item::Table(self.settings()));
        if !self.env.is_empty() {
            let mut env = Table::new();
            for (name, value) in &self.env {
                put(&mut env, name, Value::from(value.as_str()), &[]);
            }
            root.insert("env", Item::Table(env));
        }
        for at in ["settings", "env"] {
            let notes: String = self.notes.iter().filter(|note| note.at == at).map(comment).collect();
            match root.get_mut(at).and_then(Item::as_table_mut) {
                Some(table) => table.decor_mut().set_prefix(format!("\n{notes}")),
                None if notes.is_empty() => {}
                None => {
                    if let Some(settings) = root.get_mut("settings").and_then(Item::as_table_mut) {
                        let before = settings.decor().prefix().and_then(|raw| raw.as_str()).unwrap_or("\n").to_owned();
                        settings.decor_mut().set_prefix(format!("{before}{notes}"));
                    }
                }
            }
        }
        if !self.tasks.is_empty() {
            let mut tasks = Table::new();
            tasks.set_implicit(true);
            for task in &self.tasks {
                tasks.insert(&task.name, Item::Table(task.table()));
            }
            root.insert("tasks", Item::Table(tasks));
        }
        document.to_string()
    }

    fn settings(&self) -> Table {
        let mut settings = Table::new();
        if let Some(jobs) = self.jobs {
            put(&mut settings, "jobs", Value::from(i64::from(jobs)), &[]);
        }
        if !self.shell.is_empty() {
            let words = self.shell.iter().map(|word| command(word)).collect();
            put(&mut settings, "shell", laid_out(words).into(), &[]);
            if let (Some(text), Some(mut key)) = (&self.shell_comment, settings.key_mut("shell")) {
                key.leaf_decor_mut().set_prefix(format!("# {text}\n"));
            }
        }
        put(&mut settings, "timeout", Value::from("24h"), &[]);
        if let Some(value) = settings.get_mut("timeout").and_then(Item::as_value_mut) {
            value
                .decor_mut()
                .set_suffix("                    # weir's own default, 30 minutes, would end what runs for long");
        }
        settings
    }
}

impl TaskDraft {
    fn table(&self) -> Table {
        let mut table = Table::new();
        let notes = &self.notes;
        let mut text = |name: &'static str, value: &Option<String>| {
            if let Some(value) = value {
                put(&mut table, name, Value::from(value.as_str()), notes);
            }
        };
        text("description", &self.description);
        text("confirm", &self.confirm);
        let mut list = |name: &'static str, list: &[String]| {
            if let [one] = list
                && matches!(name, "alias")
            {
                put(&mut table, name, Value::from(one.as_str()), notes);
            } else if !list.is_empty() {
                put(&mut table, name, strings(list).into(), notes);
            }
        };
        list("alias", &self.alias);
        if self.hide {
            put(&mut table, "hide", Value::from(true), notes);
        }
        self.put_args(&mut table);
        put_edges(&mut table, "depends", &self.depends, notes);
        if !self.wait_for.is_empty() {
            put(&mut table, "wait_for", strings(&self.wait_for).into(), notes);
        }
        put_edges(&mut table, "depends_post", &self.depends_post, notes);
        self.put_action(&mut table);
        if let Some(dir) = &self.dir {
            put(&mut table, "dir", Value::from(dir.as_str()), notes);
        }
        let mut list = |name: &'static str, list: &[String]| {
            if !list.is_empty() {
                put(&mut table, name, strings(list).into(), notes);
            }
        };
        list("shell", &self.shell);
        list("env_file", &self.env_file);
        list("path", &self.path);
        for (name, patterns) in [("sources", &self.sources), ("outputs", &self.outputs)] {
            if let Some(patterns) = patterns {
                put(&mut table, name, strings(patterns).into(), notes);
            }
        }
        if self.cache_off {
            put(&mut table, "cache", Value::from(false), notes);
        }
        let mut list = |name: &'static str, list: &[String]| {
            if !list.is_empty() {
                put(&mut table, name, strings(list).into(), notes);
            }
        };
        list("env_inputs", &self.env_inputs);
        list("pass_through", &self.pass_through);
        list("env_required", &self.env_required);
        list("probes", &self.probes);
        list("redact", &self.redact);
        for (name, set) in [("interactive", self.interactive), ("quiet", self.quiet)] {
            if set {
                put(&mut table, name, Value::from(true), notes);
            }
        }
        if self.warn {
            put(&mut table, "on_fail", Value::from("warn"), notes);
        }
        if let Some(timeout) = &self.timeout {
            put(&mut table, "timeout", Value::from(timeout.as_str()), notes);
        }
        if !self.allow.is_empty() {
            let pairs: Vec<_> = self.allow.iter().map(|(code, why)| ((*code).to_owned(), why.clone())).collect();
            put(&mut table, "allow", inline(&pairs).into(), notes);
        }
        self.put_env(&mut table);
        self.put_rest(&mut table);
        table
    }

    fn put_args(&self, table: &mut Table) {
        if self.args.is_empty() {
            return;
        }
        let mut args = Array::new();
        for argument in &self.args {
            let mut entry = InlineTable::new();
            entry.insert("name", argument.name.as_str().into());
            if !argument.choices.is_empty() {
                entry.insert("choices", strings(&argument.choices).into());
            }
            if let Some(default) = &argument.default {
                entry.insert("default", default.as_str().into());
            }
            if argument.required {
                entry.insert("required", true.into());
            }
            args.push(entry);
        }
        put(table, "args", laid_out(args).into(), &self.notes);
    }

    fn put_action(&self, table: &mut Table) {
        match &self.action {
            Action::Group => {}
            Action::Run(commands) if commands.len() == 1 => put(table, "run", command(&commands[0]), &self.notes),
            Action::Run(commands) => {
                put(table, "run", laid_out(commands.iter().map(|text| command(text)).collect()).into(), &self.notes);
            }
            Action::Exec(words) => put(table, "exec", strings(words).into(), &self.notes),
            Action::Sequence(steps) => {
                let mut sequence = Array::new();
                for step in steps {
                    match &step[..] {
                        [one] => sequence.push(edge(one)),
                        many => sequence.push(many.iter().map(edge).collect::<Array>()),
                    }
                }
                put(table, "sequence", laid_out(sequence).into(), &self.notes);
            }
        }
    }

    /// In a line if it fits, else as a table below.
    fn put_env(&self, table: &mut Table) {
        if self.env.is_empty() {
            return;
        }
        let short = inline(&self.env);
        if short.to_string().len() + 6 <= WIDTH && self.env.iter().all(|(_, value)| !value.contains('\n')) {
            put(table, "env", short.into(), &self.notes);
            return;
        }
        let mut env = Table::new();
        for (name, value) in &self.env {
            put(&mut env, name, Value::from(value.as_str()), &[]);
        }
        let notes: String = self.notes.iter().filter(|note| note.at == "env").map(comment).collect();
        env.decor_mut().set_prefix(format!("\n{notes}"));
        table.insert("env", Item::Table(env));
    }

    /// The notes at keys that are not there go to the top.
    fn put_rest(&self, table: &mut Table) {
        let rest: String = self.notes.iter().filter(|note| !table.contains_key(note.at)).map(comment).collect();
        let first = table.iter().find(|(_, item)| item.is_value()).map(|(name, _)| name.to_owned());
        if let Some(mut key) = first
            .and_then(|first| table.key_mut(&first).map(|key| key.get().to_owned()))
            .and_then(|first| table.key_mut(&first))
        {
            let before = key.leaf_decor().prefix().and_then(|raw| raw.as_str()).unwrap_or("").to_owned();
            key.leaf_decor_mut().set_prefix(format!("{rest}{before}"));
        }
        table.decor_mut().set_prefix("\n");
    }
}

/// A comment, broken into lines.
fn comment(note: &Note) -> String {
    let mut lines = String::new();
    let mut line = String::from("# weir import:");
    let text = format!("`{}`: {}", note.about, note.text);
    for word in text.split_whitespace() {
        // A comment can't hold control characters.
        let word: String = word.chars().filter(|c| !c.is_control()).collect();
        if line.chars().count() + 1 + word.chars().count() > WIDTH + 15 {
            lines.push_str(&line);
            lines.push('\n');
            line = String::from("#  ");
        }
        line.push(' ');
        line.push_str(&word);
    }
    lines.push_str(&line);
    lines.push('\n');
    lines
}

fn put(table: &mut Table, name: &str, value: Value, notes: &[Note]) {
    table.insert(name, Item::Value(value));
    let comments: String = notes.iter().filter(|note| note.at == name).map(comment).collect();
    if !comments.is_empty()
        && let Some(mut key) = table.key_mut(name)
    {
        key.leaf_decor_mut().set_prefix(comments);
    }
}

fn put_edges(table: &mut Table, name: &'static str, edges: &[Edge], notes: &[Note]) {
    if !edges.is_empty() {
        put(table, name, laid_out(edges.iter().map(edge).collect()).into(), notes);
    }
}

fn edge(edge: &Edge) -> Value {
    if edge.args.is_empty() && edge.env.is_empty() && !edge.optional && !edge.order_only && !edge.on_success {
        return Value::from(edge.task.as_str());
    }
    let mut table = InlineTable::new();
    table.insert("task", edge.task.as_str().into());
    if !edge.args.is_empty() {
        table.insert("args", Value::from(edge.args.iter().map(String::as_str).collect::<Array>()));
    }
    if !edge.env.is_empty() {
        table.insert("env", inline(&edge.env).into());
    }
    if edge.on_success {
        table.insert("when", "success".into());
    }
    for (name, set) in [("order_only", edge.order_only), ("optional", edge.optional)] {
        if set {
            table.insert(name, true.into());
        }
    }
    table.into()
}

/// A command: one of several lines ends its last, and quotes stay as they are where they can.
fn command(text: &str) -> Value {
    if !text.contains('\n') {
        return Value::from(text);
    }
    let text = format!("{}\n", text.trim_end_matches('\n'));
    let literal = !text.contains("'''") && !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
    let plain = literal && text.contains(['"', '\\']);
    let written = plain.then(|| format!("'''\n{text}'''").parse().ok()).flatten();
    written.unwrap_or_else(|| Value::from(text))
}

fn inline(pairs: &[(String, String)]) -> InlineTable {
    let mut table = InlineTable::new();
    for (name, value) in pairs {
        table.insert(name, value.as_str().into());
    }
    table
}

fn strings(list: &[String]) -> Array {
    laid_out(list.iter().map(String::as_str).collect())
}

/// Broken into lines where it is long.
fn laid_out(mut array: Array) -> Array {
    let text = array.to_string();
    if array.len() > 1 && (text.len() > WIDTH || text.contains('\n')) {
        for value in array.iter_mut() {
            value.decor_mut().set_prefix("\n  ");
        }
        array.set_trailing("\n");
        array.set_trailing_comma(true);
    }
    array
}
