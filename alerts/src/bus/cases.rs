//! Cases by request, and the look each second at those whose clock has something to say.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tracing::{error, info, warn};
use xueliang_base::{
    id::AlertId,
    kind::{Class, Kind},
    wire,
};
use xueliang_proto::v1::{self, DeliveryStage};

use super::{Bus, BusCounts};
use crate::{
    case::{Action, Actor, CLAIM, Case, Owner, Subject, wire as case_wire},
    error::{Error, Result},
    filter::Filter,
    reach,
    rights::{Principal, Right, check},
    store::{ActOn, CaseKey, CasePage, CaseQuery, ManualReport},
};

/// How often it is looked whether a clock has something to say.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Cases looked at in one look, of each sort: what is left comes with the next.
const A_LOOK: usize = 64;
/// Cases that are named in the log as damaged; how often lists tell of any is counted.
const NAMED: usize = 1000;
/// Characters of an idempotency key.
const KEY: std::ops::RangeInclusive<usize> = 8..=64;

/// Numbers of cases, and alerts of those without one, that the log has named as damaged since the start: lists are asked for
/// all the time.
#[derive(Debug, Default)]
pub(super) struct Damaged(Mutex<BTreeSet<String>>);

impl Damaged {
    fn is_news(&self, number: &str) -> bool {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        named.len() < NAMED && named.insert(number.to_owned())
    }
}

/// Which case is meant.
pub(super) fn key(key: Option<v1::CaseKey>) -> Result<CaseKey> {
    match key.and_then(|key| key.by) {
        Some(v1::case_key::By::Number(number)) => {
            let number = number.parse().map_err(|fault| Error::Invalid(format!("key.number: {fault}")))?;
            Ok(CaseKey::Number(number))
        }
        Some(v1::case_key::By::AlertId(id)) => {
            Ok(CaseKey::Alert(id.parse().map_err(|fault| Error::Invalid(format!("key.alert_id: {fault}")))?))
        }
        None => Err(Error::Invalid("key: name the case by its number, or by its alert".to_owned())),
    }
}

impl Bus {
    /// Does something with a case.
    pub async fn act_on_case(
        &self,
        principal: &Principal,
        request: v1::ActOnCaseRequest,
    ) -> Result<v1::Case> {
        let action = Action::try_from(request.action.unwrap_or_default())?;
        let asked = matches!(action, Action::Claim(_) | Action::GiveLink(..));
        if asked || action.rights().is_empty() {
            return Err(Error::Invalid(format!(
                "action: a case is not {} by ActOnCase: use ClaimCase to claim and GiveLink to give a link, and leave to the clock \
                 what is the clock's",
                action.word()
            )));
        }
        self.act(principal, request.key, request.revision, action, request.note).await
    }
    /// Takes a case to judge it.
    pub async fn claim_case(&self, principal: &Principal, request: v1::ClaimCaseRequest) -> Result<v1::Case> {
        let until = self.0.clock.wall().plus(CLAIM);
        self.act(principal, request.key, request.revision, Action::Claim(until), String::new()).await
    }
    async fn act(
        &self,
        principal: &Principal,
        wanted: Option<v1::CaseKey>,
        revision: u64,
        action: Action,
        note: String,
    ) -> Result<v1::Case> {
        check(principal, Right::ReadAlerts)?;
        let rights = action.rights();
        if !rights.iter().any(|right| principal.may(*right)) {
            // The first of them is the usual one.
            check(principal, rights[0])?;
        }
        let (key, within) = (key(wanted)?, principal.reach());
        let act = ActOn { key, revision, actor: Actor::of(principal), action, note, within };
        let case = self.0.store.act_on_case(act).await?;
        Ok(self.told(&case))
    }
    fn told(&self, case: &Case) -> v1::Case {
        case.to_wire(self.0.clock.wall())
    }
    /// Opens a case for what somebody saw.
    pub async fn report_manually(
        &self,
        principal: &Principal,
        request: v1::ReportManuallyRequest,
    ) -> Result<v1::Case> {
        check(principal, Right::ReportManually)?;
        let level =
            wire::level_of(request.level).map_err(|fault| Error::Invalid(format!("level: {fault}")))?;
        if level == xueliang_base::kind::Level::EXTREME {
            check(principal, Right::SetExtreme)?;
        }
        let key = request.idempotency_key;
        if !KEY.contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Invalid("idempotency_key: use 8 to 64 visible characters".to_owned()));
        }
        let unknown = || Error::NotFound(format!("camera_id: there is no camera {}", request.camera_id));
        let (path, class) = self.0.board.place_of(&request.camera_id).ok_or_else(unknown)?;
        if !reach::reaches(principal.reach().as_deref(), &reach::path(&path, class)) {
            return Err(unknown());
        }
        let miss = request.miss.map(case_wire::miss).transpose()?;
        if miss.is_some_and(|miss| {
            miss.kind.class() == Class::Device || miss.kind.number() >= Kind::ExternalAlarm.number()
        }) {
            return Err(Error::Invalid("miss.kind: name a hazard that the machine is to find".to_owned()));
        }
        if miss.is_some_and(|miss| miss.seen > self.0.clock.wall()) {
            return Err(Error::Invalid(
                "miss.seen_unix_us: lies ahead, say when it was to be seen".to_owned(),
            ));
        }
        let subject = Subject {
            alert: None,
            kind: Kind::ManualReport,
            level,
            camera: request.camera_id.parse().map_err(|_| unknown())?,
            path,
            drill: request.drill,
            miss,
            owner: Owner::Ours,
        };
        // A report without a word of what was seen is none.
        let note = crate::case::note::read(&request.note, true)?;
        let report = ManualReport { subject, class, actor: Actor::of(principal), note, key };
        Ok(self.told(&self.0.store.report_manually(report).await?))
    }
    /// A case, its history, what a dispatch would be filled in with, and what the caller may do with it.
    pub async fn case(
        &self,
        principal: &Principal,
        wanted: Option<v1::CaseKey>,
    ) -> Result<v1::GetCaseResponse> {
        check(principal, Right::ReadAlerts)?;
        self.0.store.case(key(wanted)?, Some(principal.clone())).await
    }
    /// Lists cases.
    pub async fn cases(&self, principal: &Principal, query: CaseQuery) -> Result<CasePage> {
        check(principal, Right::ReadAlerts)?;
        let filter = Filter { within: principal.reach(), ..query.filter };
        let page = self.0.store.cases(CaseQuery { filter, ..query }).await?;
        for case in page.cases.iter().filter(|case| case.damaged) {
            BusCounts::add(&self.0.counts.case_damaged, 1);
            let alert = case.subject.as_ref().map_or("", |subject| subject.alert_id.as_str());
            let untouched = case.number.is_empty();
            if !self.0.damaged_cases.is_news(if untouched { alert } else { &case.number }) {
            } else if untouched {
                error!(alert, "an alert that waits to be judged cannot be read: compare it with a backup");
            } else {
                error!(
                    case = case.number,
                    "the history of a case is not what was written: compare it with a backup, and with the checksums of its \
                     entries in the audit"
                );
            }
        }
        Ok(page)
    }
    pub(super) async fn watch_cases(&self) {
        let mut every_second = tokio::time::interval(LOOK_EVERY);
        every_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every_second.tick().await;
            self.tick_cases().await;
        }
    }
    /// Lets the clocks of cases say what they have to say by now.
    pub(crate) async fn tick_cases(&self) {
        let due = match self.0.store.cases_due(A_LOOK).await {
            Ok(due) => due,
            Err(error) => return warn!(%error, "the clocks of cases are not looked at"),
        };
        for one in due {
            let ticked = async {
                let displayed = match one.to_judge {
                    Some(alert) => self.is_displayed(alert).await?,
                    None => true,
                };
                self.0.store.tick_case(one.key.clone(), displayed).await
            };
            match ticked.await {
                Ok(said) => self.heard(&one.key, &said),
                Err(error) => warn!(case = ?one.key, %error, "the clock of a case is not looked at"),
            }
        }
    }
    fn heard(&self, key: &CaseKey, said: &[Action]) {
        BusCounts::add(&self.0.counts.case_ticks, said.len() as u64);
        for action in said {
            if let Action::Escalate(stage, cause, desk) = action {
                BusCounts::add(&self.0.counts.case_escalations, 1);
                info!(case = ?key, ?stage, ?cause, desk, "a desk is told of a case");
            }
        }
    }
    /// Whether any console has displayed an alert.
    async fn is_displayed(&self, alert: AlertId) -> Result<bool> {
        let seen =
            |stage: DeliveryStage| matches!(stage, DeliveryStage::Displayed | DeliveryStage::Acknowledged);
        let all = self.0.store.deliveries(alert, 0).await?;
        Ok(all.iter().flat_map(|one| &one.stages).any(|reached| seen(reached.stage)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_case_is_named_in_the_log_once_and_not_by_every_list() {
        let damaged = Damaged::default();
        let told = |number: &str| damaged.is_news(number);
        assert_eq!([told("1"), told("1"), told("2"), told("1")], [true, false, true, false]);
        let named = (0..2 * NAMED).filter(|number| told(&format!("more-{number}"))).count();
        assert_eq!(named, NAMED - 2, "a store that is damaged as a whole fills no log");
    }
}
