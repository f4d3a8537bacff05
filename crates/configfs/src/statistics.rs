//! `statistics/` and `fabric_statistics/`: SCSI's and iSCSI's MIBs as LIO has them, a table for each folder and a file for each column.
//!
//! Numbers are what felio has counted ([`felio_control::stats`]). What LIO counts and felio has no such thing of is zero, as it mostly is
//! with LIO: transports of high speed, redirections. LIO's indices come from counters that felio has not; here they are the numbers of
//! folders and places in order.

use crate::View;
use crate::device::Device;
use crate::tree::{Errno, Tree};
use felio_control::stats::{FailedLogin, LoginFailure, Logins, LunStats, SessionFailure, Traffic};
use felio_control::view::SessionView;
use felio_control::{AclKey, Config, Path, StorageKey, TargetKey, TpgKey};

/// What a folder of statistics is of.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    Device(Device),
    Lun(TpgKey, u16),
    Target(TargetKey),
    Acl(AclKey),
    MappedLun(AclKey, u16),
}

/// A folder: a table's only row.
struct Table<F: 'static> {
    name: &'static str,
    columns: &'static [Column<F>],
}

type Column<F> = (&'static str, fn(&F) -> Option<String>);

impl Subject {
    /// The folder of all its tables.
    pub(crate) const fn folder(&self) -> &'static str {
        match self {
            Self::Device(_) | Self::Lun(..) | Self::MappedLun(..) => "statistics",
            Self::Target(_) | Self::Acl(_) => "fabric_statistics",
        }
    }

    /// The object that has all numbers of it.
    pub(crate) fn counted(&self) -> Path {
        match self {
            Self::Device(device) => device.key().into(),
            Self::Target(target) => target.into(),
            Self::Lun(tpg, _) => tpg.into(),
            Self::Acl(acl) | Self::MappedLun(acl, _) => (&acl.tpg).into(),
        }
    }

    /// Its tables.
    pub(crate) fn tables(&self) -> Vec<&'static str> {
        match self {
            Self::Device(_) => names(DEVICE),
            Self::Lun(..) => names(LUN),
            Self::Target(_) => names(TARGET),
            Self::Acl(_) => names(ACL),
            Self::MappedLun(..) => names(MAPPED_LUN),
        }
    }

    /// The files of a table.
    pub(crate) fn columns(&self, table: &str) -> Vec<&'static str> {
        match self {
            Self::Device(_) => columns(DEVICE, table),
            Self::Lun(..) => columns(LUN, table),
            Self::Target(_) => columns(TARGET, table),
            Self::Acl(_) => columns(ACL, table),
            Self::MappedLun(..) => columns(MAPPED_LUN, table),
        }
    }

    /// What a file says; there is nothing to say of what leads nowhere.
    pub(crate) fn read(
        &self,
        tree: &Tree,
        view: View<'_>,
        table: &str,
        column: &str,
    ) -> Result<String, Errno> {
        let found = match self {
            Self::Device(device) => value(DEVICE, table, column, DeviceFacts::of(tree, view, &device.key())),
            Self::Lun(key, index) => value(LUN, table, column, LunFacts::of(tree, view, key, *index)),
            Self::Target(key) => value(TARGET, table, column, Some(TargetFacts::of(tree, view, key))),
            // Where nobody is logged in, the files are empty.
            Self::Acl(key) => match AclFacts::of(view, key) {
                Some(facts) => value(ACL, table, column, Some(facts)),
                None => return Ok(String::new()),
            },
            Self::MappedLun(key, index) => {
                value(MAPPED_LUN, table, column, MappedFacts::of(view, key, *index))
            }
        };
        found.ok_or(Errno::NO_DEVICE)
    }
}

fn names<F>(tables: &[Table<F>]) -> Vec<&'static str> {
    tables.iter().map(|table| table.name).collect()
}

fn find<F>(tables: &'static [Table<F>], name: &str) -> &'static [Column<F>] {
    tables.iter().find(|table| table.name == name).map_or(&[], |table| table.columns)
}

fn columns<F>(tables: &'static [Table<F>], name: &str) -> Vec<&'static str> {
    find(tables, name).iter().map(|(column, _)| *column).collect()
}

fn value<F>(tables: &'static [Table<F>], name: &str, column: &str, facts: Option<F>) -> Option<String> {
    let (_, read) = find(tables, name).iter().find(|(known, _)| *known == column)?;
    read(&facts?)
}

/// A line of what can be shown.
fn line(value: impl ToString) -> Option<String> {
    Some(value.to_string() + "\n")
}

/// Whole mebibytes.
fn mbytes(bytes: u64) -> Option<String> {
    line(bytes >> 20)
}

/// Hundredths of a second.
fn ticks(nanos: u64) -> Option<String> {
    line(nanos / 10_000_000)
}

const NONE: &str = "None";

/// A storage object.
struct DeviceFacts {
    number: u32,
    exports: usize,
    serial: String,
    vendor: String,
    product: String,
    revision: String,
    traffic: Traffic,
    resets: u64,
    aborts: (u64, u64),
    opened_nanos: u64,
}

impl DeviceFacts {
    fn of(tree: &Tree, view: View<'_>, key: &StorageKey) -> Option<Self> {
        let object = view.snapshot.config.storage.get(key)?;
        let counted = view.stats.and_then(|stats| stats.storage.iter().find(|of| of.storage == *key));
        Some(Self {
            number: tree.device(key)?.hba.number,
            exports: view.snapshot.config.luns_of(key).count(),
            serial: object.wwn.clone(),
            vendor: object.vendor().to_owned(),
            product: object.product(&key.name).to_owned(),
            revision: object.revision().to_owned(),
            traffic: counted.map(|of| of.traffic.clone()).unwrap_or_default(),
            resets: counted.map_or(0, |of| of.resets),
            aborts: counted.map_or((0, 0), |of| (of.aborts, of.aborts_missed)),
            opened_nanos: counted.map_or(0, |of| of.opened_nanos),
        })
    }
}

const DEVICE: &[Table<DeviceFacts>] = &[
    Table {
        name: "scsi_dev",
        columns: &[
            ("inst", |of| line(of.number)),
            ("indx", |of| line(of.number)),
            ("role", |_| line("Target")),
            ("ports", |of| line(of.exports)),
        ],
    },
    Table {
        name: "scsi_tgt_dev",
        columns: &[
            ("inst", |of| line(of.number)),
            ("indx", |of| line(of.number)),
            ("num_lus", |_| line(1)),
            // The only file without an end of line.
            ("status", |of| Some(if of.exports > 0 { "activated" } else { "deactivated" }.to_owned())),
            ("non_access_lus", |of| line(u8::from(of.exports == 0))),
            ("resets", |of| line(of.resets)),
            ("aborts_complete", |of| line(of.aborts.0)),
            ("aborts_no_task", |of| line(of.aborts.1)),
        ],
    },
    Table {
        name: "scsi_lu",
        columns: &[
            ("inst", |of| line(of.number)),
            ("dev", |of| line(of.number)),
            ("indx", |_| line(1)),
            ("lun", |_| line(0)),
            ("lu_name", |of| line(if of.serial.is_empty() { NONE } else { &of.serial })),
            ("vend", |of| line(format!("{:8}", of.vendor))),
            ("prod", |of| line(format!("{:16}", of.product))),
            ("rev", |of| line(format!("{:4}", of.revision))),
            ("dev_type", |_| line(0)),
            ("status", |of| line(if of.exports > 0 { "available" } else { "notavailable" })),
            ("state_bit", |_| line("exposed")),
            ("num_cmds", |of| line(of.traffic.commands.sum())),
            ("read_mbytes", |of| mbytes(of.traffic.bytes_in)),
            ("write_mbytes", |of| mbytes(of.traffic.bytes_out)),
            ("resets", |of| line(of.resets)),
            ("full_stat", |of| line(of.traffic.failures.get("task_set_full").unwrap_or(&0))),
            ("hs_num_cmds", |_| line(0)),
            ("creation_time", |of| ticks(of.opened_nanos)),
        ],
    },
];

/// A LUN of a portal group.
struct LunFacts {
    device: u32,
    name: String,
    wwn: String,
    tag: u16,
    target: usize,
    rtpi: u16,
    busy: u64,
    sum: LunSum,
}

/// What was counted under one number.
#[derive(Default)]
struct LunSum {
    commands: u64,
    bytes_in: u64,
    bytes_out: u64,
}

impl LunSum {
    fn of(view: View<'_>, is_meant: impl Fn(&LunStats) -> bool) -> Self {
        let mut sum = Self::default();
        for lun in view.stats.into_iter().flat_map(|stats| &stats.luns).filter(|lun| is_meant(lun)) {
            sum.commands += lun.commands;
            sum.bytes_in += lun.bytes_in;
            sum.bytes_out += lun.bytes_out;
        }
        sum
    }
}

impl LunFacts {
    fn of(tree: &Tree, view: View<'_>, key: &TpgKey, index: u16) -> Option<Self> {
        let config = &view.snapshot.config;
        let tpg = config.tpg(key)?;
        let storage = &tpg.luns.get(&index)?.storage;
        let object = config.storage.get(storage)?;
        let port = view.stats.and_then(|stats| stats.ports.iter().find(|of| of.tpg == *key));
        let serial = if object.wwn.is_empty() { object.vendor() } else { &object.wwn };
        Some(Self {
            device: tree.device(storage)?.hba.number,
            name: serial.to_owned(),
            wwn: key.target.wwn.clone(),
            tag: key.tag,
            target: target_index(config, &key.target),
            rtpi: tpg.rtpi.unwrap_or(0),
            busy: port.and_then(|port| port.traffic.failures.get("busy").copied()).unwrap_or(0),
            sum: LunSum::of(view, |lun| lun.tpg == *key && lun.lun == index),
        })
    }
}

const LUN: &[Table<LunFacts>] = &[
    Table {
        name: "scsi_port",
        columns: &[
            ("inst", |of| line(of.device)),
            ("dev", |of| line(of.device)),
            ("indx", |of| line(of.rtpi)),
            ("role", |of| line(format!("Device{}", of.device))),
            ("busy_count", |of| line(of.busy)),
        ],
    },
    Table {
        name: "scsi_tgt_port",
        columns: &[
            ("inst", |of| line(of.device)),
            ("dev", |of| line(of.device)),
            ("indx", |of| line(of.rtpi)),
            ("name", |of| line(format!("iSCSIPort#{}", of.rtpi))),
            ("port_index", |of| line(format!("{}+t+{}", of.wwn, of.tag))),
            ("in_cmds", |of| line(of.sum.commands)),
            ("write_mbytes", |of| mbytes(of.sum.bytes_out)),
            ("read_mbytes", |of| mbytes(of.sum.bytes_in)),
            ("hs_in_cmds", |_| line(0)),
        ],
    },
    Table {
        name: "scsi_transport",
        columns: &[
            ("inst", |of| line(of.device)),
            ("device", |_| line("scsiTransportiSCSI")),
            ("indx", |of| line(of.target)),
            ("dev_name", |of| line(format!("{}+{}", of.wwn, of.name))),
            //= SPC-4 "Protocol specific information": PROTOCOL IDENTIFIER of iSCSI
            ("proto_id", |_| line(5)),
        ],
    },
];

/// An iSCSI target.
struct TargetFacts {
    index: usize,
    portals: usize,
    sessions: usize,
    version: String,
    logins: Logins,
}

impl TargetFacts {
    fn of(tree: &Tree, view: View<'_>, key: &TargetKey) -> Self {
        let config = &view.snapshot.config;
        let tpgs = config.targets.get(key).into_iter().flat_map(|target| target.tpgs.values());
        let is_here = |session: &&SessionView| session.tpg.as_ref().is_some_and(|tpg| tpg.target == *key);
        let counted = view.stats.and_then(|stats| stats.targets.iter().find(|of| of.target == *key));
        Self {
            index: target_index(config, key),
            portals: tpgs.map(|tpg| tpg.portals.len()).sum(),
            sessions: view.sessions.iter().filter(is_here).count(),
            version: tree.version().to_owned(),
            logins: counted.map(|of| of.logins.clone()).unwrap_or_default(),
        }
    }

    fn failed<'a, T>(&'a self, read: impl FnOnce(&'a FailedLogin) -> T) -> Option<T> {
        self.logins.last_failed.as_ref().map(read)
    }
}

/// The only node of a target.
const NODE: u8 = 1;

const TARGET: &[Table<TargetFacts>] = &[
    Table {
        name: "iscsi_instance",
        columns: &[
            ("inst", |of| line(of.index)),
            //= RFC 7143 "Version-min", "Version-max"
            ("min_ver", |_| line(0)),
            ("max_ver", |_| line(0)),
            ("portals", |of| line(of.portals)),
            ("nodes", |_| line(NODE)),
            ("sessions", |of| line(of.sessions)),
            ("fail_sess", |of| {
                let Logins { digest_errors, timeouts, format_errors, .. } = &of.logins;
                line(digest_errors + timeouts + format_errors)
            }),
            ("fail_type", |of| {
                line(match of.logins.last_broken.as_ref().map(|session| session.kind) {
                    None => 0,
                    Some(SessionFailure::Digest) => 1,
                    Some(SessionFailure::Timeout) => 2,
                    Some(SessionFailure::Format) => 3,
                })
            }),
            ("fail_rem_name", |of| {
                line(of.logins.last_broken.as_ref().map_or(NONE, |session| &session.initiator))
            }),
            ("disc_time", |_| line(0)),
            ("description", |_| line("SCSI target in user space")),
            ("vendor", |_| line("felio")),
            ("version", |of| line(&of.version)),
        ],
    },
    Table {
        name: "iscsi_sess_err",
        columns: &[
            ("inst", |of| line(of.index)),
            ("digest_errors", |of| line(of.logins.digest_errors)),
            ("cxn_errors", |of| line(of.logins.timeouts)),
            ("format_errors", |of| line(of.logins.format_errors)),
        ],
    },
    Table {
        name: "iscsi_tgt_attr",
        columns: &[
            ("inst", |of| line(of.index)),
            ("indx", |_| line(NODE)),
            ("login_fails", |of| line(of.logins.failed())),
            ("last_fail_time", |of| ticks(of.failed(|login| login.at_nanos).unwrap_or(0))),
            ("last_fail_type", |of| {
                line(match of.failed(|login| login.kind) {
                    None => 0,
                    Some(LoginFailure::Other) => 2,
                    Some(LoginFailure::NotAuthorized) => 4,
                    Some(LoginFailure::NotAuthenticated) => 5,
                    Some(LoginFailure::NotNegotiated) => 6,
                })
            }),
            ("fail_intr_name", |of| line(of.failed(|login| login.initiator.as_str()).unwrap_or(NONE))),
            ("fail_intr_addr_type", |of| {
                line(if of.failed(|login| login.address.is_ipv6()) == Some(true) { "ipv6" } else { "ipv4" })
            }),
            ("fail_intr_addr", |of| {
                line(match of.failed(|login| login.address) {
                    Some(std::net::IpAddr::V6(address)) => format!("[{address}]"),
                    Some(address) => address.to_string(),
                    None => String::new(),
                })
            }),
        ],
    },
    Table {
        name: "iscsi_login_stats",
        columns: &[
            ("inst", |of| line(of.index)),
            ("indx", |_| line(NODE)),
            ("accepts", |of| line(of.logins.accepted)),
            ("other_fails", |of| line(of.logins.failed_otherwise)),
            ("redirects", |_| line(0)),
            ("authorize_fails", |of| line(of.logins.not_authorized)),
            ("authenticate_fails", |of| line(of.logins.not_authenticated)),
            ("negotiate_fails", |of| line(of.logins.not_negotiated)),
        ],
    },
    Table {
        name: "iscsi_logout_stats",
        columns: &[
            ("inst", |of| line(of.index)),
            ("indx", |_| line(NODE)),
            ("normal_logouts", |of| line(of.logins.logouts)),
            ("abnormal_logouts", |of| line(of.logins.losses)),
        ],
    },
];

/// An initiator that is logged in.
struct AclFacts {
    target: usize,
    session: u16,
    traffic: Traffic,
}

impl AclFacts {
    fn of(view: View<'_>, key: &AclKey) -> Option<Self> {
        let session = session(view, key)?;
        let counted = view.stats.and_then(|stats| stats.sessions.iter().find(|of| of.id == session.id));
        Some(Self {
            target: target_index(&view.snapshot.config, &key.tpg.target),
            session: session.id,
            traffic: counted.map(|of| of.traffic.clone()).unwrap_or_default(),
        })
    }
}

const ACL: &[Table<AclFacts>] = &[Table {
    name: "iscsi_sess_stats",
    columns: &[
        ("inst", |of| line(of.target)),
        ("node", |_| line(NODE)),
        ("indx", |of| line(of.session)),
        ("cmd_pdus", |of| line(of.traffic.commands.sum() + of.traffic.in_flight)),
        ("rsp_pdus", |of| line(of.traffic.commands.sum())),
        ("txdata_octs", |of| line(of.traffic.bytes_in)),
        ("rxdata_octs", |of| line(of.traffic.bytes_out)),
        // Either ends the connection, and the session with it.
        ("conn_digest_errors", |_| line(0)),
        ("conn_timeout_errors", |_| line(0)),
    ],
}];

/// A LUN of an initiator.
struct MappedFacts {
    target: usize,
    lun: u16,
    tag: u16,
    acl: usize,
    initiator: String,
    /// The session that finds it, and its own part of the port's name.
    session: Option<(u16, String)>,
    sum: LunSum,
}

impl MappedFacts {
    fn of(view: View<'_>, key: &AclKey, index: u16) -> Option<Self> {
        let config = &view.snapshot.config;
        let mapped = config.acl(key)?.mapped_luns.get(&index)?;
        let acls = config.tpg(&key.tpg).into_iter().flat_map(|tpg| tpg.acls.keys());
        let is_own = |lun: &LunStats| {
            lun.tpg == key.tpg && lun.initiator.as_ref() == Some(&key.wwn) && lun.mapped_lun == index
        };
        Some(Self {
            target: target_index(config, &key.tpg.target),
            lun: mapped.tpg_lun,
            tag: key.tpg.tag,
            acl: acls.take_while(|name| **name != key.wwn).count(),
            initiator: key.wwn.clone(),
            session: session(view, key).map(|session| (session.id, isid(session).to_owned())),
            sum: LunSum::of(view, is_own),
        })
    }
}

const MAPPED_LUN: &[Table<MappedFacts>] = &[
    Table {
        name: "scsi_auth_intr",
        columns: &[
            ("inst", |of| line(of.target)),
            ("dev", |of| line(of.lun)),
            ("port", |of| line(of.tag)),
            ("indx", |of| line(of.acl)),
            ("dev_or_port", |_| line(1)),
            ("intr_name", |of| line(&of.initiator)),
            ("map_indx", |_| line(0)),
            ("att_count", |of| line(u8::from(of.session.is_some()))),
            ("num_cmds", |of| line(of.sum.commands)),
            ("read_mbytes", |of| mbytes(of.sum.bytes_in)),
            ("write_mbytes", |of| mbytes(of.sum.bytes_out)),
            ("hs_num_cmds", |_| line(0)),
            // Nobody has noted when it was made.
            ("creation_time", |_| line(0)),
            ("row_status", |_| line("Ready")),
        ],
    },
    Table {
        name: "scsi_att_intr_port",
        columns: &[
            ("inst", |of| line(of.target)),
            ("dev", |of| line(of.lun)),
            ("port", |of| line(of.tag)),
            ("indx", |of| line(of.session.as_ref()?.0)),
            ("port_auth_indx", |of| line(of.acl)),
            ("port_ident", |of| line(format!("{}+i+{}", of.initiator, of.session.as_ref()?.1))),
        ],
    },
];

/// The session of an initiator that has an ACL.
pub(crate) fn session<'v>(view: View<'v>, key: &AclKey) -> Option<&'v SessionView> {
    view.sessions
        .iter()
        .find(|session| session.tpg.as_ref() == Some(&key.tpg) && session.initiator == key.wwn)
}

/// The initiator's own part of its port's name: twelve digits.
pub(crate) fn isid(session: &SessionView) -> &str {
    session.initiator_port.rsplit_once(",i,0x").map_or("000000000000", |(_, isid)| isid)
}

fn target_index(config: &Config, key: &TargetKey) -> usize {
    config.targets.keys().take_while(|known| *known != key).count()
}
