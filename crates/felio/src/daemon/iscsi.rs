//! What the configuration means to iSCSI: targets, portal groups, who may come and on which terms.

use core::num::NonZeroU16;
use core::time::Duration;
use felio_control::{Acl, Auth as Secrets, Config as Wanted, Fabric, Target as WantedTarget, Tpg, Value};
use felio_iscsi::chap::{Account, Credentials, CredentialsError, Secret};
use felio_iscsi::config::{Allow, Auth, Config, Discovery, Entry, Offer, Patience, PortalGroup, Target};
use felio_iscsi::digest::Digest;
use felio_iscsi::name::IscsiName;
use std::net::SocketAddr;

/// Every iSCSI target of the configuration. What cannot be served (a name that is none, secrets that do not go together) is left out: the
/// configuration was checked, so that there is no such thing.
pub(super) fn config(wanted: &Wanted) -> Config {
    let targets = wanted.targets.iter().filter(|(key, _)| key.fabric == Fabric::Iscsi);
    let mut config = Config::new(targets.filter_map(|(key, target)| self::target(&key.wwn, target)));
    // As with LIO: who may discover is decided by itself, and by nobody unless somebody does.
    config.discovery = Discovery::Own(Auth::None);
    if let Some(fabric) = wanted.fabrics.get(&Fabric::Iscsi) {
        config.discovery = match (fabric.discovery.enable, credentials(&fabric.discovery.auth)) {
            (true, Some(Ok(credentials))) => Discovery::Own(Auth::Chap(credentials)),
            (true, _) => Discovery::Own(Auth::Closed),
            (false, Some(Ok(credentials))) => Discovery::Optional(credentials),
            (false, _) => Discovery::Own(Auth::None),
        };
    }
    config
}

fn target(wwn: &str, target: &WantedTarget) -> Option<Target> {
    let groups = target.tpgs.iter().filter_map(|(tag, tpg)| Some(group(NonZeroU16::new(*tag)?, tpg)));
    Target::new(IscsiName::parse(wwn).ok()?, groups.collect()).ok()
}

fn group(tag: NonZeroU16, tpg: &Tpg) -> PortalGroup {
    let on = |name: &str| tpg.attribute(name).is_some_and(|value| value.is_on());
    let initiators =
        tpg.acls.iter().filter_map(|(wwn, acl)| Some((IscsiName::parse(wwn).ok()?, entry(tpg, acl))));
    PortalGroup {
        tag,
        alias: tpg.parameter("TargetAlias").map(|alias| alias.to_string()),
        enabled: tpg.enable,
        portals: tpg.portals.keys().map(|portal| SocketAddr::new(portal.address, portal.port)).collect(),
        auth: auth(on("authentication"), &tpg.auth),
        initiators: initiators.collect(),
        open: on("generate_node_acls"),
        demo_discovery: on("demo_mode_discovery"),
        told_disabled: !on("tpg_enabled_sendtargets"),
        allow: Allow::default(),
        offer: offer(tpg),
        login: seconds(tpg.attribute("login_timeout")),
        window: tpg.attribute("default_cmdsn_depth").and_then(|value| u32::try_from(value.number()?).ok()),
    }
}

fn entry(tpg: &Tpg, acl: &Acl) -> Entry {
    let number = |name: &str| acl.attribute(name).and_then(|value| value.number());
    let demanded = match number("authentication") {
        Some(0) => false,
        Some(1) => true,
        _ => tpg.attribute("authentication").is_some_and(|value| value.is_on()),
    };
    let wait = |name: &str| seconds(acl.attribute(name)).unwrap_or_default();
    let retries = number("dataout_timeout_retries").and_then(|times| u32::try_from(times).ok()).unwrap_or(1);
    Entry {
        // As with LIO: whoever has an ACL proves itself by the secrets of the ACL.
        auth: Some(auth(demanded, &acl.auth)),
        window: None,
        patience: Some(Patience {
            ping: seconds(acl.attribute("nopin_timeout")).filter(|wait| !wait.is_zero()),
            ping_answer: wait("nopin_response_timeout"),
            // felio asks once and waits as long as asking again would take.
            data_out: wait("dataout_timeout") * retries.max(1),
        }),
    }
}

fn auth(demanded: bool, secrets: &Secrets) -> Auth {
    match (demanded, credentials(secrets)) {
        (false, _) => Auth::None,
        (true, Some(Ok(credentials))) => Auth::Chap(credentials),
        (true, _) => Auth::Closed,
    }
}

/// The secrets, if there are any.
fn credentials(secrets: &Secrets) -> Option<Result<Credentials, CredentialsError>> {
    if secrets.userid.is_empty() || secrets.password.is_empty() {
        return None;
    }
    let account = |user: &str, secret: &str| Account::new(user, Secret::new(secret.as_bytes())?);
    let initiator = account(&secrets.userid, &secrets.password);
    if secrets.mutual_userid.is_empty() || secrets.mutual_password.is_empty() {
        return Some(initiator.map(Credentials::one_way));
    }
    let target = account(&secrets.mutual_userid, &secrets.mutual_password);
    Some(initiator.and_then(|initiator| Credentials::mutual(initiator, target?)))
}

fn offer(tpg: &Tpg) -> Offer {
    let usual = Offer::default();
    let number = |name: &str, otherwise: u32| {
        let value = tpg.parameter(name).and_then(|value| value.number());
        value.and_then(|value| u32::try_from(value).ok()).unwrap_or(otherwise)
    };
    let yes = |name: &str| tpg.parameter(name).is_some_and(|value| value.to_string() == "Yes");
    let digests = |name: &str| {
        let words = tpg.parameter(name).map(|value| value.to_string()).unwrap_or_default();
        words.split(',').map(|word| if word == "CRC32C" { Digest::Crc32c } else { Digest::None }).collect()
    };
    Offer {
        header_digests: digests("HeaderDigest"),
        data_digests: digests("DataDigest"),
        receive_segment_bytes_max: number("MaxXmitDataSegmentLength", usual.receive_segment_bytes_max),
        burst_bytes_max: number("MaxBurstLength", usual.burst_bytes_max),
        first_burst_bytes_max: number("FirstBurstLength", usual.first_burst_bytes_max),
        initial_r2t: yes("InitialR2T"),
        immediate_data: yes("ImmediateData"),
        outstanding_r2t_max: number("MaxOutstandingR2T", usual.outstanding_r2t_max),
        // Levels above 0, several connections and tasks that outlive theirs are not served, so they are not offered.
        ..usual
    }
}

fn seconds(value: Option<Value>) -> Option<Duration> {
    value?.number().and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs)
}

/// Why secrets cannot be used, if they cannot.
pub(super) fn flaw(secrets: &Secrets) -> Option<String> {
    credentials(secrets)?.err().map(|error| error.to_string())
}
