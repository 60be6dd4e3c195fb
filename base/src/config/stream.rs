//! How a camera is read: its main stream, and its sub-stream where it has one.

use toml::de::DeValue;

use super::{
    Stream, StreamSource, Transport,
    parse::SECOND,
    reader::{Section, duration, parsed, text},
};

/// The camera's main stream.
pub(super) fn read(s: &Section<'_>) -> Option<Stream> {
    let transport = s.or("transport", Transport::Tcp, transport);
    let credentials = s.opt("credentials", parsed);
    let first_unit_timeout = s.or("first_unit_timeout", 30 * SECOND, duration(2 * SECOND, 120 * SECOND));
    let url = s.req("url", url);
    let source = s.or("source", StreamSource::Auto, |v| source(v, transport, url.as_ref()));
    Some(Stream { url: url?, transport, credentials, first_unit_timeout, source })
}

/// Its sub-stream, which signs in as the main one and is read like it where nothing else is said.
pub(super) fn read_sub(s: &Section<'_>, main: Option<&Stream>) -> Option<Stream> {
    s.section("sub_stream", |s| {
        let url = s.req("url", |v| match url(v)? {
            url if main.is_some_and(|main| main.url == url) => {
                Err("is the camera's main stream: give the address of its second, smaller one, or take sub_stream out"
                    .to_owned())
            }
            url => Ok(url),
        });
        let transport = s.or("transport", main.map_or(Transport::Tcp, |main| main.transport), transport);
        let usual = main.map_or(StreamSource::Auto, |main| main.source);
        // What the main stream is set to may be impossible here.
        let tls = url.as_ref().is_some_and(|url| url.scheme() == "rtsps");
        let usual = if transport == Transport::Udp || tls { StreamSource::Auto } else { usual };
        let source = s.or("source", usual, |v| source(v, transport, url.as_ref()));
        let main = main?;
        Some(Stream { url: url?, transport, source, ..main.clone() })
    })?
}

fn transport(value: &DeValue<'_>) -> Result<Transport, String> {
    match text(value)?.as_str() {
        "tcp" => Ok(Transport::Tcp),
        "udp" => Ok(Transport::Udp),
        other => Err(format!("{other:?}: use \"tcp\" or \"udp\"")),
    }
}

fn url(value: &DeValue<'_>) -> Result<url::Url, String> {
    let written = value.as_str().ok_or("a text was expected, as \"rtsp://192.0.2.10:554/stream\"")?;
    // The text is not repeated in messages: it may hold a password.
    let url =
        url::Url::parse(written).map_err(|e| format!("is no URL ({e}), write rtsp://HOST:PORT/PATH"))?;
    if !matches!(url.scheme(), "rtsp" | "rtsps") {
        return Err(format!("has scheme {}, use rtsp:// or rtsps://", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("names no host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "holds a user or password: move them to [credentials.NAME] and write credentials = \"NAME\""
                .to_owned(),
        );
    }
    Ok(url)
}

fn source(value: &DeValue<'_>, transport: Transport, url: Option<&url::Url>) -> Result<StreamSource, String> {
    let tls = url.is_some_and(|url| url.scheme() == "rtsps");
    match text(value)?.as_str() {
        "auto" => Ok(StreamSource::Auto),
        "gstreamer" => Ok(StreamSource::Gstreamer),
        "retina" if transport == Transport::Udp || tls => {
            Err("\"retina\" reads rtsp:// over TCP only: use \"auto\" or \"gstreamer\" for this camera"
                .to_owned())
        }
        "retina" => Ok(StreamSource::Retina),
        other => Err(format!("{other:?}: use \"auto\", \"gstreamer\" or \"retina\"")),
    }
}
