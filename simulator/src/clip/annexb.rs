//! The byte stream format of H.264 Annex B and H.265 Annex B: NAL units between start codes `00 00 01`.

use std::ops::Range;

/// The NAL units of a byte stream, without start codes and trailing zero bytes, in order. Empty ones are left out.
pub(crate) fn nal_units(stream: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut position = next_start_code(stream, 0).map(|at| at + 3);
    std::iter::from_fn(move || {
        let start = position?;
        let next = next_start_code(stream, start);
        position = next.map(|at| at + 3);
        let mut end = next.unwrap_or(stream.len());
        while end > start && stream[end - 1] == 0 {
            end -= 1;
        }
        Some(start..end)
    })
    .filter(|range| !range.is_empty())
}

/// Where the next `00 00 01` begins.
fn next_start_code(stream: &[u8], from: usize) -> Option<usize> {
    // Looking at every third byte first skips most of the stream.
    let mut at = from;
    while at + 2 < stream.len() {
        match stream[at + 2] {
            0 => at += 1,
            1 if stream[at] == 0 && stream[at + 1] == 0 => return Some(at),
            _ => at += 3,
        }
    }
    None
}

/// Where the start code of the NAL unit that begins at `nal` begins: three or four bytes before it.
pub(super) fn start_code_of(stream: &[u8], nal: usize) -> usize {
    if nal >= 4 && stream[nal - 4] == 0 { nal - 4 } else { nal - 3 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_of_three_and_four_bytes_separate_units() {
        let stream = [9, 0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x68, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0x65, 0, 0, 3, 1];
        let units: Vec<_> = nal_units(&stream).map(|range| stream[range].to_vec()).collect();
        assert_eq!(units, [vec![0x67, 1], vec![0x68], vec![0x65, 0, 0, 3, 1]]);
        assert_eq!(start_code_of(&stream, 5), 1);
        assert_eq!(start_code_of(&stream, 10), 7);
    }

    #[test]
    fn a_stream_without_a_start_code_has_no_units() {
        assert_eq!(nal_units(&[]).count(), 0);
        assert_eq!(nal_units(&[0, 0]).count(), 0);
        assert_eq!(nal_units(&[1, 2, 3, 4, 5, 6]).count(), 0);
        assert_eq!(nal_units(&[0, 0, 1]).count(), 0);
    }
}
