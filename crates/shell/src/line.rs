//! A typed line cut into words: quotes hold blanks together, `key=value` is a word with a key.

use felio_control::Refusal;

/// A word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// What stands before the first `=`, if it can be the name of a parameter.
    pub(crate) key: Option<String>,
    /// The word, or what stands behind the `=`, without quotes.
    pub(crate) text: String,
    /// The byte of the line where `text` begins, quote included.
    pub(crate) start: usize,
}

impl Word {
    /// A word of its own, as the operating system hands it to a program.
    pub(crate) fn whole(text: &str) -> Self {
        match text.split_once('=') {
            Some((key, value)) if is_key(key) => {
                Self { key: Some(key.to_owned()), text: value.to_owned(), start: key.len() + 1 }
            }
            _ => Self { key: None, text: text.to_owned(), start: 0 },
        }
    }

    /// As it was typed, for words that cannot have a key.
    pub(crate) fn plain(&self) -> String {
        match &self.key {
            Some(key) => format!("{key}={}", self.text),
            None => self.text.clone(),
        }
    }
}

/// The words of a line; a line that begins with `#` has none.
pub(crate) fn words(line: &str) -> Result<Vec<Word>, Refusal> {
    if line.len() > LINE_BYTES_MAX {
        return Err(Refusal::invalid(format!("a line has at most {LINE_BYTES_MAX} bytes")));
    }
    match cut(line) {
        (words, None) => Ok(words),
        (_, Some(quote)) => Err(Refusal::invalid(format!("there is no second {quote}"))
            .hint("a quoted word ends with the quote that begins it")),
    }
}

/// The words of a line that is not complete, and the quote that is open at its end.
pub(crate) fn cut(line: &str) -> (Vec<Word>, Option<char>) {
    let mut words = Vec::new();
    if line.trim_start().starts_with('#') {
        return (words, None);
    }
    let mut word: Option<Word> = None;
    let mut open: Option<char> = None;
    for (at, c) in line.char_indices() {
        if open == Some(c) {
            open = None;
            continue;
        }
        if open.is_none() && c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_with(|| Word { key: None, text: String::new(), start: at });
        let bare = word.start + word.text.len() == at;
        match c {
            '"' | '\'' if open.is_none() => open = Some(c),
            '=' if open.is_none() && word.key.is_none() && bare && is_key(&word.text) => {
                word.key = Some(core::mem::take(&mut word.text));
                word.start = at + 1;
            }
            c => word.text.push(c),
        }
    }
    words.extend(word);
    (words, open)
}

/// A word as it must be typed.
pub(crate) fn quoted(text: &str) -> String {
    match text.contains(|c: char| c.is_whitespace() || c == '\'') {
        true if !text.contains('"') => format!("\"{text}\""),
        true => format!("'{text}'"),
        false => text.to_owned(),
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// The longest line.
const LINE_BYTES_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::words;

    /// Words with keys before a colon.
    #[track_caller]
    fn check(line: &str, want: &[&str]) {
        let words = words(line).expect("a line");
        let shown = words.iter().map(|word| match &word.key {
            Some(key) => format!("{key}: {}", word.text),
            None => word.text.clone(),
        });
        assert_eq!(shown.collect::<Vec<_>>(), want, "{line}");
    }

    #[test]
    fn blanks_part_words() {
        check(
            "  /iscsi   create\tiqn.2024-01.org.example:a ",
            &["/iscsi", "create", "iqn.2024-01.org.example:a"],
        );
    }

    #[test]
    fn the_first_equals_sign_parts_key_and_value() {
        check("create name=a cfg=x=y", &["create", "name: a", "cfg: x=y"]);
    }

    #[test]
    fn quotes_hold_together_and_hide_equals_signs() {
        check("set p=\"a b\" 'c=d' e''", &["set", "p: a b", "c=d", "e"]);
    }

    #[test]
    fn a_path_has_no_key() {
        check("/a/b=c", &["/a/b=c"]);
    }

    #[test]
    fn a_comment_has_no_words() {
        check(" # create x", &[]);
    }

    #[test]
    fn an_open_quote_is_refused() {
        assert!(words("create \"a").is_err());
    }
}
