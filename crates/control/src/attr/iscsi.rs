//! Attributes, negotiation parameters and secrets of iSCSI portal groups and node ACLs.

use super::Default::{Device, Number as Is, Text as Says};
use super::When::{Always, ReadOnly};
use super::{Attr, Default, Kind, Scope};

const fn tpg(name: &'static str, kind: Kind, default: i64, doc: &'static str) -> Attr {
    Attr::new(Scope::Tpg, name, kind, Is(default), Always, doc)
}

const fn acl(name: &'static str, kind: Kind, default: Default, doc: &'static str) -> Attr {
    Attr::new(Scope::Acl, name, kind, default, Always, doc)
}

const fn key(name: &'static str, kind: Kind, default: Default, doc: &'static str) -> Attr {
    Attr::new(Scope::Parameter, name, kind, default, Always, doc)
}

const fn name_of(scope: Scope, name: &'static str, doc: &'static str) -> Attr {
    Attr::new(scope, name, Kind::Text(255), Says(""), Always, doc)
}

/// Attributes of portal groups.
pub(super) const TPG: &[Attr] = &[
    tpg("authentication", Kind::Flag, 1, "Whether initiators must log in with CHAP."),
    tpg(
        "cache_dynamic_acls",
        Kind::Flag,
        0,
        "Whether an initiator that was let in without an ACL keeps its place after it has logged out.",
    ),
    tpg(
        "default_cmdsn_depth",
        Kind::Number(1, 512),
        64,
        "Commands at a time that an initiator may have under way, unless its ACL says otherwise.",
    ),
    tpg("default_erl", Kind::OneOf(&[0, 1, 2]), 0, "The error recovery level that sessions get at most."),
    tpg("demo_mode_discovery", Kind::Flag, 1, "Whether initiators without an ACL discover the target."),
    tpg("demo_mode_write_protect", Kind::Flag, 1, "Whether initiators without an ACL may only read."),
    tpg(
        "fabric_prot_type",
        Kind::OneOf(&[0, 1, 3]),
        0,
        "The protection type on the wire where the storage object has none.",
    ),
    tpg(
        "generate_node_acls",
        Kind::Flag,
        0,
        "Whether initiators without an ACL may log in and see all LUNs.",
    ),
    tpg(
        "login_keys_workaround",
        Kind::Flag,
        1,
        "Whether answers to a login that has only unknown keys are put off until known ones come.",
    ),
    tpg("login_timeout", Kind::Number(5, 30), 15, "Seconds in which a login must come to its end."),
    tpg("prod_mode_write_protect", Kind::Flag, 0, "Whether initiators with an ACL may only read."),
    tpg("t10_pi", Kind::Flag, 0, "Whether protection information is transferred, with iSER."),
    tpg("tpg_enabled_sendtargets", Kind::Flag, 1, "Whether discovery tells only of enabled portal groups."),
];

/// Attributes of node ACLs.
pub(super) const ACL: &[Attr] = &[
    acl(
        "authentication",
        Kind::OneOf(&[-1, 0, 1]),
        Is(-1),
        "Whether this initiator must log in with CHAP; -1 is as the portal group has it.",
    ),
    acl("dataout_timeout", Kind::Number(2, 60), Is(3), "Seconds to wait for data of a write."),
    acl(
        "dataout_timeout_retries",
        Kind::Number(1, 15),
        Is(5),
        "How often to ask for them again before the connection is given up.",
    ),
    acl(
        "default_erl",
        Kind::OneOf(&[0, 1, 2]),
        Device,
        "The error recovery level that sessions of this initiator get at most; unset is as the portal group has it.",
    ),
    acl("nopin_response_timeout", Kind::Number(3, 60), Is(30), "Seconds in which a ping must be answered."),
    acl("nopin_timeout", Kind::Number(0, 60), Is(15), "Seconds of silence before a ping; 0 never sends one."),
    acl(
        "random_datain_pdu_offsets",
        Kind::Flag,
        Is(0),
        "Whether data are sent in random order, to test initiators. felio sends in order.",
    ),
    acl(
        "random_datain_seq_offsets",
        Kind::Flag,
        Is(0),
        "Whether sequences of data are sent in random order, to test initiators. felio sends in order.",
    ),
    acl(
        "random_r2t_offsets",
        Kind::Flag,
        Is(0),
        "Whether data are asked for in random order, to test initiators. felio asks in order.",
    ),
];

const SEGMENT: Kind = Kind::Number(512, 16_777_215);
const DIGEST: Kind = Kind::Words(&["CRC32C", "None"]);

/// Parameters of portal groups: keys of login and their values.
//= RFC 7143 "Login/Text Operational Text Keys"
pub(super) const PARAMETERS: &[Attr] = &[
    key(
        "AuthMethod",
        Kind::Words(&["CHAP", "None", "KRB5", "SPKM1", "SPKM2", "SRP"]),
        Says("CHAP"),
        "How initiators may prove who they are.",
    ),
    key("DataDigest", DIGEST, Says("CRC32C,None"), "Checksums of data, the preferred first."),
    key("DataPDUInOrder", Kind::YesNo, Says("Yes"), "Whether data within a sequence come in order."),
    key("DataSequenceInOrder", Kind::YesNo, Says("Yes"), "Whether sequences of data come in order."),
    key(
        "DefaultTime2Retain",
        Kind::Number(0, 3600),
        Is(20),
        "Seconds for which tasks are kept after a connection is lost.",
    ),
    key(
        "DefaultTime2Wait",
        Kind::Number(0, 3600),
        Is(2),
        "Seconds to wait before a lost connection is made anew.",
    ),
    key("ErrorRecoveryLevel", Kind::OneOf(&[0, 1, 2]), Is(0), "The error recovery level."),
    key("FirstBurstLength", SEGMENT, Is(65_536), "Bytes that may come with a write unasked."),
    key("HeaderDigest", DIGEST, Says("CRC32C,None"), "Checksums of headers, the preferred first."),
    key("IFMarkInt", Kind::Text(64), Says("Reject"), "Obsolete: distance of markers from the initiator."),
    key("IFMarker", Kind::YesNo, Says("No"), "Obsolete: markers from the initiator."),
    key("ImmediateData", Kind::YesNo, Says("Yes"), "Whether data may come in the same PDU as the command."),
    key(
        "InitialR2T",
        Kind::YesNo,
        Says("Yes"),
        "Whether data, beyond the immediate ones, must be asked for.",
    ),
    key("MaxBurstLength", SEGMENT, Is(262_144), "Bytes in one sequence of data."),
    key("MaxConnections", Kind::Number(1, 65_535), Is(1), "Connections in a session."),
    key(
        "MaxOutstandingR2T",
        Kind::Number(1, 65_535),
        Is(1),
        "How many sequences of a write may be asked for at a time.",
    ),
    key(
        "MaxRecvDataSegmentLength",
        SEGMENT,
        Is(8192),
        "Bytes in a PDU to the initiator, until it says otherwise.",
    ),
    key(
        "MaxXmitDataSegmentLength",
        SEGMENT,
        Is(262_144),
        "Bytes in a PDU from the initiator: what the target declares as its MaxRecvDataSegmentLength.",
    ),
    key("OFMarkInt", Kind::Text(64), Says("Reject"), "Obsolete: distance of markers from the target."),
    key("OFMarker", Kind::YesNo, Says("No"), "Obsolete: markers from the target."),
    key("TargetAlias", Kind::Text(255), Says("LIO Target"), "A name for people, told at login."),
];

/// Secrets of portal groups and node ACLs.
pub(super) const AUTH: &[Attr] = &[
    Attr::new(
        Scope::Auth,
        "authenticate_target",
        Kind::Flag,
        Is(0),
        ReadOnly,
        "Whether the target proves who it is, too: when it has a name and a secret for that.",
    ),
    name_of(Scope::Auth, "mutual_password", "The secret with which the target proves who it is.").secret(),
    name_of(Scope::Auth, "mutual_userid", "The name by which the target proves who it is."),
    name_of(Scope::Auth, "password", "The secret with which the initiator proves who it is.").secret(),
    name_of(Scope::Auth, "userid", "The name by which the initiator proves who it is."),
];

/// Secrets of discovery.
pub(super) const DISCOVERY_AUTH: &[Attr] = &[
    Attr::new(
        Scope::DiscoveryAuth,
        "enable",
        Kind::Flag,
        Is(0),
        Always,
        "Whether initiators must prove who they are before they are told of targets.",
    ),
    name_of(Scope::DiscoveryAuth, "mutual_password", "The secret with which the target proves who it is.")
        .secret(),
    name_of(Scope::DiscoveryAuth, "mutual_userid", "The name by which the target proves who it is."),
    name_of(Scope::DiscoveryAuth, "password", "The secret with which the initiator proves who it is.")
        .secret(),
    name_of(Scope::DiscoveryAuth, "userid", "The name by which the initiator proves who it is."),
];
