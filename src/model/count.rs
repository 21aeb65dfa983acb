//! Numbers of things, as people say them.

use std::fmt::Display;

/// `1 task`, `2 tasks`: English, of a noun whose plural only adds an s.
pub fn counted(number: impl Display + PartialEq + From<u8>, noun: &str) -> String {
    if number == 1.into() { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0_u64, 1, 2].map(|number| counted(number, "task")), ["0 tasks", "1 task", "2 tasks"]);
    }
}
