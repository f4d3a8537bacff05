//! CDBs and Data-Out that the script makes: a row of the engine's table, its fields mostly sensible, its reserved bits
//! mostly zero; parameter lists that are nearly right.

use crate::Script;
use felio_engine::commands::TABLE;
use felio_spec::Row;

/// A CDB of the script's, and its row if it has one.
pub(super) fn cdb(script: &mut Script<'_>) -> (Vec<u8>, Option<&'static Row>) {
    if script.rarely(24) {
        let mut bytes = script.piece().to_vec();
        bytes.truncate(*script.pick(&[6, 10, 12, 16, 32, 255]));
        return (bytes, None);
    }
    let row = script.pick(TABLE).row;
    let length = usize::from(row.length);
    let mut cdb = vec![0; length.max(16)];
    cdb[0] = row.opcode;
    let flags = script.byte();
    cdb[1] = flags & row.usage[1];
    // Address and length stand at the ends of their fields, with most of their bytes zero.
    let (address, count) = match length {
        6 => (3, 4),
        10 => (5, 8),
        12 => (5, 9),
        32 => (19, 31),
        _ => (9, 13),
    };
    cdb[address] = script.byte() % 80;
    cdb[count] = script.byte() % 24;
    for _ in 0..script.byte() % 4 {
        let at = script.below(length.max(1));
        let keep = if script.rarely(12) { 0xff } else { row.usage[at.max(1)] };
        cdb[at.max(1)] = script.byte() & keep;
    }
    if let Some(action) = row.service_action.filter(|_| !script.rarely(32)) {
        action.field.write(&mut cdb, u64::from(action.value));
    }
    if length == 32 && !script.rarely(32) {
        cdb[7] = 0x18; // ADDITIONAL CDB LENGTH
    }
    (cdb, Some(row))
}

/// How much Data-Out, or Data-In, a command announces: mostly what it moves.
pub(super) fn announced(script: &mut Script<'_>, cdb: &[u8], block_bytes: u64) -> u32 {
    let at = match cdb.first().map_or(0, |opcode| opcode >> 5) {
        0 => 4,
        1 | 2 => 8,
        3 => 31,
        5 => 9,
        _ => 13,
    };
    let count = u64::from(cdb.get(at).copied().unwrap_or(0));
    let blocks = u32::try_from(count * block_bytes).expect("short");
    match script.byte() % 16 {
        0 => 0,
        1 => u32::from(script.byte()),
        2 => script.word() % (8 << 20),
        3 => u32::try_from(block_bytes).expect("a block"),
        // A parameter list, or twice the blocks of COMPARE AND WRITE.
        4..=6 => u32::try_from(count).expect("a byte"),
        7 => blocks * 2,
        8 => blocks.saturating_sub(1),
        _ => blocks,
    }
}

/// Data-Out: a pattern, the script's own bytes, what was read before with a wrong bit, or a list of extents.
pub(super) fn data(script: &mut Script<'_>, bytes: usize, seen: &[u8]) -> Vec<u8> {
    let mut data = match script.byte() % 5 {
        0 => vec![0; bytes],
        1 => vec![script.byte(); bytes],
        2 => script.piece().to_vec(),
        3 => seen.to_vec(),
        _ => extents(script),
    };
    data.resize(bytes, 0);
    for _ in 0..script.byte() % 3 {
        let at = script.below(bytes.clamp(1, 64));
        if let Some(byte) = data.get_mut(at) {
            *byte = script.byte();
        }
    }
    data
}

//= SBC-3 "UNMAP parameter list"
fn extents(script: &mut Script<'_>) -> Vec<u8> {
    let count = u16::from(script.byte() % 5);
    let length = count * 16;
    let mut list = Vec::new();
    list.extend((length + 6).to_be_bytes());
    list.extend(length.to_be_bytes());
    list.extend([0; 4]);
    for _ in 0..count {
        list.extend((u64::from(script.byte()) % 80).to_be_bytes());
        list.extend((u32::from(script.byte()) % 40).to_be_bytes());
        list.extend([0; 4]);
    }
    list
}
