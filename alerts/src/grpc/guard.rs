//! The guard before all services: who calls is found out, and held against the rule of the call, before any handler runs.

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use futures::future::Either;
use tonic::{
    Status,
    body::Body,
    codegen::{Service, http},
};
use tower::Layer;

use super::{
    handler::shown,
    rule::{self, Rule},
};
use crate::{
    account::Caller,
    bus::Bus,
    error::{Error, Result},
};

/// The guard. `who` tells from a request's headers who calls: `None` where nobody is named, an error where it is nobody.
#[derive(Clone)]
pub struct Guard<W> {
    bus: Bus,
    who: W,
}

impl<W> Guard<W> {
    /// A guard before the services of a bus.
    pub fn new(bus: Bus, who: W) -> Self {
        Self { bus, who }
    }
}

impl<S, W: Clone> Layer<S> for Guard<W> {
    type Service = Guarded<S, W>;
    fn layer(&self, inner: S) -> Self::Service {
        Guarded { guard: self.clone(), inner }
    }
}

/// Services behind a guard.
#[derive(Clone)]
pub struct Guarded<S, W> {
    guard: Guard<W>,
    inner: S,
}

impl<S, W, B> Service<http::Request<B>> for Guarded<S, W>
where
    S: Service<http::Request<B>, Response = http::Response<Body>>,
    W: Fn(&http::HeaderMap) -> Result<Option<Caller>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Self::Response, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }
    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        // Whoever shows a link is nobody that a listener knows, and is known to these calls alone.
        if rule::of(request.uri().path()) == Some(Rule::Link)
            && let Some(link) = shown(request.headers())
        {
            request.extensions_mut().insert(link);
            return Either::Left(self.inner.call(request));
        }
        let caller = (self.guard.who)(request.headers());
        match caller.and_then(|caller| admit(&self.guard.bus, request.uri().path(), caller)) {
            Ok(None) => {}
            Ok(Some(caller)) => {
                request.extensions_mut().insert(caller.principal.clone());
                request.extensions_mut().insert(caller);
            }
            Err(error) => return Either::Right(ready(Ok(Status::from(error).into_http()))),
        }
        Either::Left(self.inner.call(request))
    }
}

/// Holds a caller against the rule of a call.
fn admit(bus: &Bus, path: &str, caller: Option<Caller>) -> Result<Option<Caller>> {
    let rule = rule::of(path);
    if rule == Some(Rule::Open) {
        return Ok(caller);
    }
    let Some(caller) = caller else { return Err(Error::Unauthenticated) };
    let lacks = match rule {
        Some(Rule::Open | Rule::SignedIn | Rule::Recorded(_)) => return Ok(Some(caller)),
        Some(Rule::Needs(right)) => bus.rights().check(&caller.principal, right),
        Some(Rule::Link) => Err(Error::Forbidden(format!("{path} is for whoever holds a handler's link"))),
        None => Err(Error::Forbidden(format!("nobody may call {path}: it has no rule here"))),
    };
    match lacks {
        Ok(()) => Ok(Some(caller)),
        Err(error) => {
            bus.audit_lacking(&caller.principal, path, &error);
            Err(error)
        }
    }
}
