//! The filing (备案) of points and the points without sign, as CSV that spreadsheets open: UTF-8 with a mark, one line a point.

use anyhow::Context as _;
use xueliang_alerts::point::values;
use xueliang_base::{
    csv::{BYTE_ORDER_MARK, harmless},
    language::Language,
};
use xueliang_proto::v1::{self, FiledPoint, FilingStatus, PointField};

/// Days below which a recorder keeps less than the law asks for (Order 799, Art. 17).
const LEAST_DAYS: u32 = 30;

/// The sheet of all these points: what is filed of each, and how its filing stands.
pub fn filing(points: &[FiledPoint], lang: Language) -> anyhow::Result<String> {
    let standing = [
        lang.of("备案状态", "filing"),
        lang.of("备案编号", "filing number"),
        lang.of("备案日期", "filed on"),
        lang.of("备案截止日期", "due on"),
        lang.of("剩余天数", "days left"),
        lang.of("变更项", "changed"),
        lang.of("缺项", "missing"),
        lang.of("提示", "note"),
    ];
    let fields = values(&v1::PointFacts::default()).map(|(field, _)| field);
    let heads = fields.iter().map(|field| field_word(*field, lang));
    let mut sheet = Sheet::new(heads.chain(standing.map(str::to_owned)))?;
    for point in points {
        let facts = point.facts.clone().unwrap_or_default();
        let words = |fields: &mut dyn Iterator<Item = PointField>| {
            fields.map(|field| field_word(field, lang)).collect::<Vec<_>>().join(lang.of("、", ", "))
        };
        let standing = [
            lang.word("FilingStatus", point.status),
            point.filing_no.clone(),
            point.filed_on.clone(),
            point.due_on.clone(),
            point.days_left.map(|days| days.to_string()).unwrap_or_default(),
            words(&mut point.changed()),
            words(&mut point.missing()),
            note(point, lang),
        ];
        sheet.line(
            values(&facts).map(|(field, value)| shown(field, value, lang)).into_iter().chain(standing),
        )?;
    }
    sheet.text()
}

/// The sheet of points in force that have no sign.
pub fn signs(points: &[FiledPoint], lang: Language) -> anyhow::Result<String> {
    const FIELDS: [PointField; 6] = [
        PointField::CameraId,
        PointField::Name,
        PointField::DivisionPath,
        PointField::Address,
        PointField::ManagingUnit,
        PointField::InUseSince,
    ];
    let mut sheet = Sheet::new(FIELDS.iter().map(|field| field_word(*field, lang)))?;
    let without = points.iter().filter(|point| {
        point.status() != FilingStatus::Removed
            && point.facts.as_ref().is_some_and(|facts| facts.sign_since.is_empty())
    });
    for point in without {
        let values = values(&point.facts.clone().unwrap_or_default());
        let shown = values.into_iter().filter(|(field, _)| FIELDS.contains(field));
        sheet.line(shown.map(|(_, value)| value))?;
    }
    sheet.text()
}

fn field_word(field: PointField, lang: Language) -> String {
    lang.word("PointField", field.into())
}

/// A value as people read it: numbers of lists keep their number, which is what the forms ask for.
fn shown(field: PointField, value: String, lang: Language) -> String {
    match (field, value.parse()) {
        (PointField::PointClass, Ok(number)) => lang.word("PointClass", number),
        (PointField::KeyPoint, _) if value.is_empty() => lang.of("否", "no").to_owned(),
        (PointField::KeyPoint, _) => lang.of("是", "yes").to_owned(),
        _ => value,
    }
}

/// What of a point is against the law by itself.
fn note(point: &FiledPoint, lang: Language) -> String {
    let facts = point.facts.clone().unwrap_or_default();
    let mut notes = Vec::new();
    if point.days_left.is_some_and(|days| days < 0) {
        notes.push(lang.of("逾期未备案（第14条）", "filing is overdue (Art. 14)"));
    }
    if (1..LEAST_DAYS).contains(&facts.recorded_days) {
        notes.push(lang.of("录像保存不足30天（第17条）", "recorded for less than 30 days (Art. 17)"));
    }
    if facts.key_point && (1..90).contains(&facts.recorded_days) {
        notes.push(lang.of(
            "重点目标录像保存不足90天（反恐怖主义法第32条）",
            "a key point is recorded for less than 90 days (Counter-Terrorism Law, Art. 32)",
        ));
    }
    if facts.sign_since.is_empty() && point.status() != FilingStatus::Removed {
        notes.push(lang.of("未设提示标识（第13条）", "there is no sign (Art. 13)"));
    }
    notes.join(lang.of(";", "; "))
}

/// A CSV that is being written.
struct Sheet(csv::Writer<Vec<u8>>);

impl Sheet {
    fn new(heads: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let mut sheet = Self(csv::Writer::from_writer(Vec::new()));
        sheet.line(heads)?;
        Ok(sheet)
    }
    fn line(&mut self, cells: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
        self.0.write_record(cells.into_iter().map(harmless)).context("write a line of the sheet")
    }
    fn text(self) -> anyhow::Result<String> {
        let bytes = self.0.into_inner().map_err(csv::IntoInnerError::into_error).context("end the sheet")?;
        Ok(BYTE_ORDER_MARK.to_owned() + &String::from_utf8(bytes).context("the sheet is UTF-8")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point() -> FiledPoint {
        let facts = v1::PointFacts {
            camera_id: "gate".to_owned(),
            name: "=cmd|' /C calc'!A0".to_owned(),
            division_path: vec!["33".to_owned(), "3302".to_owned()],
            point_class: 3,
            managing_unit: "Market, east".to_owned(),
            recorded_days: 15,
            ..v1::PointFacts::default()
        };
        FiledPoint {
            facts: Some(facts),
            status: FilingStatus::Unfiled.into(),
            due_on: "2026-11-27".to_owned(),
            days_left: Some(-3),
            missing: vec![PointField::Address.into(), PointField::LegalBasis.into()],
            ..FiledPoint::default()
        }
    }

    fn cells(sheet: &str) -> Vec<Vec<String>> {
        let text = sheet.strip_prefix('\u{feff}').unwrap();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn the_filing_says_of_each_point_what_is_due_what_is_missing_and_what_is_against_the_law() {
        let rows = cells(&filing(&[point()], Language::Chinese).unwrap());
        assert_eq!(rows.len(), 2);
        let value = |word: &str| {
            let at = rows[0].iter().position(|head| head == word).unwrap_or_else(|| panic!("{word}"));
            rows[1][at].as_str()
        };
        assert_eq!(value("点位编号"), "gate");
        assert_eq!(value("监控点位类型"), "三类点");
        assert_eq!(value("备案状态"), "未备案");
        assert_eq!((value("备案截止日期"), value("剩余天数")), ("2026-11-27", "-3"));
        assert_eq!(value("缺项"), "安装地址、设置依据");
        assert_eq!(value("重点目标"), "否");
        for said in ["逾期", "不足30天", "未设提示标识"] {
            assert!(value("提示").contains(said), "{}", value("提示"));
        }
        assert!(value("点位名称").starts_with("'="), "no cell is a formula");
        let english = filing(&[point()], Language::English).unwrap();
        let words = english.chars().filter(|c| ('\u{4e00}'..'\u{9fff}').contains(c)).count();
        assert_eq!(words, 0, "{english}");
        assert!(english.contains("overdue") && english.contains("\"Market, east\""));
    }

    #[test]
    fn points_with_a_sign_and_those_that_are_gone_are_not_listed_as_having_none() {
        let mut signed = point();
        signed.facts.as_mut().unwrap().sign_since = "2026-10-30".to_owned();
        let gone = FiledPoint { status: FilingStatus::Removed.into(), ..point() };
        let rows = cells(&signs(&[point(), signed, gone], Language::Chinese).unwrap());
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0][0].as_str(), rows[1][0].as_str()), ("点位编号", "gate"));
    }
}
