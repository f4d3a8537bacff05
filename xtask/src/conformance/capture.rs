//! What is on the wire while the suite runs, and what tshark has against it.

use crate::host;
use anyhow::{Context, bail, ensure};
use core::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
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
        std::io::Read::read_to_string(&mut self.told, &mut told)?;
        self.child.wait()?;
        let lost = lost(&told).with_context(|| format!("dumpcap did not count: {told:?}"))?;
        if lost > 0 {
            bail!(
                "the capture lost {lost} packets: nothing can be said of the rest; run it on a quieter machine"
            );
        }
        // Our own frames; the suite sends broken ones on purpose.
        let ours = format!("tcp.srcport == {}", self.port);
        let decoded = self.frames(&format!("iscsi and {ours}"))?.len();
        ensure!(decoded > 0, "tshark saw no iSCSI PDU of ours in {}", self.file.display());
        let complaints = self.frames(&format!("{ours} and ({COMPLAINTS})"))?;
        let count = complaints.len();
        writeln!(report, "    tshark: {decoded} frames of ours with PDUs, {count} with a complaint")?;
        for line in complaints.iter().take(SHOWN_MAX) {
            writeln!(report, "        {line}")?;
        }
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// The frames that a display filter lets through, one a line.
    fn frames(&self, filter: &str) -> anyhow::Result<Vec<String>> {
        let output = Command::new("tshark")
            .args(["-d", &format!("tcp.port=={},iscsi", self.port)])
            // On a machine with several processors neighbours may be captured in either order.
            .args(["-o", "tcp.reassemble_out_of_order:TRUE", "-r"])
            .arg(&self.file)
            .args(["-Y", filter])
            .output()?;
        ensure!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }
}

/// Malformed, or an expert's error.
const COMPLAINTS: &str = "_ws.malformed or _ws.expert.severity >= 8388608";

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

    #[test]
    fn lost_packets_are_counted() {
        let told =
            "Packets captured: 81\nPackets received/dropped on interface 'Loopback: lo': 81/7 (pcap:0) (92%)";
        assert_eq!(lost(told), Some(7));
    }
}
