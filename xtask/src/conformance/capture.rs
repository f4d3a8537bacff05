//! What tshark has against the bytes that the suite and felio exchanged.

use super::recorder::PORT;
use anyhow::{Context, ensure};
use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Complaints that are shown.
const SHOWN_MAX: usize = 20;

/// Has tshark decode a capture, and counts what it has against us.
pub(super) fn judge(file: &Path, report: &mut String) -> anyhow::Result<u32> {
    let frames = dissect(file)?;
    let Judgement { decoded, cut, complaints } = weigh(&frames);
    ensure!(decoded > 0, "tshark saw no iSCSI PDU of ours in {}", file.display());
    let count = complaints.len();
    writeln!(
        report,
        "    tshark: {decoded} frames of ours with PDUs, {count} with a complaint, {cut} cut as asked"
    )?;
    for frame in complaints.iter().take(SHOWN_MAX) {
        writeln!(report, "        frame {}: {} {}", frame.number, frame.malformed, frame.errors)?;
    }
    // Large, and of no use unless somebody wants to look at what was found.
    if count == 0 {
        std::fs::remove_file(file)?;
    }
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Every frame with a PDU.
fn dissect(file: &Path) -> anyhow::Result<Vec<Frame>> {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file)
        .args(["-Y", "iscsi", "-T", "fields"])
        .args(FIELDS.iter().flat_map(|field| ["-e", field]))
        .output()
        .context("cannot run tshark")?;
    ensure!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(Frame::parse).collect()
}

/// What tshark tells of a frame; [`Frame::parse`] takes them in this order.
const FIELDS: [&str; 7] = [
    "frame.number",
    "tcp.srcport",
    "iscsi.request_frame",
    "iscsi.datasegmentlength",
    "iscsi.scsicommand.expecteddatatransferlength",
    "_ws.malformed",
    "_ws.expert.severity",
];

/// An expert's error, as a severity.
const ERROR: &str = "8388608";

/// A frame with PDUs.
#[derive(Clone, Debug, Default)]
struct Frame {
    number: u32,
    source: u16,
    /// The frame of the command, where there is one PDU and it answers one.
    command: Option<u32>,
    data_bytes: Option<u32>,
    /// What the command, if there is one, wants to transfer at most.
    expected_bytes: Option<u32>,
    malformed: String,
    /// The severities of what experts say.
    errors: String,
}

impl Frame {
    fn parse(line: &str) -> anyhow::Result<Self> {
        let mut fields = line.split('\t');
        let mut next = || fields.next().with_context(|| format!("tshark left something out: {line:?}"));
        Ok(Self {
            number: next()?.parse()?,
            source: next()?.parse()?,
            command: next()?.parse().ok(),
            data_bytes: next()?.parse().ok(),
            expected_bytes: next()?.parse().ok(),
            malformed: next()?.to_owned(),
            errors: next()?.to_owned(),
        })
    }

    fn is_wrong(&self) -> bool {
        !self.malformed.is_empty() || self.errors.split(',').any(|severity| severity == ERROR)
    }

    /// Whether all that is wrong is that parameter data ends before its last field.
    fn ends_early(&self) -> bool {
        let errors = self.errors.split(',').filter(|severity| *severity == ERROR).count();
        self.malformed.starts_with("[Malformed Packet: SCSI]") && errors == 1
    }
}

/// What there is to say of a capture.
#[derive(Debug, Default)]
struct Judgement<'a> {
    /// Frames of ours with PDUs.
    decoded: usize,
    /// Parameter data that are as long as the initiator wanted, and that tshark calls malformed because they have no end.
    cut: usize,
    /// Whatever else is wrong with ours.
    complaints: Vec<&'a Frame>,
}

/// Judges our own frames; the suite sends broken ones on purpose.
fn weigh(frames: &[Frame]) -> Judgement<'_> {
    let mut judgement = Judgement::default();
    let mut expected = BTreeMap::new();
    for frame in frames {
        if frame.source != PORT {
            expected.extend(frame.expected_bytes.map(|bytes| (frame.number, bytes)));
            continue;
        }
        judgement.decoded += 1;
        if frame.is_wrong() {
            let wanted = frame.command.and_then(|command| expected.get(&command).copied());
            if frame.ends_early() && wanted.is_some() && wanted == frame.data_bytes {
                judgement.cut += 1;
            } else {
                judgement.complaints.push(frame);
            }
        }
    }
    judgement
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command that wants 8 bytes, and our answer to it.
    fn check(answer: &str, want: (usize, usize)) {
        let lines = ["1\t40000\t\t0\t8\t\t", answer];
        let frames: Vec<_> = lines.iter().map(|line| Frame::parse(line).expect("well-formed")).collect();
        let Judgement { decoded, cut, complaints } = weigh(&frames);
        assert_eq!((decoded, cut, complaints.len()), (1, want.0, want.1));
    }

    #[test]
    fn a_warning_is_no_complaint() {
        check("2\t3260\t1\t8\t\t\t6291456", (0, 0));
    }

    #[test]
    fn an_error_is() {
        check("2\t3260\t1\t8\t\t\t6291456,8388608", (0, 1));
    }

    #[test]
    fn data_as_long_as_was_wanted_may_end_anywhere() {
        check("2\t3260\t1\t8\t\t[Malformed Packet: SCSI],x\t8388608", (1, 0));
    }

    #[test]
    fn data_that_end_before_may_not() {
        check("2\t3260\t1\t7\t\t[Malformed Packet: SCSI],x\t8388608", (0, 1));
    }

    #[test]
    fn a_malformed_pdu_is_never_excused() {
        check("2\t3260\t1\t8\t\t[Malformed Packet: iSCSI],x\t8388608", (0, 1));
    }
}
