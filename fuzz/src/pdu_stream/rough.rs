//! An initiator that knows the rules and bends them: well-formed requests with wrong numbers, lengths, tags, bits and
//! digests.

use super::backend::{MARK, pattern};
use super::engine_side::farewell;
use super::login::log_in;
use super::world::World;
use crate::Script;
use crate::story::tell;
use felio_iscsi::digest::{Digest, crc32c_of};
use felio_iscsi::pdu::{
    BHS_BYTES, Bhs, LoginRequest, LogoutReason, LogoutRequest, NopOut, Opcode, Request, ScsiCommand,
    ScsiDataOut, Sn, SnackRequest, TaskAttribute, TaskManagementFunction, TaskManagementRequest, TaskTag,
    TextRequest, emit_bidirectional_read, emit_extended_cdb, padding_bytes,
};
use std::collections::VecDeque;
use std::time::Duration;

/// The initiator's books.
struct Rough {
    world: World,
    cmd_sn: Sn,
    next_itt: u32,
    /// Tags of late, of whatever was sent.
    recent: VecDeque<TaskTag>,
    /// Writes whose unsolicited data is still to be sent.
    unsolicited: VecDeque<Write>,
}

/// A write under way.
struct Write {
    itt: TaskTag,
    at: u32,
    data_sn: u32,
    end: u32,
}

/// Plays.
pub(super) fn run(mut script: Script<'_>) {
    let mut world = World::new(&mut script);
    let Some(cmd_sn) = log_in(&mut world, &mut script) else { return world.finish() };
    let mut rough =
        Rough { world, cmd_sn, next_itt: 1, recent: VecDeque::new(), unsolicited: VecDeque::new() };
    while !script.is_over() && !rough.world.is_over() {
        rough.step(&mut script);
    }
    rough.world.settle();
    rough.world.finish();
}

impl Rough {
    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 32 {
            0..=4 => self.command(script),
            5..=7 => self.answer_r2t(script),
            8 | 9 => self.go_on(script),
            10 => self.ping(script),
            11 | 12 => self.manage(script),
            13 => self.text(script),
            14 => self.oddity(script),
            15 if script.rarely(4) => self.world.push(script.piece()),
            16..=18 => self.world.serve(script),
            19 => self.world.hoard(script.length(1 << 20)),
            20 => self.world.release(),
            21 => self.world.wait(Duration::from_millis(u64::from(script.short()))),
            22 | 23 => _ = self.world.send(1 + script.length(70_000), script.length(70_000)),
            24 if script.rarely(16) => self.world.request(farewell(script)),
            25 | 26 => _ = self.world.deliver(1 + script.length(1000)),
            _ => {
                while self.world.deliver(usize::MAX) {}
                self.world.send(usize::MAX, usize::MAX);
            }
        }
    }

    /// A command: mostly right.
    fn command(&mut self, script: &mut Script<'_>) {
        let flags = script.byte();
        let expect = u32::try_from(script.length(300_000)).expect("short");
        let (read, write) = match flags & 7 {
            0 => (false, false),
            1 | 2 => (true, false),
            3 => (true, true),
            _ => (false, true),
        };
        let bytes = if write && flags & 8 != 0 { script.length(9000) } else { 0 };
        let bytes = bytes.min(usize::try_from(expect).unwrap_or(0)) + usize::from(script.rarely(32));
        let itt = self.tag(script);
        let final_pdu = flags & 0x10 == 0;
        let (immediate, cmd_sn) = self.number(script);
        let mut cdb = [0; 16];
        cdb[..4].copy_from_slice(&MARK);
        cdb[4..8].copy_from_slice(&itt.0.to_be_bytes());
        let additional = additional(script);
        let pdu = ScsiCommand {
            immediate,
            final_pdu,
            read,
            write,
            attribute: TaskAttribute(if script.rarely(8) { script.byte() & 7 } else { 1 }),
            total_ahs_words: u8::try_from(additional.len() / 4).expect("short"),
            data_segment_bytes: u32::try_from(bytes).expect("short"),
            lun: if script.rarely(16) { script.long() } else { 0 },
            initiator_task_tag: itt,
            expected_data_bytes: expect,
            cmd_sn,
            exp_stat_sn: self.exp_stat_sn(script),
            cdb,
        };
        if write && !final_pdu {
            let end = if script.rarely(8) { script.word() } else { expect };
            self.unsolicited.push_back(Write { itt, at: pdu.data_segment_bytes, data_sn: 0, end });
        }
        let data: Vec<u8> = (0..bytes).map(|at| pattern(itt.0, at)).collect();
        self.send(script, pdu.into(), &additional, &data);
    }

    /// Data that was asked for: mostly all of it, in order.
    fn answer_r2t(&mut self, script: &mut Script<'_>) {
        let Some(r2t) = self.world.wire.asked.pop_front() else { return };
        let piece = u32::try_from(script.length(20_000).max(1)).expect("short");
        let (mut at, end) =
            (r2t.buffer_offset, r2t.buffer_offset.saturating_add(r2t.desired_bytes.min(300_000)));
        let mut data_sn = 0;
        while at < end && data_sn < 64 {
            let bytes = piece.min(end - at);
            let pdu = ScsiDataOut {
                final_pdu: at + bytes == end,
                data_segment_bytes: bytes,
                lun: r2t.lun,
                initiator_task_tag: r2t.initiator_task_tag,
                target_transfer_tag: r2t.target_transfer_tag,
                exp_stat_sn: self.exp_stat_sn(script),
                data_sn: Sn(data_sn),
                buffer_offset: at,
            };
            self.data_out(script, pdu);
            at += bytes;
            data_sn += 1;
            if script.rarely(32) {
                return;
            }
        }
    }

    /// Data that comes unasked.
    fn go_on(&mut self, script: &mut Script<'_>) {
        let piece = script.length(9000);
        let Some(mut write) = self.unsolicited.pop_front() else { return };
        let bytes = u32::try_from(piece).expect("short").min(write.end.saturating_sub(write.at));
        let pdu = ScsiDataOut {
            final_pdu: write.at + bytes >= write.end || script.rarely(4),
            data_segment_bytes: bytes,
            lun: 0,
            initiator_task_tag: write.itt,
            target_transfer_tag: TaskTag::RESERVED,
            exp_stat_sn: self.exp_stat_sn(script),
            data_sn: Sn(write.data_sn),
            buffer_offset: write.at,
        };
        self.data_out(script, pdu);
        write.at += bytes;
        write.data_sn += 1;
        if !pdu.final_pdu {
            self.unsolicited.push_back(write);
        }
    }

    fn data_out(&mut self, script: &mut Script<'_>, mut pdu: ScsiDataOut) {
        if script.rarely(16) {
            match script.byte() % 6 {
                0 => pdu.buffer_offset ^= script.word(),
                1 => pdu.data_sn = Sn(script.word()),
                2 => pdu.target_transfer_tag.0 ^= 1 << (script.byte() % 32),
                3 => pdu.initiator_task_tag = self.old_tag(script),
                4 => pdu.final_pdu = !pdu.final_pdu,
                _ => pdu.lun = script.long(),
            }
        }
        // The pattern of a tag that is its identity, as most are.
        let first = usize::try_from(pdu.buffer_offset).unwrap_or(0);
        let bytes = usize::try_from(pdu.data_segment_bytes).unwrap_or(0);
        let data: Vec<u8> = (first..first + bytes).map(|at| pattern(pdu.initiator_task_tag.0, at)).collect();
        self.send(script, pdu.into(), &[], &data);
    }

    fn ping(&mut self, script: &mut Script<'_>) {
        let bytes = script.length(9000);
        let (immediate, cmd_sn) = self.number(script);
        let pdu = NopOut {
            immediate,
            data_segment_bytes: u32::try_from(bytes).expect("short"),
            lun: 0,
            initiator_task_tag: if script.rarely(4) { TaskTag::RESERVED } else { self.tag(script) },
            target_transfer_tag: if script.rarely(4) { TaskTag(script.word()) } else { TaskTag::RESERVED },
            cmd_sn,
            exp_stat_sn: self.exp_stat_sn(script),
        };
        self.send(script, pdu.into(), &[], &vec![0xa5; bytes]);
    }

    fn manage(&mut self, script: &mut Script<'_>) {
        let (immediate, cmd_sn) = self.number(script);
        let pdu = TaskManagementRequest {
            immediate,
            function: TaskManagementFunction(script.byte() % 14),
            lun: if script.rarely(8) { script.long() } else { 0 },
            initiator_task_tag: self.tag(script),
            referenced_task_tag: self.old_tag(script),
            cmd_sn,
            exp_stat_sn: self.exp_stat_sn(script),
            ref_cmd_sn: Sn(cmd_sn.0.wrapping_add(u32::from(script.byte() % 8)).wrapping_sub(4)),
            exp_data_sn: Sn(0),
        };
        self.send(script, pdu.into(), &[], &[]);
    }

    fn text(&mut self, script: &mut Script<'_>) {
        let texts: [&[u8]; 5] = [
            b"SendTargets=All\0",
            b"SendTargets=\0",
            b"MaxRecvDataSegmentLength=512\0",
            b"MaxRecvDataSegmentLength=65536\0X=1\0",
            b"",
        ];
        let text = if script.rarely(4) { script.piece() } else { script.pick(&texts) };
        // Declared anew: from some moment on that is the limit, and it is the largest that counts here.
        self.world.wire.segment_bytes_max = usize::MAX;
        let (immediate, cmd_sn) = self.number(script);
        let flags = script.byte();
        let pdu = TextRequest {
            immediate,
            final_pdu: flags & 3 != 0,
            continued: flags & 0x1c == 0x1c,
            data_segment_bytes: u32::try_from(text.len()).expect("short"),
            lun: 0,
            initiator_task_tag: self.tag(script),
            target_transfer_tag: if script.rarely(4) {
                TaskTag(u32::from(script.byte()))
            } else {
                TaskTag::RESERVED
            },
            cmd_sn,
            exp_stat_sn: self.exp_stat_sn(script),
        };
        self.send(script, pdu.into(), &[], text);
    }

    /// What has no place in a session, or ends it.
    fn oddity(&mut self, script: &mut Script<'_>) {
        let (immediate, cmd_sn) = self.number(script);
        let exp_stat_sn = self.exp_stat_sn(script);
        let initiator_task_tag = self.tag(script);
        match script.byte() % 8 {
            0 => {
                let reason = LogoutReason(script.byte() % 4);
                let cid = u16::from(script.rarely(4));
                let pdu = LogoutRequest { immediate, reason, initiator_task_tag, cid, cmd_sn, exp_stat_sn };
                self.send(script, pdu.into(), &[], &[]);
            }
            1 | 2 => {
                let mut pdu =
                    SnackRequest::parse(&Bhs::new(Opcode::SNACK_REQUEST)).expect("the opcode is right");
                pdu.kind.0 = script.byte() & 0xf;
                pdu.exp_stat_sn = exp_stat_sn;
                self.send(script, pdu.into(), &[], &[]);
            }
            3 => {
                let pdu = LoginRequest::parse(&Bhs::new(Opcode::LOGIN_REQUEST)).expect("the opcode is right");
                self.send(script, pdu.into(), &[], &[]);
            }
            4 => {
                let mut header: [u8; BHS_BYTES] = script.array();
                header[5] = 0;
                header[6] &= 0x3f;
                let bhs = Bhs(header);
                let bytes = usize::try_from(bhs.data_segment_bytes()).unwrap_or(0);
                self.send_bytes(script, &header, &vec![0x11; bhs.total_ahs_bytes()], &vec![0x22; bytes]);
            }
            _ => {}
        }
    }

    /// A header with a wrong bit once in a while, and what follows it.
    fn send(&mut self, script: &mut Script<'_>, pdu: Request, additional: &[u8], data: &[u8]) {
        tell(|| format!("peer: {pdu:?}"));
        let mut header = pdu.emit();
        if script.rarely(24) {
            let bit = script.below(BHS_BYTES * 8);
            // The length of what follows stays right: else the stream is noise from here on, which others play.
            if !(4 * 8..8 * 8).contains(&bit) {
                header[bit / 8] ^= 1 << (bit % 8);
                self.world.backend.is_blind = true;
            }
        }
        self.send_bytes(script, &header, additional, data);
    }

    fn send_bytes(
        &mut self,
        script: &mut Script<'_>,
        header: &[u8; BHS_BYTES],
        additional: &[u8],
        data: &[u8],
    ) {
        let digests = self.world.wire.digests;
        let spoil = if script.rarely(64) { script.byte() } else { 0 };
        self.world.push(header);
        self.world.push(additional);
        if digests.header == Digest::Crc32c {
            let [first, rest @ ..] = crc32c_of([&header[..], additional]);
            self.world.push(&[first ^ (spoil & 1)]);
            self.world.push(&rest);
        }
        if data.is_empty() {
            return;
        }
        let padding = &[spoil >> 4; 3][..padding_bytes(data.len())];
        self.world.push(data);
        self.world.push(padding);
        if digests.data == Digest::Crc32c {
            let [first, rest @ ..] = crc32c_of([data, padding]);
            self.world.push(&[first ^ (spoil & 2)]);
            self.world.push(&rest);
        }
    }

    /// Whether a request is immediate, and its number: mostly the next.
    fn number(&mut self, script: &mut Script<'_>) -> (bool, Sn) {
        match script.byte() % 16 {
            0 | 1 => (true, self.cmd_sn),
            // A gap, which a later request may fill.
            2 => (false, self.cmd_sn + 1 + u32::from(script.byte() % 4)),
            3 => (false, self.cmd_sn + *script.pick(&FAR)),
            4 => {
                self.cmd_sn += 1 + u32::from(script.byte() % 3);
                (false, self.cmd_sn)
            }
            5 => (false, Sn(self.cmd_sn.0.wrapping_sub(1 + u32::from(script.byte() % 4)))),
            _ => (false, self.cmd_sn.take()),
        }
    }

    fn exp_stat_sn(&self, script: &mut Script<'_>) -> Sn {
        let right = self.world.wire.stat_sn.unwrap_or(Sn(0));
        if script.rarely(32) { right + *script.pick(&FAR) } else { right }
    }

    fn tag(&mut self, script: &mut Script<'_>) -> TaskTag {
        if script.rarely(16) {
            return self.old_tag(script);
        }
        let tag = TaskTag(self.next_itt);
        self.next_itt += 1;
        self.recent.push_front(tag);
        self.recent.truncate(32);
        tag
    }

    fn old_tag(&self, script: &mut Script<'_>) -> TaskTag {
        let at = script.below(self.recent.len().max(1));
        match self.recent.get(at) {
            Some(tag) if !script.rarely(32) => *tag,
            _ => TaskTag::RESERVED,
        }
    }
}

/// Distances in the space of sequence numbers at which comparing changes its mind.
const FAR: [u32; 8] = [1 << 31, (1 << 31) - 1, (1 << 31) + 1, u32::MAX, 16, 17, 2048, 1 << 16];

/// Additional header segments: seldom any.
fn additional(script: &mut Script<'_>) -> Vec<u8> {
    let mut room = vec![0; 1020];
    match script.byte() {
        0xf0..=0xf5 => {
            let rest = vec![0; script.length(1000)];
            let used = emit_extended_cdb(&rest, &mut room).unwrap_or(0);
            room.truncate(used);
            room
        }
        0xf6..=0xfa => emit_bidirectional_read(script.word()).to_vec(),
        0xfb..=0xff => {
            let mut bytes = script.piece().to_vec();
            bytes.truncate(bytes.len() / 4 * 4);
            bytes
        }
        _ => Vec::new(),
    }
}
