//! `LinkService`, for those on duty, and `HandlerService`, for whoever holds a link.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tonic::{Request, Response, Status, codegen::http::HeaderMap};
use xueliang_base::{alert::Sha256, time::Mono};
use xueliang_proto::v1::{self, handler_service_server::HandlerService, link_service_server::LinkService};

use super::{origin, principal};
use crate::{
    account::{Accounts, Lockout},
    bus::{Bus, BusCounts},
    error::{Error, Result},
    link,
    store::Opened,
};

/// Stills that a link gets in a while.
const STILLS: u32 = 12;
const A_WHILE: Duration = Duration::from_secs(60);

/// `LinkService` over the bus.
pub struct LinkApi(pub(super) Bus);

#[tonic::async_trait]
impl LinkService for LinkApi {
    async fn give_link(
        &self,
        request: Request<v1::GiveLinkRequest>,
    ) -> Result<Response<v1::GiveLinkResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        Ok(Response::new(self.0.give_link(&principal, request.into_inner()).await?))
    }

    async fn end_link(
        &self,
        request: Request<v1::EndLinkRequest>,
    ) -> Result<Response<v1::EndLinkResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let link = self.0.end_link(&principal, request.into_inner().link_id).await?;
        Ok(Response::new(v1::EndLinkResponse { link: Some(link) }))
    }

    async fn list_links(
        &self,
        request: Request<v1::ListLinksRequest>,
    ) -> Result<Response<v1::ListLinksResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        Ok(Response::new(self.0.links(&principal, request.into_inner().key).await?))
    }

    async fn get_proof(
        &self,
        request: Request<v1::GetProofRequest>,
    ) -> Result<Response<v1::GetProofResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        Ok(Response::new(self.0.proof(&principal, request.into_inner()).await?))
    }
}

/// A link that a request shows: the guard puts it there instead of a principal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown(Sha256);

/// The link that a request's headers show, if what they show looks like one.
pub(super) fn shown(headers: &HeaderMap) -> Option<Shown> {
    let said = headers.get("authorization")?.to_str().ok()?;
    let (scheme, token) = said.split_once(' ')?;
    let digest = link::digest(token.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"));
    digest.map(Shown)
}

/// `HandlerService` over the bus. Wrong tokens count against the address that they come from, as wrong passwords do, and apart from those.
/// Whoever holds a link waits for nobody's guesses: many telephones have one address, and nobody guesses 256 bits.
pub struct HandlerApi {
    bus: Bus,
    proxies: Vec<ipnet::IpNet>,
    lockout: Arc<Mutex<Lockout>>,
    /// Of links: since when, and how often they asked for the still.
    stills: Arc<Mutex<BTreeMap<u64, (Mono, u32)>>>,
}

impl HandlerApi {
    pub(super) fn new(accounts: &Accounts) -> Self {
        let proxies = accounts.options().proxies.clone();
        let lockout = Arc::new(Mutex::new(Lockout::new()));
        Self { bus: accounts.bus().clone(), proxies, lockout, stills: Arc::default() }
    }
    /// Each still is an entry of the register for ever: a link has some in a minute.
    fn pace_stills(&self, link: u64) -> Result<()> {
        let now = self.bus.0.clock.mono();
        let mut stills = self.stills.lock().unwrap_or_else(PoisonError::into_inner);
        stills.retain(|_, (since, _)| now.since(*since) < A_WHILE);
        let (since, count) = stills.entry(link).or_insert((now, 0));
        *count += 1;
        if *count > STILLS {
            return Err(Error::TooMany {
                message: "the picture was shown often enough for now: wait a minute".to_owned(),
                retry_after: A_WHILE.saturating_sub(now.since(*since)),
            });
        }
        Ok(())
    }
    /// What the caller's link opens. A wrong one is told from nothing, and makes its address wait.
    async fn opened<T>(&self, request: &Request<T>) -> Result<(Sha256, Opened)> {
        let Shown(digest) = *request.extensions().get::<Shown>().ok_or(Error::Unauthenticated)?;
        if let Some(opened) = self.bus.open_link(digest).await? {
            return Ok((digest, opened));
        }
        BusCounts::add(&self.bus.counts().links_unknown, 1);
        let from = self.address(request);
        let mut lockout = self.lockout.lock().unwrap_or_else(PoisonError::into_inner);
        match lockout.begin(&digest.to_string(), from, self.bus.0.clock.mono()) {
            Ok(_) => Err(Error::NotSignedIn("this link is none: ask whoever sent it for another".to_owned())),
            Err(retry_after) => Err(Error::TooMany {
                message: "too many links that are none came from there: wait, then open the link that you were sent"
                    .to_owned(),
                retry_after,
            }),
        }
    }
    fn address<T>(&self, request: &Request<T>) -> Option<IpAddr> {
        let forwarded = request.metadata().get_all("x-forwarded-for").into_iter();
        let forwarded: Vec<&str> = forwarded.filter_map(|one| one.to_str().ok()).collect();
        let peer = request.remote_addr().map(|address| address.ip());
        origin::of(peer, &forwarded, &self.proxies)
    }
}

#[tonic::async_trait]
impl HandlerService for HandlerApi {
    async fn open_link(
        &self,
        request: Request<v1::OpenLinkRequest>,
    ) -> Result<Response<v1::OpenLinkResponse>, Status> {
        let (_, opened) = self.opened(&request).await?;
        Ok(Response::new(self.bus.look_by_link(opened).await?))
    }

    async fn get_link_still(
        &self,
        request: Request<v1::GetLinkStillRequest>,
    ) -> Result<Response<v1::GetLinkStillResponse>, Status> {
        let (_, opened) = self.opened(&request).await?;
        self.pace_stills(opened.link.id)?;
        Ok(Response::new(self.bus.still_by_link(&opened).await?))
    }

    async fn put_proof(
        &self,
        request: Request<v1::PutProofRequest>,
    ) -> Result<Response<v1::PutProofResponse>, Status> {
        let (digest, opened) = self.opened(&request).await?;
        let jpeg = request.into_inner().jpeg;
        Ok(Response::new(self.bus.prove_by_link(digest, &opened, jpeg).await?))
    }

    async fn act_by_link(
        &self,
        request: Request<v1::ActByLinkRequest>,
    ) -> Result<Response<v1::ActByLinkResponse>, Status> {
        let (digest, _) = self.opened(&request).await?;
        self.bus.act_by_link(digest, request.into_inner()).await?;
        let opened = self.bus.open_link(digest).await?.ok_or(Error::Unauthenticated)?;
        let link = Some(self.bus.look_by_link(opened).await?);
        Ok(Response::new(v1::ActByLinkResponse { link }))
    }
}

#[cfg(test)]
mod tests;
