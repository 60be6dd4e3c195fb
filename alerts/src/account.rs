//! Accounts: who signs in, with what, and what they may do. What an account is stands here; [`Accounts`] is what is done
//! with all of them. The rights of roles stand in [`crate::role`].

mod directory;
mod lockout;
mod manage;
mod password;
mod second;
mod session;
mod sign_in;
mod token;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use xueliang_base::{alert::Sha256, id::DivisionCode, point::PointClass, time::Wall};
use xueliang_proto::v1;

pub(crate) use self::lockout::Lockout;
pub use self::{
    directory::{AccountCounts, Accounts, Caller},
    manage::Handed,
    password::Cost,
    second::KEY_FILE,
    session::Session,
    sign_in::{SignedIn, Wanted},
};
use crate::{
    error::{Error, Result},
    rights::{Grant, Right},
    role::{self, Role},
};

/// Accounts that are kept at most: each is looked at once a second.
pub(crate) const MOST: usize = 10_000;

/// Divisions that an account may be bound to: each alert is held against all of them, with each of its classes.
const MOST_DIVISIONS: usize = 512;

/// How accounts are kept.
#[derive(Debug, Clone)]
pub struct AccountOptions {
    /// A session that nothing calls with for so long ends.
    pub idle: Duration,
    /// A session ends after so long, used or not.
    pub longest: Duration,
    /// A password older than this must be changed first; `None`: never.
    pub password_age: Option<Duration>,
    /// How long a one-time token can be used.
    pub ticket_life: Duration,
    /// Sessions of one account; of more the oldest ends.
    pub sessions: usize,
    /// What hashing a password takes.
    pub cost: Cost,
    /// Names that are others' already (nodes, publishers, sinks, the local operator), each with whose it is.
    pub reserved: BTreeMap<String, &'static str>,
    /// Proxies that are believed when they say for whom they ask.
    pub proxies: Vec<ipnet::IpNet>,
}

impl Default for AccountOptions {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30 * 60),
            longest: Duration::from_secs(12 * 3600),
            password_age: Some(Duration::from_secs(90 * 24 * 3600)),
            ticket_life: Duration::from_secs(24 * 3600),
            sessions: 8,
            cost: Cost::default(),
            reserved: BTreeMap::new(),
            proxies: Vec::new(),
        }
    }
}

/// What an account is and may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name, unique.
    pub name: String,
    /// What people call it.
    pub display_name: String,
    /// Its unit.
    pub unit: String,
    /// What it is for.
    pub roles: BTreeSet<Role>,
    /// Subtrees that it sees; `None`: the whole town.
    pub divisions: Option<Vec<DivisionCode>>,
    /// Classes of points that it sees there; `None`: all, and what is of no class.
    pub classes: Option<BTreeSet<PointClass>>,
    /// Until when it may be used.
    pub valid_until: Option<Wall>,
    /// Until when its owner's training counts.
    pub trained_until: Option<Wall>,
    /// Whether it is another system.
    pub machine: bool,
    /// Whether it was taken out of use.
    pub disabled: bool,
    /// Whether it has a password or a key.
    pub is_set_up: bool,
    /// Whether signing in takes a second factor.
    pub has_totp: bool,
    /// Grows by one with each change.
    pub revision: u64,
    /// When it was made.
    pub created: Wall,
}

fn text(field: &str, value: &str, most: usize) -> Result<String> {
    let value = value.trim();
    if value.is_empty() || value.chars().count() > most || value.chars().any(char::is_control) {
        return Err(Error::Invalid(format!("{field}: write 1 to {most} characters")));
    }
    Ok(value.to_owned())
}

/// A name of an account.
fn name(text: &str) -> Result<String> {
    let good =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
    let first = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    if (2..=64).contains(&text.len()) && first && text.bytes().all(good) {
        return Ok(text.to_owned());
    }
    Err(Error::Invalid(
        "name: use 2 to 64 characters out of a-z, 0-9, dot, underscore and hyphen, beginning with a letter or digit"
            .to_owned(),
    ))
}

impl Profile {
    /// What someone asks for. What the service sets is not read.
    pub fn wanted(wire: &v1::Account) -> Result<Self> {
        let asked = wire.divisions.len();
        if asked > MOST_DIVISIONS {
            return Err(Error::Invalid(format!(
                "divisions: {asked} of them, at most {MOST_DIVISIONS} are allowed: name the division above them"
            )));
        }
        Self::read(wire)
    }
    fn read(wire: &v1::Account) -> Result<Self> {
        let moment = |us: i64| (us != 0).then_some(Wall(us));
        let one = Self {
            name: name(&wire.name)?,
            display_name: text("display_name", &wire.display_name, 100)?,
            unit: text("unit", &wire.unit, 100)?,
            roles: wire.roles.iter().map(|number| Role::of_wire(*number)).collect::<Result<_>>()?,
            divisions: divisions(wire)?,
            classes: classes(wire)?,
            valid_until: moment(wire.valid_until_unix_us),
            trained_until: moment(wire.trained_until_unix_us),
            machine: wire.machine,
            disabled: false,
            is_set_up: false,
            has_totp: false,
            revision: wire.revision,
            created: Wall(0),
        };
        role::check_together(&one.roles, one.machine)?;
        if one.roles.contains(&Role::Contractor) && one.valid_until.is_none() {
            return Err(Error::Invalid(
                "valid_until_unix_us: a contractor's account needs an end, set one".to_owned(),
            ));
        }
        Ok(one)
    }
    /// What the store holds.
    pub(crate) fn stored(wire: &v1::Account) -> Result<Self> {
        Ok(Self {
            disabled: wire.disabled,
            is_set_up: wire.is_set_up,
            has_totp: wire.has_totp,
            created: Wall(wire.created_unix_us),
            ..Self::read(wire)?
        })
    }
    /// As the wire and the store have it.
    pub fn wire(&self) -> v1::Account {
        let moment = |at: Option<Wall>| at.map_or(0, |at| at.0);
        v1::Account {
            name: self.name.clone(),
            display_name: self.display_name.clone(),
            unit: self.unit.clone(),
            roles: self.roles.iter().map(|role| v1::Role::from(*role).into()).collect(),
            whole_town: self.divisions.is_none(),
            divisions: self.divisions.iter().flatten().map(ToString::to_string).collect(),
            valid_until_unix_us: moment(self.valid_until),
            trained_until_unix_us: moment(self.trained_until),
            machine: self.machine,
            disabled: self.disabled,
            is_set_up: self.is_set_up,
            has_totp: self.has_totp,
            revision: self.revision,
            created_unix_us: self.created.0,
            point_classes: self.classes.iter().flatten().map(|class| class.number()).collect(),
        }
    }
    /// Whether it may be used at a moment.
    pub fn in_use(&self, now: Wall) -> bool {
        let past = |until: Option<Wall>| until.is_some_and(|until| until <= now);
        !self.disabled && self.is_set_up && !past(self.valid_until) && !past(self.trained_until)
    }
}

/// Whole town or divisions, and exactly one of them: what is forgotten must not open the town.
fn divisions(wire: &v1::Account) -> Result<Option<Vec<DivisionCode>>> {
    if wire.whole_town != wire.divisions.is_empty() {
        let fault = "divisions: list those that it sees, or set whole_town, not both";
        return Err(Error::Invalid(fault.to_owned()));
    }
    if wire.whole_town {
        return Ok(None);
    }
    let code = |text: &String| text.parse().map_err(|fault| Error::Invalid(format!("divisions: {fault}")));
    let codes = wire.divisions.iter().map(code).collect::<Result<BTreeSet<DivisionCode>>>()?;
    Ok(Some(codes.into_iter().collect()))
}

/// None named are all of them, and what is of none.
fn classes(wire: &v1::Account) -> Result<Option<BTreeSet<PointClass>>> {
    let class = |number: &i32| {
        PointClass::from_number(*number)
            .ok_or_else(|| Error::Invalid(format!("point_classes: {number} is no class that is known here")))
    };
    let classes = wire.point_classes.iter().map(class).collect::<Result<BTreeSet<_>>>()?;
    Ok(Some(classes).filter(|classes| !classes.is_empty()))
}

/// A second factor.
#[derive(Clone, PartialEq, Eq)]
pub struct Totp {
    /// Its secret, sealed with the key beside the store.
    pub sealed: Vec<u8>,
    /// Whether it counts.
    pub confirmed: bool,
    /// The last of its steps that was used: no code is taken twice.
    pub last_step: u64,
}

/// An account with what it signs in with.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// What it is and may.
    pub profile: Profile,
    /// Hash of its password (PHC); empty: it has none.
    pub password: String,
    /// When the password was set.
    pub password_set: Wall,
    /// Digest of a machine's key.
    pub key: Option<Sha256>,
    /// Its second factor.
    pub totp: Option<Totp>,
}

// Hashes and sealed secrets stand in no log.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl Account {
    /// Whether its password must be changed before anything else.
    fn must_change(&self, options: &AccountOptions, now: Wall) -> bool {
        let age = options.password_age.filter(|_| !self.profile.machine);
        age.is_some_and(|age| self.password_set.plus(age) <= now)
    }
    /// Whether it may do nothing at a moment, whatever its roles.
    fn is_idle(&self, options: &AccountOptions, now: Wall) -> bool {
        !self.profile.in_use(now)
            || self.must_change(options, now)
            || options.reserved.contains_key(&self.profile.name)
    }
    /// What it may do at a moment.
    fn grant(&self, options: &AccountOptions, now: Wall) -> Grant {
        let rights: BTreeSet<Right> =
            if self.is_idle(options, now) { BTreeSet::new() } else { role::rights(&self.profile.roles) };
        let Profile { divisions, classes, .. } = self.profile.clone();
        Grant { rights, divisions, classes }
    }
}

#[cfg(test)]
mod tests;
