//! The capability statement: what the system can and cannot do, from the manifests of the loaded models and the rules of this
//! version, as Markdown. What it cannot do by design is no setting, and is said first.

use xueliang_base::language::Language;
use xueliang_inference::{
    capability::{self, State},
    model::Model,
};

use super::{head, row};

/// What no option of the product changes.
const NEVER: [(&str, &str); 7] = [
    (
        "识别或再识别任何人：不处理人脸、步态、衣着等个人特征",
        "identify or re-identify anyone: no faces, gait, clothing or other attributes",
    ),
    ("识别机动车号牌", "read number plates"),
    (
        "跨摄像机跟踪人员或车辆，或保存其轨迹",
        "follow persons or vehicles across cameras, or keep where they went",
    ),
    ("与任何名单比对", "match against any list"),
    ("对人员、工作人员或居民评分、排名", "score or rank persons, workers or residents"),
    (
        "仅因人员出现或停留而告警（已声明的危险区域除外）",
        "raise an alert for a person's mere presence or stay outside a declared hazard",
    ),
    ("以图搜图、以图搜人", "search by picture"),
];

/// The sheet.
pub fn sheet(site: &str, models: &[Model], lang: Language) -> String {
    let mut text = format!("# {}: {site}\n\n", lang.of("系统能力声明", "Capability statement"));
    text += lang.of(
        "本系统只对事件告警，从不识别个人。下列各项不由设置决定，也无法通过设置开启；加载器拒绝带有人脸、号牌、属性或再识别输出的模型，\
         数据结构中没有记录被观察者的字段。加载器按清单判断，无法发现被故意错误标注的模型。\n\n",
        "The system flags events, never people. What follows is no setting and cannot be switched on: the loader refuses \
         models with outputs for faces, plates, attributes or re-identification, and no table has a field for an observed \
         person. The loader judges by manifests; a model that was labelled wrongly on purpose is not found out.\n\n",
    );
    text += &format!("## {}\n\n", lang.of("系统不能做的", "What it cannot do"));
    for (zh, en) in NEVER {
        text += &format!("- {}\n", lang.of(zh, en));
    }
    text += &format!("\n## {}\n\n", lang.of("已加载的模型", "Loaded models"));
    if models.is_empty() {
        text += lang.of("无。\n", "None.\n");
    } else {
        text += &head(&[
            lang.of("模型", "model"),
            lang.of("版本", "version"),
            lang.of("能看到的", "what it sees"),
            "SHA-256",
        ]);
    }
    for model in models {
        let seen: Vec<_> = model.meanings().iter().map(|meaning| meaning.word()).collect();
        text += &row([model.name().as_str(), model.version(), &seen.join(", "), model.sha256()]);
    }
    let sees: Vec<_> = models.iter().map(|model| (model.name().clone(), model.meanings())).collect();
    let table = capability::table(&sees);
    for (state, zh, en) in [
        (State::Shipped, "可以告警的事项", "What it can raise"),
        (State::BringModel, "需另行加载模型的事项", "What takes another model"),
        (State::NotAvailable, "本版本不能告警的事项", "What this version cannot raise"),
    ] {
        text += &format!("\n## {}\n\n", lang.of(zh, en));
        text += &head(&[
            lang.of("编码", "number"),
            lang.of("事项", "kind"),
            lang.of("默认级别", "usual level"),
            lang.of("条件", "what it takes"),
        ]);
        for one in table.iter().filter(|one| one.state == state) {
            let (number, level) = (one.kind.number().to_string(), one.kind.default_level().to_string());
            text += &row([number.as_str(), lang.of(one.kind.zh(), one.kind.en()), &level, &one.how]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use xueliang_base::kind::Kind;

    use super::*;

    #[test]
    fn every_kind_stands_in_one_list_by_what_is_loaded_and_what_is_never_done_stands_first() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let model = Model::load(&root.join("models/centernet-mobilenetv3")).unwrap();
        let (sum, with) = (model.sha256().to_owned(), sheet("Town", &[model], Language::Chinese));
        let without = sheet("Town", &[], Language::English);
        for kind in Kind::all() {
            let row = format!("| {} |", kind.number());
            assert_eq!((with.matches(&row).count(), without.matches(&row).count()), (1, 1), "{kind:?}");
        }
        let place = |text: &str, what: &str| text.find(what).unwrap_or_else(|| panic!("{what}"));
        assert!(place(&with, "系统不能做的") < place(&with, "已加载的模型"));
        assert!(with.contains(&sum) && with.contains("centernet-mobilenetv3"));
        // The same kind moves with the models that are loaded.
        let water = "| 2101 |";
        assert!(place(&with, water) < place(&with, "需另行加载模型的事项"));
        assert!(place(&without, water) > place(&without, "What takes another model"));
    }
}
