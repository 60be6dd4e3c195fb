//! Roles: what an account is for, and the rights that follow. One table, and the rules of what goes together.
//!
//! The three administrators (三员: system, security, audit; GB/T 22239-2019, 8.1.4) exclude each other and all business,
//! and none of them has a right on evidence.

use std::collections::BTreeSet;

use xueliang_base::wire;
use xueliang_proto::v1;

use crate::{
    error::{Error, Result},
    rights::Right,
};

/// What an account is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// 值班研判员: watches and judges.
    Judge,
    /// 派单员/指挥长: dispatches, escalates.
    Dispatcher,
    /// 网格员 (采): reports, checks on site.
    GridWorker,
    /// 处置单位 (办): handles.
    Handler,
    /// 核查/督办员: verifies, supervises.
    Verifier,
    /// 点位管理员: keeps points, draws their zones and tunes their rules.
    PointAdmin,
    /// 运维员: keeps devices running.
    Maintainer,
    /// 系统管理员: runs the system.
    SystemAdmin,
    /// 安全管理员: manages accounts.
    SecurityAdmin,
    /// 审计管理员: reads registers and audits.
    AuditAdmin,
    /// 领导: leads.
    Leader,
    /// 备案检查员: reads what compliance asks for.
    Inspector,
    /// 外部平台账号: another system.
    ExternalPlatform,
    /// 承建/维护商: diagnoses for a time.
    Contractor,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 14] = [
        Role::Judge,
        Role::Dispatcher,
        Role::GridWorker,
        Role::Handler,
        Role::Verifier,
        Role::PointAdmin,
        Role::Maintainer,
        Role::SystemAdmin,
        Role::SecurityAdmin,
        Role::AuditAdmin,
        Role::Leader,
        Role::Inspector,
        Role::ExternalPlatform,
        Role::Contractor,
    ];

    /// The rights of a role: the only place that says so.
    pub fn rights(self) -> &'static [Right] {
        use Right::{
            ApproveRelease, ConnectCameras, Dispatch, ExamineViewings, FilePoints, GrantViewings, Handle,
            HoldEvidence, Judge, Lead, ManageAccounts, ManageCustodians, ManageDivisions, ManageDuty,
            PrepareRelease, ReadAccounts, ReadAlerts, ReadCameras, ReadCompliance, ReadCustodians,
            ReadRegister, ReportExternal, ReportManually, RevealCustodians, RotateKeys, RunSinks, SetExtreme,
            Silence, Supervise, TuneRules, Verify, ViewOriginal, ViewRedacted,
        };
        match self {
            Role::Judge => &[
                ReadAlerts,
                ReadCameras,
                ConnectCameras,
                ViewRedacted,
                ViewOriginal,
                Judge,
                ReportManually,
                ReadCustodians,
            ],
            Role::Dispatcher => &[
                ReadAlerts,
                ReadCameras,
                ConnectCameras,
                ViewRedacted,
                ViewOriginal,
                Silence,
                SetExtreme,
                Dispatch,
                ReportManually,
                PrepareRelease,
                ExamineViewings,
                ReadCustodians,
                RevealCustodians,
            ],
            Role::GridWorker => &[ReadAlerts, ViewRedacted, Verify, ReportManually],
            Role::Handler => &[ReadAlerts, ViewRedacted, Handle],
            Role::Verifier => &[
                ReadAlerts,
                ReadCameras,
                ViewRedacted,
                ViewOriginal,
                Verify,
                Supervise,
                ReportManually,
                ReadCustodians,
            ],
            Role::PointAdmin => &[
                ReadCameras,
                ConnectCameras,
                ReadCustodians,
                RevealCustodians,
                ManageCustodians,
                ReadCompliance,
                FilePoints,
                TuneRules,
            ],
            // Device alerts, and silences for planned work; no pictures.
            Role::Maintainer => &[ReadAlerts, ReadCameras, ConnectCameras, Silence, ReadCustodians],
            Role::SystemAdmin => &[ReadCameras, RunSinks, ManageDivisions],
            Role::SecurityAdmin => &[ManageAccounts, ReadAccounts, RotateKeys],
            Role::AuditAdmin => &[ReadRegister, ReadAccounts],
            // Consents for the unit that manages the cameras.
            Role::Leader => &[
                ReadAlerts,
                ReadCameras,
                ViewRedacted,
                SetExtreme,
                HoldEvidence,
                Lead,
                ManageDuty,
                ApproveRelease,
                GrantViewings,
                ReadCustodians,
                RevealCustodians,
                ReadCompliance,
            ],
            Role::Inspector => &[ReadCameras, ReadRegister, ReadCompliance],
            Role::ExternalPlatform => &[ReadAlerts, ReportExternal],
            Role::Contractor => &[ReadCameras],
        }
    }
    /// Whether it is one of the three administrators.
    pub fn is_administrator(self) -> bool {
        matches!(self, Role::SystemAdmin | Role::SecurityAdmin | Role::AuditAdmin)
    }
    /// Its word, as people write it: `grid-worker`.
    pub fn word(self) -> String {
        wire::word(v1::Role::from(self).as_str_name(), "ROLE_").replace('_', "-")
    }
    /// From its number on the wire.
    pub fn of_wire(number: i32) -> Result<Self> {
        let known = Role::ALL.into_iter().find(|role| v1::Role::from(*role) as i32 == number);
        known.ok_or_else(|| Error::Invalid(format!("roles: {number} is no role that is known here")))
    }
}

impl From<Role> for v1::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Judge => v1::Role::Judge,
            Role::Dispatcher => v1::Role::Dispatcher,
            Role::GridWorker => v1::Role::GridWorker,
            Role::Handler => v1::Role::Handler,
            Role::Verifier => v1::Role::Verifier,
            Role::PointAdmin => v1::Role::PointAdmin,
            Role::Maintainer => v1::Role::Maintainer,
            Role::SystemAdmin => v1::Role::SystemAdmin,
            Role::SecurityAdmin => v1::Role::SecurityAdmin,
            Role::AuditAdmin => v1::Role::AuditAdmin,
            Role::Leader => v1::Role::Leader,
            Role::Inspector => v1::Role::Inspector,
            Role::ExternalPlatform => v1::Role::ExternalPlatform,
            Role::Contractor => v1::Role::Contractor,
        }
    }
}

/// The rights of all these roles.
pub fn rights(roles: &BTreeSet<Role>) -> BTreeSet<Right> {
    roles.iter().flat_map(|role| role.rights()).copied().collect()
}

/// Refuses roles that may not be on one account.
pub fn check_together(roles: &BTreeSet<Role>, machine: bool) -> Result<()> {
    let refuse = |text: &str| Err(Error::Invalid(format!("roles: {text}")));
    if roles.is_empty() {
        return refuse("name at least one");
    }
    if roles.iter().any(|role| role.is_administrator()) && roles.len() > 1 {
        return refuse(
            "an administrator of system, security or audit has that one role: make another account for the rest",
        );
    }
    let external = roles.contains(&Role::ExternalPlatform);
    if external != machine {
        return refuse("EXTERNAL_PLATFORM is for machine accounts, and they have no other");
    }
    if (external || roles.contains(&Role::Contractor) || roles.contains(&Role::Inspector)) && roles.len() > 1
    {
        return refuse("EXTERNAL_PLATFORM, CONTRACTOR and INSPECTOR stand alone on an account");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(roles: &[Role]) -> BTreeSet<Role> {
        roles.iter().copied().collect()
    }

    #[test]
    fn administrators_exclude_each_other_and_all_business_and_reach_no_evidence() {
        for one in Role::ALL {
            assert_eq!(Role::of_wire(v1::Role::from(one).into()), Ok(one));
            assert_eq!(check_together(&of(&[one]), one == Role::ExternalPlatform), Ok(()), "{one:?}");
            for other in Role::ALL.into_iter().filter(|other| *other != one) {
                let together = check_together(&of(&[one, other]), false);
                if one.is_administrator() || other.is_administrator() {
                    assert!(together.is_err(), "{one:?} and {other:?}");
                }
            }
        }
        assert!(check_together(&of(&[Role::Judge, Role::Leader]), false).is_ok());
        assert!(check_together(&of(&[Role::Judge]), true).is_err());
        assert!(check_together(&of(&[]), false).is_err());
        assert!(Role::of_wire(0).is_err() && Role::of_wire(99).is_err());

        let evidence = [
            Right::ViewOriginal,
            Right::ViewRedacted,
            Right::HoldEvidence,
            Right::ReadAlerts,
            Right::SetExtreme,
            Right::Silence,
            Right::PrepareRelease,
            Right::ApproveRelease,
            Right::ExamineViewings,
            Right::GrantViewings,
        ];
        let business = [
            Right::Judge,
            Right::Dispatch,
            Right::Handle,
            Right::Verify,
            Right::Supervise,
            Right::Lead,
            Right::ReportManually,
            Right::ReadCustodians,
            Right::RevealCustodians,
            Right::ManageCustodians,
            Right::FilePoints,
            Right::TuneRules,
        ];
        for role in Role::ALL {
            assert!(!role.rights().is_empty(), "{role:?}");
            let has = |right: &Right| role.rights().contains(right);
            if role.is_administrator() {
                assert!(!evidence.iter().chain(&business).any(has), "{role:?}");
            }
            // No role takes both sides of what needs two accounts.
            assert!(!(has(&Right::PrepareRelease) && has(&Right::ApproveRelease)), "{role:?}");
            assert!(!(has(&Right::ExamineViewings) && has(&Right::GrantViewings)), "{role:?}");
            // What machines of ours do is no person's right.
            assert!(!has(&Right::Publish) && !has(&Right::RunNode), "{role:?}");
            assert_eq!(has(&Right::ManageAccounts), role == Role::SecurityAdmin, "{role:?}");
        }
        for role in [Role::Contractor, Role::Maintainer, Role::Inspector] {
            assert!(!role.rights().contains(&Right::ViewOriginal), "{role:?}");
        }
    }
}
