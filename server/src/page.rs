//! The operators' page as it is embedded in the program: which file answers a path, in which coding, how long a browser may
//! keep it, and what it may do with it. What is built is `console/`; without it a page says so.

use std::borrow::Cow;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};
use xueliang_base::config::MapTiles;

/// `app/`: what `make console` builds, with files that are compressed already beside their originals. `unbuilt/`: what is
/// shown without it.
#[derive(RustEmbed)]
#[folder = "../console/embed"]
struct Files;

/// What a page of ours may load: its own files, by no script or style that stands in the page. Pictures and footage of evidence
/// come as blobs over the same connection.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src blob:; \
                      font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// What the page of a site may load: beside its own files the tiles of the map that the configuration names, as pictures only.
pub fn policy(map: Option<&MapTiles>) -> HeaderValue {
    let tiles = map
        .and_then(MapTiles::origin)
        .map(|origin| POLICY.replace("img-src 'self'", &format!("img-src 'self' {origin}")));
    let policy = tiles.as_deref().unwrap_or(POLICY);
    HeaderValue::from_str(policy).unwrap_or_else(|_| HeaderValue::from_static(POLICY))
}

/// Codings of files that lie compressed, best first: the word of HTTP and the ending of the file.
const CODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// Names of files in this folder bear a digest of what they hold.
const HASHED: &str = "assets/";

/// Answers a request for a path, with the policy of the site.
pub async fn answer(State(policy): State<HeaderValue>, uri: Uri, headers: HeaderMap) -> Response {
    let mut response = file(uri.path().trim_start_matches('/'), &headers);
    let all = response.headers_mut();
    all.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in
        [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::REFERRER_POLICY, "no-referrer")]
    {
        all.insert(name, HeaderValue::from_static(value));
    }
    all.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    all.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    all.insert("permissions-policy", HeaderValue::from_static("camera=(), microphone=(), geolocation=()"));
    response
}

fn file(path: &str, headers: &HeaderMap) -> Response {
    let Some(start) = Files::get("app/index.html") else {
        let page = Files::get("unbuilt/index.html").map(|file| file.data).unwrap_or_default();
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            [(header::CONTENT_TYPE, content_type("index.html"))],
            bytes(page),
        )
            .into_response();
    };
    let named = if path.is_empty() { None } else { Files::get(&format!("app/{path}")) };
    let (name, plain) = match named {
        Some(file) => (path, file),
        // A place inside of the page: the page itself finds its way. A file that is not there is not there.
        None if !path.rsplit('/').next().unwrap_or_default().contains('.') => ("index.html", start),
        None => return (StatusCode::NOT_FOUND, "there is no such file\n").into_response(),
    };
    let etag = etag(&plain);
    let kept = if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let common = [
        (header::CACHE_CONTROL, kept.to_owned()),
        (header::ETAG, etag.clone()),
        (header::VARY, "accept-encoding".to_owned()),
    ];
    let text = |name: header::HeaderName| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    if text(header::IF_NONE_MATCH).split(',').any(|one| one.trim().trim_start_matches("W/") == etag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let accepted = text(header::ACCEPT_ENCODING);
    let compressed = CODINGS
        .iter()
        .filter(|(word, _)| accepts(accepted, word))
        .find_map(|(word, ending)| Some((*word, Files::get(&format!("app/{name}{ending}"))?)));
    let kind = [(header::CONTENT_TYPE, content_type(name))];
    match compressed {
        Some((word, file)) => {
            (common, kind, [(header::CONTENT_ENCODING, word)], bytes(file.data)).into_response()
        }
        None => (common, kind, bytes(plain.data)).into_response(),
    }
}

fn bytes(data: Cow<'static, [u8]>) -> Body {
    Body::from(match data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::from(data),
    })
}

fn etag(file: &EmbeddedFile) -> String {
    let hash: String =
        file.metadata.sha256_hash().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hash}\"")
}

/// Whether a coding is named and not refused.
fn accepts(header: &str, coding: &str) -> bool {
    header.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        parts.next() == Some(coding)
            && parts.all(|part| !matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// By the ending of a name, of what a build of the page holds.
fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "json" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(path: &'static str, headers: &[(header::HeaderName, &'static str)]) -> Response {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        answer(State(policy(None)), Uri::from_static(path), headers).await
    }

    #[tokio::test]
    async fn a_program_without_a_page_says_so_and_one_with_a_page_shows_it_at_any_place() {
        let start = ask("/", &[]).await;
        let policy = start.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(start.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        if Files::get("app/index.html").is_none() {
            assert_eq!(start.status(), StatusCode::SERVICE_UNAVAILABLE);
            return;
        }
        assert_eq!(start.status(), StatusCode::OK);
        assert_eq!(start.headers()[header::CACHE_CONTROL], "no-cache");
        let etag = start.headers()[header::ETAG].clone();
        assert_eq!(ask("/alert/1", &[]).await.headers()[header::ETAG], etag);
        assert_eq!(ask("/assets/none.js", &[]).await.status(), StatusCode::NOT_FOUND);
        let mut again = HeaderMap::new();
        again.insert(header::IF_NONE_MATCH, etag);
        assert_eq!(
            answer(State(super::policy(None)), Uri::from_static("/"), again).await.status(),
            StatusCode::NOT_MODIFIED
        );
        let script =
            Files::iter().find(|name| name.starts_with("app/assets/") && name.ends_with(".js")).unwrap();
        let uri: Uri = format!("/{}", &script["app/".len()..]).parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"));
        let script = answer(State(super::policy(None)), uri, headers).await;
        assert_eq!(script.headers()[header::CONTENT_ENCODING], "br");
        assert!(script.headers()[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    }

    #[tokio::test]
    async fn no_path_leads_to_evidence_or_to_any_file_that_is_not_of_the_page() {
        let folder = tempfile::tempdir().unwrap();
        let evidence = folder.path().join("evidence").join("ab");
        std::fs::create_dir_all(&evidence).unwrap();
        let file = evidence.join("still");
        std::fs::write(&file, "pixels of the record").unwrap();
        let absolute = file.display().to_string();
        let up = "../".repeat(24);
        for path in [
            absolute.clone(),
            format!("/{absolute}"),
            format!("/{up}{}", absolute.trim_start_matches('/')),
            format!("/assets/{up}{}", absolute.trim_start_matches('/')),
            format!("/{}", absolute.replace('/', "%2f")),
            format!("/{}{}", "%2e%2e/".repeat(24), absolute.trim_start_matches('/')),
            "/evidence/ab/still".to_owned(),
            "/xueliang.v1.EvidenceService/GetStill".to_owned(),
        ] {
            let uri: Uri = path.parse().unwrap();
            let body = answer(State(policy(None)), uri, HeaderMap::new()).await.into_body();
            let body = axum::body::to_bytes(body, 16 << 20).await.unwrap();
            assert!(!body.windows(6).any(|part| part == b"pixels"), "{path}");
        }
    }

    #[test]
    fn a_site_with_a_map_lets_pictures_come_from_there_and_nothing_else() {
        let map = MapTiles {
            tiles: "https://map.example:8443/{z}/{x}/{y}.png?key=1".to_owned(),
            approval: "1".to_owned(),
            attribution: String::new(),
            max_zoom: 18,
        };
        let with = policy(Some(&map));
        let with = with.to_str().unwrap();
        assert_eq!(with.matches("map.example").count(), 1);
        assert!(with.contains("img-src 'self' https://map.example:8443 blob:"), "{with}");
        assert_eq!(with.replace(" https://map.example:8443", ""), policy(None).to_str().unwrap());
        assert!(!POLICY.contains("http"));
    }

    #[test]
    fn a_coding_that_is_refused_is_not_accepted() {
        assert!(accepts("gzip, deflate, br", "br") && accepts("br;q=0.5", "br"));
        assert!(!accepts("gzip, br;q=0", "br") && !accepts("", "br") && !accepts("brotli", "br"));
    }
}
