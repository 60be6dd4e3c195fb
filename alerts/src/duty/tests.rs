//! What the tree holds to at every moment, whatever is put into it.

mod grid;
mod resolve;

use proptest::prelude::*;
use xueliang_base::{config, id::DivisionCode};
use xueliang_proto::v1;

use super::{history::Version, *};
use crate::{
    rights::{Principal, PrincipalKind},
    testing::NOW,
};

const HOUR: i64 = 3_600_000_000;

fn code(text: &str) -> DivisionCode {
    text.parse().unwrap()
}
fn hours(count: i64) -> Wall {
    Wall(NOW.0 + count * HOUR)
}
fn boss() -> Principal {
    Principal::new("boss", PrincipalKind::Operator)
}
fn of(divisions: &[&str]) -> Principal {
    Principal { divisions: Some(divisions.iter().map(|one| code(one)).collect()), ..boss() }
}

/// A statutory division, or a functional one where its code is none.
fn division(own: &str, parent: &str) -> v1::Division {
    let level = Level::of_code(own);
    let kind = if level.is_some() { v1::DivisionKind::Statutory } else { v1::DivisionKind::Functional };
    v1::Division {
        code: own.to_owned(),
        parent_code: parent.to_owned(),
        name: format!("name of {own}"),
        level: Level::wire(level),
        kind: kind.into(),
        ..v1::Division::default()
    }
}

/// All that is kept, as a store keeps it.
struct Town {
    duty: Duty,
    now: Wall,
    versions: u64,
    audited: Vec<String>,
}

impl Town {
    /// A county with a township of one village.
    fn new() -> Self {
        let mut town = Self { duty: Duty::default(), now: NOW, versions: 0, audited: Vec::new() };
        for (own, parent) in [("330282", ""), ("330282101", "330282"), ("330282101001", "330282101")] {
            town.put(division(own, parent)).unwrap();
        }
        town
    }
    fn edit(&mut self, edit: Edit) -> Result<u64> {
        let edited = edit(&self.duty, self.now)?;
        for NewVersion { from, to, what } in edited.versions {
            self.versions += 1;
            let (number, made) = (self.versions, self.now);
            let author = edited.audit.principal.clone();
            macro_rules! add {
                ($history:expr, $key:expr, $what:expr) => {
                    $history.add($key, Version { number, from, to, author, made, what: $what })
                };
            }
            match what {
                What::Division(one) => add!(self.duty.tree.0, one.code.clone(), *one),
                What::Rule(key, rule) => add!(self.duty.rules, key, *rule),
                What::Shift(key, shift) => add!(self.duty.shifts, key, *shift),
            }
        }
        self.audited.push(format!("{} {}", edited.audit.action, edited.audit.subject));
        Ok(edited.number)
    }
    fn put(&mut self, wire: v1::Division) -> Result<u64> {
        self.edit(put_division(boss(), wire))
    }
    fn end(&mut self, own: &str, at: Wall) -> Result<u64> {
        self.edit(end_division(boss(), code(own), at.0))
    }
    fn path(&self, own: &str, at: Wall) -> String {
        let path = self.duty.tree.path(&code(own), at);
        path.iter().map(DivisionCode::as_str).collect::<Vec<_>>().join("/")
    }
    fn escalation(&self, own: &str) -> String {
        let path = self.duty.tree.escalation(&code(own), self.now);
        path.iter().map(DivisionCode::as_str).collect::<Vec<_>>().join("/")
    }
    /// At every moment everything in force lies under what is in force, up to a root.
    fn is_whole(&self) {
        let moments: Vec<Wall> = self.duty.tree.0.turns_after(Wall(i64::MIN)).collect();
        for at in moments {
            for (own, version) in self.duty.tree.0.all_at(at) {
                let path = self.duty.tree.path(own, at);
                assert_eq!(path.last(), Some(own));
                let root = self.duty.tree.at(&path[0], at).unwrap();
                assert_eq!(root.what.parent, None, "{own} at {at} hangs in the air: {path:?}");
                assert!(version.what.parent.as_ref() != Some(own));
            }
        }
    }
}

fn refused(result: Result<u64>) -> String {
    result.expect_err("it is refused").to_string()
}

#[test]
fn what_was_in_force_stays_what_it_was() {
    let mut town = Town::new();
    town.put(division("zone", "330282")).unwrap();
    town.now = hours(1);
    let moved = v1::Division { valid_from_unix_us: hours(5).0, ..division("zone", "330282101") };
    town.put(moved).unwrap();
    let renamed =
        v1::Division { name: "harbour".to_owned(), valid_from_unix_us: 1, ..division("zone", "330282") };
    town.put(renamed).unwrap();
    assert_eq!(town.path("zone", hours(0)), "330282/zone");
    let name = |at| town.duty.tree.at(&code("zone"), at).unwrap().what.name().to_owned();
    assert_eq!(name(hours(0)), "name of zone", "the past is not renamed");
    assert_eq!((name(hours(1)), name(hours(5))), ("harbour".to_owned(), "name of zone".to_owned()));
    assert_eq!(town.path("zone", hours(5)), "330282/330282101/zone", "what was planned stays planned");
    let told = town.duty.tree.told(town.duty.tree.at(&code("zone"), hours(1)).unwrap(), hours(1));
    assert_eq!((told.valid_from_unix_us, told.valid_to_unix_us), (hours(1).0, hours(5).0));
    assert_eq!(told.author, "boss");
    assert_eq!(town.audited.len(), 6, "{:?}", town.audited);
}

#[test]
fn a_division_lies_in_what_is_in_force_as_long_as_itself() {
    let mut town = Town::new();
    let fault = refused(town.put(division("zone", "330299")));
    assert!(fault.contains("330299 is not in force"), "{fault}");
    // A festival's own command, for a day; what lies in it must end with it.
    let mut festival = division("festival", "330282");
    (festival.valid_from_unix_us, festival.valid_to_unix_us) = (hours(2).0, hours(26).0);
    town.put(festival).unwrap();
    let mut gate = v1::Division { valid_from_unix_us: hours(2).0, ..division("gate", "festival") };
    let fault = refused(town.put(gate.clone()));
    assert!(fault.contains("festival is not in force"), "{fault}");
    gate.valid_to_unix_us = hours(26).0;
    town.put(gate.clone()).unwrap();
    let fault = refused(town.put(v1::Division { valid_from_unix_us: 0, ..gate }));
    assert!(fault.contains("festival is not in force"), "{fault}");
    let fault = refused(town.end("festival", hours(3)));
    assert!(fault.contains("gate lies in it") && fault.contains("end or move that first"), "{fault}");
    town.end("gate", hours(3)).unwrap();
    town.end("festival", hours(3)).unwrap();
    // Once more: it stays as it is.
    let versions = town.versions;
    town.end("festival", hours(4)).unwrap();
    assert_eq!(town.versions, versions);
    assert_eq!(town.path("festival", hours(2)), "330282/festival");
    assert_eq!(town.path("festival", hours(3)), "");
    assert!(refused(town.end("nowhere", hours(3))).contains("there is no division nowhere"));
    town.is_whole();
}

#[test]
fn no_division_comes_to_lie_in_itself() {
    let mut town = Town::new();
    town.put(division("a", "330282")).unwrap();
    town.put(division("b", "a")).unwrap();
    let fault = refused(town.put(division("a", "b")));
    assert!(fault.contains("would lie in itself"), "{fault}");
    // Each by itself would do: the circle would close when the second begins.
    town.put(v1::Division { valid_from_unix_us: hours(2).0, ..division("b", "330282") }).unwrap();
    town.put(v1::Division { valid_from_unix_us: hours(3).0, ..division("a", "b") }).unwrap();
    let fault = refused(town.put(v1::Division { valid_from_unix_us: hours(2).0, ..division("b", "a") }));
    assert!(fault.contains("would lie in itself"), "{fault}");
    town.is_whole();
}

#[test]
fn a_grid_lies_in_a_village_and_a_micro_grid_in_a_grid() {
    let mut town = Town::new();
    let fault = refused(town.put(division("330282101001001", "330282101")));
    assert!(fault.contains("a grid lies in a village"), "{fault}");
    town.put(division("330282101001001", "330282101001")).unwrap();
    let fault = refused(town.put(division("33028210100100101", "330282101001")));
    assert!(fault.contains("a micro-grid lies in a grid"), "{fault}");
    town.put(division("33028210100100101", "330282101001001")).unwrap();
    let mut market = division("market", "330282101001");
    (market.level, market.kind) = (Level::wire(Some(Level::Grid)), v1::DivisionKind::DedicatedGrid.into());
    town.put(market).unwrap();
    // A level may repeat at a functional node, and never goes up again.
    let mut zone = division("zone", "330282");
    zone.level = Level::wire(Some(Level::County));
    town.put(zone.clone()).unwrap();
    zone.level = Level::wire(Some(Level::City));
    assert!(refused(town.put(zone)).contains("is of the level 市 and lies in 330282"));
    let fault = refused(town.put(division("330283101", "330282")));
    assert!(fault.contains("does not begin with 330282"), "{fault}");
}

#[test]
fn matters_go_up_the_ladder_that_the_place_names() {
    let mut town = Town::new();
    town.put(division("330282101001001", "330282101001")).unwrap();
    assert_eq!(town.escalation("330282101001001"), "330282101001/330282101/330282");
    let on = |own: &str, parent: &str, above: &str| v1::Division {
        steps: vec![v1::LadderStep { ladder: "点–站–中心".to_owned(), above_code: above.to_owned() }],
        ..division(own, parent)
    };
    // 点, 站 and 中心 hang beside the village and the township, and the village says that its matters go by them.
    town.put(division("centre", "330282")).unwrap();
    town.put(on("station", "330282101", "centre")).unwrap();
    let mut village = on("330282101001", "330282101", "station");
    village.ladder = "点–站–中心".to_owned();
    town.put(village).unwrap();
    assert_eq!(town.escalation("330282101001001"), "330282101001/station/centre");
    assert_eq!(town.escalation("330282101001"), "station/centre");
    assert_eq!(town.escalation("330282101"), "330282", "what lies outside keeps to the parents");
    let fault = refused(town.put(on("centre", "330282", "330282101001")));
    assert!(fault.contains("back to itself"), "{fault}");
    assert!(refused(town.end("station", hours(0))).contains("is not in force"));
}

#[test]
fn the_configuration_alone_gives_parent_and_name_of_what_it_declares() {
    let declared = |list: &[(&str, Option<&str>, &str)]| -> Vec<config::Division> {
        let one = |(own, parent, name): &(&str, Option<&str>, &str)| config::Division {
            code: code(own),
            name: (*name).to_owned(),
            parent: parent.map(code),
        };
        list.iter().map(one).collect()
    };
    let mut town = Town { duty: Duty::default(), now: NOW, versions: 0, audited: Vec::new() };
    let first = declared(&[
        ("3302", None, "Ningbo"),
        ("330282", Some("3302"), "Cixi"),
        ("quay", Some("330282"), "Quay"),
    ]);
    town.edit(seed(first.clone())).unwrap();
    assert_eq!((town.versions, town.path("quay", Wall(0)).as_str()), (3, "3302/330282/quay"));
    town.edit(seed(first)).unwrap();
    assert_eq!(town.versions, 3, "nothing has changed");
    // What else is known of one is the town's.
    let mut more = v1::Division { name: "Cixi".to_owned(), ..division("330282", "3302") };
    more.centre_name = "矛调中心".to_owned();
    town.put(more.clone()).unwrap();
    for wrong in [
        v1::Division { name: "other".to_owned(), ..more.clone() },
        v1::Division { parent_code: String::new(), ..more.clone() },
        v1::Division { valid_to_unix_us: hours(1).0, ..more },
    ] {
        assert!(refused(town.put(wrong)).contains("is declared by the configuration"));
    }
    assert!(refused(town.end("quay", hours(1))).contains("is declared by the configuration"));
    // The configuration moves one, renames one and drops one.
    town.now = hours(1);
    town.edit(seed(declared(&[("3302", None, "宁波"), ("330282", None, "Cixi")]))).unwrap();
    assert_eq!(
        (town.path("quay", hours(0)), town.path("quay", hours(1))),
        ("3302/330282/quay".to_owned(), "330282/quay".to_owned())
    );
    let county = &town.duty.tree.at(&code("330282"), hours(1)).unwrap().what;
    assert_eq!((county.is_configured(), county.wire.centre_name.as_str()), (true, "矛调中心"));
    town.end("quay", hours(2)).unwrap();
    // It comes back, and its planned end is off.
    town.edit(seed(declared(&[("330282", None, "Cixi"), ("quay", Some("330282"), "Quay")]))).unwrap();
    assert_eq!(town.path("quay", hours(3)), "330282/quay");
    assert!(!town.duty.tree.at(&code("3302"), hours(1)).unwrap().what.is_configured());
    town.is_whole();
    // A name that a configuration may have and a caller may not is fitted, and can be read again.
    let long = format!(" {} ", "石".repeat(150));
    let named = declared(&[("330282", None, &long), ("quay", Some("330282"), "Quay")]);
    town.edit(seed(named.clone())).unwrap();
    let county = town.duty.tree.at(&code("330282"), hours(1)).unwrap().what.clone();
    assert_eq!(county.name().chars().count(), 100);
    Division::read(county.wire).unwrap();
    let versions = town.versions;
    town.edit(seed(named)).unwrap();
    assert_eq!(town.versions, versions);
}

#[test]
fn who_is_bound_to_divisions_changes_nothing_elsewhere() {
    let mut town = Town::new();
    town.put(division("zone", "330282")).unwrap();
    let own = || of(&["330282101"]);
    town.edit(put_division(own(), division("post", "330282101001"))).unwrap();
    for (wire, why) in [
        (division("another", "330282"), "that you may see yourself"),
        (division("another", ""), "that you may see yourself"),
        (division("zone", "330282101"), "there is no division zone"),
        (division("post", "330282"), "that you may see yourself"),
    ] {
        let fault = refused(town.edit(put_division(own(), wire)));
        assert!(fault.contains(why), "{fault}");
    }
    assert!(refused(town.edit(end_division(own(), code("zone"), 0))).contains("there is no division zone"));
    // What was moved away is another's, and what once was another's stays so.
    town.now = hours(1);
    town.put(division("post", "330282")).unwrap();
    assert!(refused(town.edit(end_division(own(), code("post"), 0))).contains("there is no division post"));
    let rule = v1::DutyRule {
        division_code: "zone".to_owned(),
        lead_unit: "fire brigade".to_owned(),
        ..v1::DutyRule::default()
    };
    assert!(refused(town.edit(put_rule(own(), rule.clone()))).contains("there is no division zone"));
    let number = town.edit(put_rule(boss(), rule.clone())).unwrap();
    let theirs = v1::DutyRule { rule_id: number, division_code: "330282101".to_owned(), ..rule };
    assert!(refused(town.edit(put_rule(own(), theirs))).contains("there is no division zone"));
    assert!(refused(town.edit(end_rule(own(), number, 0))).contains("there is no division zone"));
}

proptest! {
    /// Whatever is put and ended in whatever order: what is taken leaves the tree whole at every moment.
    #[test]
    fn the_tree_stays_whole_at_every_moment(
        moves in proptest::collection::vec((0usize..8, 0usize..9, 0i64..12, 0i64..14, any::<bool>()), 1..60)
    ) {
        const NODES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let mut town = Town { duty: Duty::default(), now: NOW, versions: 0, audited: Vec::new() };
        let mut taken = 0;
        for (node, parent, from, to, end) in moves {
            let result = if end {
                town.end(NODES[node], hours(from))
            } else {
                let mut wire = division(NODES[node], NODES.get(parent).copied().unwrap_or_default());
                wire.valid_from_unix_us = hours(from).0;
                wire.valid_to_unix_us = if to > from { hours(to).0 } else { 0 };
                town.put(wire)
            };
            taken += usize::from(result.is_ok());
            town.is_whole();
        }
        prop_assert!(taken <= 60);
    }
}
