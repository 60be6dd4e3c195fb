//! `AccountService`.

use tonic::{Extensions, Request, Response, Status};
use xueliang_proto::v1::{self, account_service_server::AccountService};

use super::{origin, page_size, page_start, signed_in};
use crate::{
    account::{Accounts, Caller, Handed, Profile, SignedIn, Wanted},
    error::{Error, Result},
    rights::{Right, check},
    store::accounts::AccountChangeQuery,
};

/// `AccountService` over the accounts.
pub struct AccountApi(pub(super) Accounts);

impl AccountApi {
    /// Who calls, as it is held to now, with its session.
    fn caller(&self, extensions: &Extensions) -> Result<Caller> {
        let principal = self.0.bus().rights().of(signed_in(extensions)?);
        let session = extensions.get::<Caller>().and_then(|caller| caller.session);
        Ok(Caller { principal, session })
    }
}

fn account(wire: Option<v1::Account>) -> Result<v1::Account> {
    wire.ok_or_else(|| Error::Invalid("account: must be set".to_owned()))
}

fn told(handed: Handed) -> (String, i64) {
    (handed.token, handed.until.map_or(0, |until| until.0))
}

fn wire(profile: &Profile) -> Option<v1::Account> {
    Some(profile.wire())
}

#[tonic::async_trait]
impl AccountService for AccountApi {
    async fn set_up(
        &self,
        request: Request<v1::SetUpRequest>,
    ) -> Result<Response<v1::SetUpResponse>, Status> {
        let profile = self.0.set_up(request.get_ref()).await?;
        Ok(Response::new(v1::SetUpResponse { account: wire(&profile) }))
    }

    async fn sign_in(
        &self,
        request: Request<v1::SignInRequest>,
    ) -> Result<Response<v1::SignInResponse>, Status> {
        let forwarded = request.metadata().get_all("x-forwarded-for").into_iter();
        let forwarded: Vec<&str> = forwarded.filter_map(|one| one.to_str().ok()).collect();
        let peer = request.remote_addr().map(|address| address.ip());
        let address = origin::of(peer, &forwarded, &self.0.options().proxies);
        let v1::SignInRequest { name, password, totp_code } = request.get_ref();
        let wanted = Wanted { name, password, code: totp_code, address };
        Ok(Response::new(match self.0.sign_in(wanted).await? {
            SignedIn::CodeNeeded => v1::SignInResponse { totp_needed: true, ..v1::SignInResponse::default() },
            SignedIn::Session { token, session, profile, must_change } => v1::SignInResponse {
                token,
                totp_needed: false,
                session: Some(session.wire(self.0.options())),
                account: wire(&profile),
                must_change_password: must_change,
            },
        }))
    }

    async fn sign_out(
        &self,
        request: Request<v1::SignOutRequest>,
    ) -> Result<Response<v1::SignOutResponse>, Status> {
        self.0.sign_out(&self.caller(request.extensions())?).await?;
        Ok(Response::new(v1::SignOutResponse {}))
    }

    async fn get_self(
        &self,
        request: Request<v1::GetSelfRequest>,
    ) -> Result<Response<v1::GetSelfResponse>, Status> {
        let caller = self.caller(request.extensions())?;
        let known = self.0.of(&caller.principal.name);
        let sessions = self.0.list_sessions(&caller, "");
        let session = sessions.iter().find(|one| Some(one.row.id) == caller.session);
        Ok(Response::new(v1::GetSelfResponse {
            account: known.as_ref().and_then(|(profile, _)| wire(profile)),
            rights: caller.principal.rights.iter().map(|right| format!("{right:?}")).collect(),
            must_change_password: known.is_some_and(|(_, must_change)| must_change),
            session: session.map(|session| session.wire(self.0.options())),
            name: caller.principal.name,
        }))
    }

    async fn change_password(
        &self,
        request: Request<v1::ChangePasswordRequest>,
    ) -> Result<Response<v1::ChangePasswordResponse>, Status> {
        let caller = self.caller(request.extensions())?;
        let v1::ChangePasswordRequest { password, new_password } = request.get_ref();
        self.0.change_password(&caller, password, new_password).await?;
        Ok(Response::new(v1::ChangePasswordResponse {}))
    }

    async fn enrol_totp(
        &self,
        request: Request<v1::EnrolTotpRequest>,
    ) -> Result<Response<v1::EnrolTotpResponse>, Status> {
        let caller = self.caller(request.extensions())?;
        let (secret, url) = self.0.enrol_totp(&caller, &request.get_ref().password).await?;
        Ok(Response::new(v1::EnrolTotpResponse { secret, url }))
    }

    async fn confirm_totp(
        &self,
        request: Request<v1::ConfirmTotpRequest>,
    ) -> Result<Response<v1::ConfirmTotpResponse>, Status> {
        let caller = self.caller(request.extensions())?;
        self.0.confirm_totp(&caller, &request.get_ref().code).await?;
        Ok(Response::new(v1::ConfirmTotpResponse {}))
    }

    async fn create_account(
        &self,
        request: Request<v1::CreateAccountRequest>,
    ) -> Result<Response<v1::CreateAccountResponse>, Status> {
        let caller = self.caller(request.extensions())?;
        let wanted = account(request.into_inner().account)?;
        let (profile, handed) = self.0.create(&caller.principal, &wanted).await?;
        let (token, token_until_unix_us) = told(handed);
        let account = wire(&profile);
        Ok(Response::new(v1::CreateAccountResponse { account, token, token_until_unix_us }))
    }

    async fn update_account(
        &self,
        request: Request<v1::UpdateAccountRequest>,
    ) -> Result<Response<v1::UpdateAccountResponse>, Status> {
        let caller = self.caller(request.extensions())?;
        let wanted = account(request.into_inner().account)?;
        let profile = self.0.update(&caller.principal, &wanted).await?;
        Ok(Response::new(v1::UpdateAccountResponse { account: wire(&profile) }))
    }

    async fn disable_account(
        &self,
        request: Request<v1::DisableAccountRequest>,
    ) -> Result<Response<v1::DisableAccountResponse>, Status> {
        let caller = self.caller(request.extensions())?;
        let v1::DisableAccountRequest { name, reason, enable } = request.get_ref();
        let profile = self.0.disable(&caller.principal, name, reason, *enable).await?;
        Ok(Response::new(v1::DisableAccountResponse { account: wire(&profile) }))
    }

    async fn reset_password(
        &self,
        request: Request<v1::ResetPasswordRequest>,
    ) -> Result<Response<v1::ResetPasswordResponse>, Status> {
        let caller = self.caller(request.extensions())?;
        let handed = self.0.reset(&caller.principal, &request.get_ref().name).await?;
        let (token, token_until_unix_us) = told(handed);
        Ok(Response::new(v1::ResetPasswordResponse { token, token_until_unix_us }))
    }

    async fn list_accounts(
        &self,
        request: Request<v1::ListAccountsRequest>,
    ) -> Result<Response<v1::ListAccountsResponse>, Status> {
        let caller = self.caller(request.extensions())?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let page = self.0.list(&caller.principal, &request.page_token, limit)?;
        let next = page.last().filter(|_| page.len() == limit).map(|last| last.name.clone());
        Ok(Response::new(v1::ListAccountsResponse {
            accounts: page.iter().map(Profile::wire).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn list_account_changes(
        &self,
        request: Request<v1::ListAccountChangesRequest>,
    ) -> Result<Response<v1::ListAccountChangesResponse>, Status> {
        check(&self.caller(request.extensions())?.principal, Right::ReadAccounts)?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let query = AccountChangeQuery {
            account: Some(request.account).filter(|name| !name.is_empty()),
            before_exclusive: page_start(&request.page_token)?,
            limit,
        };
        let changes = self.0.bus().store().account_changes(query).await?;
        let next = changes.last().filter(|_| changes.len() == limit).map(|last| last.change_id.to_string());
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListAccountChangesResponse { changes, next_page_token }))
    }

    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let caller = self.caller(request.extensions())?;
        let sessions = self.0.list_sessions(&caller, &request.get_ref().account);
        let sessions = sessions.iter().map(|session| session.wire(self.0.options())).collect();
        Ok(Response::new(v1::ListSessionsResponse { sessions }))
    }

    async fn revoke_session(
        &self,
        request: Request<v1::RevokeSessionRequest>,
    ) -> Result<Response<v1::RevokeSessionResponse>, Status> {
        let caller = self.caller(request.extensions())?;
        self.0.revoke(&caller, request.get_ref().session_id).await?;
        Ok(Response::new(v1::RevokeSessionResponse {}))
    }
}
