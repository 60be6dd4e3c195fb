//! A bus process where people sign in, with two divisions, each with points of its own class, and accounts on it.

use std::{fs, sync::Arc};

use anyhow::Context as _;
use futures::lock::Mutex;
use tonic::{Request, transport::Channel};
use xueliang_base::{
    kind::Lane,
    point::PointClass,
    time::{Clock as _, SystemClock},
};
use xueliang_proto::v1::{
    self, account_service_client::AccountServiceClient, alert_service_client::AlertServiceClient,
};

use super::super::bus::{alerts::alert, process::BusProcess};

/// The divisions.
pub(super) const OURS: &str = "3302";
pub(super) const THEIRS: &str = "3301";

/// The class of the points of a division.
pub(super) fn class_in(code: &str) -> PointClass {
    if code == OURS { PointClass::Third } else { PointClass::First }
}

pub(in crate::bench) const PASSWORD: &str = "Nine-lamps-by-the-river";

pub(in crate::bench) struct Site {
    pub(in crate::bench) bus: BusProcess,
    /// What the configuration names lies here, where it names anything.
    _folder: Option<tempfile::TempDir>,
    /// Consoles' way in.
    pub(super) api: Channel,
    /// The operator's, who needs no sign-in.
    pub(super) operator: Channel,
    pub(in crate::bench) node: Channel,
}

/// Who is signed in.
#[derive(Clone)]
pub(in crate::bench) struct SignedIn {
    pub(super) account: v1::Account,
    pub(in crate::bench) token: String,
}

impl SignedIn {
    /// A message of theirs.
    pub(in crate::bench) fn asks<T>(&self, message: T) -> anyhow::Result<Request<T>> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {}", self.token).parse()?);
        Ok(request)
    }
}

impl Site {
    /// `sinks`: where other systems take what happens in each of the divisions, if anywhere.
    pub(super) async fn start(sinks: Option<u16>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let secret = folder.path().join("sink.secret");
        fs::write(&secret, "0123456789abcdef0123456789abcdef\n")?;
        let mut config = "[alerts]\nflood_per_camera = 0\nflood_per_division = 0\n\
                          [[division]]\ncode = \"33\"\nname = \"Bench\"\n"
            .to_owned();
        for code in [OURS, THEIRS] {
            config.push_str(&format!(
                "[[division]]\ncode = \"{code}\"\nname = \"{code}\"\nparent = \"33\"\n\
                 [[camera]]\nid = \"camera-{code}\"\nname = \"Camera {code}\"\ndivision = \"{code}\"\nclass = \"{}\"\n\
                 url = \"rtsp://127.0.0.1:1/{code}\"\n",
                class_in(code)
            ));
            if let Some(port) = sinks {
                config.push_str(&format!(
                    "[[sink]]\nid = \"sink-{code}\"\nurl = \"http://127.0.0.1:{port}/\"\nnetworks = [\"127.0.0.0/8\"]\n\
                     secret_file = {:?}\ndivisions = [\"{code}\"]\n",
                    secret.display().to_string()
                ));
            }
        }
        Ok(Self { _folder: Some(folder), ..Self::of(BusProcess::start_with(&config).await?).await? })
    }
    /// Around a bus that runs.
    pub(in crate::bench) async fn of(bus: BusProcess) -> anyhow::Result<Self> {
        let (api, operator) = (bus.api().channel().await?, bus.operator().await?);
        let node = bus.node().await?;
        Ok(Self { bus, _folder: None, api, operator, node })
    }
    pub(super) fn accounts(&self) -> AccountServiceClient<Channel> {
        AccountServiceClient::new(self.operator.clone())
    }
    /// Makes an account, sets it up as its owner does, and signs in; a machine has its key.
    pub(in crate::bench) async fn enter(&self, wanted: v1::Account) -> anyhow::Result<SignedIn> {
        let request = v1::CreateAccountRequest { account: Some(wanted.clone()) };
        let made = self.accounts().create_account(request).await.context("make an account")?.into_inner();
        let account = made.account.context("an account was made")?;
        if wanted.machine {
            return Ok(SignedIn { account, token: made.token });
        }
        let request = v1::SetUpRequest {
            token: made.token,
            password: PASSWORD.to_owned(),
            ..v1::SetUpRequest::default()
        };
        let set_up =
            AccountServiceClient::new(self.api.clone()).set_up(request).await.context("set it up")?;
        let account = set_up.into_inner().account.unwrap_or(account);
        let token = self.sign_in(&account.name).await?;
        Ok(SignedIn { account, token })
    }
    /// Signs in; the session's token.
    pub(super) async fn sign_in(&self, name: &str) -> anyhow::Result<String> {
        let request = v1::SignInRequest {
            name: name.to_owned(),
            password: PASSWORD.to_owned(),
            ..v1::SignInRequest::default()
        };
        let signed = AccountServiceClient::new(self.api.clone()).sign_in(request).await;
        Ok(signed.with_context(|| format!("sign in as {name}"))?.into_inner().token)
    }
    /// Publishes one state, as a node does; its id.
    pub(super) async fn publish(&self, alert: v1::Alert) -> anyhow::Result<String> {
        let alert_id = alert.alert_id.clone();
        let publication = v1::Publication { alert: Some(alert), ..v1::Publication::default() };
        let request = v1::PublishRequest { publications: vec![publication] };
        let answer = AlertServiceClient::new(self.node.clone()).publish(request).await?.into_inner();
        let result = answer.results.first().context("an answer is missing")?;
        anyhow::ensure!(
            result.outcome() == v1::PublishOutcome::Committed,
            "not committed: {}",
            result.message
        );
        Ok(alert_id)
    }
    /// Changes what an account is; the account as it is then.
    pub(super) async fn update(&self, wanted: v1::Account) -> anyhow::Result<v1::Account> {
        let request = v1::UpdateAccountRequest { account: Some(wanted) };
        let answer = self.accounts().update_account(request).await.context("change an account")?;
        answer.into_inner().account.context("an account was changed")
    }
    pub(in crate::bench) async fn stop(self) -> anyhow::Result<()> {
        self.bus.stop().await
    }
}

/// An account that is asked for.
pub(in crate::bench) fn account(name: &str, role: v1::Role, divisions: &[&str]) -> v1::Account {
    v1::Account {
        name: name.to_owned(),
        display_name: name.to_owned(),
        unit: format!("unit-{name}"),
        roles: vec![role.into()],
        whole_town: divisions.is_empty(),
        divisions: divisions.iter().map(|code| (*code).to_owned()).collect(),
        machine: role == v1::Role::ExternalPlatform,
        // Whoever builds or maintains is let in for a time only.
        valid_until_unix_us: if role == v1::Role::Contractor {
            SystemClock.wall().plus(std::time::Duration::from_secs(86_400)).0
        } else {
            0
        },
        ..v1::Account::default()
    }
}

/// An alert of one of the divisions.
pub(super) fn alert_at(code: &str, lane: Lane, index: usize) -> v1::Alert {
    let mut alert = alert(lane, index);
    if let Some(place) = &mut alert.place {
        place.camera_id = format!("camera-{code}");
        place.division_path = vec!["33".to_owned(), code.to_owned()];
        place.point_class = class_in(code).number();
    }
    alert
}

/// Publishes alerts of both divisions by turns at a rate until it is told to stop; what each took, microseconds.
pub(super) async fn publish_beside(
    site: Arc<Site>,
    rate: u32,
    mut stop: tokio::sync::watch::Receiver<bool>,
) -> anyhow::Result<Vec<u64>> {
    let took = Arc::new(Mutex::new(Vec::new()));
    let mut tick = tokio::time::interval(std::time::Duration::from_secs(1) / rate.max(1));
    let mut calls = tokio::task::JoinSet::<anyhow::Result<()>>::new();
    for index in 0.. {
        tokio::select! {
            _ = stop.changed() => break,
            _ = tick.tick() => {}
        }
        while let Some(call) = calls.try_join_next() {
            call??;
        }
        let (site, took) = (Arc::clone(&site), Arc::clone(&took));
        // One in twenty is critical; both divisions have both.
        let lane = if index % 20 < 2 { Lane::Critical } else { Lane::Major };
        let code = if index % 2 == 0 { OURS } else { THEIRS };
        calls.spawn(async move {
            let began = tokio::time::Instant::now();
            site.publish(alert_at(code, lane, index)).await?;
            took.lock().await.push(u64::try_from(began.elapsed().as_micros())?);
            Ok(())
        });
    }
    while let Some(call) = calls.join_next().await {
        call??;
    }
    let took = std::mem::take(&mut *took.lock().await);
    Ok(took)
}
