//! Thumbnails as base64 text, for serde's `with`.

/// A thumbnail.
pub(crate) mod one {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
    use xueliang_base::look::Thumbnail;

    pub(crate) fn serialize<S: Serializer>(thumbnail: &Thumbnail, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&STANDARD.encode(thumbnail.cells()))
    }
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Thumbnail, D::Error> {
        let text = String::deserialize(input)?;
        let cells = STANDARD.decode(text).map_err(D::Error::custom)?;
        Thumbnail::new(cells.into()).ok_or_else(|| D::Error::custom("a thumbnail has 5184 cells"))
    }
}

/// A thumbnail that may be absent.
pub(crate) mod option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use xueliang_base::look::Thumbnail;

    #[derive(Serialize, Deserialize)]
    struct One(#[serde(with = "super::one")] Thumbnail);

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(thumbnail: &Option<Thumbnail>, out: S) -> Result<S::Ok, S::Error> {
        thumbnail.clone().map(One).serialize(out)
    }
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Thumbnail>, D::Error> {
        Ok(Option::<One>::deserialize(input)?.map(|one| one.0))
    }
}
