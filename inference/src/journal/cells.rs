//! Thumbnails in little memory: of each the difference to the one before it, deflated. A camera that rests shows the same street
//! again and again, and what differs is noise.

use bytes::Bytes;
use miniz_oxide::{
    deflate::core::{
        CompressionStrategy, CompressorOxide, TDEFLFlush, TDEFLStatus, compress,
        create_comp_flags_from_zip_params,
    },
    inflate::decompress_to_vec_with_limit,
};
use xueliang_base::look::Thumbnail;

const CELLS: usize = Thumbnail::WIDTH * Thumbnail::HEIGHT;
/// Noise has no words that come again, but few letters; and what stands still is one letter over and over.
const STRATEGY: CompressionStrategy = CompressionStrategy::RLE;
const LEVEL: i32 = 1;
/// What does not deflate is stored, a little longer than it is.
const LONGEST: usize = CELLS + 64;

/// What comes before the first.
pub(super) fn blank() -> Thumbnail {
    static BLANK: [u8; CELLS] = [0; CELLS];
    Thumbnail::new(Bytes::from_static(&BLANK)).expect("it has as many cells as it must")
}

/// What makes `after` of `before`.
pub(super) fn difference(before: &Thumbnail, after: &Thumbnail) -> Bytes {
    let cells = before.cells().iter().zip(after.cells());
    let differences: Vec<u8> = cells.map(|(before, after)| after.wrapping_sub(*before)).collect();
    let mut compressor = CompressorOxide::new(create_comp_flags_from_zip_params(LEVEL, 0, STRATEGY as i32));
    let mut deflated = [0; LONGEST];
    let (status, _, length) = compress(&mut compressor, &differences, &mut deflated, TDEFLFlush::Finish);
    assert_eq!(status, TDEFLStatus::Done, "it is never longer than that");
    Bytes::copy_from_slice(&deflated[..length])
}

/// The thumbnail that [`difference`] was made for.
pub(super) fn after(before: &Thumbnail, difference: &[u8]) -> Thumbnail {
    let differences =
        decompress_to_vec_with_limit(difference, CELLS).expect("it was deflated in this process");
    let cells = before.cells().iter().zip(differences);
    let cells: Vec<u8> = cells.map(|(before, difference)| before.wrapping_add(difference)).collect();
    Thumbnail::new(cells.into()).expect("a difference has as many cells as a thumbnail")
}
