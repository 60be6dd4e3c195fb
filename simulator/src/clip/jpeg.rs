//! Reads Motion JPEG: whole JPEG pictures (ITU-T T.81) one after the other, and the parts of one that RFC 2435 sends.
//!
//! RFC 2435 leaves the Huffman tables out and names the sampling by a number, so it carries baseline pictures with
//! three components, 4:2:0 or 4:2:2, the tables of T.81 Annex K, and sides that are multiples of 8 up to 2040.

use bytes::Bytes;

use super::{AccessUnit, ParameterSets, Stream};
use crate::error::Error;

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOF0: u8 = 0xc0;
const DHT: u8 = 0xc4;
const DQT: u8 = 0xdb;
const DRI: u8 = 0xdd;
const SOS: u8 = 0xda;

/// The longest side RFC 2435 §3.1.5 can say.
const LONGEST_SIDE: u32 = 2040;

/// The parts of a picture that RFC 2435 sends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Jpeg {
    /// Pixels.
    pub(crate) width: u32,
    /// Pixels.
    pub(crate) height: u32,
    /// RFC 2435 §4.1: 0 for 4:2:2, 1 for 4:2:0.
    pub(crate) kind: u8,
    /// Minimum coded units between restart markers, 0 without them.
    pub(crate) restart_interval: u16,
    /// Luma's and chroma's table, 64 values of 8 bits each, in zigzag order.
    pub(crate) quantisation: [u8; 128],
    /// The entropy-coded segment, from after the scan header to before EOI.
    pub(crate) scan: Bytes,
}

/// Reads a whole stream.
pub(super) fn read(mut stream: Bytes) -> Result<Stream, Error> {
    let mut units = Vec::new();
    let mut size = None;
    while !stream.is_empty() {
        let (picture, length) = parse(&stream)?;
        if *size.get_or_insert((picture.width, picture.height)) != (picture.width, picture.height) {
            return Err(unsupported("Motion JPEG that changes its size", "make a clip of each size"));
        }
        let shown_at = u32::try_from(units.len()).unwrap_or(u32::MAX);
        units.push(AccessUnit { data: stream.split_to(length), keyframe: true, shown_at });
    }
    let (width, height) = size.ok_or(Error::NoKeyframe)?;
    Ok(Stream { width, height, units, parameter_sets: ParameterSets::default() })
}

/// Reads the picture that `stream` begins with; also says how many bytes it takes.
pub(crate) fn parse(stream: &Bytes) -> Result<(Jpeg, usize), Error> {
    let mut parts = Parts::default();
    if stream.get(..2) != Some(&[0xff, SOI]) {
        return Err(damaged());
    }
    let mut at = 2;
    loop {
        let marker = match stream.get(at..at + 2) {
            Some(&[0xff, 0xff]) => {
                at += 1; // A fill byte, T.81 §B.1.1.2.
                continue;
            }
            Some(&[0xff, marker]) => marker,
            _ => return Err(damaged()),
        };
        let length = match stream.get(at + 2..at + 4) {
            Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
            _ => return Err(damaged()),
        };
        let segment = stream.get(at + 4..at + 2 + length.max(2)).ok_or_else(damaged)?;
        at += 2 + length.max(2);
        match marker {
            DQT => parts.take_quantisation(segment)?,
            DHT => check_huffman(segment)?,
            SOF0 => parts.take_frame(segment)?,
            DRI => parts.restart_interval = u16::from_be_bytes(take(segment, 0)?),
            SOS => break,
            0xc1..=0xcf => return Err(unsupported("JPEG other than baseline", "encode baseline JPEG")),
            _ => {} // APPn, COM.
        }
    }
    let end = at + end_of_scan(&stream[at..]).ok_or_else(damaged)?;
    Ok((parts.finish(stream.slice(at..end))?, end + 2))
}

/// Where EOI stands in an entropy-coded segment.
fn end_of_scan(scan: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(&[first, second]) = scan.get(at..at + 2) {
        match (first, second) {
            (0xff, EOI) => return Some(at),
            (0xff, 0 | 0xd0..=0xd7) => at += 2, // A stuffed 0xff; a restart marker.
            (0xff, 0xff) => at += 1,
            (0xff, _) => return None,
            _ => at += 1,
        }
    }
    None
}

#[derive(Default)]
struct Parts {
    restart_interval: u16,
    tables: [Option<[u8; 64]>; 4],
    /// Width, height, RFC 2435 type, and the tables of luma and chroma.
    frame: Option<(u32, u32, u8, [usize; 2])>,
}

impl Parts {
    fn take_quantisation(&mut self, mut segment: &[u8]) -> Result<(), Error> {
        while let Some((&head, rest)) = segment.split_first() {
            if head >> 4 != 0 {
                return Err(unsupported("JPEG with 16-bit quantisation", "encode 8-bit baseline JPEG"));
            }
            let slot = self.tables.get_mut(usize::from(head & 0x0f)).ok_or_else(damaged)?;
            *slot = Some(take(rest, 0)?);
            segment = &rest[64..];
        }
        Ok(())
    }

    fn take_frame(&mut self, segment: &[u8]) -> Result<(), Error> {
        let [precision, h1, h0, w1, w0, components] = take(segment, 0)?;
        if precision != 8 || components != 3 {
            return Err(unsupported("JPEG other than 8-bit YCbCr", "encode 4:2:0 colour"));
        }
        // Of each component: id, sampling, table.
        let [_, luma, luma_table, _, cb, cb_table, _, cr, cr_table] = take(segment, 6)?;
        let kind = match (luma, cb, cr) {
            (0x21, 0x11, 0x11) => 0,
            (0x22, 0x11, 0x11) => 1,
            _ => return Err(unsupported("JPEG sampling other than 4:2:0 and 4:2:2", "encode 4:2:0 (I420)")),
        };
        if cb_table != cr_table {
            return Err(unsupported("JPEG with a table for each chroma", "encode with jpegenc or ffmpeg"));
        }
        let width = u32::from(u16::from_be_bytes([w1, w0]));
        let height = u32::from(u16::from_be_bytes([h1, h0]));
        let fits = |side: u32| side > 0 && side <= LONGEST_SIDE && side.is_multiple_of(8);
        if !fits(width) || !fits(height) {
            return Err(unsupported(
                format!("JPEG of {width}x{height} over RTP"),
                "scale it: sides are multiples of 8 up to 2040",
            ));
        }
        self.frame = Some((width, height, kind, [usize::from(luma_table), usize::from(cb_table)]));
        Ok(())
    }

    fn finish(self, scan: Bytes) -> Result<Jpeg, Error> {
        let (width, height, kind, tables) = self.frame.ok_or_else(damaged)?;
        let mut quantisation = [0; 128];
        for (half, table) in quantisation.chunks_exact_mut(64).zip(tables) {
            half.copy_from_slice(self.tables.get(table).and_then(Option::as_ref).ok_or_else(damaged)?);
        }
        Ok(Jpeg { width, height, kind, restart_interval: self.restart_interval, quantisation, scan })
    }
}

fn check_huffman(mut segment: &[u8]) -> Result<(), Error> {
    while let Some((&head, rest)) = segment.split_first() {
        let counts: [u8; 16] = take(rest, 0)?;
        let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let values = rest.get(16..16 + total).ok_or_else(damaged)?;
        let standard = match head {
            0x00 => (LUMA_DC_COUNTS, &DC_VALUES[..]),
            0x01 => (CHROMA_DC_COUNTS, &DC_VALUES[..]),
            0x10 => (LUMA_AC_COUNTS, &LUMA_AC_VALUES[..]),
            0x11 => (CHROMA_AC_COUNTS, &CHROMA_AC_VALUES[..]),
            _ => return Err(unsupported("JPEG with more than two Huffman tables", "encode baseline JPEG")),
        };
        if (counts, values) != standard {
            return Err(unsupported(
                "JPEG with Huffman tables of its own over RTP",
                "encode with the standard ones: jpegenc, or `-huffman default` in ffmpeg",
            ));
        }
        segment = &rest[16 + total..];
    }
    Ok(())
}

/// `N` bytes from `at`.
fn take<const N: usize>(segment: &[u8], at: usize) -> Result<[u8; N], Error> {
    segment.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).ok_or_else(damaged)
}

fn damaged() -> Error {
    Error::DamagedClip { what: "JPEG picture" }
}

fn unsupported(what: impl Into<String>, instead: &'static str) -> Error {
    Error::UnsupportedClip { what: what.into(), instead }
}

// The tables of T.81 Annex K.3, which RFC 2435 Appendix B repeats: codes of each length, and values.
const LUMA_DC_COUNTS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const CHROMA_DC_COUNTS: [u8; 16] = [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0];
const DC_VALUES: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const LUMA_AC_COUNTS: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d];
const CHROMA_AC_COUNTS: [u8; 16] = [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77];
#[rustfmt::skip]
const LUMA_AC_VALUES: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14, 0x32,
    0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16,
    0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45,
    0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
    0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94,
    0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6,
    0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8,
    0xd9, 0xda, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];
#[rustfmt::skip]
const CHROMA_AC_VALUES: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32, 0x81,
    0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34,
    0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44,
    0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
    0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92,
    0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4,
    0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6,
    0xd7, 0xd8, 0xd9, 0xda, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of `width` x 16 with sampling `luma` and an empty scan.
    fn picture(sof: u8, width: u16, luma: u8) -> Vec<u8> {
        let mut picture = vec![0xff, SOI, 0xff, DQT, 0, 67, 0];
        picture.extend([7; 64]);
        picture.extend([0xff, sof, 0, 17, 8, 0, 16]);
        picture.extend(width.to_be_bytes());
        picture.extend([3, 1, luma, 0, 2, 0x11, 0, 3, 0x11, 0]);
        picture.extend([0xff, DHT, 0, 31, 0]);
        picture.extend(LUMA_DC_COUNTS);
        picture.extend(DC_VALUES);
        picture.extend([0xff, SOS, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0]);
        picture.extend([1, 2, 0xff, 0, 3, 0xff, EOI]);
        picture
    }

    #[test]
    fn pictures_are_told_apart() {
        let stream = [picture(SOF0, 16, 0x22), picture(SOF0, 16, 0x22)].concat();
        let read = read(stream.into()).unwrap();
        assert_eq!((read.width, read.height, read.units.len()), (16, 16, 2));
        let (jpeg, _) = parse(&read.units[1].data).unwrap();
        assert_eq!((jpeg.kind, &jpeg.scan[..], jpeg.quantisation), (1, &[1, 2, 0xff, 0, 3][..], [7; 128]));
    }

    #[test]
    fn what_rtp_cannot_carry_is_refused_with_the_way_out() {
        let error = |picture: Vec<u8>| read(picture.into()).map(|_| ()).unwrap_err().to_string();
        assert!(error(picture(0xc2, 16, 0x22)).contains("baseline"));
        assert!(error(picture(SOF0, 20, 0x22)).contains("multiples of 8"));
        assert!(error(picture(SOF0, 16, 0x11)).contains("4:2:0"));
        let mut own_huffman = picture(SOF0, 16, 0x22);
        let dht = own_huffman.windows(2).position(|pair| pair == [0xff, DHT]).unwrap();
        own_huffman[dht + 21] = 5;
        assert!(error(own_huffman).contains("-huffman default"));
    }

    #[test]
    fn a_picture_cut_anywhere_is_an_error_and_no_panic() {
        let whole = picture(SOF0, 16, 0x22);
        for length in 1..whole.len() {
            assert!(read(whole[..length].to_vec().into()).is_err(), "cut to {length} bytes");
        }
    }
}
