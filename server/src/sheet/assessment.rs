//! The template of the impact assessment (个人信息保护影响评估, Personal Information Protection Law, Arts 55 and 56), as Markdown: filled
//! in with what the configuration says; what only people can say is left open as `〔待填写〕`. Kept for three years at least.

use std::collections::{BTreeMap, BTreeSet};

use xueliang_alerts::role::Role;
use xueliang_base::{
    config::{Config, Retention, SignIn},
    kind::Kind,
    language::Language,
    point::PointClass,
};
use xueliang_inference::model::Model;
use xueliang_proto::v1;

use super::{head, row};

/// The sheet.
pub fn sheet(config: &Config, models: &[Model], lang: Language) -> String {
    let open = lang.of("〔待填写〕", "[to be written]");
    let mut text = format!(
        "# {}: {}\n\n",
        lang.of("个人信息保护影响评估（模板）", "Impact assessment on personal information (template)"),
        config.site
    );
    text += lang.of(
        "依据《个人信息保护法》第55、56条。表格与清单由配置生成，〔待填写〕由评估人填写；评估报告和处理情况记录至少保存三年。\n\n",
        "By the Personal Information Protection Law, Arts 55 and 56. Tables and lists are made from the configuration; what is \
         [to be written] is the assessor's. The report and the records of processing are kept for three years at least.\n\n",
    );
    for (zh, en) in [
        ("评估人、日期", "Assessor, day"),
        ("管理单位及负责人", "Managing unit and who answers for it"),
        ("评估结论", "Conclusion"),
    ] {
        text += &format!("- {}: {open}\n", lang.of(zh, en));
    }
    for (zh, en, body) in [
        (
            "一、处理目的、方式是否合法、正当、必要",
            "1. Purpose and manner: lawful, proper, necessary",
            purpose(config, lang),
        ),
        ("二、处理的内容", "2. What is processed", content(config, models, lang)),
        ("三、留存期限", "3. How long it is kept", kept(config, lang)),
        ("四、访问权限", "4. Who has access", access(config, lang)),
        ("五、向外提供", "5. Who receives it", receivers(config, lang)),
        (
            "六、对个人权益的影响及安全风险",
            "6. Effects on persons, and risks",
            risks(lang) + &format!("- {open}\n"),
        ),
        (
            "七、保护措施是否合法、有效并与风险相适应",
            "7. Measures: lawful, effective, in proportion",
            measures(config, lang) + &format!("- {open}\n"),
        ),
    ] {
        text += &format!("\n## {}\n\n{body}", lang.of(zh, en));
    }
    text
}

fn purpose(config: &Config, lang: Language) -> String {
    let mut bases: BTreeMap<&str, usize> = BTreeMap::new();
    for camera in config.points() {
        *bases.entry(camera.filing.legal_basis.map_or("-", |basis| basis.word())).or_default() += 1;
    }
    let mut text = lang
        .of(
            "目的仅限维护公共安全（第26条）：对公共区域的火情、堵塞、涉水、拥挤等事件告警。不识别个人，不用于其他目的。\n\n",
            "The purpose is public safety alone (Art. 26): alerts about fire, blocked ways, water, crowding and the like in \
             public places. Nobody is identified, and it serves no other purpose.\n\n",
        )
        .to_owned();
    text += &head(&[lang.of("设置依据（条例）", "legal basis (Order 799)"), lang.of("点位数", "points")]);
    for (basis, count) in bases {
        let basis = if basis == "-" { lang.of("未登记", "not known") } else { basis };
        text += &row([basis, &count.to_string()]);
    }
    text
}

fn content(config: &Config, models: &[Model], lang: Language) -> String {
    let mut classes: BTreeMap<Option<PointClass>, (usize, usize, usize)> = BTreeMap::new();
    for camera in config.points() {
        let (points, masked, signless) = classes.entry(camera.class).or_default();
        *points += 1;
        *masked += usize::from(!camera.masks.is_empty());
        *signless += usize::from(camera.filing.sign_since.is_none());
    }
    let mut text = head(&[
        lang.of("点位类型", "class of point"),
        lang.of("点位数", "points"),
        lang.of("设有隐私遮挡", "with privacy masks"),
        lang.of("未设提示标识", "without a sign"),
    ]);
    for (class, (points, masked, signless)) in classes {
        let class = class.map_or(lang.of("未登记", "not known").to_owned(), |class| {
            lang.word("PointClass", class.number())
        });
        text += &row([class.as_str(), &points.to_string(), &masked.to_string(), &signless.to_string()]);
    }
    let kinds: BTreeSet<Kind> =
        config.points().flat_map(|camera| &camera.rules).map(|rule| rule.kind).collect();
    let kinds: Vec<_> = kinds.iter().map(|kind| lang.of(kind.zh(), kind.en())).collect();
    text += &format!("\n- {}: {}\n", lang.of("告警事项", "Kinds of alerts"), kinds.join(lang.of("、", ", ")));
    for model in models {
        let seen: Vec<_> = model.meanings().iter().map(|meaning| meaning.word()).collect();
        text += &format!(
            "- {} {} {}: {}\n",
            lang.of("模型", "Model"),
            model.name().as_str(),
            model.version(),
            seen.join(", ")
        );
    }
    text += lang.of(
        "- 图像：脱敏截图与预览（人脸、车牌区域像素化，失败则不提供），原始片段须有权限、事由并登记后方可调阅。\n\
         - 不处理：人脸特征、身份、号牌、行踪轨迹等敏感个人信息（第28条）。\n",
        "- Pictures: redacted stills and previews (heads and plates pixelated; none where that fails). Originals are opened \
         past a right, a reason and an entry in the register.\n\
         - Not processed: faces, identity, plates, whereabouts or other sensitive personal information (Art. 28).\n",
    );
    text
}

fn kept(config: &Config, lang: Language) -> String {
    let key = config.points().filter(|camera| camera.retention == Retention::KeyPoint).count();
    let ordinary = config.points().count() - key;
    let days = config.evidence.keep_days;
    let mut text = head(&[
        lang.of("内容", "what"),
        lang.of("点位数", "points"),
        lang.of("最短留存天数", "days at least"),
    ]);
    text += &row([lang.of("告警证据", "evidence of alerts"), &ordinary.to_string(), &days.to_string()]);
    text += &row([
        lang.of("重点目标的告警证据", "evidence at key points"),
        &key.to_string(),
        &days.max(90).to_string(),
    ]);
    text += lang.of(
        "\n到期后自动删除并出具删除证明；法律保全期间不删除。录像由录像机留存，不在本系统内。\n",
        "\nIt is deleted when its time is over, with a certificate; never while it is held. What recorders keep is not in this system.\n",
    );
    text
}

fn access(config: &Config, lang: Language) -> String {
    let mut text = lang
        .of("权限按角色、区划和点位类型限定，每次调阅原始图像均须登记。\n\n", "Access is bound by role, division and class of point; each opening of an original is registered.\n\n")
        .to_owned();
    text += &head(&[lang.of("角色", "role"), lang.of("权限", "rights")]);
    for role in Role::ALL {
        let rights: Vec<_> = role.rights().iter().map(|right| format!("{right:?}")).collect();
        text += &row([lang.word("Role", v1::Role::from(role).into()).as_str(), &rights.join(", ")]);
    }
    let signed_in = config.api.sign_in == SignIn::Required;
    text += &format!(
        "\n- {}: {}\n- TLS: {}\n",
        lang.of("必须登录", "Signing in is asked for"),
        if signed_in {
            lang.of("是", "yes")
        } else {
            lang.of("否（仅限本机演示）", "no (demonstrations on this machine only)")
        },
        if config.api.tls.is_some() {
            lang.of("是", "yes")
        } else {
            lang.of("否（仅本机可连接）", "no (this machine alone connects)")
        }
    );
    text
}

fn receivers(config: &Config, lang: Language) -> String {
    if config.sinks.is_empty() && config.publishers.is_empty() {
        return lang.of("无。\n", "Nobody.\n").to_owned();
    }
    let mut text = head(&[lang.of("接收方", "who"), lang.of("地址", "where"), lang.of("内容", "what")]);
    for sink in &config.sinks {
        let what = match (sink.with_still, sink.with_cases) {
            (true, true) => lang.of("告警、脱敏截图、案件通知", "alerts, redacted stills, notices of cases"),
            (true, false) => lang.of("告警、脱敏截图", "alerts, redacted stills"),
            (false, true) => lang.of("告警、案件通知", "alerts, notices of cases"),
            (false, false) => lang.of("告警", "alerts"),
        };
        text += &row([sink.id.as_str(), sink.url.host_str().unwrap_or_default(), what]);
    }
    for publisher in &config.publishers {
        text += &row([
            publisher.name.as_str(),
            "-",
            lang.of("向本系统报送告警，不接收", "publishes alerts here, receives none"),
        ]);
    }
    text
}

fn risks(lang: Language) -> String {
    lang.of(
        "- 误报使无关人员受到打扰：所有告警由人研判后处置。\n- 图像泄露：默认脱敏，原始图像调阅有登记、可追溯。\n- 模型偏差：见能力声明中的实测数据。\n",
        "- False alarms trouble people: each alert is judged by somebody before anyone acts.\n- Pictures leak: they are redacted \
         by default, and each opening of an original can be traced.\n- Models err unevenly: see what was measured, in the \
         capability statement.\n",
    )
    .to_owned()
}

fn measures(config: &Config, lang: Language) -> String {
    let sealed = config.audit.heads.is_some();
    let mut text = lang
        .of(
            "- 审计与调用登记为哈希链，只增不改，可核验。\n- 系统、安全、审计三员互斥，均无证据权限。\n- 责任人联系方式加密存储、默认脱敏显示。\n",
            "- Audit and register are a hash chain, append-only and verifiable.\n- The administrators of system, security and \
             audit exclude each other and have no right on evidence.\n- Contacts of custodians are encrypted and shown masked.\n",
        )
        .to_owned();
    text += &format!(
        "- {}: {}\n",
        lang.of("审计签名导出", "Signed heads of the audit are exported"),
        if sealed { lang.of("是", "yes") } else { lang.of("否", "no") }
    );
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_template_says_what_the_configuration_says_and_leaves_open_what_people_must_say() {
        let text = "site = \"Town\"\nstate_dir = \"state\"\nnetworks = [\"127.0.0.0/8\"]\n[[division]]\ncode = \"33\"\nname = \"33\"\n\
             [[camera]]\nid = \"gate\"\nname = \"Gate\"\ndivision = \"33\"\nurl = \"rtsp://127.0.0.1/gate\"\nclass = \"third\"\n\
             retention = \"key_point\"\n[camera.filing]\nlegal_basis = \"7-2\"\n\
             [[camera]]\nid = \"pier\"\nname = \"Pier\"\ndivision = \"33\"\nurl = \"rtsp://127.0.0.1/pier\"\n";
        let config = Config::parse(text, Path::new("/")).unwrap();
        let zh = sheet(&config, &[], Language::Chinese);
        for said in [
            "| 三类点 | 1 | 0 | 1 |",
            "| 未登记 | 1 | 0 | 1 |",
            "| 7-2 | 1 |",
            "| 重点目标的告警证据 | 1 | 90 |",
            "| 告警证据 | 1 | 30 |",
            "设备离线",
            "〔待填写〕",
        ] {
            assert!(zh.contains(said), "{said}: {zh}");
        }
        // No person is named in it, whatever the configuration holds: neither paths nor credentials either.
        assert!(!zh.contains("rtsp://"));
        for role in Role::ALL {
            assert!(zh.contains(&Language::Chinese.word("Role", v1::Role::from(role).into())), "{role:?}");
        }
        let en = sheet(&config, &[], Language::English);
        let words = en.chars().filter(|c| ('\u{4e00}'..'\u{9fff}').contains(c)).count();
        assert_eq!(words, 0, "{en}");
    }
}
