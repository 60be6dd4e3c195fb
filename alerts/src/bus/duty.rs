//! Divisions, duty rules and the roster by request, and the divisions that the configuration brings.

use std::{collections::BTreeSet, sync::Arc};

use tracing::{info, warn};
use xueliang_base::{config, id::DivisionCode, kind::Kind, time::Wall};
use xueliang_proto::v1;

use super::Bus;
use crate::{
    crew::Crew,
    duty::{self, Asked, Duty, GridPlan, Rule, Shift},
    error::{Error, Result},
    rights::{Principal, Right, check},
};

/// A page of what is in force: what it tells, and the key of the last where there may be more.
pub(crate) type DutyPage<T> = (Vec<T>, Option<String>);

/// Which of what is in force is asked for.
pub(crate) struct InForce {
    /// At this moment; 0: now.
    pub(crate) at_unix_us: i64,
    /// In this division and below it; empty: all.
    pub(crate) within: String,
    /// After the key that an earlier page ended with.
    pub(crate) after: String,
    /// At most so many.
    pub(crate) limit: usize,
}

/// Refuses who neither reads alerts nor manages any of this.
fn check_reads(who: &Principal) -> Result<()> {
    let manages = who.may(Right::ManageDivisions) || who.may(Right::ManageDuty);
    if manages { Ok(()) } else { check(who, Right::ReadAlerts) }
}

impl Bus {
    /// Brings in the divisions of the configuration; what in the tree no longer fits to them is told, and stays.
    pub async fn seed_divisions(&self, divisions: Vec<config::Division>) -> Result<()> {
        let codes = divisions.iter().map(|one| one.code.clone()).collect();
        let count = divisions.len();
        self.0.store.edit_duty(duty::seed(divisions)).await?;
        let faults = self.0.store.duty().await?.tree.faults(&codes, self.0.clock.wall());
        for (code, fault) in &faults {
            warn!(division = %code, fault, "a division does not fit to those of the configuration: change or end it");
        }
        info!(count, faults = faults.len(), "the configuration's divisions are in the tree");
        Ok(())
    }
    /// All that is kept of divisions and duty.
    pub async fn duty(&self) -> Result<Arc<Duty>> {
        self.0.store.duty().await
    }
    fn moment(&self, unix_us: i64) -> Wall {
        if unix_us == 0 { self.0.clock.wall() } else { Wall(unix_us) }
    }
    /// Divisions in force that a principal may see, by code.
    pub(crate) async fn divisions(&self, who: &Principal, ask: InForce) -> Result<DutyPage<v1::Division>> {
        check_reads(who)?;
        let (duty, at) = (self.duty().await?, self.moment(ask.at_unix_us));
        let seen = Seen::of(&duty, who, &ask.within, at)?;
        let all =
            duty.tree.0.all_at(at).filter(|(code, _)| code.as_str() > ask.after.as_str() && seen.sees(code));
        let mut told: Vec<_> =
            all.take(ask.limit + 1).map(|(_, version)| duty.tree.told(version, at)).collect();
        let next = cut(&mut told, ask.limit, |one| one.code.clone());
        Ok((told, next))
    }
    /// What divisions are called now, as far as they stand in the tree. For whoever sees something that lies in them.
    pub(crate) async fn division_names(&self, codes: BTreeSet<&str>) -> Result<Vec<v1::DivisionName>> {
        let (duty, now) = (self.duty().await?, self.0.clock.wall());
        let named = codes.into_iter().filter_map(|code| {
            let version = duty.tree.at(&code.parse().ok()?, now)?;
            Some(v1::DivisionName { code: code.to_owned(), name: version.what.name().to_owned() })
        });
        Ok(named.collect())
    }
    /// Puts a division.
    pub(crate) async fn put_division(&self, who: &Principal, wire: v1::Division) -> Result<v1::Division> {
        check(who, Right::ManageDivisions)?;
        let (code, from) = (wire.code.clone(), wire.valid_from_unix_us);
        self.0.store.edit_duty(duty::put_division(who.clone(), wire)).await?;
        let (duty, code) = (self.duty().await?, code_of("code", &code)?);
        let now = self.0.clock.wall();
        // The version that began last up to there, whether it was this one or another came meanwhile.
        let at = if from == 0 { now } else { Wall(from) };
        let put = duty.tree.at(&code, at).or_else(|| duty.tree.0.of(&code).last());
        put.map(|version| duty.tree.told(version, version.from.max(now))).ok_or_else(gone)
    }
    /// Ends a division.
    pub(crate) async fn end_division(
        &self,
        who: &Principal,
        code: &str,
        at_unix_us: i64,
    ) -> Result<v1::Division> {
        check(who, Right::ManageDivisions)?;
        let code = code_of("code", code)?;
        self.0.store.edit_duty(duty::end_division(who.clone(), code.clone(), at_unix_us)).await?;
        let duty = self.duty().await?;
        let last = duty.tree.0.of(&code).iter().rev().find(|version| version.lives());
        last.map(|version| duty.tree.told(version, version.from)).ok_or_else(gone)
    }
    /// Imports the grids of a township, or tells what that would do.
    pub(crate) async fn import_grid(
        &self,
        who: &Principal,
        request: v1::ImportGridRequest,
    ) -> Result<v1::ImportGridResponse> {
        check(who, Right::ManageDivisions)?;
        let (duty, now) = (self.duty().await?, self.0.clock.wall());
        let (csv, by) = (request.csv.clone(), who.clone());
        // Thousands of rows take tens of milliseconds.
        let crew = Crew::spawn("grid-plan", 1, 1, || ())?;
        let plan = crew.run(move |()| GridPlan::make(&duty, now, &by, &csv)).await??;
        if !request.dry_run && plan.told.faults.is_empty() {
            self.0.store.edit_duty(duty::import_grid(who.clone(), request.csv)).await?;
        }
        Ok(plan.told)
    }
    /// Rules in force that a principal may see, by number.
    pub(crate) async fn duty_rules(&self, who: &Principal, ask: InForce) -> Result<DutyPage<v1::DutyRule>> {
        check_reads(who)?;
        let (duty, at) = (self.duty().await?, self.moment(ask.at_unix_us));
        let (seen, after) = (Seen::of(&duty, who, &ask.within, at)?, number_of(&ask.after)?);
        let all = duty
            .rules
            .all_at(at)
            .filter(|(number, version)| **number > after && seen.sees(&version.what.division));
        let told =
            all.map(|(number, version)| Rule::told(*number, version, duty.rules.until(number, version)));
        let mut told: Vec<_> = told.take(ask.limit + 1).collect();
        let next = cut(&mut told, ask.limit, |one| one.rule_id.to_string());
        Ok((told, next))
    }
    /// Puts a rule.
    pub(crate) async fn put_duty_rule(&self, who: &Principal, wire: v1::DutyRule) -> Result<v1::DutyRule> {
        check(who, Right::ManageDuty)?;
        if !self.0.store.has_limits(&wire.limits_profile) {
            return Err(Error::Invalid(format!(
                "limits_profile: the configuration declares no limits {:?}, add [[cases.limits]] with that profile first",
                wire.limits_profile
            )));
        }
        let from = self.moment(wire.valid_from_unix_us);
        let number = self.0.store.edit_duty(duty::put_rule(who.clone(), wire)).await?;
        self.rule_told(number, from.max(self.0.clock.wall())).await
    }
    /// Ends a rule.
    pub(crate) async fn end_duty_rule(
        &self,
        who: &Principal,
        rule: u64,
        at_unix_us: i64,
    ) -> Result<v1::DutyRule> {
        check(who, Right::ManageDuty)?;
        self.0.store.edit_duty(duty::end_rule(who.clone(), rule, at_unix_us)).await?;
        self.rule_told(rule, Wall(i64::MAX)).await
    }
    /// The version of a rule in force at a moment, or the last that ever was.
    async fn rule_told(&self, number: u64, at: Wall) -> Result<v1::DutyRule> {
        let rules = &self.duty().await?.rules;
        let last = || rules.of(&number).iter().rev().find(|version| version.lives());
        let version = rules.at(&number, at).or_else(last).ok_or_else(gone)?;
        Ok(Rule::told(number, version, rules.until(&number, version)))
    }
    /// Shifts in force that a principal may see, by number; only those on duty at the moment, if wanted.
    pub(crate) async fn roster(
        &self,
        who: &Principal,
        ask: InForce,
        only_on_duty: bool,
    ) -> Result<DutyPage<v1::Shift>> {
        check_reads(who)?;
        let (duty, at) = (self.duty().await?, self.moment(ask.at_unix_us));
        let (seen, after) = (Seen::of(&duty, who, &ask.within, at)?, number_of(&ask.after)?);
        let all = duty.shifts.all_at(at).filter(|(number, version)| {
            let shift = &version.what;
            let wanted = !only_on_duty || shift.holds(at, self.timezone());
            **number > after && wanted && seen.sees(&shift.division)
        });
        let told =
            all.map(|(number, version)| Shift::told(*number, version, duty.shifts.until(number, version)));
        let mut told: Vec<_> = told.take(ask.limit + 1).collect();
        let next = cut(&mut told, ask.limit, |one| one.shift_id.to_string());
        Ok((told, next))
    }
    /// Puts a shift.
    pub(crate) async fn put_shift(&self, who: &Principal, wire: v1::Shift) -> Result<v1::Shift> {
        check(who, Right::ManageDuty)?;
        let from = self.moment(wire.valid_from_unix_us);
        let number = self.0.store.edit_duty(duty::put_shift(who.clone(), wire)).await?;
        let shifts = &self.duty().await?.shifts;
        let last = || shifts.of(&number).iter().rev().find(|version| version.lives());
        let version = shifts.at(&number, from.max(self.0.clock.wall())).or_else(last).ok_or_else(gone)?;
        Ok(Shift::told(number, version, shifts.until(&number, version)))
    }
    /// Who is responsible, and why.
    pub(crate) async fn resolve_duty(
        &self,
        who: &Principal,
        request: &v1::ResolveDutyRequest,
    ) -> Result<v1::ResolveDutyResponse> {
        check_reads(who)?;
        let (duty, at) = (self.duty().await?, self.moment(request.at_unix_us));
        let division = code_of("division_code", &request.division_code)?;
        // What is another's is not told from what is not there.
        Seen::of(&duty, who, division.as_str(), at)?;
        let kind = xueliang_base::wire::kind_of(request.kind);
        let kind: Kind = kind.map_err(|fault| Error::Invalid(format!("kind: {fault}")))?;
        let mode = v1::DutyMode::try_from(request.mode)
            .map_err(|_| Error::Invalid(format!("mode: {} is not known here", request.mode)))?;
        let asked = Asked { kind, at, mode, site_zone: self.timezone() };
        Ok(duty.resolve(asked, &division)?.told(&duty))
    }
}

/// What of the tree a principal may see, and wants.
struct Seen<'a> {
    duty: &'a Duty,
    at: Wall,
    own: Option<&'a [DivisionCode]>,
    within: Option<DivisionCode>,
}

impl<'a> Seen<'a> {
    fn of(duty: &'a Duty, who: &'a Principal, within: &str, at: Wall) -> Result<Self> {
        let mut seen = Self { duty, at, own: who.divisions.as_deref(), within: None };
        if within.is_empty() {
            return Ok(seen);
        }
        let code = code_of("within_code", within)?;
        if duty.tree.at(&code, at).is_none() || !seen.sees(&code) {
            return Err(Error::NotFound(format!("there is no division {code} at {at}")));
        }
        seen.within = Some(code);
        Ok(seen)
    }
    fn sees(&self, code: &DivisionCode) -> bool {
        let lies_in = |codes: &[DivisionCode]| self.duty.tree.lies_in(code, codes, self.at);
        self.own.is_none_or(lies_in)
            && self.within.as_ref().is_none_or(|one| lies_in(std::slice::from_ref(one)))
    }
}

fn code_of(field: &str, text: &str) -> Result<DivisionCode> {
    text.parse().map_err(|fault| Error::Invalid(format!("{field}: {fault}")))
}

fn number_of(token: &str) -> Result<u64> {
    if token.is_empty() {
        return Ok(0);
    }
    token.parse().map_err(|_| Error::Invalid("page_token: use one from an earlier answer".to_owned()))
}

/// Cuts what was asked for with one more than the limit; the key of the last where there was one more.
fn cut<T>(told: &mut Vec<T>, limit: usize, key: impl Fn(&T) -> String) -> Option<String> {
    let more = told.len() > limit;
    told.truncate(limit);
    told.last().filter(|_| more).map(key)
}

fn gone() -> Error {
    Error::Internal("what was just kept is not there: see the log of the store".to_owned())
}
