//! `[map]`: the tiles that the operators' page draws places on, where the site has a map of its own.

use serde::{Deserialize, Serialize};

use super::reader::{Section, text, whole};

/// The closest that tiles commonly are.
const USUAL_MAX_ZOOM: u64 = 18;

/// A map in tiles of Web Mercator, 256 pixels wide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapTiles {
    /// `http://` or `https://`, with `{z}`, `{x}` and `{y}` in its path or query.
    pub tiles: String,
    /// The number under which the map was approved (审图号).
    pub approval: String,
    /// Whose map it is; may be empty.
    pub attribution: String,
    /// The closest there is.
    pub max_zoom: u8,
}

impl MapTiles {
    /// Where tiles come from, as a policy of content names it: scheme, host and port.
    pub fn origin(&self) -> Option<String> {
        let url = url::Url::parse(&self.tiles).ok()?;
        let origin = url.origin();
        origin.is_tuple().then(|| origin.ascii_serialization())
    }
}

pub(super) fn read(root: &Section<'_>) -> Option<MapTiles> {
    root.section("map", |s| {
        let tiles = s.req("tiles", |v| tiles(&text(v)?));
        // Without the number a map may not be shown to anyone.
        let approval = s.req("approval", text);
        let attribution = s.or("attribution", String::new(), text);
        let max_zoom = s.opt("max_zoom", whole(1, 22)).unwrap_or(USUAL_MAX_ZOOM) as u8;
        Some(MapTiles { tiles: tiles?, approval: approval?, attribution, max_zoom })
    })?
}

fn tiles(written: &str) -> Result<String, String> {
    // The text is not repeated in messages: it may hold a key.
    let url = url::Url::parse(written)
        .map_err(|e| format!("is no URL ({e}), write https://HOST/{{z}}/{{x}}/{{y}}.png"))?;
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        return Err(format!("has scheme {}, use https://HOST/…", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "holds a user or password: a browser would not use it, open the tiles to consoles".to_owned()
        );
    }
    // Each in the part after the host: the page's policy names one host.
    let after_host = written.splitn(4, '/').nth(3).unwrap_or_default();
    match ["{z}", "{x}", "{y}"].into_iter().find(|place| !after_host.contains(place)) {
        Some(place) => Err(format!("lacks {place}: write https://HOST/{{z}}/{{x}}/{{y}}.png")),
        None => Ok(written.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_come_from_one_host_by_places_in_the_path() {
        let map = |tiles: &str| MapTiles {
            tiles: tiles.to_owned(),
            approval: String::new(),
            attribution: String::new(),
            max_zoom: 18,
        };
        for (good, origin) in [
            ("https://map.example:8443/v/{z}/{x}/{y}.png", "https://map.example:8443"),
            ("http://192.0.2.7/wmts?z={z}&x={x}&y={y}", "http://192.0.2.7"),
        ] {
            assert_eq!(tiles(good), Ok(good.to_owned()));
            assert_eq!(map(good).origin().as_deref(), Some(origin));
        }
        for wrong in [
            "map/{z}/{x}/{y}.png",
            "ftp://map.example/{z}/{x}/{y}.png",
            "https://user:word@map.example/{z}/{x}/{y}.png",
            "https://map.example/{z}/{x}.png",
            "data:image/png;{z}/{x}/{y}",
        ] {
            assert!(tiles(wrong).is_err(), "{wrong}");
        }
    }
}
