//! Blobs as zstd on the wire. What comes back is held to the size that was asked for, whatever it claims to
//! be, and to the window that RFC 8878 asks of every decoder.

use super::breaker::Fault;
use std::io::{self, Write};
use zstd::stream::raw::{Decoder, Operation};
use zstd::stream::write::Encoder;
use zstd::zstd_safe::DParameter;

/// The one that takes least time.
const LEVEL: i32 = 1;
/// 8 MiB.
const WINDOW_LOG: u32 = 23;
/// Below this, the frame is the larger part.
const SMALLEST: usize = 128;
/// What is unpacked at once.
const READY: usize = 128 << 10;

/// A small blob; none: it would not get smaller by a twentieth, and goes as it is.
pub(super) fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    let packed = (bytes.len() >= SMALLEST).then(|| zstd::bulk::compress(bytes, LEVEL).ok())??;
    (packed.len() < bytes.len() - bytes.len() / 20).then_some(packed)
}

/// A small blob of `size` bytes.
pub(super) fn unpack(packed: &[u8], size: u64) -> Result<Vec<u8>, Fault> {
    let mut decompressor = zstd::bulk::Decompressor::new().map_err(|error| broken(&error))?;
    decompressor.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(|error| broken(&error))?;
    let size = usize::try_from(size).map_err(|_| Fault::Corrupt("a blob larger than memory".into()))?;
    decompressor.decompress(packed, size).map_err(|error| broken(&error))
}

fn broken(error: &io::Error) -> Fault {
    Fault::Corrupt(format!("what it packed can't be unpacked: {error}"))
}

/// Packs piece by piece.
pub(super) struct Packing(Encoder<'static, Vec<u8>>);

impl Packing {
    /// Of a blob.
    pub(super) fn new() -> io::Result<Self> {
        Encoder::new(Vec::new(), LEVEL).map(Self)
    }

    /// A piece of the blob; gives what is ready to be sent, which may be nothing. The rest comes with the last.
    pub(super) fn add(&mut self, piece: &[u8], last: bool) -> io::Result<Vec<u8>> {
        self.0.write_all(piece)?;
        if last {
            self.0.do_finish()?;
        }
        Ok(std::mem::take(self.0.get_mut()))
    }
}

/// Unpacks piece by piece.
pub(super) struct Unpacking {
    decoder: Decoder<'static>,
    ready: Vec<u8>,
    taken: u64,
    given: u64,
    size: u64,
}

impl Unpacking {
    /// Of a blob of `size` bytes.
    pub(super) fn new(size: u64) -> Result<Self, Fault> {
        let mut decoder = Decoder::new().map_err(|error| broken(&error))?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(|error| broken(&error))?;
        Ok(Self { decoder, ready: vec![0; READY], taken: 0, given: 0, size })
    }

    /// Hands what a piece unpacks to, to `take`, little by little: a few bytes may stand for a great many.
    pub(super) fn add(
        &mut self,
        mut piece: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.taken += piece.len() as u64;
        // Frames may be empty, and follow each other without an end.
        if self.taken > self.size + self.size / 8 + (64 << 10) {
            return Err(Fault::Corrupt("a packed blob without an end".into()));
        }
        loop {
            let status = self.decoder.run_on_buffers(piece, &mut self.ready).map_err(|error| broken(&error))?;
            piece = &piece[status.bytes_read..];
            self.given += status.bytes_written as u64;
            if self.given > self.size {
                return Err(Fault::Corrupt("a packed blob that is larger than it was said to be".into()));
            }
            take(&self.ready[..status.bytes_written])?;
            // Where there was room left, nothing is held back.
            if piece.is_empty() && status.bytes_written < self.ready.len() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unpack_pieces(packed: &[u8], size: u64, piece: usize) -> Result<Vec<u8>, Fault> {
        let (mut unpacking, mut all) = (Unpacking::new(size)?, Vec::new());
        for piece in packed.chunks(piece) {
            unpacking.add(piece, |bytes| {
                all.extend_from_slice(bytes);
                Ok(())
            })?;
        }
        Ok(all)
    }

    fn pack_pieces(bytes: &[u8], piece: usize) -> Vec<u8> {
        let (mut packing, mut packed) = (Packing::new().unwrap(), Vec::new());
        for piece in bytes.chunks(piece) {
            packed.extend(packing.add(piece, false).unwrap());
        }
        packed.extend(packing.add(&[], true).unwrap());
        packed
    }

    fn says(result: Result<Vec<u8>, Fault>, part: &str) {
        match result {
            Err(Fault::Corrupt(what)) if what.contains(part) => {}
            other => panic!("{part}: {:?}", other.map(|bytes| bytes.len())),
        }
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_back(
            words in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 0..4000),
            pieces in (1usize..9000, 1usize..9000),
        ) {
            let bytes: Vec<u8> =
                picks.iter().filter(|_| !words.is_empty()).flat_map(|pick| pick.get(&words).clone()).collect();
            let size = bytes.len() as u64;
            prop_assert_eq!(&unpack_pieces(&pack_pieces(&bytes, pieces.0), size, pieces.1).unwrap(), &bytes);
            if let Some(packed) = pack(&bytes) {
                prop_assert!(packed.len() < bytes.len());
                prop_assert_eq!(&unpack(&packed, size).unwrap(), &bytes);
            }
        }

        /// Also what is spoiled ends, and gives no more than there should be.
        #[test]
        fn whatever_comes_is_bounded(
            bytes in prop::collection::vec(any::<u8>(), 0..3000),
            spoil in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
            size in 0u64..4000,
        ) {
            let mut packed = pack_pieces(&bytes.repeat(2), 512);
            if let Some((at, with)) = spoil {
                let at = at.index(packed.len());
                packed[at] ^= with;
            }
            for came in [unpack_pieces(&packed, size, 100), unpack_pieces(&bytes, size, 100), unpack(&packed, size)] {
                prop_assert!(came.map_or(0, |came| came.len() as u64) <= size);
            }
        }
    }

    #[test]
    fn a_bomb_goes_off_in_a_small_room() {
        let bomb = pack_pieces(&vec![0; 64 << 20], 1 << 20);
        assert!(bomb.len() < 10_000);
        says(unpack_pieces(&bomb, 1000, 1 << 20), "larger than it was said");
        says(unpack(&bomb, 1000), "can't be unpacked");
        let empty = pack_pieces(&[], 1);
        says(unpack_pieces(&empty.repeat(100_000), 1000, 5000), "without an end");
        // A frame that says it needs 128 MiB to be unpacked: a magic number, a flag, the window's logarithm.
        let wide = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (27 - 10) << 3, 0x01, 0x00, 0x00];
        says(unpack_pieces(&wide, 1000, 100), "too much memory");
    }

    #[test]
    fn what_does_not_get_smaller_goes_as_it_is() {
        let noise: Vec<u8> = (0..100u8).flat_map(|n| *crate::model::Digest::of(&[n]).as_bytes()).collect();
        assert!(pack(&noise).is_none() && pack(b"short").is_none() && pack(&[]).is_none());
        assert!(pack(&[7; 4000]).unwrap().len() < 100);
    }
}
