//! What squawk says of a text.

use squawk_linter::{Linter, LinterSettings, Rule};
use squawk_syntax::SourceFile;
use std::ops::Range;

/// Something in a text that is unsafe to run on a database that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name, as its ignore comment names it; `syntax` for what does not parse.
    pub rule: String,
    /// Why.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// The bytes it is about.
    pub range: Range<usize>,
}

/// Rules that are off. Matters of taste, which no database in use suffers from; and what weir sees to by itself.
const OFF: [Rule; 12] = [
    // Every file is run once, by the ledger: `IF NOT EXISTS` would hide that something else made the object.
    Rule::PreferRobustStmts,
    // weir sets `lock_timeout`, and ends what outlives the node's timeout.
    Rule::RequireTimeoutSettings,
    Rule::RequireLockTimeout,
    Rule::RequireStatementTimeout,
    // Transaction control is refused before anything is applied.
    Rule::TransactionNesting,
    Rule::BanUncommittedTransaction,
    // Taste in types.
    Rule::PreferBigintOverInt,
    Rule::PreferBigintOverSmallint,
    Rule::PreferIdentity,
    Rule::PreferTextField,
    // Replacing or dropping code and triggers is what migrations are for; nothing waits for it.
    Rule::BanDropFunction,
    Rule::BanDropTrigger,
];

/// What is unsafe in `text`. `in_transaction`: it will be run in one. `version`: of the oldest server it is for.
/// Comments like `-- squawk-ignore ban-drop-column` are heeded. Bodies of `DO` and of functions are not looked into.
pub fn lint(text: &str, in_transaction: bool, version: u32) -> Vec<Finding> {
    let parse = SourceFile::parse(text);
    let errors = parse.errors();
    if !errors.is_empty() {
        // Rules would judge what the parser made up to go on.
        return errors
            .iter()
            .map(|error| Finding {
                rule: "syntax".into(),
                message: error.message().to_owned(),
                help: None,
                range: error.range().into(),
            })
            .collect();
    }
    let mut linter = Linter::with_rules(&[], &OFF);
    linter.settings = LinterSettings {
        pg_version: version.to_string().parse().unwrap_or_default(),
        assume_in_transaction: in_transaction,
    };
    linter
        .lint(&parse, text)
        .into_iter()
        .map(|violation| Finding {
            rule: violation.code.to_string(),
            message: violation.message,
            help: violation.help,
            range: violation.text_range.into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<String> {
        lint(text, true, 15).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn what_blocks_others_is_found() {
        assert_eq!(rules("alter table a add column b int not null;"), ["adding-required-field"]);
        assert_eq!(rules("create index i on t (a);"), ["require-concurrent-index-creation"]);
        assert_eq!(rules("drop table t;"), ["ban-drop-table"]);
    }

    #[test]
    fn a_new_table_is_no_matter() {
        assert_eq!(
            rules("create table t (id int primary key, name varchar(10)); create index i on t (name);"),
            [""; 0]
        );
        assert_eq!(rules("create function f() returns int language sql as 'select 1'; drop function f();"), [""; 0]);
    }

    #[test]
    fn comments_switch_rules_off() {
        assert_eq!(rules("-- squawk-ignore ban-drop-table\ndrop table t;"), [""; 0]);
        assert_eq!(rules("-- squawk-ignore-file ban-drop-table\nselect 1;\n\ndrop table t;"), [""; 0]);
        assert_eq!(rules("-- squawk-ignore no-such-rule\nselect 1;"), ["unused-ignore"]);
    }

    #[test]
    fn what_does_not_parse_is_found_once_for_each_error() {
        let found = lint("create tabel t ();", true, 15);
        assert!(!found.is_empty() && found.iter().all(|finding| finding.rule == "syntax"), "{found:?}");
    }
}
