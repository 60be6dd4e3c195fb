//! `xueliang sign-in`: a session for the commands that call a service, and its end.

use std::{
    fs,
    io::{self, BufRead as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::Args;
use xueliang_base::time::Wall;
use xueliang_proto::v1::{self, account_service_client::AccountServiceClient};

use super::{block_on, reach::Reach};

/// Arguments of `sign-in`.
#[derive(Debug, Args)]
#[command(
    after_help = "Reads from standard input, a line each: password, and the code of the second factor where there is one. The
session's token goes into the file of --key-file, which only its owner can read; the other commands take it from there:
  xueliang sign-in ana --api https://town.example:8750 --ca town-ca.pem --key-file ~/.xueliang.key < password-file
  xueliang watch --api https://town.example:8750 --ca town-ca.pem --key-file ~/.xueliang.key
Where standard input is a terminal, the password shows as it is typed: take it from a file or a password manager instead."
)]
pub struct SignInArgs {
    /// Name of the account.
    #[arg(required_unless_present = "out")]
    name: Option<String>,
    /// Sign out instead: end the session of --key-file, and remove the file.
    #[arg(long, conflicts_with = "name")]
    out: bool,
    /// IANA zone of the times shown.
    #[arg(long, default_value = "Asia/Shanghai")]
    timezone: String,
    #[command(flatten)]
    reach: Reach,
}

/// Signs in, or out.
pub fn run(args: SignInArgs) -> anyhow::Result<ExitCode> {
    block_on(async move {
        let Some(file) = args.reach.key_file() else {
            bail!("say where the session's token is kept: --key-file FILE or XUELIANG_KEY_FILE");
        };
        let reach = &args.reach;
        if args.out {
            let mut service = AccountServiceClient::new(reach.connect()?);
            service.sign_out(v1::SignOutRequest {}).await.map_err(|status| reach.refused(&status))?;
            fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut lines = io::stdin().lock().lines();
        let mut next = || lines.next().transpose().map(Option::unwrap_or_default);
        let request = v1::SignInRequest {
            name: args.name.clone().unwrap_or_default(),
            password: next().context("read the password")?,
            totp_code: next().context("read the code")?.trim().to_owned(),
        };
        let mut service = AccountServiceClient::new(reach.nameless()?.connect()?);
        let signed = service.sign_in(request).await.map_err(|status| reach.refused(&status))?.into_inner();
        if signed.totp_needed {
            bail!("this account has a second factor: give its code in the line behind the password");
        }
        keep(&file, &signed.token).with_context(|| format!("write {}", file.display()))?;
        let until = signed.session.map_or(0, |session| session.until_unix_us);
        println!("signed in until {} at the latest", Wall(until).rfc3339(&args.timezone));
        if signed.must_change_password {
            println!(
                "this password is too old: nothing but changing it is allowed, which the operators' page does"
            );
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Puts a token into a file that nobody else can read, whole or not at all.
fn keep(path: &Path, token: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    // One that was left there may be readable by others.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    writeln!(file, "{token}")?;
    file.sync_all()?;
    fs::rename(beside, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_kept_for_its_owner_alone_whatever_lay_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for (old, new) in [("key", "xls_one"), ("key.new", "xls_two")] {
            let old = folder.path().join(old);
            fs::write(&old, "old").unwrap();
            fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).unwrap();
            keep(&path, new).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{new}\n"));
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }
}
