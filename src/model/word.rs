//! Words as a shell reads them.

/// A word for the shell, in quotes where it needs them.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::shell_word;

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        assert_eq!(
            ["test:unit", "", "a b", "it's", "*"].map(shell_word),
            ["test:unit", "''", "'a b'", r"'it'\''s'", "'*'"]
        );
    }
}
