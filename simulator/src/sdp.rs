//! The session description (RFC 4566) that DESCRIBE gives, with each codec's parameters: RFC 6184 §8.1 (H.264),
//! RFC 7798 §7.1 (H.265), RFC 2435 (JPEG).

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::clip::{Clip, Codec};
use crate::rtp::payload_type;

/// The one track's control, relative to `Content-Base`.
pub(crate) const TRACK: &str = "trackID=0";

/// Describes `clip` as the live stream `name`.
pub(crate) fn describe(name: &str, clip: &Clip) -> String {
    let payload_type = payload_type(clip.codec());
    let sets = clip.parameter_sets();
    let format = match clip.codec() {
        Codec::H264 => {
            let mut format = "packetization-mode=1".to_owned();
            if let Some([_, profile, constraints, level, ..]) = sets.sps.first().map(|sps| &sps[..]) {
                push(
                    &mut format,
                    format_args!(";profile-level-id={profile:02X}{constraints:02X}{level:02X}"),
                );
            }
            push(
                &mut format,
                format_args!(";sprop-parameter-sets={}", list(sets.sps.iter().chain(&sets.pps))),
            );
            format!("a=rtpmap:{payload_type} H264/90000\r\na=fmtp:{payload_type} {format}\r\n")
        }
        Codec::H265 => format!(
            "a=rtpmap:{payload_type} H265/90000\r\na=fmtp:{payload_type} sprop-vps={};sprop-sps={};sprop-pps={}\r\n",
            list(&sets.vps),
            list(&sets.sps),
            list(&sets.pps)
        ),
        Codec::Mjpeg => format!("a=rtpmap:{payload_type} JPEG/90000\r\n"),
    };
    format!(
        "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns={name}\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\na=range:npt=now-\r\n\
         m=video 0 RTP/AVP {payload_type}\r\n{format}a=framerate:{}\r\na=control:{TRACK}\r\n",
        clip.rate()
    )
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string does not fail");
}

fn list<'a>(sets: impl IntoIterator<Item = &'a Bytes>) -> String {
    sets.into_iter().map(|set| STANDARD.encode(set)).collect::<Vec<_>>().join(",")
}
