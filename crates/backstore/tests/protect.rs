//! Protection information beside blocks: what is inserted, what is checked, and what a power cut leaves.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "stores live in files")]

use std::sync::{Arc, Mutex};

use felio_backstore::protect::{Protect, ProtectError, Side, Speed, Wish};
use felio_backstore::{Answer, Attempt, CacheMode, Entry, OpenError, Source, Spec, Store, open};
use felio_hal::buf::Budget;
use felio_hal::store::{Done, Durability, Failure, Limits, Op, Protection, WriteCache};
use felio_hal::{Buf, Pool};
use felio_spec::protection::{Flaw, Kind, Tuple};
use proptest::prelude::*;
use rustix::io::Errno;

const BLOCK: usize = 512;
const WHOLE: usize = BLOCK + 8;
/// More than three chunks of the side, and part of a fourth.
const BLOCKS: u64 = 100;
const CHUNK_BLOCKS: u64 = 31;
const SIDE_BYTES: usize = 4096 + 4 * 512;

/// Blocks and side of one disk, sector by sector, until the power fails.
struct World {
    blocks: Vec<u8>,
    side: Vec<u8>,
    /// Writes until the power fails.
    left: Option<u32>,
    /// Which sectors of the last one get there, a bit each.
    survivors: u64,
}

impl World {
    fn shared() -> Shared {
        let blocks = vec![0; usize::try_from(BLOCKS).expect("small") * BLOCK];
        Shared(Arc::new(Mutex::new(Self { blocks, side: vec![0; SIDE_BYTES], left: None, survivors: 0 })))
    }

    fn write(&mut self, into: fn(&mut Self) -> &mut Vec<u8>, at: u64, from: &[u8]) -> Result<(), Errno> {
        let at = usize::try_from(at).expect("small");
        let survivors = match &mut self.left {
            None => u64::MAX,
            Some(0) => return Err(Errno::IO),
            Some(left) => {
                *left -= 1;
                if *left == 0 { self.survivors } else { u64::MAX }
            }
        };
        let place = &mut into(self)[at..at + from.len()];
        for (number, (to, from)) in place.chunks_mut(BLOCK).zip(from.chunks(BLOCK)).enumerate() {
            if survivors & (1 << (number % 64)) != 0 {
                to.copy_from_slice(from);
            }
        }
        if self.left == Some(0) { Err(Errno::IO) } else { Ok(()) }
    }
}

#[derive(Clone)]
struct Shared(Arc<Mutex<World>>);

impl Shared {
    fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.0.lock().expect("no panic"))
    }

    fn open(&self, wish: Wish) -> Result<Protect, ProtectError> {
        Protect::open(Arc::new(self.clone()), Arc::new(self.clone()), 512, wish, Speed::Later)
    }

    fn formatted(kind: Kind) -> (Self, Protect) {
        let world = World::shared();
        let store = world.open(Wish::Be(Some(kind))).expect("fresh");
        (world, store)
    }
}

impl Side for Shared {
    fn read(&self, at: u64, to: &mut [u8]) -> Result<(), Errno> {
        let at = usize::try_from(at).expect("small");
        self.with(|world| to.copy_from_slice(&world.side[at..at + to.len()]));
        Ok(())
    }
    fn write(&self, at: u64, from: &[u8]) -> Result<(), Errno> {
        self.with(|world| world.write(|world| &mut world.side, at, from))
    }
    fn clear(&self, at: u64, len: u64) -> Result<(), Errno> {
        Side::write(self, at, &vec![0; usize::try_from(len).expect("small")])
    }
    fn cut(&self, at: u64) -> Result<(), Errno> {
        let rest = SIDE_BYTES - usize::try_from(at).expect("small");
        Side::write(self, at, &vec![0; rest])
    }
}

impl Store for Shared {
    fn limits(&self) -> Limits {
        Limits {
            bytes: BLOCKS * 512,
            writable: true,
            logical_block_bytes: 512,
            physical_block_bytes: 512,
            optimal_io_bytes: None,
            transfer_bytes_max: 1 << 20,
            write_cache: WriteCache::On,
            unmap: None,
            extents: false,
            atomic: None,
            space: false,
            rotational: None,
            protection: Protection::Impossible,
            state: false,
            passes: None,
        }
    }
    fn attempt(&self, op: Op) -> Attempt {
        Attempt::Later(op)
    }
    fn entry(&self, _: &Op) -> Option<Entry<'_>> {
        None
    }
    fn run(&self, op: Op) -> Answer {
        let done = |result: Result<(), Errno>| {
            result.map(|()| Done::Done).map_err(|errno| Failure::Other(errno.raw_os_error()))
        };
        match op {
            Op::Read { at, mut buf } => {
                let at = usize::try_from(at).expect("small");
                let len = buf.len();
                self.with(|world| buf.copy_from_slice(&world.blocks[at..at + len]));
                Answer::with(Ok(Done::Done), buf)
            }
            Op::Write { at, buf, durability } => {
                assert_eq!(durability, Durability::Durable, "there is no cache above a side");
                let result = self.with(|world| world.write(|world| &mut world.blocks, at, &buf));
                Answer::with(done(result), buf)
            }
            Op::Zero { at, len, .. } | Op::Unmap { at, len } => {
                let zeros = vec![0; usize::try_from(len).expect("small")];
                Answer::bare(done(self.with(|world| world.write(|world| &mut world.blocks, at, &zeros))))
            }
            _ => Answer::bare(Ok(Done::Done)),
        }
    }
}

fn pool() -> Pool {
    Pool::new(Budget::new(64 << 20))
}

fn buf(bytes: &[u8]) -> Buf {
    let mut buf = pool().take(bytes.len()).expect("memory");
    buf.copy_from_slice(bytes);
    buf
}

fn write(store: &dyn Store, lba: u64, blocks: &[u8]) -> Result<Done, Failure> {
    store.run(Op::Write { at: lba * 512, buf: buf(blocks), durability: Durability::Cached }).result
}

fn read(store: &dyn Store, lba: u64, count: usize) -> Result<Vec<u8>, Failure> {
    let answer = store.run(Op::Read { at: lba * 512, buf: buf(&vec![0; count * BLOCK]) });
    answer.result.map(|_| answer.buf.expect("a buffer").to_vec())
}

fn write_protected(store: &dyn Store, lba: u64, bytes: &[u8]) -> Result<Done, Failure> {
    let op = Op::WriteProtected { at: lba * 512, buf: buf(bytes), durability: Durability::Cached };
    let answer = store.run(op);
    assert_eq!(answer.buf.expect("a buffer").len(), bytes.len());
    answer.result
}

fn read_protected(store: &dyn Store, lba: u64, count: usize) -> Result<Vec<u8>, Failure> {
    let answer = store.run(Op::ReadProtected { at: lba * 512, buf: buf(&vec![0; count * WHOLE]) });
    answer.result.map(|_| answer.buf.expect("a buffer").to_vec())
}

fn tuple_of(store: &dyn Store, lba: u64) -> Tuple {
    Tuple::read(&read_protected(store, lba, 1).expect("read")[BLOCK..])
}

fn guard_failed(lba: u64) -> Failure {
    Failure::Protection { flaw: Flaw::Guard, at: lba * 512 }
}

/// CRC-16/T10-DIF, bit by bit.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ (u16::from(*byte) << 8), |sum, _| {
            if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ 0x8bb7 }
        })
    })
}

#[test]
fn blocks_that_come_without_get_a_guard_and_tags() {
    let (_, store) = Shared::formatted(Kind::Type1);
    write(&store, 40, &[7; 2 * BLOCK]).expect("written");
    let want = Tuple { guard: crc(&[7; BLOCK]), application: 0, reference: 41 };
    assert_eq!(tuple_of(&store, 41), want);
    assert_eq!(read(&store, 40, 2), Ok(vec![7; 2 * BLOCK]));
}

#[test]
fn what_comes_with_a_block_is_kept_as_it_is() {
    let (_, store) = Shared::formatted(Kind::Type3);
    let sent: Vec<u8> = (0..3 * WHOLE).map(|at| u8::try_from(at % 251).expect("small")).collect();
    write_protected(&store, 30, &sent).expect("written");
    assert_eq!(read_protected(&store, 30, 3), Ok(sent));
    assert_eq!(read(&store, 30, 3), Err(guard_failed(30)));
}

#[test]
fn nothing_is_checked_of_what_was_never_written() {
    let (_, store) = Shared::formatted(Kind::Type1);
    assert_eq!(read(&store, 0, 100), Ok(vec![0; 100 * BLOCK]));
    assert_eq!(tuple_of(&store, 99), Tuple::FRESH);
}

#[test]
fn a_block_that_changed_by_itself_is_refused() {
    let (world, store) = Shared::formatted(Kind::Type1);
    write(&store, 10, &[1; 5 * BLOCK]).expect("written");
    world.with(|world| world.blocks[12 * BLOCK + 9] ^= 1);
    assert_eq!(read(&store, 10, 5), Err(guard_failed(12)));
    assert_eq!(read(&store, 10, 2), Ok(vec![1; 2 * BLOCK]));
}

#[test]
fn a_block_in_anothers_place_is_refused() {
    let (world, store) = Shared::formatted(Kind::Type1);
    write_protected(&store, 3, &read_protected_of(&[9; BLOCK], 4)).expect("written");
    drop(world);
    assert_eq!(read(&store, 3, 1), Err(Failure::Protection { flaw: Flaw::Reference, at: 3 * 512 }));
}

fn read_protected_of(block: &[u8], reference: u32) -> Vec<u8> {
    let mut whole = block.to_vec();
    whole.extend([0; 8]);
    Tuple { guard: crc(block), application: 0, reference }.write(&mut whole[BLOCK..]);
    whole
}

#[test]
fn a_torn_chunk_fails_its_blocks_until_they_are_written_again() {
    let (world, store) = Shared::formatted(Kind::Type1);
    write(&store, 0, &[5; 100 * BLOCK]).expect("written");
    world.with(|world| world.side[4096 + 512 + 100..4096 + 1024].fill(0xaa));
    assert_eq!(read(&store, 30, 1), Ok(vec![5; BLOCK]));
    assert_eq!(read(&store, 30, 5), Err(guard_failed(CHUNK_BLOCKS)));
    assert_eq!(read_protected(&store, 40, 1), Err(guard_failed(40)));
    write(&store, 40, &[6; BLOCK]).expect("written");
    assert_eq!(read(&store, 40, 1), Ok(vec![6; BLOCK]));
    assert_eq!(read(&store, 41, 1), Err(guard_failed(41)));
    write(&store, 31, &[6; 31 * BLOCK]).expect("written");
    assert_eq!(read(&store, 31, 31), Ok(vec![6; 31 * BLOCK]));
}

#[test]
fn a_lost_chunk_fails_what_was_written_after_it() {
    let (world, store) = Shared::formatted(Kind::Type1);
    write(&store, 0, &[5; 10 * BLOCK]).expect("written");
    let old = world.with(|world| world.side[4096..4608].to_vec());
    write(&store, 4, &[6; BLOCK]).expect("written");
    world.with(|world| world.side[4096..4608].copy_from_slice(&old));
    assert_eq!(read(&store, 0, 10), Err(guard_failed(4)));
}

#[test]
fn a_run_that_was_not_closed_has_its_blocks_checked_all_the_same() {
    let (world, store) = Shared::formatted(Kind::Type1);
    write(&store, 4, &[5; 2 * BLOCK]).expect("written");
    write(&store, 4, &[6; BLOCK]).expect("written");
    world.with(|world| world.left = Some(0));
    drop(store);
    world.with(|world| world.left = None);
    world.with(|world| (world.blocks[4 * BLOCK], world.blocks[5 * BLOCK]) = (1, 1));
    let store = world.open(Wish::AsItIs).expect("there");
    assert_eq!(read(&store, 4, 1), Err(guard_failed(4)));
    assert_eq!(read(&store, 5, 1), Err(guard_failed(5)));
    assert_eq!(read(&store, 6, 1), Ok(vec![0; BLOCK]));
}

#[test]
fn deallocated_blocks_are_as_if_never_written() {
    let (_, store) = Shared::formatted(Kind::Type1);
    write(&store, 0, &[5; 100 * BLOCK]).expect("written");
    assert_eq!(store.run(Op::Unmap { at: 20 * 512, len: 60 * 512 }).result, Ok(Done::Done));
    assert_eq!([tuple_of(&store, 20), tuple_of(&store, 50), tuple_of(&store, 79)], [Tuple::FRESH; 3]);
    assert_eq!(read(&store, 18, 2), Ok(vec![5; 2 * BLOCK]));
    assert_eq!(read(&store, 80, 20), Ok(vec![5; 20 * BLOCK]));
}

#[test]
fn zeros_are_written_with_their_guard() {
    let (_, store) = Shared::formatted(Kind::Type1);
    assert_eq!(store.run(Op::Zero { at: 512, len: 90 * 512, unmap: false }).result, Ok(Done::Done));
    assert_eq!(tuple_of(&store, 90), Tuple { guard: 0, application: 0, reference: 90 });
    assert_eq!(tuple_of(&store, 91), Tuple::FRESH);
}

#[test]
fn a_range_past_the_end_writes_nothing() {
    let (world, store) = Shared::formatted(Kind::Type1);
    let before = world.with(|world| world.side.clone());
    assert_eq!(write(&store, 99, &[1; 2 * BLOCK]), Err(Failure::Short));
    assert_eq!(store.run(Op::Unmap { at: 99 * 512, len: 1024 }).result, Err(Failure::Short));
    assert!(world.with(|world| world.side == before));
}

#[test]
fn formatting_forgets_what_stood_behind_blocks() {
    let (world, store) = Shared::formatted(Kind::Type1);
    write(&store, 3, &[1; BLOCK]).expect("written");
    assert_eq!(store.run(Op::Protect { kind: Some(Kind::Type3) }).result, Ok(Done::Done));
    assert_eq!(store.limits().protection, Protection::On(Kind::Type3));
    assert_eq!((tuple_of(&store, 3), read(&store, 3, 1)), (Tuple::FRESH, Ok(vec![1; BLOCK])));
    assert_eq!(store.run(Op::Protect { kind: None }).result, Ok(Done::Done));
    assert_eq!(store.limits().protection, Protection::Off);
    assert_eq!(write(&store, 3, &[2; BLOCK]), Ok(Done::Done));
    drop(store);
    assert_eq!(world.open(Wish::AsItIs).expect("there").limits().protection, Protection::Off);
}

#[test]
fn a_store_is_opened_as_it_was_formatted() {
    let (world, store) = Shared::formatted(Kind::Type2);
    drop(store);
    let refused = |wish| world.open(wish).map(drop);
    assert_eq!(refused(Wish::Be(Some(Kind::Type1))), Err(ProtectError::OtherKind(2)));
    // None leaves it to initiators, who have chosen.
    assert_eq!(refused(Wish::Be(None)), Ok(()));
    assert_eq!(refused(Wish::AsItIs), Ok(()));
    world.with(|world| world.side[17] ^= 1);
    assert_eq!(refused(Wish::AsItIs), Err(ProtectError::Damaged));
    world.with(|world| world.side[0] ^= 1);
    assert_eq!(refused(Wish::AsItIs), Err(ProtectError::Foreign));
}

#[test]
fn a_power_cut_while_formatting_ends_in_either_format() {
    for cut in 1..=3 {
        let (world, store) = Shared::formatted(Kind::Type1);
        write(&store, 0, &[1; 100 * BLOCK]).expect("written");
        world.with(|world| (world.left, world.survivors) = (Some(cut), 0x5555));
        let _ = store.run(Op::Protect { kind: Some(Kind::Type3) });
        drop(store);
        world.with(|world| world.left = None);
        let store = world.open(Wish::AsItIs).expect("there");
        assert_eq!(read(&store, 0, 100), Ok(vec![1; 100 * BLOCK]), "cut {cut}");
    }
}

#[derive(Clone, Debug)]
struct Step {
    lba: u64,
    count: usize,
    fill: u8,
    deed: Deed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Write,
    Send,
    Zero,
    Unmap,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let deed = prop_oneof![
        4 => Just(Deed::Write), 2 => Just(Deed::Send), 1 => Just(Deed::Zero), 1 => Just(Deed::Unmap)
    ];
    let step = (0..BLOCKS, 1..40usize, any::<u8>(), deed).prop_map(|(lba, count, fill, deed)| {
        let count = count.min(usize::try_from(BLOCKS - lba).expect("small"));
        Step { lba, count, fill, deed }
    });
    prop::collection::vec(step, 1..12)
}

/// Does a step; every block of it has content of its own.
fn take(store: &dyn Store, step: &Step) -> (Vec<u8>, Result<Done, Failure>) {
    let block = |at: usize| vec![step.fill.wrapping_add(u8::try_from(at).expect("small")); BLOCK];
    let blocks: Vec<u8> = (0..step.count).flat_map(block).collect();
    let zeros = vec![0; step.count * BLOCK];
    let len = u64::try_from(step.count).expect("small") * 512;
    match step.deed {
        Deed::Write => (blocks.clone(), write(store, step.lba, &blocks)),
        Deed::Send => {
            let reference = |at| u32::try_from(step.lba).expect("small") + u32::try_from(at).expect("small");
            let whole = (0..step.count).flat_map(|at| read_protected_of(&block(at), reference(at)));
            (blocks.clone(), write_protected(store, step.lba, &whole.collect::<Vec<u8>>()))
        }
        Deed::Zero => (zeros, store.run(Op::Zero { at: step.lba * 512, len, unmap: false }).result),
        Deed::Unmap => (zeros, store.run(Op::Unmap { at: step.lba * 512, len }).result),
    }
}

/// Every block reads as one of what it may be, with what belongs to it.
fn look(store: &dyn Store, may_be: &[Vec<[u8; BLOCK]>]) {
    for (lba, may_be) in (0..).zip(may_be) {
        let block = read(store, lba, 1).unwrap_or_else(|failure| panic!("block {lba}: {failure:?}"));
        assert!(may_be.iter().any(|one| block == one), "block {lba} reads as {:x}", block[0]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever was under way when the power failed, again and again: no block is refused, what was answered is there, and
    /// what was not is old or new.
    #[test]
    fn after_a_power_cut_every_block_verifies(
        lives in prop::collection::vec((steps(), 1..30u32, any::<u64>()), 1..4),
    ) {
        let (world, mut store) = Shared::formatted(Kind::Type1);
        let mut may_be = vec![vec![[0u8; BLOCK]]; usize::try_from(BLOCKS).expect("small")];
        for (steps, cut, survivors) in lives {
            world.with(|world| (world.left, world.survivors) = (Some(cut), survivors));
            for step in steps {
                let (content, result) = take(&store, &step);
                let first = usize::try_from(step.lba).expect("small");
                for (may_be, block) in may_be[first..].iter_mut().zip(content.chunks_exact(BLOCK)) {
                    let block: [u8; BLOCK] = block.try_into().expect("a block");
                    if result.is_ok() {
                        *may_be = vec![block];
                    } else {
                        may_be.push(block);
                    }
                }
                if result.is_err() {
                    break;
                }
            }
            drop(store);
            world.with(|world| world.left = None);
            store = world.open(Wish::AsItIs).expect("there");
            look(&store, &may_be);
        }
    }
}

fn spec(source: Source, wish: Wish) -> Spec {
    Spec {
        source,
        size: None,
        cache: CacheMode::WriteBack,
        read_only: false,
        block_bytes: 512,
        protection: wish,
        label: "t".into(),
        patience: felio_backstore::UDEV_PATIENCE,
    }
}

#[test]
fn a_file_has_its_protection_information_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("disk.img");
    let source = Source::Path(path.clone());
    let wish = Wish::Be(Some(Kind::Type1));
    let made = open(&Spec { size: Some(1 << 20), ..spec(source.clone(), wish) }).expect("made");
    assert_eq!(
        (made.limits.write_cache, made.limits.protection),
        (WriteCache::Off, Protection::On(Kind::Type1))
    );
    write(&*made.store, 9, &[3; 8 * BLOCK]).expect("written");
    drop(made);
    let opened = open(&spec(source.clone(), Wish::AsItIs)).expect("there");
    assert_eq!(tuple_of(&*opened.store, 9), Tuple { guard: crc(&[3; BLOCK]), application: 0, reference: 9 });
    drop(opened);
    let Err(OpenError::Protection { source: refused, .. }) =
        open(&spec(source.clone(), Wish::Be(Some(Kind::Type3))))
    else {
        panic!("another type is refused")
    };
    assert_eq!(refused, ProtectError::OtherKind(1));
    // A disk that is made anew has nothing to do with what was kept of another.
    std::fs::remove_file(&path).expect("removed");
    let made =
        open(&Spec { size: Some(1 << 20), ..spec(source, Wish::Be(Some(Kind::Type3))) }).expect("made");
    assert_eq!(tuple_of(&*made.store, 9), Tuple::FRESH);
}

#[test]
fn a_file_of_that_name_that_is_not_ours_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("disk.img");
    let beside = folder.path().join("disk.img.protection");
    std::fs::write(&path, [0; 4096]).expect("written");
    std::fs::write(&beside, "x").expect("written");
    let source = Source::Path(path);
    let opened = open(&spec(source.clone(), Wish::AsItIs)).expect("opened");
    assert_eq!(opened.limits.protection, Protection::Impossible);
    drop(opened);
    assert!(matches!(open(&spec(source, Wish::Be(None))), Err(OpenError::Protection { .. })));
    assert_eq!(std::fs::read(beside).expect("there"), b"x");
}

#[test]
fn memory_keeps_it_in_memory() {
    let opened = open(&spec(Source::Ram(1 << 20), Wish::Be(Some(Kind::Type2)))).expect("memory");
    assert_eq!(opened.limits.protection, Protection::On(Kind::Type2));
    write(&*opened.store, 2047, &[1; BLOCK]).expect("written");
    assert_eq!(tuple_of(&*opened.store, 2047).reference, u32::MAX);
    assert_eq!(opened.store.run(Op::Unmap { at: 0, len: 1 << 20 }).result, Ok(Done::Done));
    assert_eq!(tuple_of(&*opened.store, 2047), Tuple::FRESH);
}

#[test]
fn what_forgets_blocks_keeps_no_protection_information() {
    let refused = open(&spec(Source::Null(1 << 20), Wish::Be(None)));
    assert!(matches!(refused, Err(OpenError::NoProtection { .. })));
}
