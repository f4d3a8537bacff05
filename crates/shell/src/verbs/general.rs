//! Verbs about places: going, looking, deleting, help.

use super::Call;
use crate::summary::Summary;
use crate::{help, tree};
use felio_control::{Change, Path, Refusal, RefusalKind};

pub(super) fn cd(call: &mut Call<'_>) -> Result<String, Refusal> {
    let text = call.args.text("path").unwrap_or("/");
    let path = call.shell.resolve(&call.path, text, &call.snapshot)?;
    call.shell.enter(path);
    Ok(String::new())
}

pub(super) fn pwd(call: &mut Call<'_>) -> Result<String, Refusal> {
    Ok(call.path.to_string())
}

pub(super) fn ls(call: &mut Call<'_>) -> Result<String, Refusal> {
    let path = call.shell.resolve(&call.path, call.args.text("path").unwrap_or("."), &call.snapshot)?;
    let preferred = call.shell.preferences.number("tree_max_depth");
    let depth = call.args.number("depth").map(usize::from).or((preferred > 0).then_some(preferred));
    Ok(tree::draw(call.shell, &path, depth, &call.snapshot))
}

pub(super) fn status(call: &mut Call<'_>) -> Result<String, Refusal> {
    Ok(format!("Status for {}: {}", call.path, Summary::of(&call.path, &call.snapshot).text))
}

pub(super) fn version(_: &mut Call<'_>) -> Result<String, Refusal> {
    Ok(format!("felio {}", env!("CARGO_PKG_VERSION")))
}

pub(super) fn refresh(_: &mut Call<'_>) -> Result<String, Refusal> {
    Ok(String::new())
}

pub(super) fn exit(call: &mut Call<'_>) -> Result<String, Refusal> {
    call.shell.leaving = true;
    Ok(String::new())
}

pub(super) fn help(call: &mut Call<'_>) -> Result<String, Refusal> {
    match call.args.text("topic") {
        None => Ok(help::overview(&call.path)),
        Some(topic) => help::topic(&call.path, topic),
    }
}

pub(super) fn bookmarks(call: &mut Call<'_>) -> Result<String, Refusal> {
    let name = call.args.text("name");
    let bookmarks = &mut call.shell.preferences.bookmarks;
    let name = match (call.args.text("action").unwrap_or("show"), name) {
        ("show", _) => {
            let lines = bookmarks.iter().map(|(name, path)| format!("@{name} {path}"));
            return Ok(lines.collect::<Vec<_>>().join("\n"));
        }
        (action, None) => {
            return Err(Refusal::invalid("a bookmark has a name").hint(format!("bookmarks {action} NAME")));
        }
        ("add", Some(name)) if name.contains('/') => {
            return Err(Refusal::invalid("the name of a bookmark has no slash"));
        }
        ("add", Some(name)) => {
            bookmarks.insert(name.to_owned(), call.path.clone());
            return Ok(format!("Bookmarked {} as {name}.", call.path));
        }
        ("del", Some(name)) if bookmarks.remove(name).is_some() => {
            return Ok(format!("Deleted bookmark {name}."));
        }
        (_, Some(name)) => name,
    };
    let path = call.shell.resolve(&Path::Root, &format!("@{name}"), &call.snapshot)?;
    call.shell.enter(path);
    Ok(String::new())
}

/// Deletes the one below that the first parameter names.
pub(super) fn delete(call: &mut Call<'_>) -> Result<String, Refusal> {
    let name = ["name", "wwn", "tag", "lun", "mapped_lun"].iter().find_map(|name| call.args.text(name));
    let path = call.path.child(name.unwrap_or_default())?;
    let deletes = match path {
        Path::Storage(storage) => Change::DeleteStorage { storage },
        Path::AluaGroup(storage, name) => Change::DeleteAluaGroup { storage, name },
        Path::LuGroup(name) => Change::DeleteLuGroup { name },
        Path::Target(target) => Change::DeleteTarget { target },
        Path::Tpg(tpg) => Change::DeleteTpg { tpg },
        Path::Lun(tpg, index) => Change::DeleteLun { tpg, index },
        Path::MappedLun(acl, index) => Change::DeleteMappedLun { acl, index },
        path => return Err(Refusal::new(RefusalKind::NotSupported, format!("{path} cannot be deleted"))),
    };
    let mut text = call.make(vec![deletes])?;
    if call.args.flag("save") == Some(true) {
        text = format!("{text}\n{}", call.daemon.save(None)?);
    }
    Ok(text)
}
