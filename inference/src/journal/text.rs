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

/// Thumbnails by rule.
pub(crate) mod map {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use xueliang_base::{id::RuleId, look::Thumbnail};

    #[derive(Serialize, Deserialize)]
    struct One(#[serde(with = "super::one")] Thumbnail);

    pub(crate) fn serialize<S: Serializer>(
        map: &BTreeMap<RuleId, Thumbnail>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_map(map.iter().map(|(rule, thumbnail)| (rule, One(thumbnail.clone()))))
    }
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<BTreeMap<RuleId, Thumbnail>, D::Error> {
        let map = BTreeMap::<RuleId, One>::deserialize(input)?;
        Ok(map.into_iter().map(|(rule, one)| (rule, one.0)).collect())
    }
}
