//! A file of grids is taken as a whole or not at all.

use super::*;
use crate::duty::grid::GridPlan;

const FILE: &str = "code,parent,level,name,kind,short_name,centre_name\n\
    330282101002,330282101,5,Quay village,,,\n\
    330282101001001,330282101001,6,First grid,,One,\n\
    33028210100100101,330282101001001,7,Stairs,,,\n\
    market,330282101002,6,Market,专属网格,,Market office\n";

fn plan(town: &Town, csv: &[u8]) -> v1::ImportGridResponse {
    GridPlan::make(&town.duty, town.now, &boss(), csv).unwrap().told
}
fn import(town: &mut Town, csv: &str) {
    town.edit(import_grid(boss(), csv.as_bytes().to_vec().into())).unwrap();
}
fn counts(told: &v1::ImportGridResponse) -> (u32, u32, u32, u32) {
    assert_eq!(told.faults, []);
    assert_eq!(told.town_code, "330282101");
    (told.added, told.changed, told.ended, told.unchanged)
}

#[test]
fn a_file_takes_the_place_of_the_grids_that_the_township_had() {
    let mut town = Town::new();
    town.put(division("330282102", "330282")).unwrap();
    town.put(division("330282102001", "330282102")).unwrap();
    town.put(division("330282102001001", "330282102001")).unwrap();
    assert_eq!(counts(&plan(&town, FILE.as_bytes())), (4, 0, 0, 0));
    let before = town.versions;
    import(&mut town, FILE);
    assert_eq!(town.versions, before + 4);
    assert_eq!(town.path("market", NOW), "330282/330282101/330282101002/market");
    assert_eq!(counts(&plan(&town, FILE.as_bytes())), (0, 0, 0, 4));
    // The town adds to one what the file does not know; a later file leaves it.
    let mut market = town.duty.tree.at(&code("market"), NOW).unwrap().what.wire.clone();
    market.ladder = "点–站–中心".to_owned();
    town.put(market).unwrap();
    assert_eq!(counts(&plan(&town, FILE.as_bytes())), (0, 0, 0, 4));
    // As a spreadsheet saves it, with other words at its head, one row renamed and one gone.
    town.now = hours(1);
    let next = "\u{feff}编码,名称,上级编码,层级\r\n330282101001001,第一网格,330282101001,网格\r\n\
                33028210100100101,Stairs,330282101001001,微网格\r\n";
    assert_eq!(counts(&plan(&town, next.as_bytes())), (0, 1, 1, 1));
    import(&mut town, next);
    assert_eq!(town.path("market", hours(1)), "");
    assert_eq!(town.path("market", hours(0)), "330282/330282101/330282101002/market", "it was there then");
    assert_ne!(town.path("330282101002", hours(1)), "", "villages stay");
    assert_ne!(town.path("330282102001001", hours(1)), "", "and so does another township");
    assert!(town.audited.last().unwrap().contains("330282101: 0 added, 1 changed, 1 ended"));
    town.is_whole();
}

#[test]
fn every_fault_of_a_file_is_told_with_its_line_and_nothing_is_changed() {
    let mut town = Town::new();
    town.put(division("330282102", "330282")).unwrap();
    town.put(division("330282102001", "330282102")).unwrap();
    let file = "code,parent,level,name,kind\n\
        330282101001001,330282101001,6,First,\n\
        330282101001001,330282101001,6,Again,\n\
        330282101001002,330282101001,8,Level,\n\
        330282101001003,330282101001,6,Kind,royal\n\
        330282101001004,330282101001,6\n\
        330282101001005,nowhere,6,Lost,\n\
        330282102001001,330282102001,6,Other town,\n\
        33028210100100201,330282101001,7,No grid above,\n\
        330282101999001,330282101001,6,Code,\n\
        bad code,330282101001,6,Words,\n\
        330282101001006,330282101001,6,,\n";
    let told = plan(&town, file.as_bytes());
    let lines: Vec<u32> = told.faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [3, 4, 5, 6, 7, 8, 9, 10, 11, 12], "{:#?}", told.faults);
    for (fault, word) in told.faults.iter().zip([
        "stands in line 2",
        "level: \"8\"",
        "kind: \"royal\"",
        "3 fields, the head has 5",
        "no township",
        "one file a township",
        "a micro-grid lies in a grid",
        "does not begin with",
        "code:",
        "name:",
    ]) {
        assert!(fault.message.contains(word), "{fault:?}");
    }
    let before = town.versions;
    assert!(town.edit(import_grid(boss(), file.as_bytes().to_vec().into())).is_err());
    assert_eq!(town.versions, before);
}

#[test]
fn a_file_that_is_no_such_file_is_refused_as_a_whole() {
    let town = Town::new();
    for (csv, line, word) in [
        (&b""[..], 1, "no column code"),
        (b"code,parent,name\nx,330282101001,n\n", 1, "no column level"),
        (b"code,parent,level,name,phone\n", 1, "\"phone\" is not known"),
        (b"code,parent,level,name\n", 0, "there is no row"),
        (b"code,parent,level,name\nx,330282101001,6,\xcd\xf8\xb8\xf1\n", 2, "save the file as CSV in UTF-8"),
        // A circle within the file leads nowhere.
        (b"code,parent,level,name\nx,y,6,n\ny,x,6,n\n", 2, "no township"),
    ] {
        let told = plan(&town, csv);
        let fault = &told.faults[0];
        assert!(fault.line == line && fault.message.contains(word), "{fault:?}");
    }
}

#[test]
fn grids_of_another_township_are_nobodys_to_import() {
    let town = Town::new();
    let other = of(&["330282102"]);
    let refused = GridPlan::make(&town.duty, NOW, &other, FILE.as_bytes()).unwrap_err();
    assert!(refused.to_string().contains("there is no division 330282101"), "{refused}");
}
