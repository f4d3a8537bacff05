//! A daemon that keeps everything in memory.

use core::time::Duration;
use felio_control::view::{ConnectionView, LeftView, SessionLun, SessionView, Snapshot};
use felio_control::{
    Acl, AclKey, Backing, Change, Condition, Conditions, Config, Done, Facts, Path, Refusal, RefusalKind,
};
use felio_shell::Daemon;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A daemon that keeps everything in memory.
#[derive(Default)]
pub(crate) struct Memory {
    config: Config,
    conditions: Conditions,
    /// What was saved, by file.
    saved: BTreeMap<String, Config>,
    transactions: u8,
}

/// The files that are there, and their sizes.
const FILES: &[(&str, u64)] = &[("/srv/old.img", 8 << 20)];
/// The devices that are not.
const MISSING: &str = "/dev/sdz";
/// Who is logged in wherever it has an ACL.
const LOGGED_IN: &str = "iqn.1994-05.com.redhat:on";
const OWN_FILE: &str = "/etc/felio/saveconfig.json";

impl Memory {
    /// What becomes of the configuration.
    fn settle(&mut self) {
        for (key, object) in &self.config.storage {
            let missing = object.backing.dev() == Some(MISSING);
            let why = || Condition::Degraded { why: format!("{MISSING}: no such device") };
            self.conditions.set(Path::from(key), if missing { why() } else { Condition::Up });
        }
        self.conditions.retain(|path| path.exists(&self.config));
    }
}

impl Daemon for Memory {
    fn snapshot(&mut self) -> Result<Arc<Snapshot>, Refusal> {
        Ok(Arc::new(Snapshot {
            config: self.config.clone().into(),
            conditions: self.conditions.clone(),
            revision: 0,
        }))
    }

    fn apply(&mut self, mut changes: Vec<Change>) -> Result<Vec<Done>, Refusal> {
        for change in &mut changes {
            if let Change::CreateStorage { backing: Backing::Fileio { dev, size, .. }, .. } = change {
                *size = FILES.iter().find(|(file, _)| file == dev).map_or(*size, |(_, size)| *size);
            }
        }
        self.transactions += 1;
        let facts =
            Facts { host: "host".to_owned(), machine: "x86_64".to_owned(), seed: [self.transactions; 16] };
        let (config, done) = self.config.apply(&changes, &facts)?;
        self.config = config;
        self.settle();
        Ok(done)
    }

    fn sessions(&mut self) -> Result<Vec<SessionView>, Refusal> {
        let acls =
            self.config.tpgs().filter_map(|(key, tpg)| Some((key.acl(LOGGED_IN), tpg.acls.get(LOGGED_IN)?)));
        let view = |(id, (key, acl)): (u16, (AclKey, &Acl))| {
            let luns = acl.mapped_luns.iter().filter_map(|(index, mapped)| {
                let storage = self.config.tpg(&key.tpg)?.luns.get(&mapped.tpg_lun)?.storage.clone();
                Some(SessionLun { index: *index, storage, write_protect: mapped.write_protect })
            });
            SessionView {
                id,
                initiator: LOGGED_IN.to_owned(),
                initiator_port: format!("{LOGGED_IN},i,0x00023d000001"),
                user: None,
                parameters: [("HeaderDigest".to_owned(), "None".to_owned())].into(),
                alias: Some("client".to_owned()),
                tag: acl.tag.clone(),
                luns: luns.collect(),
                authenticated: false,
                state: "LOGGED_IN".to_owned(),
                connections: vec![ConnectionView {
                    cid: 0,
                    peer: "192.0.2.7:40000".to_owned(),
                    local: Some("192.0.2.1:3260".to_owned()),
                    transport: "TCP".to_owned(),
                    state: "LOGGED_IN".to_owned(),
                }],
                tpg: Some(key.tpg),
            }
        };
        Ok((1..).zip(acls).map(view).collect())
    }

    fn end_session(&mut self, id: u16) -> Result<SessionView, Refusal> {
        let session = self.sessions()?.into_iter().find(|session| session.id == id);
        session.ok_or_else(|| Refusal::new(RefusalKind::NotFound, format!("there is no session {id}")))
    }

    /// Whoever is logged in has gone after a second.
    fn drain(&mut self, path: &Path, within: Option<Duration>) -> Result<LeftView, Refusal> {
        let condition = if within.is_some() { Condition::Drained } else { Condition::Up };
        self.conditions.set(path.clone(), condition);
        let is_short = within.is_some_and(|within| within.is_zero());
        let initiators = if is_short { self.sessions()? } else { Vec::new() };
        let initiators = initiators.into_iter().map(|session| session.initiator).collect();
        Ok(LeftView { initiators, commands: if is_short { 2 } else { 0 } })
    }

    fn save(&mut self, file: Option<&str>) -> Result<String, Refusal> {
        let file = file.unwrap_or(OWN_FILE);
        self.saved.insert(file.to_owned(), self.config.clone());
        Ok(format!("Configuration saved to {file}."))
    }

    fn restore(
        &mut self,
        file: Option<&str>,
        clear_existing: bool,
        target: Option<&str>,
        storage_object: Option<&str>,
    ) -> Result<Vec<String>, Refusal> {
        let file = file.unwrap_or(OWN_FILE);
        let none = || Refusal::new(RefusalKind::NotFound, format!("{file}: no such file"));
        let saved = self.saved.get(file).ok_or_else(none)?;
        if !clear_existing && self.config != Config::default() {
            return Err(Refusal::new(RefusalKind::Exists, "there is a configuration already")
                .hint("clear_existing=true replaces it"));
        }
        self.config = saved.clone();
        self.settle();
        let only = target.or(storage_object).map(|name| format!(" {name}")).unwrap_or_default();
        Ok(vec![format!("Configuration{only} restored from {file}.")])
    }
}
