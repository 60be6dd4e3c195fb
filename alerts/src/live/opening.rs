//! What accounts have opened: bounded for each and for all together, and closed by itself when nobody asks for more.

use std::{collections::BTreeMap, time::Duration};

use xueliang_base::{id::AlertId, time::Mono};
use xueliang_proto::v1::PictureRefusal;

use crate::{
    error::{Error, Result},
    explain::NoPicture,
};

/// An opening lasts so long, whoever looks: then the register is to have another entry.
pub(super) const LASTS: Duration = Duration::from_secs(300);
/// One that is not asked for in this time is closed. A page asks every second and a half.
pub(super) const IDLE: Duration = Duration::from_secs(15);
/// From one picture of an opening to the next at least.
const BETWEEN: Duration = Duration::from_millis(900);
/// When a console is told to ask again.
pub(crate) const NEXT: Duration = Duration::from_millis(1500);
/// Open at once: of one account, for two desks with an alert and a camera near it; and of all.
pub(super) const OF_ACCOUNT: usize = 4;
pub(super) const OF_ALL: usize = 64;

/// What was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    /// Of this alert.
    pub(crate) alert: AlertId,
    /// A camera near its own; `None`: its own.
    pub(crate) nearby: Option<String>,
}

struct Opening {
    account: String,
    what: Opened,
    opened: Mono,
    asked: Mono,
}

impl Opening {
    fn lives(&self, now: Mono) -> bool {
        now.since(self.opened) < LASTS && now.since(self.asked) < IDLE
    }
}

/// All openings, by their tokens.
#[derive(Default)]
pub(crate) struct Openings(BTreeMap<String, Opening>);

impl Openings {
    /// Opens something under a token that nobody can guess; it counts from now on.
    pub(crate) fn open(
        &mut self,
        account: &str,
        what: Opened,
        now: Mono,
    ) -> Result<Result<String, NoPicture>> {
        self.0.retain(|_, one| one.lives(now));
        let own = self.0.values().filter(|one| one.account == account).count();
        if own >= OF_ACCOUNT || self.0.len() >= OF_ALL {
            let most = if own >= OF_ACCOUNT { OF_ACCOUNT } else { OF_ALL };
            let message = format!("{most} pictures are open, no more are allowed at once: close one of them");
            return Ok(Err(NoPicture::new(PictureRefusal::TooMany, message)));
        }
        let mut token = [0_u8; 16];
        getrandom::fill(&mut token).map_err(|error| Error::Unavailable(format!("draw a token: {error}")))?;
        let token = format!("{:032x}", u128::from_be_bytes(token));
        let opening = Opening { account: account.to_owned(), what, opened: now, asked: now };
        self.0.insert(token.clone(), opening);
        Ok(Ok(token))
    }
    /// What an account goes on with; asking too soon is refused, and so is what is over or another's.
    pub(crate) fn again(
        &mut self,
        account: &str,
        token: &str,
        now: Mono,
    ) -> Result<Result<Opened, NoPicture>> {
        self.0.retain(|_, one| one.lives(now));
        let Some(opening) = self.0.get_mut(token).filter(|one| one.account == account) else {
            let message =
                "what was opened is closed: its time is up, or nobody asked for a while; open it again";
            return Ok(Err(NoPicture::new(PictureRefusal::Closed, message)));
        };
        let since = now.since(opening.asked);
        if since < BETWEEN {
            let message = "a picture was just asked for: one a second is given".to_owned();
            return Err(Error::TooMany { message, retry_after: BETWEEN.saturating_sub(since) });
        }
        opening.asked = now;
        Ok(Ok(opening.what.clone()))
    }
    /// How long an opening lasts from now on, while it is asked for.
    pub(crate) fn left(&self, token: &str, now: Mono) -> Duration {
        self.0.get(token).map_or(Duration::ZERO, |one| LASTS.saturating_sub(now.since(one.opened)))
    }
    /// Nobody may go on with it.
    pub(crate) fn close(&mut self, token: &str) {
        self.0.remove(token);
    }
}
