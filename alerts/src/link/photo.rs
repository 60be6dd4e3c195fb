//! A photo as it is kept: a JPEG without what cameras write beside the picture. That says where, when and with whose device it was
//! taken, which is no part of the proof.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::error::{Error, Result};

/// Bytes of one photo: the page makes them some hundred KB.
pub(crate) const MOST_BYTES: usize = 1 << 20;

const START: [u8; 2] = [0xff, 0xd8];
const SCAN: u8 = 0xda;
const END: [u8; 2] = [0xff, 0xd9];

/// Takes out all that is not needed to show the picture: comments, and application segments but for JFIF's and Adobe's, which say
/// how colours are meant.
pub(crate) fn plain(jpeg: &[u8]) -> Result<Bytes> {
    let refused = |what: &str| Error::Invalid(format!("jpeg: {what}"));
    if jpeg.len() > MOST_BYTES {
        return Err(refused("at most 1 MiB, make it smaller"));
    }
    if !jpeg.starts_with(&START) || !jpeg.ends_with(&END) {
        return Err(refused("send a photo as JPEG, whole"));
    }
    let mut kept = BytesMut::with_capacity(jpeg.len());
    kept.put_slice(&START);
    let mut at = START.len();
    loop {
        let broken = || refused("its segments are broken, take another photo");
        let [mark, kind, high, low] =
            *jpeg.get(at..at + 4).and_then(|head| head.first_chunk::<4>()).ok_or_else(broken)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if mark != 0xff || length < 2 {
            return Err(broken());
        }
        let segment = jpeg.get(at..at + 2 + length).ok_or_else(broken)?;
        if kind == SCAN {
            // The picture itself, or a part of it, up to the next mark that is none of its own.
            let scan = &jpeg[at + segment.len()..];
            let is_mark = |two: &[u8]| two[0] == 0xff && !matches!(two[1], 0 | 0xd0..=0xd7 | 0xff);
            let end = scan.windows(2).position(is_mark).ok_or_else(broken)?;
            kept.put_slice(segment);
            kept.put_slice(&scan[..end]);
            at += segment.len() + end;
            if jpeg[at..].starts_with(&END) {
                // Cameras put other pictures, and films, behind the end.
                kept.put_slice(&END);
                return Ok(kept.freeze());
            }
            continue;
        }
        if !matches!(kind, 0xe1..=0xed | 0xef | 0xfe) {
            kept.put_slice(segment);
        }
        at += segment.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
        [&[0xff, kind][..], &length, content].concat()
    }

    #[test]
    fn what_says_where_and_with_what_a_photo_was_taken_is_not_kept() {
        let (jfif, table, scan) =
            (segment(0xe0, b"JFIF"), segment(0xdb, &[7; 64]), segment(0xda, b"picture"));
        let (exif, comment) = (segment(0xe1, b"Exif 31.2N 121.4E"), segment(0xfe, b"telephone of Wang"));
        let with = [&START[..], &jfif, &exif, &table, &comment, &scan, &END].concat();
        let without = [&START[..], &jfif, &table, &scan, &END].concat();
        assert_eq!(plain(&with).unwrap(), without);
        assert_eq!(plain(&without).unwrap(), without);
    }

    #[test]
    fn neither_between_the_scans_nor_behind_the_end_anything_else_is_kept() {
        let (scan, exif) = (segment(0xda, b"picture"), segment(0xe1, b"Exif 31.2N 121.4E"));
        let more = [&scan[..], &[1, 0xff, 0, 2, 0xff, 0xd3, 3]].concat();
        let with = [&START[..], &more, &exif, &scan, &END, &START, &exif, &scan, &END].concat();
        assert_eq!(plain(&with).unwrap(), [&START[..], &more, &scan, &END].concat());
    }

    #[test]
    fn what_is_no_whole_photo_or_too_large_is_refused() {
        let whole = [&START[..], &segment(0xda, b"picture"), &END].concat();
        assert!(plain(&whole).is_ok());
        for end in 0..whole.len() {
            assert!(plain(&whole[..end]).is_err(), "cut at {end}");
        }
        assert!(plain(b"GIF89a").is_err());
        let endless = [&START[..], &[0xff, 0xdb, 0, 0], &END].concat();
        assert!(plain(&endless).is_err());
        assert!(plain(&[&START[..], &[0; MOST_BYTES], &END].concat()).is_err());
    }
}
