//! One statement: which objects it is about.

use super::tokens::{Token, behind_close, by_comma, canonical, find, has, name_at};
use super::{About, Fact, ObjectKind, Reader};

/// Statements that say nothing of a schema.
const PLAIN: [&str; 36] = [
    "abort",
    "analyze",
    "analyse",
    "begin",
    "call",
    "checkpoint",
    "close",
    "cluster",
    "comment",
    "commit",
    "copy",
    "deallocate",
    "declare",
    "discard",
    "end",
    "execute",
    "fetch",
    "listen",
    "lock",
    "move",
    "notify",
    "prepare",
    "refresh",
    "reindex",
    "release",
    "rollback",
    "savepoint",
    "show",
    "start",
    "table",
    "truncate",
    "unlisten",
    "vacuum",
    "values",
    "perform",
    "return",
];

impl Reader {
    /// Reads a statement.
    pub(super) fn statement(&mut self, all: &[Token]) {
        let Some(first) = all.first() else { return };
        match first.text.as_str() {
            "create" => self.create(all),
            "alter" => self.alter(all),
            "drop" => self.drop(all),
            "grant" | "revoke" => self.grant(all),
            "reassign" => self.fact(About::new(ObjectKind::Ownership, canonical(&all[1..])), "reassign", all),
            "import" => self.fact(About::new(ObjectKind::Table, "foreign schema"), "import", all),
            "do" => self.block(all),
            "set" | "reset" => self.setting(all),
            "explain" => {
                let inner = ["create", "select", "with", "insert", "update", "delete", "merge"];
                if let Some(at) = find(all, 1, &inner) {
                    self.statement(&all[at..]);
                }
            }
            "select" | "with" | "(" => self.query(all),
            "insert" | "update" | "delete" | "merge" => self.change(all),
            plain if PLAIN.contains(&plain) => {}
            other => {
                let about = About::new(ObjectKind::Other, other);
                self.fact(about, other, all);
            }
        }
    }

    fn query(&mut self, all: &[Token]) {
        if has(all, &["set_config", "(", "'search_path'"]) {
            self.fact(About::new(ObjectKind::SearchPath, "the session"), "set", all);
        }
        let into = find(all, 1, &["into"]).filter(|at| !["insert", "merge"].contains(&all[at - 1].text.as_str()));
        match into {
            Some(at) => {
                let mut from = at + 1;
                let mut temporary = false;
                while let Some(word) = all.get(from).filter(|word| {
                    ["temporary", "temp", "local", "global", "unlogged", "table"].contains(&word.text.as_str())
                }) {
                    temporary |= word.text.starts_with("temp");
                    from += 1;
                }
                let (name, _) = name_at(all, from);
                if temporary {
                    self.temporary.insert(name);
                } else {
                    self.fact(About::new(ObjectKind::Table, &name).on(&name), "create", all);
                }
            }
            None if has(all, &["insert", "into"]) || has(all, &["update"]) || has(all, &["delete", "from"]) => {
                self.change(all);
            }
            None => {}
        }
    }

    /// A change of data: of the catalogue, it is one of the schema.
    fn change(&mut self, all: &[Token]) {
        for (index, token) in all.iter().enumerate() {
            let target = match token.text.as_str() {
                "into" | "update" => index + 1,
                "from" if index > 0 && all[index - 1].is("delete") => index + 1,
                _ => continue,
            };
            let target = target + usize::from(all.get(target).is_some_and(|word| word.is("only")));
            let (name, _) = name_at(all, target);
            if name.starts_with("pg_") || name.starts_with("information_schema.") {
                return self.fact(About::new(ObjectKind::Other, &name), "write", all);
            }
        }
    }

    fn setting(&mut self, all: &[Token]) {
        let at = 1 + usize::from(all.get(1).is_some_and(|word| word.is("local") || word.is("session")));
        let word = |index: usize| all.get(index).map_or("", |word| word.text.as_str());
        let kind = match word(at) {
            "search_path" | "schema" => ObjectKind::SearchPath,
            "role" | "authorization" => ObjectKind::Ownership,
            "session" if word(at + 1) == "authorization" => ObjectKind::Ownership,
            "session_replication_role" => ObjectKind::Trigger,
            "row_security" => ObjectKind::RowSecurity,
            _ => return,
        };
        self.fact(About::new(kind, "the session"), &all[0].text.clone(), all);
    }

    fn create(&mut self, all: &[Token]) {
        let mut at = 1;
        let mut temporary = false;
        let word = |index: usize| all.get(index).map_or("", |word| word.text.as_str());
        loop {
            match word(at) {
                "or" if word(at + 1) == "replace" => at += 2,
                "temp" | "temporary" => {
                    temporary = true;
                    at += 1;
                }
                "local" | "global" | "unlogged" | "recursive" | "trusted" | "procedural" | "unique" => at += 1,
                "materialized" if word(at + 1) == "view" => at += 1,
                "constraint" if word(at + 1) == "trigger" => at += 1,
                "foreign" if word(at + 1) == "table" => at += 1,
                _ => break,
            }
        }
        let what = word(at).to_owned();
        let mut from = at + 1;
        from += usize::from(word(from) == "concurrently");
        if word(from) == "if" && word(from + 1) == "not" {
            from += 3;
        }
        let (name, end) = name_at(all, from);
        match what.as_str() {
            "table" | "view" | "sequence" if temporary || name.starts_with("pg_temp.") => {
                // Gone with the transaction: a later statement may mean another one.
                if !has(all, &["on", "commit", "drop"]) {
                    self.temporary.insert(name);
                }
            }
            "table" => self.table(all, &name, end),
            "index" => self.index(all, from),
            "trigger" | "policy" | "rule" => self.on_table(all, &what, from, "create"),
            "function" | "procedure" => self.routine(all, from),
            "event" if word(from) == "trigger" => {
                let (name, _) = name_at(all, from + 1);
                self.fact(About::new(ObjectKind::Trigger, name), "create", all);
            }
            "event" => self.fact(About::new(ObjectKind::Trigger, name_at(all, at + 2).0), "create", all),
            _ => {
                let (kind, name) = self.plain_object(all, at);
                self.fact(About::new(kind, name), "create", all);
            }
        }
    }

    /// What stands at `at`, where it takes no more to know it: its kind and name.
    fn plain_object(&self, all: &[Token], at: usize) -> (ObjectKind, String) {
        let word = |index: usize| all.get(index).map_or("", |word| word.text.as_str());
        let kind = match word(at) {
            "view" => ObjectKind::View,
            "type" | "domain" => ObjectKind::Type,
            "sequence" => ObjectKind::Sequence,
            "schema" => ObjectKind::Schema,
            "role" | "group" => ObjectKind::Role,
            "user" if word(at + 1) != "mapping" => ObjectKind::Role,
            "extension" => ObjectKind::Extension,
            "aggregate" | "function" | "procedure" | "routine" => ObjectKind::Signature,
            "table" => ObjectKind::Table,
            "index" => ObjectKind::Index,
            _ => ObjectKind::Other,
        };
        let mut from = at + 1;
        from += usize::from(word(from) == "concurrently");
        if word(from) == "if" {
            from += if word(from + 1) == "not" { 3 } else { 2 };
        }
        if kind == ObjectKind::Other {
            let words: Vec<&str> = all[at..].iter().take(3).map(|token| token.text.as_str()).collect();
            return (kind, words.join(" "));
        }
        from += usize::from(word(from) == "authorization" && kind == ObjectKind::Schema);
        (kind, name_at(all, from).0)
    }

    fn table(&mut self, all: &[Token], name: &str, end: usize) {
        let about = |kind, object: String| About::new(kind, object).on(name);
        if !all.get(end).is_some_and(|token| token.is("(")) {
            return self.fact(about(ObjectKind::Table, name.to_owned()), "create", all);
        }
        let close = behind_close(all, end);
        let mut head = all[..end].to_vec();
        head.extend_from_slice(&all[close..]);
        let range = all[0].start..all[all.len() - 1].end;
        self.push(about(ObjectKind::Table, name.to_owned()), "create", canonical(&head), range.clone());
        let mut order = Vec::new();
        for part in by_comma(&all[end + 1..close.saturating_sub(1).max(end + 1)]) {
            let object = |last: &str| format!("{name}.{last}");
            match part[0].text.as_str() {
                "constraint" => {
                    let constraint = part.get(1).map_or("", |token| token.text.as_str());
                    self.fact(about(ObjectKind::Constraint, object(constraint)), "create", part);
                }
                word @ ("check" | "unique" | "primary" | "foreign" | "exclude") => {
                    self.fact(about(ObjectKind::Constraint, object(word)), "create", part);
                }
                "like" => self.fact(about(ObjectKind::Table, name.to_owned()), "like", part),
                column => {
                    order.push(column.to_owned());
                    self.fact(about(ObjectKind::Column, object(column)), "create", part);
                }
            }
        }
        self.push(about(ObjectKind::Column, name.to_owned()), "order", order.join(", "), range);
    }

    fn index(&mut self, all: &[Token], from: usize) {
        let Some(on) = find(all, from, &["on"]) else {
            return self.fact(About::new(ObjectKind::Index, "?"), "create", all);
        };
        let only = usize::from(all.get(on + 1).is_some_and(|word| word.is("only")));
        let (table, _) = name_at(all, on + 1 + only);
        if self.temporary.contains(&table) {
            return;
        }
        let name = if on == from { table.clone() } else { name_at(all, from).0 };
        self.fact(About::new(ObjectKind::Index, name).on(&table), "create", all);
    }

    /// A trigger, policy or rule: its name is the table's own.
    fn on_table(&mut self, all: &[Token], what: &str, from: usize, verb: &str) {
        let kind = match what {
            "trigger" => ObjectKind::Trigger,
            "policy" => ObjectKind::RowSecurity,
            _ => ObjectKind::View,
        };
        // `CREATE RULE name AS ON event TO table`.
        let before = if what == "rule" && verb == "create" { "to" } else { "on" };
        let (name, end) = name_at(all, from);
        let table = find(all, end, &[before]).map(|at| name_at(all, at + 1).0).unwrap_or_default();
        if self.temporary.contains(&table) {
            return;
        }
        self.fact(About::new(kind, format!("{table}.{name}")).on(&table), verb, all);
    }

    fn drop(&mut self, all: &[Token]) {
        let word = |index: usize| all.get(index).map_or("", |word| word.text.as_str());
        let mut at = 1;
        at += usize::from(matches!((word(1), word(2)), ("materialized", "view") | ("foreign", "table")));
        let what = word(at).to_owned();
        let mut from = at + 1;
        from += usize::from(word(from) == "concurrently");
        if word(from) == "if" {
            from += 2;
        }
        match what.as_str() {
            "trigger" | "policy" | "rule" => return self.on_table(all, &what, from, "drop"),
            "owned" => return self.fact(About::new(ObjectKind::Ownership, canonical(&all[1..])), "drop", all),
            "event" => return self.fact(About::new(ObjectKind::Trigger, name_at(all, at + 2).0), "drop", all),
            _ => {}
        }
        let (kind, _) = self.plain_object(all, at);
        if kind == ObjectKind::Other {
            let (kind, name) = self.plain_object(all, at);
            return self.fact(About::new(kind, name), "drop", all);
        }
        let tail = find(all, from, &["cascade", "restrict"]).unwrap_or(all.len());
        for part in by_comma(&all[from.min(tail)..tail]) {
            let (name, _) = name_at(part, 0);
            if self.temporary.remove(&name) {
                continue;
            }
            let text = format!("{} {} {}", canonical(&all[..from]), canonical(part), canonical(&all[tail..]));
            let mut about = About::new(kind, &name);
            if matches!(kind, ObjectKind::Table | ObjectKind::View) {
                about = about.on(&name);
            }
            self.push(about, "drop", text, all[0].start..all[all.len() - 1].end);
        }
    }

    fn grant(&mut self, all: &[Token]) {
        let verb = all[0].text.clone();
        let range = all[0].start..all[all.len() - 1].end;
        let to = find(all, 1, &["to", "from"]).unwrap_or(all.len());
        let Some(on) = find(all, 1, &["on"]).filter(|on| *on < to) else {
            let roles = canonical(&all[1..to]);
            return self.push(About::new(ObjectKind::Grant, roles), &verb, canonical(all), range);
        };
        let simple = ["table", "sequence", "function", "procedure", "routine", "schema", "type", "domain", "database"];
        let typed = all.get(on + 1).is_some_and(|word| simple.contains(&word.text.as_str()));
        let names = on + 1 + usize::from(typed);
        for part in by_comma(&all[names.min(to)..to]) {
            let (name, end) = name_at(part, 0);
            // `ALL TABLES IN SCHEMA s`, `LARGE OBJECT 1` and the like.
            let rest = part.get(end).is_some_and(|token| !token.is("("));
            let name = if rest { canonical(part) } else { name };
            if self.temporary.contains(&name) {
                continue;
            }
            let text = format!("{} {} {}", canonical(&all[..names]), canonical(part), canonical(&all[to..]));
            let about = About::new(ObjectKind::Grant, &name).on(&name);
            self.push(about, &verb, text, range.clone());
        }
    }

    fn alter(&mut self, all: &[Token]) {
        let word = |index: usize| all.get(index).map_or("", |word| word.text.as_str());
        let mut at = 1;
        at += usize::from(matches!((word(1), word(2)), ("materialized", "view") | ("foreign", "table")));
        let what = word(at).to_owned();
        let mut from = at + 1;
        if word(from) == "if" {
            from += 2;
        }
        let owner = has(all, &["owner", "to"]);
        let path = has(all, &["set", "search_path"]) || has(all, &["reset", "search_path"]);
        let (kind, name) = self.plain_object(all, at);
        let simple = |reader: &mut Self, kind, name: String| reader.fact(About::new(kind, name), "alter", all);
        match what.as_str() {
            "table" if word(from) != "all" => self.alter_table(all, from),
            "default" => self.default_privileges(all),
            "trigger" | "policy" | "rule" => self.on_table(all, &what, from, "alter"),
            "event" => {
                simple(self, if owner { ObjectKind::Ownership } else { ObjectKind::Trigger }, name_at(all, at + 2).0)
            }
            "function" | "procedure" | "routine" | "aggregate" => self.alter_routine(all, &name, owner, path),
            "domain" if has(all, &["constraint"]) || has(all, &["not", "null"]) => {
                simple(self, ObjectKind::Constraint, name);
            }
            _ if path => {
                simple(self, ObjectKind::SearchPath, if name.is_empty() { canonical(&all[at..]) } else { name })
            }
            _ if owner => simple(self, ObjectKind::Ownership, name),
            "view" | "sequence" | "index" if self.temporary.contains(&name) => {}
            _ => simple(self, kind, name),
        }
    }

    fn default_privileges(&mut self, all: &[Token]) {
        let verb = find(all, 1, &["grant", "revoke"]).map_or("alter", |at| all[at].text.as_str()).to_owned();
        self.fact(About::new(ObjectKind::Grant, "default privileges"), &verb, all);
    }

    fn alter_routine(&mut self, all: &[Token], name: &str, owner: bool, path: bool) {
        let mut kinds = Vec::new();
        if has(all, &["security", "definer"]) || has(all, &["security", "invoker"]) {
            kinds.push(ObjectKind::Definer);
        }
        if path || has(all, &["reset", "all"]) {
            kinds.push(ObjectKind::SearchPath);
        }
        if owner {
            kinds.push(ObjectKind::Ownership);
        }
        if kinds.is_empty() {
            kinds.push(ObjectKind::Signature);
        }
        kinds.into_iter().for_each(|kind| self.fact(About::new(kind, name), "alter", all));
    }

    fn alter_table(&mut self, all: &[Token], mut from: usize) {
        from += usize::from(all.get(from).is_some_and(|word| word.is("only")));
        let (name, mut end) = name_at(all, from);
        if self.temporary.contains(&name) {
            return;
        }
        end += usize::from(all.get(end).is_some_and(|token| token.is("*")));
        let head = canonical(&all[..end]);
        for part in by_comma(&all[end..]) {
            let (kind, object) = action(part, &name);
            let range = part[0].start..part[part.len() - 1].end;
            let range = if end == all.len() { all[0].start..range.end } else { range };
            let verb = part[0].text.clone();
            self.facts.push(Fact {
                kind,
                object,
                on: Some(name.clone()),
                sub: String::new(),
                verb,
                text: format!("{head} {}", canonical(part)),
                range,
            });
        }
    }
}

/// What an action of `ALTER TABLE` is about.
fn action(part: &[Token], table: &str) -> (ObjectKind, String) {
    let word = |index: usize| part.get(index).map_or("", |word| word.text.as_str());
    let named = |from: usize| {
        let mut from = from;
        if word(from) == "if" {
            from += if word(from + 1) == "not" { 3 } else { 2 };
        }
        format!("{table}.{}", word(from))
    };
    let whole = || table.to_owned();
    match (word(0), word(1)) {
        ("add" | "drop" | "alter" | "validate" | "rename", "constraint") => (ObjectKind::Constraint, named(2)),
        ("add", check @ ("check" | "unique" | "primary" | "foreign" | "exclude" | "not")) => {
            (ObjectKind::Constraint, format!("{table}.{check}"))
        }
        ("add" | "drop" | "rename", "column") => (ObjectKind::Column, named(2)),
        ("alter", second) => {
            let at = if second == "column" { 2 } else { 1 };
            let null = has(part, &["not", "null"]);
            (if null { ObjectKind::Constraint } else { ObjectKind::Column }, named(at))
        }
        ("rename", "to") => (ObjectKind::Table, whole()),
        ("add" | "drop" | "rename", _) => (ObjectKind::Column, named(1)),
        ("owner", "to") => (ObjectKind::Ownership, whole()),
        ("enable" | "disable" | "force" | "no", _) if has(part, &["row", "level", "security"]) => {
            (ObjectKind::RowSecurity, whole())
        }
        ("enable" | "disable", _) if has(part, &["rule"]) => (ObjectKind::View, named(part.len() - 1)),
        ("enable" | "disable", _) => (ObjectKind::Trigger, named(part.len() - 1)),
        ("cluster", _) => (ObjectKind::Index, whole()),
        _ => (ObjectKind::Table, whole()),
    }
}
