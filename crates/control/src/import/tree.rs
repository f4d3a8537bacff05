//! Two syntaxes, one tree: lines of words, some of which have lines of their own.

use crate::save::Unreadable;

/// A line.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Its number.
    pub(super) line: usize,
    /// Its words; there is a first one.
    pub(super) words: Vec<String>,
    /// The lines within it.
    pub(super) body: Vec<Self>,
}

impl Node {
    /// The first word.
    pub(super) fn key(&self) -> &str {
        self.word(0)
    }

    /// A word, or nothing.
    pub(super) fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }

    /// What stands behind the first word.
    pub(super) fn rest(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// The first line within that begins with a word.
    pub(super) fn find(&self, key: &str) -> Option<&Self> {
        self.body.iter().find(|node| node.key() == key)
    }

    /// What stands behind that word.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.find(key).map(|node| node.word(1))
    }
}

/// How deep lines may stand in lines.
const DEPTH_MAX: usize = 8;

/// Lines of tgt: `key value`, `<kind name>` and `</kind>`.
pub(super) fn tgt(text: &str) -> Result<Node, Unreadable> {
    let mut tree = Builder::new();
    for (line, text) in numbered(text) {
        let tag = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
        match (tag, tag.and_then(|tag| tag.strip_prefix('/'))) {
            (_, Some(kind)) => tree.close(line, Some(kind.trim()))?,
            (Some(open), None) => {
                tree.add(line, words(open));
                tree.open(line)?;
            }
            (None, None) => tree.add(line, assignment(text)),
        }
    }
    tree.end()
}

/// Lines of SCST: `key values`, with `{` at the end of those that have lines within, and `}`.
pub(super) fn scst(text: &str) -> Result<Node, Unreadable> {
    let mut tree = Builder::new();
    for (line, text) in numbered(text) {
        let mut waiting = Vec::new();
        for word in words(text) {
            match word.as_str() {
                "{" => {
                    tree.add(line, core::mem::take(&mut waiting));
                    tree.open(line)?;
                }
                "}" => {
                    tree.add(line, core::mem::take(&mut waiting));
                    tree.close(line, None)?;
                }
                _ => waiting.push(word),
            }
        }
        tree.add(line, waiting);
    }
    tree.end()
}

/// A tree whose last branch is still growing.
struct Builder(Vec<Node>);

impl Builder {
    fn new() -> Self {
        Self(vec![Node::default()])
    }

    fn add(&mut self, line: usize, words: Vec<String>) {
        if let (false, Some(last)) = (words.is_empty(), self.0.last_mut()) {
            last.body.push(Node { line, words, body: Vec::new() });
        }
    }

    /// What was added last has lines within.
    fn open(&mut self, line: usize) -> Result<(), Unreadable> {
        if self.0.len() > DEPTH_MAX {
            return Err(wrong(line, "this is too deep"));
        }
        let node = self.0.last_mut().and_then(|last| last.body.pop());
        self.0.push(node.ok_or_else(|| wrong(line, "a name is expected before what it has"))?);
        Ok(())
    }

    fn close(&mut self, line: usize, kind: Option<&str>) -> Result<(), Unreadable> {
        let node = self.0.pop().filter(|_| !self.0.is_empty());
        match (node, self.0.last_mut()) {
            (Some(node), Some(parent)) if kind.is_none_or(|kind| node.key() == kind) => {
                parent.body.push(node)
            }
            (Some(node), _) => {
                return Err(wrong(line, &format!("{} of line {} is not closed", node.key(), node.line)));
            }
            _ => return Err(wrong(line, "nothing is open that could be closed")),
        }
        Ok(())
    }

    fn end(mut self) -> Result<Node, Unreadable> {
        match (self.0.pop(), self.0.is_empty()) {
            (Some(root), true) => Ok(root),
            (open, _) => Err(wrong(open.map_or(0, |node| node.line), "this is never closed")),
        }
    }
}

/// Lines with something on them, without comments.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, without_comment(line).trim()));
    lines.filter(|(_, line)| !line.is_empty())
}

/// A comment begins with `#` where a word could begin.
fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        if c == '#' && before.is_whitespace() {
            return line.get(..at).unwrap_or_default();
        }
        before = c;
    }
    line
}

/// `key value` or `key = value`.
fn assignment(line: &str) -> Vec<String> {
    let mut words = words(line);
    if words.get(1).is_some_and(|word| word == "=") {
        words.remove(1);
    }
    words
}

/// Words between blanks; what stands in quotation marks is one.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut begun) = (String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => (quoted, begun) = (!quoted, true),
            c if c.is_whitespace() && !quoted => {
                if begun {
                    words.push(core::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

fn wrong(line: usize, what: &str) -> Unreadable {
    Unreadable { at: format!("line {line}"), what: what.to_owned() }
}
