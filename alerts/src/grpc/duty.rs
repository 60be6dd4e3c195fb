//! `DivisionService` and `DutyService`.

use tonic::{Request, Response, Status};
use xueliang_proto::v1::{self, division_service_server::DivisionService, duty_service_server::DutyService};

use super::{page_size, principal};
use crate::{
    bus::{Bus, InForce},
    error::{Error, Result},
};

/// `DivisionService` over the bus.
pub struct DivisionApi(pub(crate) Bus);

/// `DutyService` over the bus.
pub struct DutyApi(pub(crate) Bus);

fn needed<T>(field: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::Invalid(format!("{field}: is needed")))
}

#[tonic::async_trait]
impl DivisionService for DivisionApi {
    async fn list_divisions(
        &self,
        request: Request<v1::ListDivisionsRequest>,
    ) -> Result<Response<v1::ListDivisionsResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let v1::ListDivisionsRequest { at_unix_us, within_code, page_size: size, page_token } =
            request.into_inner();
        let ask = InForce { at_unix_us, within: within_code, after: page_token, limit: page_size(size)? };
        let (divisions, next) = self.0.divisions(&principal, ask).await?;
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListDivisionsResponse { divisions, next_page_token }))
    }

    async fn put_division(
        &self,
        request: Request<v1::PutDivisionRequest>,
    ) -> Result<Response<v1::PutDivisionResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let division = needed("division", request.into_inner().division)?;
        let division = self.0.put_division(&principal, division).await?;
        Ok(Response::new(v1::PutDivisionResponse { division: Some(division) }))
    }

    async fn end_division(
        &self,
        request: Request<v1::EndDivisionRequest>,
    ) -> Result<Response<v1::EndDivisionResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let division = self.0.end_division(&principal, &request.code, request.at_unix_us).await?;
        Ok(Response::new(v1::EndDivisionResponse { division: Some(division) }))
    }

    async fn import_grid(
        &self,
        request: Request<v1::ImportGridRequest>,
    ) -> Result<Response<v1::ImportGridResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        Ok(Response::new(self.0.import_grid(&principal, request.into_inner()).await?))
    }
}

#[tonic::async_trait]
impl DutyService for DutyApi {
    async fn list_duty_rules(
        &self,
        request: Request<v1::ListDutyRulesRequest>,
    ) -> Result<Response<v1::ListDutyRulesResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let v1::ListDutyRulesRequest { at_unix_us, within_code, page_size: size, page_token } =
            request.into_inner();
        let ask = InForce { at_unix_us, within: within_code, after: page_token, limit: page_size(size)? };
        let (rules, next) = self.0.duty_rules(&principal, ask).await?;
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListDutyRulesResponse { rules, next_page_token }))
    }

    async fn put_duty_rule(
        &self,
        request: Request<v1::PutDutyRuleRequest>,
    ) -> Result<Response<v1::PutDutyRuleResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let rule = needed("rule", request.into_inner().rule)?;
        let rule = self.0.put_duty_rule(&principal, rule).await?;
        Ok(Response::new(v1::PutDutyRuleResponse { rule: Some(rule) }))
    }

    async fn end_duty_rule(
        &self,
        request: Request<v1::EndDutyRuleRequest>,
    ) -> Result<Response<v1::EndDutyRuleResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let rule = self.0.end_duty_rule(&principal, request.rule_id, request.at_unix_us).await?;
        Ok(Response::new(v1::EndDutyRuleResponse { rule: Some(rule) }))
    }

    async fn list_roster(
        &self,
        request: Request<v1::ListRosterRequest>,
    ) -> Result<Response<v1::ListRosterResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let ask = InForce {
            at_unix_us: request.at_unix_us,
            within: request.within_code,
            after: request.page_token,
            limit: page_size(request.page_size)?,
        };
        let (shifts, next) = self.0.roster(&principal, ask, request.only_on_duty).await?;
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListRosterResponse { shifts, next_page_token }))
    }

    async fn put_shift(
        &self,
        request: Request<v1::PutShiftRequest>,
    ) -> Result<Response<v1::PutShiftResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let shift = needed("shift", request.into_inner().shift)?;
        let shift = self.0.put_shift(&principal, shift).await?;
        Ok(Response::new(v1::PutShiftResponse { shift: Some(shift) }))
    }

    async fn resolve_duty(
        &self,
        request: Request<v1::ResolveDutyRequest>,
    ) -> Result<Response<v1::ResolveDutyResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        Ok(Response::new(self.0.resolve_duty(&principal, &request.into_inner()).await?))
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use xueliang_base::{config, time::Clock as _};

    use super::*;
    use crate::case::clock::{OwnLimits, Policy};
    use crate::{
        rights::{Principal, PrincipalKind},
        testing::Bench,
    };

    fn by<T>(kind: PrincipalKind, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.extensions_mut().insert(Principal::new("ana", kind));
        request
    }

    fn zone(code: &str) -> v1::PutDivisionRequest {
        let division = v1::Division {
            code: code.to_owned(),
            parent_code: "330282".to_owned(),
            kind: v1::DivisionKind::Functional.into(),
            name: "Zone".to_owned(),
            ..v1::Division::default()
        };
        v1::PutDivisionRequest { division: Some(division) }
    }

    async fn seeded() -> Bench {
        let mut options = crate::testing::options();
        let urgent = OwnLimits { profile: "urgent".to_owned(), ..OwnLimits::default() };
        let policy = Policy { limits: vec![urgent], ..(*options.sqlite.cases).clone() };
        options.sqlite.cases = std::sync::Arc::new(policy);
        let bench = Bench::with(options);
        let county =
            config::Division { code: "330282".parse().unwrap(), name: "Cixi".to_owned(), parent: None };
        bench.bus.seed_divisions(vec![county]).await.unwrap();
        bench
    }

    async fn listed(bus: &Bus, ask: v1::ListDivisionsRequest) -> (Vec<String>, String) {
        let answer = DivisionApi(bus.clone()).list_divisions(by(PrincipalKind::Console, ask)).await.unwrap();
        let answer = answer.into_inner();
        (answer.divisions.into_iter().map(|one| one.code).collect(), answer.next_page_token)
    }

    #[tokio::test]
    async fn divisions_are_put_ended_paged_audited_and_outlive_the_process() {
        let bench = seeded().await;
        let api = DivisionApi(bench.bus.clone());
        let refused = api.put_division(by(PrincipalKind::Console, zone("a"))).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        for code in ["a", "b"] {
            let put = api.put_division(by(PrincipalKind::Operator, zone(code))).await.unwrap().into_inner();
            let put = put.division.unwrap();
            assert_eq!(
                (put.path_codes, put.author.as_str()),
                (vec!["330282".to_owned(), code.to_owned()], "ana")
            );
            assert_eq!(put.escalation_codes, ["330282"]);
        }
        let wrong = v1::PutDivisionRequest { division: None };
        let refused = api.put_division(by(PrincipalKind::Operator, wrong)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let began = bench.clock.wall();
        bench.clock.advance(std::time::Duration::from_secs(60));
        let end = v1::EndDivisionRequest { code: "a".to_owned(), at_unix_us: 0 };
        let ended = api.end_division(by(PrincipalKind::Operator, end)).await.unwrap().into_inner();
        assert_eq!(ended.division.unwrap().valid_to_unix_us, bench.clock.wall().0);
        drop(api);
        let bench = bench.reopen().await;
        bench.bus.seed_divisions(Vec::new()).await.unwrap();
        let ask = v1::ListDivisionsRequest { page_size: 1, ..v1::ListDivisionsRequest::default() };
        let (first, token) = listed(&bench.bus, ask.clone()).await;
        let (second, end) = listed(&bench.bus, v1::ListDivisionsRequest { page_token: token, ..ask }).await;
        assert_eq!((first, second, end.as_str()), (vec!["330282".to_owned()], vec!["b".to_owned()], ""));
        let then = v1::ListDivisionsRequest {
            at_unix_us: began.0,
            within_code: "330282".to_owned(),
            ..v1::ListDivisionsRequest::default()
        };
        assert_eq!(listed(&bench.bus, then).await.0, ["330282", "a", "b"]);
        let audited = crate::store::tests::audited(bench.folder.path());
        let words: Vec<_> = audited.iter().map(|one| (one.0.as_str(), one.1.as_str())).collect();
        assert_eq!(
            words,
            [
                ("configuration", "seed-divisions"),
                ("ana", "put-division"),
                ("ana", "put-division"),
                ("ana", "end-division"),
                ("configuration", "seed-divisions"),
            ]
        );
        assert_eq!(bench.bus.store().health().failures, 0, "a refusal is no failure of the disk");
    }

    #[tokio::test]
    async fn a_grid_file_is_tried_dry_and_taken_whole() {
        let bench = seeded().await;
        let api = DivisionApi(bench.bus.clone());
        for (code, parent, level) in [("330282101", "330282", 4), ("330282101001", "330282101", 5)] {
            let division = v1::Division {
                code: code.to_owned(),
                parent_code: parent.to_owned(),
                level,
                kind: v1::DivisionKind::Statutory.into(),
                name: "n".to_owned(),
                ..v1::Division::default()
            };
            let put = v1::PutDivisionRequest { division: Some(division) };
            api.put_division(by(PrincipalKind::Operator, put)).await.unwrap();
        }
        let ask = |csv: &str, dry_run| v1::ImportGridRequest { csv: csv.as_bytes().to_vec().into(), dry_run };
        let good = "code,parent,level,name\ng1,330282101001,6,One\ng2,330282101001,6,Two\n";
        for (csv, dry_run, added, faults, there) in [
            (good, true, 2, 0, 3),
            ("code,parent,level,name\ng1,330282101001,6,One\ng2,330282101001,9,Two\n", false, 1, 1, 3),
            (good, false, 2, 0, 5),
        ] {
            let answer =
                api.import_grid(by(PrincipalKind::Operator, ask(csv, dry_run))).await.unwrap().into_inner();
            assert_eq!((answer.added, answer.faults.len()), (added, faults));
            let all = v1::ListDivisionsRequest::default();
            assert_eq!(listed(&bench.bus, all).await.0.len(), there);
        }
    }

    #[tokio::test]
    async fn rules_and_shifts_are_put_listed_and_tell_who_is_responsible() {
        let bench = seeded().await;
        let api = DutyApi(bench.bus.clone());
        let mut rule = v1::DutyRule {
            division_code: "330282".to_owned(),
            lead_unit: "brigade".to_owned(),
            limits_profile: "urgent".to_owned(),
            call_list: vec![v1::Call { unit: "brigade".to_owned(), account: "bo".to_owned() }],
            ..v1::DutyRule::default()
        };
        let put = |rule: &v1::DutyRule| v1::PutDutyRuleRequest { rule: Some(rule.clone()) };
        let unknown = v1::DutyRule { limits_profile: "slow".to_owned(), ..rule.clone() };
        let refused = api.put_duty_rule(by(PrincipalKind::Operator, put(&unknown))).await.unwrap_err();
        assert!(refused.message().contains("add [[cases.limits]]"), "{refused}");
        let refused = api.put_duty_rule(by(PrincipalKind::Console, put(&rule))).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let made = api
            .put_duty_rule(by(PrincipalKind::Operator, put(&rule)))
            .await
            .unwrap()
            .into_inner()
            .rule
            .unwrap();
        assert_eq!((made.rule_id, made.author.as_str()), (1, "ana"));
        rule.rule_id = 7;
        let refused = api.put_duty_rule(by(PrincipalKind::Operator, put(&rule))).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        let shift = v1::Shift {
            division_code: "330282".to_owned(),
            unit: "brigade".to_owned(),
            account: "bo".to_owned(),
            ..v1::Shift::default()
        };
        let shift = v1::PutShiftRequest { shift: Some(shift) };
        let shift =
            api.put_shift(by(PrincipalKind::Operator, shift)).await.unwrap().into_inner().shift.unwrap();
        assert_eq!(shift.shift_id, 1);
        let ask = v1::ResolveDutyRequest {
            kind: v1::Kind::FireFlame.into(),
            division_code: "330282".to_owned(),
            ..v1::ResolveDutyRequest::default()
        };
        let answer = api.resolve_duty(by(PrincipalKind::Console, ask.clone())).await.unwrap().into_inner();
        assert_eq!(answer.rule.unwrap(), made);
        assert_eq!((answer.on_duty, answer.trace.len()), (vec![shift], 1));
        let none = v1::ResolveDutyRequest { kind: 0, ..ask.clone() };
        let refused = api.resolve_duty(by(PrincipalKind::Console, none)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        bench.clock.advance(std::time::Duration::from_secs(60));
        for _ in 0..2 {
            let end = v1::EndDutyRuleRequest { rule_id: 1, at_unix_us: 0 };
            let ended =
                api.end_duty_rule(by(PrincipalKind::Operator, end)).await.unwrap().into_inner().rule.unwrap();
            assert_eq!(ended.valid_to_unix_us, made.valid_from_unix_us + 60_000_000);
        }
        let answer = api.resolve_duty(by(PrincipalKind::Console, ask)).await.unwrap().into_inner();
        assert_eq!((answer.rule, answer.trace.len(), answer.on_duty.len()), (None, 0, 1));
        let all = v1::ListRosterRequest { only_on_duty: true, ..v1::ListRosterRequest::default() };
        let roster = api.list_roster(by(PrincipalKind::Console, all)).await.unwrap().into_inner();
        assert_eq!(roster.shifts.len(), 1);
        let rules = api
            .list_duty_rules(by(PrincipalKind::Console, v1::ListDutyRulesRequest::default()))
            .await
            .unwrap();
        assert_eq!(rules.into_inner().rules, []);
    }
}
