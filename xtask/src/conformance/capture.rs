//! What is on the wire while the suite runs, and what tshark has against it.

use crate::host;
use anyhow::{Context, bail, ensure};
use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

/// dumpcap at the loopback, for one port.
pub(super) struct Capture {
    child: Child,
    told: BufReader<ChildStderr>,
    file: PathBuf,
    port: u16,
}

/// For packets that are not yet in the file, MiB.
const BUFFER_MIB: &str = "256";

/// Complaints that are shown.
const SHOWN_MAX: usize = 20;

impl Capture {
    /// Begins, and returns once packets are taken.
    pub(super) fn start(work: &Path, port: u16) -> anyhow::Result<Self> {
        let file = work.join("suite.pcapng");
        let mut child = Command::new("dumpcap")
            .args(["-i", "lo", "-B", BUFFER_MIB, "-f", &format!("tcp port {port}"), "-w"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run dumpcap")?;
        let mut told = BufReader::new(child.stderr.take().context("dumpcap says nothing")?);
        let mut line = String::new();
        // `File: …` comes once the capture runs.
        while !line.starts_with("File: ") {
            line.clear();
            ensure!(told.read_line(&mut line)? > 0, "dumpcap may not capture on the loopback");
        }
        Ok(Self { child, told, file, port })
    }

    /// Ends the capture and counts what tshark has against us.
    pub(super) fn judge(mut self, report: &mut String) -> anyhow::Result<u32> {
        // The last packets are on their way to it.
        std::thread::sleep(Duration::from_secs(1));
        host::run(Command::new("kill").arg("-INT").arg(self.child.id().to_string()))?;
        let mut told = String::new();
        self.told.read_to_string(&mut told)?;
        self.child.wait()?;
        let lost = lost(&told).with_context(|| format!("dumpcap did not count: {told:?}"))?;
        if lost > 0 {
            bail!(
                "the capture lost {lost} packets: nothing can be said of the rest; run it on a quieter machine"
            );
        }
        let frames = self.dissect()?;
        let Judgement { decoded, cut, complaints } = judge(&frames, self.port);
        ensure!(decoded > 0, "tshark saw no iSCSI PDU of ours in {}", self.file.display());
        let count = complaints.len();
        writeln!(
            report,
            "    tshark: {decoded} frames of ours with PDUs, {count} with a complaint, {cut} cut as asked"
        )?;
        for frame in complaints.iter().take(SHOWN_MAX) {
            writeln!(report, "        frame {}: {} {}", frame.number, frame.malformed, frame.errors)?;
        }
        // Large, and of no use any more, unless somebody wants to look at what was found.
        if count == 0 {
            std::fs::remove_file(&self.file)?;
        }
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Every frame with a PDU.
    fn dissect(&self) -> anyhow::Result<Vec<Frame>> {
        let output = Command::new("tshark")
            .args(["-d", &format!("tcp.port=={},iscsi", self.port)])
            // On a machine with several processors neighbours may be captured in either order.
            .args(["-o", "tcp.reassemble_out_of_order:TRUE", "-r"])
            .arg(&self.file)
            .args(["-Y", "iscsi", "-T", "fields"])
            .args(FIELDS.iter().flat_map(|field| ["-e", field]))
            .output()?;
        ensure!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(Frame::parse).collect()
    }
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
fn judge(frames: &[Frame], port: u16) -> Judgement<'_> {
    let mut judgement = Judgement::default();
    let mut expected = BTreeMap::new();
    for frame in frames {
        if frame.source != port {
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

/// Of dumpcap's last words, `Packets received/dropped on interface 'Loopback: lo': 81/0 (…)`, the second number.
fn lost(told: &str) -> Option<u64> {
    let (_, counts) = told.rsplit_once("': ")?;
    counts.split_once('/')?.1.split_once(' ')?.0.parse().ok()
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: u16 = 3260;

    /// A command that wants 8 bytes, and our answer to it.
    fn check(answer: &str, want: (usize, usize)) {
        let lines = ["1\t40000\t\t0\t8\t\t", answer];
        let frames: Vec<_> = lines.iter().map(|line| Frame::parse(line).expect("well-formed")).collect();
        let Judgement { decoded, cut, complaints } = judge(&frames, OURS);
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

    #[test]
    fn lost_packets_are_counted() {
        let told =
            "Packets captured: 81\nPackets received/dropped on interface 'Loopback: lo': 81/7 (pcap:0) (92%)";
        assert_eq!(lost(told), Some(7));
    }
}
