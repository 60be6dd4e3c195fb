//! `xueliang account`: accounts over the local socket, for whoever runs the service.

use std::{
    io::BufRead as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use xueliang_base::{id::DivisionCode, point::PointClass, time::Wall, wire};
use xueliang_proto::v1::{self, account_service_client::AccountServiceClient};

use super::{block_on, print, reach::Reach, read_config};
use crate::state::StateDir;

/// Arguments of `account`.
#[derive(Debug, Args)]
#[command(
    after_help = "These call the running service over the socket in its state folder, so that only the user who runs it may.
What is printed as a token is told once: hand it to whom the account is for, who sets a password with it."
)]
pub struct AccountArgs {
    /// Configuration of the service.
    #[arg(long, short)]
    config: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make an account; prints its one-time token, or a machine's key.
    Add(AddArgs),
    /// List accounts: name, roles, divisions, state, unit, display name.
    List,
    /// Take an account's password, second factor and sessions away; prints a one-time token, or a machine's new key.
    Reset {
        /// Name of the account.
        name: String,
    },
    /// Use a one-time token. Reads from standard input, a line each: token, password; for the first account of a new
    /// service also name, display name, unit.
    SetUp,
}

#[derive(Debug, Args)]
struct AddArgs {
    /// Name: a-z, 0-9, dot, underscore and hyphen.
    name: String,
    /// What people call it.
    #[arg(long)]
    display_name: String,
    /// The unit that it belongs to.
    #[arg(long)]
    unit: String,
    /// Role, as judge, dispatcher, grid-worker, handler, verifier, point-admin, maintainer, system-admin, security-admin,
    /// audit-admin, leader, inspector, external-platform, contractor. Several are possible.
    #[arg(long, required = true, value_parser = role)]
    role: Vec<v1::Role>,
    /// A division whose subtree it sees. Several are possible.
    #[arg(long)]
    division: Vec<DivisionCode>,
    /// It sees the whole town.
    #[arg(long, conflicts_with = "division", required_unless_present = "division")]
    whole_town: bool,
    /// Class of camera points whose cameras and alerts it sees, within its places: first, second, third, police_internal or
    /// other (一类点, 二类点, 三类点, 公安内部, 其他). Several are possible; without any it sees all, and what is of no class.
    #[arg(long)]
    point_class: Vec<PointClass>,
    /// Another system, which calls with a key and never signs in.
    #[arg(long)]
    machine: bool,
    /// Days for which it may be used.
    #[arg(long)]
    days: Option<u32>,
}

fn role(text: &str) -> Result<v1::Role, String> {
    let name = format!("ROLE_{}", text.replace('-', "_").to_uppercase());
    let known = v1::Role::from_str_name(&name).filter(|role| *role != v1::Role::Unspecified);
    known.ok_or_else(|| format!("{text:?} is no role, see `xueliang account add --help`"))
}

/// A role as people write it.
fn word(role: v1::Role) -> String {
    wire::word(role.as_str_name(), "ROLE_").replace('_', "-")
}

/// Calls the service and prints.
pub fn run(args: AccountArgs) -> anyhow::Result<ExitCode> {
    let config = read_config(&args.config)?;
    let socket = StateDir::at(&config.state_dir).api_socket();
    if !socket.exists() {
        bail!(
            "{} is not there: start the service with `xueliang run --config {}` first",
            socket.display(),
            args.config.display()
        );
    }
    block_on(async move {
        let lines = call(&socket, args.what, &config.timezone).await?;
        for line in lines {
            print(line + "\n")?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn call(socket: &Path, what: What, timezone: &str) -> anyhow::Result<Vec<String>> {
    let reach = Reach::at(format!("unix:{}", socket.display()));
    // The socket's owner needs no key.
    let mut service = AccountServiceClient::new(reach.nameless()?.connect()?);
    let told = |token: String, until_unix_us: i64| match until_unix_us {
        0 => vec![token],
        until => vec![token, format!("can be used once, until {}", Wall(until).rfc3339(timezone))],
    };
    match what {
        What::Add(args) => {
            let account = Some(wanted(args, now()));
            let request = v1::CreateAccountRequest { account };
            let made =
                service.create_account(request).await.map_err(|status| reach.refused(&status))?.into_inner();
            Ok(told(made.token, made.token_until_unix_us))
        }
        What::Reset { name } => {
            let request = v1::ResetPasswordRequest { name };
            let reset =
                service.reset_password(request).await.map_err(|status| reach.refused(&status))?.into_inner();
            Ok(told(reset.token, reset.token_until_unix_us))
        }
        What::List => {
            let (mut lines, mut page_token) = (Vec::new(), String::new());
            loop {
                let request = v1::ListAccountsRequest { page_size: 1000, page_token };
                let page = service
                    .list_accounts(request)
                    .await
                    .map_err(|status| reach.refused(&status))?
                    .into_inner();
                lines.extend(page.accounts.iter().map(line));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    return Ok(lines);
                }
            }
        }
        What::SetUp => {
            let mut given = std::io::stdin().lock().lines();
            let mut next = || given.next().transpose().map(Option::unwrap_or_default);
            let request = v1::SetUpRequest {
                token: next()?.trim().to_owned(),
                password: next()?,
                name: next()?,
                display_name: next()?,
                unit: next()?,
            };
            let made = service.set_up(request).await.map_err(|status| reach.refused(&status))?.into_inner();
            let account = made.account.context("the service tells what was set up")?;
            Ok(vec![format!("{} may sign in", account.name)])
        }
    }
}

fn now() -> Wall {
    use xueliang_base::time::Clock as _;
    xueliang_base::time::SystemClock.wall()
}

fn wanted(args: AddArgs, now: Wall) -> v1::Account {
    let days = |days| now.plus(std::time::Duration::from_secs(u64::from(days) * 24 * 3600)).0;
    v1::Account {
        name: args.name,
        display_name: args.display_name,
        unit: args.unit,
        roles: args.role.into_iter().map(i32::from).collect(),
        whole_town: args.whole_town,
        divisions: args.division.iter().map(ToString::to_string).collect(),
        point_classes: args.point_class.iter().map(|class| class.number()).collect(),
        valid_until_unix_us: args.days.map_or(0, days),
        machine: args.machine,
        ..v1::Account::default()
    }
}

fn line(account: &v1::Account) -> String {
    let roles: Vec<_> = account.roles().map(word).collect();
    let places = if account.whole_town { "whole-town".to_owned() } else { account.divisions.join(",") };
    let classes: Vec<_> = account
        .point_classes
        .iter()
        .filter_map(|number| PointClass::from_number(*number))
        .map(PointClass::word)
        .collect();
    let places = if classes.is_empty() { places } else { format!("{places}:{}", classes.join(",")) };
    let state = match account {
        v1::Account { disabled: true, .. } => "disabled",
        v1::Account { is_set_up: false, .. } => "not-set-up",
        v1::Account { machine: true, .. } => "machine",
        v1::Account { has_totp: true, .. } => "two-factors",
        _ => "one-factor",
    };
    format!(
        "{}  {}  {places}  {state}  {}  {}",
        account.name,
        roles.join(","),
        account.unit,
        account.display_name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_word_and_an_account_is_a_line() {
        let numbers = 1..;
        let roles: Vec<_> = numbers.map_while(|number| v1::Role::try_from(number).ok()).collect();
        assert!(roles.len() >= 14);
        for one in &roles {
            assert_eq!(role(&word(*one)), Ok(*one));
        }
        for wrong in ["unspecified", "king", ""] {
            assert!(role(wrong).is_err(), "{wrong:?}");
        }
        let args = AddArgs {
            name: "ana".into(),
            display_name: "Ana".into(),
            unit: "Centre".into(),
            role: vec![v1::Role::Judge, v1::Role::Leader],
            division: vec!["3301".parse().unwrap(), "3302".parse().unwrap()],
            whole_town: false,
            point_class: vec![PointClass::Second, PointClass::Third],
            machine: false,
            days: Some(1),
        };
        let account = wanted(args, Wall(5));
        assert_eq!(account.valid_until_unix_us, 86_400_000_005);
        assert_eq!(line(&account), "ana  judge,leader  3301,3302:second,third  not-set-up  Centre  Ana");
        let account = v1::Account { disabled: true, whole_town: true, point_classes: Vec::new(), ..account };
        assert_eq!(line(&account), "ana  judge,leader  whole-town  disabled  Centre  Ana");
    }
}
