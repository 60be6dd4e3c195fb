//! RTP payload of JPEG pictures (RFC 2435 §3): quantisation tables in the first packet of each picture (Q = 255),
//! Huffman tables implied.

use bytes::Bytes;

use super::{LONGEST_PAYLOAD, Writer};
use crate::clip::jpeg::parse;

/// Quantisation tables come with each picture (§4.2).
const TABLES_IN_BAND: u8 = 255;
/// Added to the type where restart markers are used (§3.1.3).
const WITH_RESTARTS: u8 = 64;
/// A packet may begin between restarts: first and last bits set, count all ones (§3.1.7).
const RESTARTS_ANYWHERE: u16 = 0xffff;

/// Writes one picture's packets.
pub(super) fn write_unit(writer: &mut Writer, data: &Bytes) {
    let (picture, _) = parse(data).expect("the picture was parsed when its clip was loaded");
    let [width, height] = [picture.width, picture.height].map(|side| (side / 8) as u8);
    let kind = if picture.restart_interval == 0 { picture.kind } else { picture.kind | WITH_RESTARTS };
    let mut sent = 0;
    loop {
        let offset = (sent as u32).to_be_bytes();
        let mut head = vec![0, offset[1], offset[2], offset[3], kind, TABLES_IN_BAND, width, height];
        if picture.restart_interval != 0 {
            head.extend_from_slice(&picture.restart_interval.to_be_bytes());
            head.extend_from_slice(&RESTARTS_ANYWHERE.to_be_bytes());
        }
        if sent == 0 {
            head.extend_from_slice(&[0, 0]);
            head.extend_from_slice(&(picture.quantisation.len() as u16).to_be_bytes());
            head.extend_from_slice(&picture.quantisation);
        }
        let end = picture.scan.len().min(sent + LONGEST_PAYLOAD - head.len());
        let is_last = end == picture.scan.len();
        writer.packet(&[&head, &picture.scan[sent..end]], is_last);
        if is_last {
            return;
        }
        sent = end;
    }
}
