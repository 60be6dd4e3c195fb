//! Custodians from a CSV file: fixed columns, the whole file or nothing. Faults name lines and fields, never what stood there.

use std::collections::BTreeMap;

use xueliang_base::id::CameraId;
use xueliang_proto::v1;

use super::{Custodian, MOST};

/// Faults that are told.
const MOST_FAULTS: usize = 100;
/// Columns by the words that may head them; all are needed.
const COLUMNS: [[&str; 2]; 4] =
    [["camera_id", "点位编号"], ["unit", "责任单位"], ["name", "责任人"], ["telephone", "联系电话"]];

/// What a file says: a custodian for a camera, or that it has none.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) rows: BTreeMap<CameraId, Option<Custodian>>,
    pub(crate) faults: Vec<v1::CustodianFault>,
}

impl Rows {
    /// Reads a file. `known`: whether somebody may name that camera.
    pub(crate) fn read(csv: &[u8], known: impl Fn(&CameraId) -> bool) -> Self {
        let mut all = Self::default();
        all.read_all(csv, known);
        if all.rows.is_empty() && all.faults.is_empty() {
            all.fault(0, "there is no row: name a camera in each");
        }
        all
    }
    fn fault(&mut self, line: u64, message: impl Into<String>) {
        if self.faults.len() < MOST_FAULTS {
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            self.faults.push(v1::CustodianFault { line, message: message.into() });
        }
    }
    fn read_all(&mut self, csv: &[u8], known: impl Fn(&CameraId) -> bool) {
        let csv = csv.strip_prefix(b"\xef\xbb\xbf").unwrap_or(csv);
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(csv);
        let Ok(heads) = reader.headers().cloned() else {
            return self.fault(1, "is no CSV in UTF-8: save it as such");
        };
        let places = COLUMNS.map(|words| heads.iter().position(|head| words.contains(&head)));
        for (words, _) in COLUMNS.iter().zip(places).filter(|(_, place)| place.is_none()) {
            self.fault(1, format!("there is no column {} ({})", words[0], words[1]));
        }
        if heads.len() > COLUMNS.len() {
            self.fault(1, "there are columns beside camera_id, unit, name and telephone: take them out, nothing else is kept");
        }
        if !self.faults.is_empty() {
            return;
        }
        for record in reader.records() {
            let Ok(record) = record else {
                self.fault(0, "is no CSV in UTF-8: save it as such");
                continue;
            };
            let line = record.position().map_or(0, csv::Position::line);
            if self.rows.len() >= MOST {
                return self.fault(line, format!("more than {MOST} rows: import fewer"));
            }
            if record.len() != heads.len() {
                self.fault(line, format!("{} fields, the head has {}", record.len(), heads.len()));
                continue;
            }
            let field = |index: usize| places[index].and_then(|place| record.get(place)).unwrap_or_default();
            let [camera, unit, name, telephone] = [field(0), field(1), field(2), field(3)];
            let Ok(camera) = camera.parse::<CameraId>() else {
                self.fault(line, "camera_id: is no camera's id");
                continue;
            };
            if !known(&camera) {
                self.fault(line, format!("camera_id: there is no camera {camera}"));
                continue;
            }
            let custodian = if [unit, name, telephone].iter().all(|one| one.is_empty()) {
                None
            } else {
                match Custodian::read(unit, name, telephone) {
                    Ok(custodian) => Some(custodian),
                    Err(fault) => {
                        self.fault(line, fault.to_string());
                        continue;
                    }
                }
            };
            if self.rows.insert(camera.clone(), custodian).is_some() {
                self.fault(line, format!("camera_id: {camera} stands in a line before: keep one"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(csv: &str) -> Rows {
        Rows::read(csv.as_bytes(), |camera| camera.as_str() != "elsewhere")
    }

    #[test]
    fn a_file_with_a_column_for_anybody_else_is_refused_whole() {
        let good =
            read("\u{feff}点位编号,责任单位,责任人,联系电话\ngate,市场管理处,张三,13812341234\npier,,,\n");
        assert!(good.faults.is_empty());
        let rows: Vec<_> = good.rows.iter().map(|(camera, one)| (camera.as_str(), one.is_some())).collect();
        assert_eq!(rows, [("gate", true), ("pier", false)]);
        let head = "camera_id,unit,name,telephone";
        for (csv, line, said) in [
            (format!("{head},resident\ngate,a,b,110,x\n"), 1, "take them out"),
            (format!("{head},remark\ngate,a,b,110,x\n"), 1, "take them out"),
            ("camera_id,unit,name,resident\ngate,a,b,c\n".to_owned(), 1, "no column telephone"),
            (format!("{head}\ngate,a,b\n"), 2, "3 fields, the head has 4"),
            (format!("{head}\nelsewhere,a,b,110\n"), 2, "there is no camera elsewhere"),
            (format!("{head}\na gate,a,b,110\n"), 2, "no camera's id"),
            (format!("{head}\ngate,a,b,110\ngate,a,b,110\n"), 3, "stands in a line before"),
            (format!("{head}\ngate,,张三,110\n"), 2, "unit: "),
            (format!("{head}\n"), 0, "there is no row"),
            (String::new(), 1, "there is no column"),
        ] {
            let fault = &read(&csv).faults[0];
            assert!(fault.line == line && fault.message.contains(said), "{csv}: {fault:?}");
            assert!(!fault.message.contains("张三"));
        }
        let broken = Rows::read(b"camera_id,unit,name,telephone\ngate,\xff,b,110\n", |_| true);
        assert!(broken.faults[0].message.contains("UTF-8"));
    }
}
