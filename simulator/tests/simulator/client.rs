//! A small RTSP client that tells exactly what came over the wire.

use std::collections::VecDeque;
use std::fmt::Write;
use std::io;

use md5::{Digest, Md5};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use xueliang_simulator::{Codec, Simulator};

use crate::PATIENCE;

/// A response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

/// An access unit put together from its packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub timestamp: u32,
    /// Whole NAL units; for JPEG, the one scan.
    pub nals: Vec<Vec<u8>>,
}

impl Unit {
    /// Types of the NAL units.
    pub fn types(&self, codec: Codec) -> Vec<u8> {
        let kind = |nal: &Vec<u8>| if codec == Codec::H264 { nal[0] & 0x1f } else { nal[0] >> 1 & 0x3f };
        self.nals.iter().map(kind).collect()
    }

    /// Begins with parameter sets and holds an H.264 IDR picture.
    pub fn is_h264_entry(&self) -> bool {
        let types: Vec<u8> =
            self.types(Codec::H264).into_iter().filter(|kind| !matches!(kind, 6 | 9)).collect();
        types.starts_with(&[7, 8]) && types[2..].iter().all(|&kind| kind == 5)
    }
}

/// A framed packet.
pub struct Packet {
    pub channel: u8,
    pub bytes: Vec<u8>,
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    url: String,
    sequence: u32,
    session: Option<String>,
    authorization: Option<(String, String)>,
    challenge: Option<String>,
    packets: VecDeque<Packet>,
}

impl Client {
    pub async fn connect(simulator: &Simulator, camera: &str) -> Self {
        Self::over(TcpStream::connect(simulator.local_addr()).await.unwrap(), simulator, camera)
    }

    /// A client whose system takes only little before it reads.
    pub async fn connect_with_small_buffer(simulator: &Simulator, camera: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self::over(socket.connect(simulator.local_addr()).await.unwrap(), simulator, camera)
    }

    fn over(stream: TcpStream, simulator: &Simulator, camera: &str) -> Self {
        let url = simulator.url(camera);
        let packets = VecDeque::new();
        Self { stream, url, sequence: 0, session: None, authorization: None, challenge: None, packets }
    }

    /// Answers challenges from here on.
    pub fn log_in(&mut self, user: &str, password: &str) {
        self.authorization = Some((user.to_owned(), password.to_owned()));
    }

    /// A client that plays: DESCRIBE, SETUP, PLAY.
    pub async fn play(simulator: &Simulator, camera: &str) -> Self {
        let mut client = Self::connect(simulator, camera).await;
        client.start().await;
        client
    }

    /// DESCRIBE, SETUP, PLAY; gives the answer to PLAY.
    pub async fn start(&mut self) -> Response {
        assert_eq!(self.request("DESCRIBE", "").await.status, 200);
        assert_eq!(self.set_up().await.status, 200);
        let played = self.request("PLAY", "").await;
        assert_eq!(played.status, 200);
        played
    }

    pub async fn set_up(&mut self) -> Response {
        let url = self.url.clone();
        self.url = format!("{url}/trackID=0");
        let response = self.request("SETUP", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n").await;
        self.url = url;
        response
    }

    /// Sends a request for the camera with extra headers, and waits for its answer.
    pub async fn request(&mut self, method: &str, headers: &str) -> Response {
        self.send(method, headers).await.unwrap();
        self.response().await.unwrap()
    }

    /// Sends a request and waits for nothing.
    pub async fn send(&mut self, method: &str, headers: &str) -> io::Result<()> {
        self.sequence += 1;
        let mut text = format!("{method} {} RTSP/1.0\r\nCSeq: {}\r\n{headers}", self.url, self.sequence);
        if let Some(session) = &self.session {
            write!(text, "Session: {session}\r\n").unwrap();
        }
        if let (Some((user, password)), Some(challenge)) = (&self.authorization, &self.challenge) {
            let value = digest(challenge, user, password, method, &self.url);
            write!(text, "Authorization: {value}\r\n").unwrap();
        }
        self.stream.write_all(format!("{text}\r\n").as_bytes()).await
    }

    /// Sends bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next response; packets that come before it are kept.
    pub async fn response(&mut self) -> io::Result<Response> {
        loop {
            match self.message().await? {
                Ok(packet) => self.packets.push_back(packet),
                Err(response) => {
                    if let Some(session) = response.header("Session") {
                        self.session = session.split(';').next().map(str::to_owned);
                    }
                    if let Some(challenge) = response.header("WWW-Authenticate") {
                        self.challenge = Some(challenge.to_owned());
                    }
                    return Ok(response);
                }
            }
        }
    }

    /// The next packet.
    pub async fn packet(&mut self) -> io::Result<Packet> {
        if let Some(packet) = self.packets.pop_front() {
            return Ok(packet);
        }
        match self.message().await? {
            Ok(packet) => Ok(packet),
            Err(response) => panic!("a response nobody asked for: {response:?}"),
        }
    }

    /// Packets or a response, whichever comes next, within [`PATIENCE`].
    async fn message(&mut self) -> io::Result<Result<Packet, Response>> {
        timeout(PATIENCE, self.next_message()).await.expect("the simulator sent nothing for too long")
    }

    async fn next_message(&mut self) -> io::Result<Result<Packet, Response>> {
        let first = self.stream.read_u8().await?;
        if first == b'$' {
            let channel = self.stream.read_u8().await?;
            let mut bytes = vec![0; usize::from(self.stream.read_u16().await?)];
            self.stream.read_exact(&mut bytes).await?;
            return Ok(Ok(Packet { channel, bytes }));
        }
        let mut head = vec![first];
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut response = Response { status, head, body: String::new() };
        if let Some(length) = response.header("Content-Length") {
            let mut body = vec![0; length.parse().unwrap()];
            self.stream.read_exact(&mut body).await?;
            response.body = String::from_utf8(body).unwrap();
        }
        Ok(Err(response))
    }

    /// The next access unit; sequence numbers are checked, reports passed over.
    pub async fn unit(&mut self, codec: Codec) -> io::Result<Unit> {
        let mut nals: Vec<Vec<u8>> = Vec::new();
        let mut last_sequence: Option<u16> = None;
        loop {
            let packet = self.packet().await?;
            if packet.channel == 1 {
                continue;
            }
            let bytes = packet.bytes;
            let sequence = u16::from_be_bytes([bytes[2], bytes[3]]);
            assert!(last_sequence.is_none_or(|last| last.wrapping_add(1) == sequence), "a packet is missing");
            last_sequence = Some(sequence);
            join(codec, &bytes[12..], &mut nals);
            if bytes[1] & 0x80 != 0 {
                let timestamp = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
                return Ok(Unit { timestamp, nals });
            }
        }
    }

    /// Reads until the simulator closes the connection.
    pub async fn read_until_closed(&mut self) {
        while self.packet().await.is_ok() {}
    }
}

/// Puts a payload with those before it.
fn join(codec: Codec, payload: &[u8], nals: &mut Vec<Vec<u8>>) {
    let (is_fragment, flags, header, body_from) = match codec {
        Codec::H264 if payload[0] & 0x1f == 28 => {
            (true, payload[1], vec![payload[0] & 0xe0 | payload[1] & 0x1f], 2)
        }
        Codec::H265 if payload[0] >> 1 & 0x3f == 49 => {
            (true, payload[2], vec![payload[0] & 0x81 | (payload[2] & 0x3f) << 1, payload[1]], 3)
        }
        Codec::Mjpeg => {
            let is_first = payload[1..4] == [0, 0, 0];
            (true, if is_first { 0x80 } else { 0 }, Vec::new(), if is_first { 8 + 4 + 128 } else { 8 })
        }
        _ => (false, 0, Vec::new(), 0),
    };
    if !is_fragment {
        nals.push(payload.to_vec());
        return;
    }
    if flags & 0x80 != 0 {
        nals.push(header);
    }
    nals.last_mut().expect("a fragment follows its first").extend_from_slice(&payload[body_from..]);
}

/// The answer to a challenge (RFC 2617 §3.2.2).
fn digest(challenge: &str, user: &str, password: &str, method: &str, uri: &str) -> String {
    let field = |name: &str| {
        let from = challenge.find(&format!("{name}=\""))? + name.len() + 2;
        challenge[from..].split('"').next()
    };
    let hash = |text: String| Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (realm, nonce) = (field("realm").unwrap(), field("nonce").unwrap());
    let secret = hash(format!("{user}:{realm}:{password}"));
    let action = hash(format!("{method}:{uri}"));
    let (response, qop) = match field("qop") {
        Some(qop) => (
            hash(format!("{secret}:{nonce}:00000001:abcd:{qop}:{action}")),
            format!(", qop={qop}, nc=00000001, cnonce=\"abcd\""),
        ),
        None => (hash(format!("{secret}:{nonce}:{action}")), String::new()),
    };
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\"{qop}"
    )
}
