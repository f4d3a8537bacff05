//! Verbs of storage objects and groups of them.

use super::Call;
use felio_control::{Backing, Change, Group, Path, Refusal, RefusalKind, StorageKey};

pub(super) fn create_block(call: &mut Call<'_>) -> Result<String, Refusal> {
    let backing = Backing::Block {
        dev: call.args.required("dev").to_owned(),
        readonly: call.args.flag("readonly").unwrap_or(false),
        exclusive: call.args.flag("exclusive").unwrap_or(true),
    };
    create(call, backing)
}

pub(super) fn create_fileio(call: &mut Call<'_>) -> Result<String, Refusal> {
    if call.args.flag("sparse") == Some(false) {
        return Err(Refusal::new(RefusalKind::NotSupported, "felio makes sparse files only")
            .hint("`fallocate -l SIZE FILE` makes one whose blocks are all there; create it before"));
    }
    let backing = Backing::Fileio {
        dev: call.args.required("file_or_dev").to_owned(),
        size: call.args.size("size").unwrap_or(0),
        write_back: call.args.flag("write_back").unwrap_or(true),
        aio: call.args.flag("aio").unwrap_or(false),
    };
    create(call, backing)
}

pub(super) fn create_pscsi(call: &mut Call<'_>) -> Result<String, Refusal> {
    let backing = Backing::Pscsi { dev: call.args.required("dev").to_owned() };
    create(call, backing)
}

pub(super) fn create_ramdisk(call: &mut Call<'_>) -> Result<String, Refusal> {
    let size = call.args.size("size").unwrap_or(0);
    let backing = Backing::Ramdisk { size, nullio: call.args.flag("nullio").unwrap_or(false) };
    create(call, backing)
}

pub(super) fn create_null(call: &mut Call<'_>) -> Result<String, Refusal> {
    let backing = Backing::Null { size: call.args.size("size").unwrap_or(0) };
    create(call, backing)
}

fn create(call: &mut Call<'_>, backing: Backing) -> Result<String, Refusal> {
    let Path::Plugin(plugin) = &call.path else { return call.misplaced() };
    let storage = StorageKey::new(plugin.clone(), call.args.required("name"));
    let changes = changes(call, storage, backing, call.args.text("wwn").map(ToOwned::to_owned));
    call.create(changes)
}

/// What creates a storage object as the user prefers it.
pub(super) fn changes(
    call: &Call<'_>,
    storage: StorageKey,
    backing: Backing,
    wwn: Option<String>,
) -> Vec<Change> {
    let model = Change::Set {
        path: Path::from(&storage),
        group: Group::Attribute,
        name: "emulate_model_alias".to_owned(),
        value: "1".to_owned(),
    };
    let named = backing.is_emulated() && call.prefers("export_backstore_name_as_model");
    let create = Change::CreateStorage { storage, backing, wwn };
    core::iter::once(create).chain(named.then_some(model)).collect()
}

pub(super) fn resize(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::Storage(storage) = call.path.clone() else { return call.misplaced() };
    let size = call.args.size("size").unwrap_or(0);
    call.make(vec![Change::Resize { storage, size }])
}

/// What is not said stays as it is; how long another file is the daemon sees.
pub(super) fn replace(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::Storage(storage) = call.path.clone() else { return call.misplaced() };
    let object = call.snapshot.config.storage.get(&storage);
    let mut backing = object.ok_or_else(|| Refusal::not_found(&storage))?.backing.clone();
    let (path, past_cache) = (call.args.text("dev").map(ToOwned::to_owned), call.args.flag("aio"));
    match (&mut backing, past_cache) {
        (Backing::Fileio { dev, size, aio, .. }, past_cache) => {
            *aio = past_cache.unwrap_or(*aio);
            if let Some(path) = path {
                (*dev, *size) = (path, 0);
            }
        }
        (Backing::Block { dev, .. }, None) => *dev = path.unwrap_or_else(|| dev.clone()),
        _ => {
            let what = format!("{storage} cannot be replaced so");
            return Err(Refusal::new(RefusalKind::NotSupported, what)
                .hint("dev is for fileio and block, aio for fileio")
                .at(&storage));
        }
    }
    call.make(vec![Change::SetBacking { storage, backing }])
}

pub(super) fn lu_group(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::Storage(storage) = call.path.clone() else { return call.misplaced() };
    let lu_group = call.args.text("name").map(ToOwned::to_owned);
    call.make(vec![Change::SetLuGroup { storage, lu_group }])
}

pub(super) fn create_alua_group(call: &mut Call<'_>) -> Result<String, Refusal> {
    let Path::AluaGroups(storage) = call.path.clone() else { return call.misplaced() };
    let name = call.args.required("name").to_owned();
    call.create(vec![Change::CreateAluaGroup { storage, name, tag: call.args.number("tag") }])
}

pub(super) fn create_lu_group(call: &mut Call<'_>) -> Result<String, Refusal> {
    let name = call.args.required("name").to_owned();
    call.create(vec![Change::CreateLuGroup { name, id: call.args.number("id") }])
}
