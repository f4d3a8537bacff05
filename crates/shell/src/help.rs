//! Help: from the rows of verbs, settings and preferences.

use crate::node::Node;
use crate::preferences::PREFERENCES;
use crate::verbs::{Verb, settings};
use felio_control::{Path, Refusal, RefusalKind};

/// What can be typed at a place.
pub(crate) fn overview(path: &Path) -> String {
    let node = Node::of(path);
    let mut text = format!("{path}: {}\n\n", node.doc());
    for verb in Verb::at(node) {
        text.push_str(&format!("{}\n    {}\n", verb.usage(), verb.doc));
    }
    text.push_str(&format!("\nGroups of settings for get and set: {}\n", settings::groups(path).join(", ")));
    text.push_str("`help NAME` explains a command, a group or a setting.");
    text
}

/// A verb, a group, a setting, or a preference.
pub(crate) fn topic(path: &Path, topic: &str) -> Result<String, Refusal> {
    if let Some(verb) = Verb::find(Node::of(path), topic) {
        return Ok(explain(verb));
    }
    if settings::groups(path).contains(&topic) {
        return Ok(format!(
            "`get {topic}` shows the settings of this group, `set {topic}` tells what they can be."
        ));
    }
    let rows = settings::groups(path).into_iter().filter_map(|group| settings::group(path, group));
    let found: Vec<String> = rows
        .flat_map(|(group, rows)| rows.iter().map(move |row| (group, row)))
        .filter(|(_, row)| row.name == topic)
        .map(|(group, row)| format!("set {} {}\n    {}", group.as_str(), settings::usage(row), row.doc))
        .chain(PREFERENCES.iter().filter(|row| row.name == topic).map(|row| {
            format!(
                "set global {}={}, {} by default\n    {}",
                row.name,
                row.default.kind(),
                row.default,
                row.doc
            )
        }))
        .collect();
    match found.is_empty() {
        true => Err(Refusal::new(RefusalKind::NotFound, format!("{topic:?} is nothing that {path} has"))
            .hint("`help` lists what can be typed here")),
        false => Ok(found.join("\n")),
    }
}

fn explain(verb: &Verb) -> String {
    let width = verb.parameters.iter().map(|parameter| parameter.name.len()).max().unwrap_or(0);
    let mut text = format!("{}\n\n{}\n", verb.usage(), verb.doc);
    for parameter in verb.parameters {
        text.push_str(&format!("\n  {:width$}  {}", parameter.name, parameter.doc));
    }
    text
}
