//! The listeners as others meet them: who gets in where, from the first start on.

use std::{path::Path, time::Duration};

use tonic::{Code, Request, transport::Channel};
use xueliang_alerts::{bus::BusOptions, external::External, sink::SinkOptions};
use xueliang_base::{id::ConfigRevision, shutdown, time::SystemClock};
use xueliang_proto::v1::{
    self, account_service_client::AccountServiceClient, alert_service_client::AlertServiceClient,
    subscribe_response::Item,
};

use super::*;
use crate::roles::bus::accounts;

const PASSWORD: &str = "Nine-lamps-by-the-river";

/// A bus with its listeners, and channels to them.
struct Site {
    folder: tempfile::TempDir,
    address: Channel,
    local: Channel,
    _stop: shutdown::Stop,
}

impl Site {
    async fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "site = \"t\"\nstate_dir = \"s\"\nnetworks = [\"127.0.0.0/8\"]\n{more}\n\
             [[division]]\ncode = \"33\"\nname = \"n\"\n\
             [[camera]]\nid = \"c\"\nname = \"n\"\ndivision = \"33\"\nurl = \"rtsp://127.0.0.1/x\"\n"
        );
        let config = Config::parse(&text, Path::new("/")).unwrap();
        let state = StateDir::at(folder.path());
        state.create().unwrap();
        let bus = Bus::open(folder.path(), SystemClock::shared(), BusOptions::default()).unwrap();
        let accounts = accounts::open(&state, &config, &bus).await.unwrap();
        let external = std::sync::Arc::new(External::of(&config, ConfigRevision(1)));
        let callers = Callers::of(&config, external, accounts.clone());
        let sinks = Sinks::new(bus.clone(), Vec::new(), SinkOptions::default());
        let (stop, stopping) = shutdown::pair();
        let public = Public::new(&bus, accounts, callers, &sinks, stopping.clone()).await.unwrap();
        public.serve_local(&state, stopping.clone()).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let channel = |text: String| xueliang_client::address(&text).unwrap().connect_lazy();
        let address = channel(format!("http://{}", listener.local_addr().unwrap()));
        let local = channel(format!("unix:{}", state.api_socket().display()));
        public.serve_listener(listener, &config, stopping).unwrap();
        Self { folder, address, local, _stop: stop }
    }
    async fn sign_in(&self, name: &str) -> v1::SignInResponse {
        let request =
            v1::SignInRequest { name: name.into(), password: PASSWORD.into(), totp_code: String::new() };
        AccountServiceClient::new(self.address.clone()).sign_in(request).await.unwrap().into_inner()
    }
    async fn set_up(&self, token: &str) {
        let request = v1::SetUpRequest {
            token: token.trim().to_owned(),
            password: PASSWORD.into(),
            name: "root".into(),
            display_name: "Root".into(),
            unit: "Town".into(),
        };
        AccountServiceClient::new(self.address.clone()).set_up(request).await.unwrap();
    }
}

fn by<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

async fn list(channel: &Channel, token: Option<&str>) -> Code {
    let message = v1::ListAlertsRequest::default();
    let request = token.map_or_else(|| Request::new(message.clone()), |token| by(token, message.clone()));
    match AlertServiceClient::new(channel.clone()).list_alerts(request).await {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    }
}

#[tokio::test]
async fn from_the_first_start_on_only_the_local_socket_needs_no_sign_in_and_rights_are_cut_within_five_seconds()
 {
    let site = Site::new("").await;
    let socket = StateDir::at(site.folder.path()).api_socket();
    assert_eq!(fs::metadata(socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(list(&site.address, None).await, Code::Unauthenticated);
    assert_eq!(list(&site.address, Some("xls_guess")).await, Code::Unauthenticated);
    assert_eq!(list(&site.local, None).await, Code::Ok);
    assert_eq!(list(&site.local, Some("xls_guess")).await, Code::Unauthenticated, "never the operator");

    let token = fs::read_to_string(StateDir::at(site.folder.path()).set_up_token()).unwrap();
    site.set_up(&token).await;
    let root = site.sign_in("root").await;
    assert_eq!(root.session.unwrap().address, "127.0.0.1");
    assert_eq!(list(&site.address, Some(&root.token)).await, Code::PermissionDenied, "no way to alerts");
    let mut accounts = AccountServiceClient::new(site.address.clone());
    let ana = v1::Account {
        name: "ana".into(),
        display_name: "Ana".into(),
        unit: "Centre".into(),
        roles: vec![v1::Role::Judge.into()],
        whole_town: true,
        ..v1::Account::default()
    };
    let create = v1::CreateAccountRequest { account: Some(ana) };
    let made = accounts.create_account(by(&root.token, create)).await.unwrap().into_inner();
    site.set_up(&made.token).await;
    let ana = site.sign_in("ana").await;
    assert_eq!(list(&site.address, Some(&ana.token)).await, Code::Ok);
    let told = accounts.get_self(by(&ana.token, v1::GetSelfRequest {})).await.unwrap().into_inner();
    assert_eq!(told.session.map(|session| session.account), Some("ana".to_owned()));

    let mut alerts = AlertServiceClient::new(site.address.clone());
    let subscribe = by(&ana.token, v1::SubscribeRequest::default());
    let mut stream = alerts.subscribe(subscribe).await.unwrap().into_inner();
    let disable =
        v1::DisableAccountRequest { name: "ana".into(), reason: "left the unit".into(), enable: false };
    AccountServiceClient::new(site.local.clone()).disable_account(disable).await.unwrap();
    let cut = async {
        loop {
            match stream.message().await.unwrap().expect("it says why it ends").item {
                Some(Item::Closed(closed)) => return closed.reason(),
                _ => continue,
            }
        }
    };
    let reason = tokio::time::timeout(Duration::from_secs(5), cut).await.expect("it is cut in time");
    assert_eq!(reason, v1::CloseReason::RightsChanged);
    assert_eq!(list(&site.address, Some(&ana.token)).await, Code::Unauthenticated);
}

#[tokio::test]
async fn where_nobody_signs_in_whoever_connects_is_the_operator() {
    let site = Site::new("[api]\nsign_in = \"none\"").await;
    assert_eq!(list(&site.address, None).await, Code::Ok);
    assert_eq!(list(&site.address, Some("xls_guess")).await, Code::Unauthenticated);
}
