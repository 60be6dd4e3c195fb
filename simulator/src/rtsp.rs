//! RTSP 1.0 messages (RFC 2326): requests in, responses out, and binary data interleaved with them (§10.12).

use bytes::{Buf, BytesMut};

/// The longest request head a camera bothers with.
const LONGEST_HEAD: usize = 16 * 1024;
/// The longest request body.
const LONGEST_BODY: usize = 64 * 1024;

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Inbound {
    Request(Request),
    /// A framed packet (a receiver's report) or a response: nothing to do but to know the client lives.
    SignOfLife,
}

/// The bytes are no RTSP.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotRtsp;

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) uri: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// A header's value; its name in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The request's number, empty where it has none.
    pub(crate) fn sequence(&self) -> &str {
        self.header("CSeq").unwrap_or_default()
    }

    /// The path with its query, without slashes at either end: `cam/1?x=2`, or empty for `*` and a bare host.
    pub(crate) fn path(&self) -> &str {
        let path = match self.uri.split_once("://") {
            Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
            None => self.uri.trim_start_matches('*'),
        };
        path.trim_matches('/')
    }
}

/// Takes the next message off `buffer`; `None` until one is whole.
pub(crate) fn take(buffer: &mut BytesMut) -> Result<Option<Inbound>, NotRtsp> {
    // Some clients send an empty line between messages.
    while matches!(buffer.first(), Some(b'\r' | b'\n')) {
        buffer.advance(1);
    }
    if buffer.first() == Some(&b'$') {
        let Some(&[high, low]) = buffer.get(2..4) else { return Ok(None) };
        let length = 4 + usize::from(u16::from_be_bytes([high, low]));
        if buffer.len() < length {
            return Ok(None);
        }
        buffer.advance(length);
        return Ok(Some(Inbound::SignOfLife));
    }
    let Some(head_bytes) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if buffer.len() > LONGEST_HEAD { Err(NotRtsp) } else { Ok(None) };
    };
    let head = std::str::from_utf8(&buffer[..head_bytes]).map_err(|_| NotRtsp)?;
    let (inbound, body_bytes) = parse_head(head)?;
    let length = head_bytes + 4 + body_bytes;
    if buffer.len() < length {
        return Ok(None);
    }
    buffer.advance(length);
    Ok(Some(inbound))
}

fn parse_head(head: &str) -> Result<(Inbound, usize), NotRtsp> {
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(NotRtsp)?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let is_response = first.starts_with("RTSP/1.0 ");
    let mut words = first.split(' ');
    let request = match (words.next(), words.next(), words.next(), words.next()) {
        (Some(method), Some(uri), Some("RTSP/1.0"), None) => {
            Request { method: method.to_owned(), uri: uri.to_owned(), headers }
        }
        _ if is_response => Request { method: String::new(), uri: String::new(), headers },
        _ => return Err(NotRtsp),
    };
    let body_bytes: usize = match request.header("Content-Length") {
        Some(length) => length.parse().map_err(|_| NotRtsp)?,
        None => 0,
    };
    if body_bytes > LONGEST_BODY {
        return Err(NotRtsp);
    }
    Ok((if is_response { Inbound::SignOfLife } else { Inbound::Request(request) }, body_bytes))
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Response {
    /// A response with a status such as `200 OK`.
    pub(crate) fn new(status: &'static str) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    /// 200.
    pub(crate) fn ok() -> Self {
        Self::new("200 OK")
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body and what it is.
    pub(crate) fn with_body(mut self, kind: &'static str, body: String) -> Self {
        self.headers.push(("Content-Type", kind.to_owned()));
        self.headers.push(("Content-Length", body.len().to_string()));
        self.body = body;
        self
    }

    /// The bytes of the answer to request `sequence`.
    pub(crate) fn encode(&self, sequence: &str) -> Vec<u8> {
        let mut text =
            format!("RTSP/1.0 {}\r\nCSeq: {sequence}\r\nServer: xueliang-simulator\r\n", self.status);
        for (name, value) in &self.headers {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.push_str(&self.body);
        text.into_bytes()
    }
}

/// The interleaved channel for RTP that a `Transport` header asks for; `None` where it asks for anything but RTP over
/// this TCP connection.
pub(crate) fn interleaved_channel(transport: &str) -> Option<u8> {
    transport.split(',').map(str::trim).find_map(|choice| {
        let mut parameters = choice.split(';').map(str::trim);
        if !parameters.next()?.eq_ignore_ascii_case("RTP/AVP/TCP") {
            return None;
        }
        match parameters.find_map(|parameter| parameter.strip_prefix("interleaved=")) {
            // RTCP takes the channel after it.
            Some(channels) => channels.split('-').next()?.parse().ok().filter(|&channel| channel < u8::MAX),
            None => Some(0),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str) -> Request {
        Request { method: String::new(), uri: uri.to_owned(), headers: Vec::new() }
    }

    #[test]
    fn messages_are_taken_whole_one_after_the_other() {
        let mut wire = BytesMut::from(
            &b"SET_PARAMETER rtsp://h/c RTSP/1.0\r\ncseq: 7\r\nContent-Length: 3\r\n\r\nabc$\x01\x00\x02xy\r\n\
               RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\nOPTIONS * RTSP/1.0\r\nCSeq: 8\r\n\r\n"[..],
        );
        let Ok(Some(Inbound::Request(first))) = take(&mut wire) else { panic!("no request") };
        assert_eq!((first.method.as_str(), first.sequence(), first.path()), ("SET_PARAMETER", "7", "c"));
        assert_eq!(take(&mut wire), Ok(Some(Inbound::SignOfLife)));
        assert_eq!(take(&mut wire), Ok(Some(Inbound::SignOfLife)));
        let Ok(Some(Inbound::Request(last))) = take(&mut wire) else { panic!("no request") };
        assert_eq!((last.method.as_str(), last.path()), ("OPTIONS", ""));
        assert_eq!(take(&mut wire), Ok(None));
        let mut half = BytesMut::from(&b"PLAY rtsp://h/c RTSP/1.0\r\nContent-Length: 3\r\n\r\nab"[..]);
        assert_eq!(take(&mut half), Ok(None));
    }

    #[test]
    fn what_is_no_rtsp_is_told_at_once() {
        for wire in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"\xff\xfe\r\n\r\n",
            b"PLAY x RTSP/1.0\r\nContent-Length: 1e9\r\n\r\n",
        ] {
            assert_eq!(take(&mut BytesMut::from(wire)), Err(NotRtsp));
        }
        assert_eq!(take(&mut BytesMut::from(&[b'x'; LONGEST_HEAD + 1][..])), Err(NotRtsp));
    }

    #[test]
    fn a_path_is_what_follows_the_host() {
        for (uri, path) in [
            ("rtsp://h:554/cam/1/", "cam/1"),
            ("rtsp://h/cam?channel=1&subtype=0/trackID=0", "cam?channel=1&subtype=0/trackID=0"),
            ("rtsp://h", ""),
            ("*", ""),
        ] {
            assert_eq!(request(uri).path(), path);
        }
    }

    #[test]
    fn only_interleaved_transport_is_taken() {
        assert_eq!(interleaved_channel("RTP/AVP/TCP;unicast;interleaved=2-3"), Some(2));
        assert_eq!(interleaved_channel("RTP/AVP;unicast;client_port=1-2,RTP/AVP/TCP;unicast"), Some(0));
        assert_eq!(interleaved_channel("RTP/AVP;unicast;client_port=1-2"), None);
        assert_eq!(interleaved_channel("RTP/AVP/TCP;interleaved=255-256"), None);
    }
}
