//! `VocabularyService`.

use tonic::{Request, Response, Status};
use xueliang_base::{
    kind::Kind,
    vocabulary::{ENUMERATIONS, UNIT_REASONS},
};
use xueliang_proto::v1::{self, vocabulary_service_server::VocabularyService};

use crate::bus::Bus;

/// `VocabularyService` over the tables of `base`.
pub struct VocabularyApi(pub(crate) Bus);

#[tonic::async_trait]
impl VocabularyService for VocabularyApi {
    async fn get_vocabulary(
        &self,
        _request: Request<v1::GetVocabularyRequest>,
    ) -> Result<Response<v1::GetVocabularyResponse>, Status> {
        let kind = |kind: Kind| v1::KindLabel {
            kind: kind.number(),
            code: kind.code().to_owned(),
            kind_class: v1::KindClass::from(kind.class()).into(),
            default_level: i32::from(kind.default_level().number()),
            zh: kind.zh().to_owned(),
            en: kind.en().to_owned(),
        };
        let enumerations = ENUMERATIONS.iter().map(|one| v1::Enumeration {
            name: one.name.to_owned(),
            labels: one
                .labels
                .iter()
                .map(|label| v1::Label {
                    number: label.number,
                    zh: label.zh.to_owned(),
                    en: label.en.to_owned(),
                    unit: label.unit.to_owned(),
                })
                .collect(),
        });
        let reasons = UNIT_REASONS.iter().map(|one| v1::UnitReasonLabel {
            reason: one.reason.to_owned(),
            zh: one.zh.to_owned(),
            en: one.en.to_owned(),
        });
        Ok(Response::new(v1::GetVocabularyResponse {
            kinds: Kind::all().map(kind).collect(),
            enumerations: enumerations.collect(),
            site: self.0.site().to_owned(),
            timezone: self.0.timezone().to_owned(),
            unit_reasons: reasons.collect(),
            map: self.0.map().map(|map| v1::MapTiles {
                url: map.tiles.clone(),
                approval: map.approval.clone(),
                attribution: map.attribution.clone(),
                max_zoom: u32::from(map.max_zoom),
            }),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bus::BusOptions, testing::Bench};

    #[tokio::test]
    async fn everybody_is_told_every_kind_in_both_languages() {
        let map = xueliang_base::config::MapTiles {
            tiles: "https://map.example/{z}/{x}/{y}.png".to_owned(),
            approval: "浙S(2026)1号".to_owned(),
            attribution: String::new(),
            max_zoom: 17,
        };
        let bench = Bench::with(BusOptions { map: Some(map), ..BusOptions::default() });
        let api = VocabularyApi(bench.bus.clone());
        let words = api.get_vocabulary(Request::new(v1::GetVocabularyRequest {})).await.unwrap().into_inner();
        let flame = words.kinds.iter().find(|one| one.kind == 1101).unwrap();
        assert_eq!(
            (flame.code.as_str(), flame.zh.as_str(), flame.en.as_str()),
            ("FIRE_FLAME", "明火", "open flame")
        );
        assert_eq!((flame.kind_class(), flame.default_level()), (v1::KindClass::Event, v1::Level::Level2));
        assert_eq!(words.kinds.len(), Kind::all().count());
        assert!(words.unit_reasons.iter().any(|one| one.reason == "superseded"));
        let map = words.map.unwrap();
        assert_eq!((map.approval.as_str(), map.max_zoom), ("浙S(2026)1号", 17));
        assert!(words.enumerations.iter().any(|one| one.name == "Level" && one.labels[0].zh == "特别重大"));
    }
}
