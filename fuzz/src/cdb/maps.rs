//! CDBs one by one, against the CDB usage data that the unit tells: a bit outside the map is refused, a CDB within it is
//! not refused for its bits, and a command that is not listed is not known.

use super::crowd::LUNS;
use super::sense;
use super::world::{Ended, World};
use crate::Script;
use felio_engine::commands::TABLE;
use felio_spec::{Lun, Status, TaskAttribute};

/// What the unit says of a command.
enum Listed {
    /// It is not supported.
    No,
    /// It has service actions; this is none of them, or none was named.
    HasActions,
    /// Its usage map.
    Map(Vec<u8>),
    /// A reset came between.
    Unheard,
}

/// NACA in CONTROL, the last byte, or the second one of this operation code.
const NACA: u8 = 0x04;
const VARIABLE: u8 = 0x7f;

/// Plays.
pub(super) fn run(mut script: Script<'_>) {
    let mut world = World::new(&mut script);
    for lun in LUNS {
        ask(&mut world, lun, &[0; 6], Vec::new(), 0);
    }
    while !script.is_over() {
        let lun = LUNS[script.below(world.disks.len())];
        let (opcode, action) = (script.byte(), script.byte() & 0x1f);
        match listed(&mut world, lun, opcode, action) {
            Listed::No | Listed::HasActions => unknown(&mut world, &mut script, lun, opcode, action),
            Listed::Map(map) => known(&mut world, &mut script, lun, &map),
            Listed::Unheard => {}
        }
    }
    world.finish();
}

/// Asks with REPORT SUPPORTED OPERATION CODES: first without, then with the service action.
//= SPC-4 "REPORT SUPPORTED OPERATION CODES command"
fn listed(world: &mut World, lun: Lun, opcode: u8, action: u8) -> Listed {
    for (options, action) in [(1, 0), (2, action)] {
        let cdb = [0xa3, 0x0c, options, opcode, 0, action, 0, 0, 1, 0, 0, 0];
        let Some(ended) = ask(world, lun, &cdb, Vec::new(), 256) else { return Listed::Unheard };
        if let Some(sense) = ended.sense {
            if is_attention(&sense) {
                return Listed::Unheard;
            }
            // With and without a service action: the one that the command does not have is an invalid field.
            assert!(sense.is_invalid_field(), "{:x}/{:02x} for {opcode:02x}", sense.key, sense.asc);
            continue;
        }
        assert_eq!(ended.status, Status::GOOD);
        let data = ended.data;
        match data[1] & 7 {
            1 if options == 1 => return Listed::No,
            1 => return Listed::HasActions,
            3 => {
                let length = usize::from(u16::from_be_bytes([data[2], data[3]]));
                assert_eq!(data.len(), 4 + length, "CDB SIZE");
                assert_eq!(data[4], opcode, "a usage map begins with the operation code");
                return Listed::Map(data[4..].to_vec());
            }
            other => panic!("SUPPORT is {other} for {opcode:02x}"),
        }
    }
    panic!("{opcode:02x} has a service action and has none");
}

/// A command that is not listed must not be known.
fn unknown(world: &mut World, script: &mut Script<'_>, lun: Lun, opcode: u8, action: u8) {
    let mut cdb = script.array::<16>();
    cdb[0] = opcode;
    cdb[1] = cdb[1] & 0xe0 | action;
    // Wherever CONTROL may be: see below.
    for at in [5, 9, 11, 15] {
        cdb[at] &= !NACA;
    }
    if opcode == VARIABLE {
        cdb[1] &= !NACA;
    }
    let Some(ended) = ask(world, lun, &cdb, Vec::new(), 0) else { return };
    let sense = ended.sense.expect("a command that is not listed is refused");
    let refused = sense.is_invalid_opcode() || sense.is_invalid_field() || is_attention(&sense);
    assert!(refused, "{cdb:02x?} ends with {:x}/{:02x}/{:02x}", sense.key, sense.asc, sense.ascq);
}

/// A command that is listed keeps to its map.
fn known(world: &mut World, script: &mut Script<'_>, lun: Lun, map: &[u8]) {
    let mut cdb = vec![0; map.len().max(16)];
    for (byte, used) in cdb.iter_mut().zip(map).skip(1) {
        *byte = script.byte() & used;
    }
    cdb[0] = map[0];
    // An auto contingent allegiance would keep the next commands out.
    cdb[if map[0] == VARIABLE { 1 } else { map.len() - 1 }] &= !NACA;
    // Small values get further.
    if script.coin() {
        cdb[2..map.len()].iter_mut().for_each(|byte| *byte &= 0x0f);
    }
    // The service action's bits carry its value in the map; every other set bit is a field's.
    for at in actions_at(map) {
        cdb[at] = map[at];
    }
    if map[0] == VARIABLE && !script.rarely(8) {
        cdb[7] = 0x18; // ADDITIONAL CDB LENGTH
    }
    let Some(ended) = ask(world, lun, &cdb, vec![0; script.length(600)], 0) else { return };
    let sense = ended.sense;
    if let Some((true, byte, Some(bit))) =
        sense.as_ref().filter(|s| s.is_invalid_field()).and_then(|s| s.pointer)
    {
        let used = map.get(usize::from(byte)).is_some_and(|used| used & (1 << bit) != 0);
        assert!(used, "{cdb:02x?}: bit {bit} of byte {byte} is refused, and {map:02x?} has no such field");
    }
    let bit = 8 + script.below(8 * (map.len() - 1));
    let (byte, mask) = (bit / 8, 1 << (bit % 8));
    if map[byte] & mask != 0 || actions_at(map).contains(&byte) {
        return;
    }
    cdb[byte] |= mask;
    let Some(ended) = ask(world, lun, &cdb, Vec::new(), 0) else { return };
    //= SPC-4 "Reservations overview": after RESERVE, persistent reservations are kept out before their CDBs are read
    if ended.status == Status::RESERVATION_CONFLICT {
        return;
    }
    let sense = ended.sense.unwrap_or_else(|| panic!("{cdb:02x?} is accepted, and {map:02x?} is the map"));
    let refused = sense.is_invalid_field() || is_attention(&sense);
    assert!(refused, "{cdb:02x?} ends with {:x}/{:02x}/{:02x}", sense.key, sense.asc, sense.ascq);
    if let Some((in_cdb, pointed, _)) = sense.pointer {
        assert!(
            in_cdb && usize::from(pointed) <= byte,
            "{cdb:02x?}: byte {pointed} is blamed for byte {byte}"
        );
    }
}

/// The bytes of a map that carry the service action: another one would be another command.
fn actions_at(map: &[u8]) -> core::ops::Range<usize> {
    let row = TABLE.iter().map(|entry| entry.row).find(|row| row.opcode == map[0]);
    row.and_then(|row| row.service_action).map_or(0..0, |action| {
        let first = usize::from(action.field.byte);
        first..first + usize::from(action.field.width).div_ceil(8)
    })
}

fn is_attention(sense: &sense::Read) -> bool {
    sense.key == 0x06 || sense.deferred
}

/// Sends a command and waits for its end; nothing if it was reset away.
fn ask(world: &mut World, lun: Lun, cdb: &[u8], data: Vec<u8>, expect_in: u32) -> Option<Ended> {
    world.last = None;
    world.send(0, lun, TaskAttribute::Simple, (cdb, None), (data, expect_in));
    world.settle();
    world.last.take()
}
