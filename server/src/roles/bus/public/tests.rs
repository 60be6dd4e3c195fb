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
use crate::{
    cli::reach::Reach,
    roles::bus::{accounts, rules, tls::tests::Authority},
};

const PASSWORD: &str = "Nine-lamps-by-the-river";

/// A bus with its listeners, and channels to them.
struct Site {
    folder: tempfile::TempDir,
    port: u16,
    address: Channel,
    local: Channel,
    _stop: shutdown::Stop,
}

impl Site {
    async fn new(more: &str) -> Self {
        Self::within(tempfile::tempdir().unwrap(), more).await
    }
    async fn within(folder: tempfile::TempDir, more: &str) -> Self {
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
        let external = Arc::new(External::of(&config, ConfigRevision(1)));
        let callers = Callers::of(&config, external, accounts.clone());
        let sinks = Sinks::new(bus.clone(), Vec::new(), SinkOptions::default());
        let (stop, stopping) = shutdown::pair();
        let wanted = Ok(crate::roles::bus::Wanted {
            config: config.clone(),
            written: std::collections::BTreeMap::new(),
            credentials: std::collections::BTreeMap::new(),
        });
        let imported = rules::import(state.registry(), wanted, SystemClock::shared(), stopping.clone());
        let rules = Arc::new(imported.await.unwrap().rules);
        let public = Public::new(&bus, accounts, callers, &sinks, rules, stopping.clone()).await.unwrap();
        public.serve_local(&state, stopping.clone()).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let channel = |text: String| xueliang_client::address(&text).unwrap().connect_lazy();
        let address = channel(format!("http://{}", listener.local_addr().unwrap()));
        let local = channel(format!("unix:{}", state.api_socket().display()));
        public.serve_listener(listener, &config, stopping).unwrap();
        Self { folder, port, address, local, _stop: stop }
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

/// The arguments of a command that calls a service.
#[derive(Debug, clap::Parser)]
struct Called {
    #[command(flatten)]
    reach: Reach,
}

/// Reaches a service as a command does: the account that it is called as, or what the command tells.
async fn called(arguments: &[&str]) -> Result<String, String> {
    use clap::Parser as _;
    let reach = Called::parse_from(["xueliang"].iter().chain(arguments)).reach;
    let mut service = match reach.connect() {
        Ok(connection) => AccountServiceClient::new(connection),
        Err(fault) => return Err(format!("{fault:#}")),
    };
    match service.get_self(v1::GetSelfRequest {}).await {
        Ok(told) => Ok(told.into_inner().name),
        Err(status) => Err(format!("{:#}", reach.refused(&status))),
    }
}

/// A folder with certificates as in a town: the service's, those of its clients, and what has gone wrong elsewhere.
fn certificates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (authority, other) = (Authority::new(), Authority::new());
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    put("town-ca.pem", &authority.pem);
    put("other-ca.pem", &other.pem);
    for (name, (certificate, key)) in [
        ("town", authority.issue("127.0.0.1")),
        ("elsewhere", authority.issue("elsewhere.test")),
        ("old", authority.issue_until("127.0.0.1", 2020)),
        ("desk", authority.issue("desk")),
        ("foreign", other.issue("desk")),
    ] {
        put(&format!("{name}.pem"), &certificate);
        put(&format!("{name}.key"), &key);
    }
    folder
}

/// A site that shows one of the certificates, and asks its clients for theirs or not.
async fn over_tls(certificate: &str, asks: bool) -> Site {
    let folder = certificates();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let mut more = format!(
        "[api.tls]\ncertificate = {:?}\nkey = {:?}\n",
        file(&format!("{certificate}.pem")),
        file(&format!("{certificate}.key"))
    );
    if asks {
        more.push_str(&format!("client_ca = {:?}\n", file("town-ca.pem")));
    }
    Site::within(folder, &more).await
}

#[tokio::test]
async fn a_command_gets_in_over_tls_with_a_key_and_is_told_what_to_do_where_it_does_not() {
    let site = over_tls("town", false).await;
    let file = |name: &str| site.folder.path().join(name).display().to_string();
    let api = format!("https://127.0.0.1:{}", site.port);
    let (ca, other, key) = (file("town-ca.pem"), file("other-ca.pem"), file("city.key"));
    let machine = v1::Account {
        name: "city".into(),
        display_name: "City".into(),
        unit: "City".into(),
        roles: vec![v1::Role::ExternalPlatform.into()],
        whole_town: true,
        machine: true,
        ..v1::Account::default()
    };
    let create = v1::CreateAccountRequest { account: Some(machine) };
    let mut accounts = AccountServiceClient::new(site.local.clone());
    let made = accounts.create_account(create).await.unwrap().into_inner();
    fs::write(&key, format!("{}\n", made.token)).unwrap();

    let way = ["--api", &api, "--ca", &ca];
    let with_key = [&way[..], &["--key-file", &key]].concat();
    assert_eq!(called(&with_key).await, Ok("city".to_owned()));
    let told = called(&way).await.unwrap_err();
    assert!(told.contains("sign in with `xueliang sign-in") && told.contains(&api), "{told}");
    fs::write(file("guess.key"), "xlk_guess\n").unwrap();
    let told = called(&[&way[..], &["--key-file", &file("guess.key")]].concat()).await.unwrap_err();
    assert!(told.contains("nobody's") && !told.contains("xlk_guess"), "{told}");
    for (arguments, says) in [
        (vec!["--api", &api, "--ca", &other], "--ca FILE"),
        // This machine's authorities know nothing of the town's.
        (vec!["--api", &api], "--ca FILE"),
        (vec!["--api", &api, "--ca", &key], "holds no certificate"),
        (vec!["--api", &api, "--ca", "/no/such/ca.pem"], "/no/such/ca.pem"),
        (vec!["--api", &api, "--ca", &ca, "--cert", &ca], "go together"),
        (vec!["--api", &api, "--ca", &ca, "--key-file", "/no/such.key"], "--key-file"),
    ] {
        let told = called(&arguments).await.unwrap_err();
        assert!(told.contains(says), "{arguments:?}: {told}");
    }
    let plain = format!("http://127.0.0.1:{}", site.port);
    let told = called(&["--api", &plain]).await.unwrap_err();
    assert!(told.contains("write https://"), "{told}");
    // What it may not do is told with who changes that.
    let reach = Reach::at(&api);
    let told = reach.refused(&tonic::Status::permission_denied("it may not judge")).to_string();
    assert!(told.contains("it may not judge") && told.contains("security administrator"), "{told}");
}

#[tokio::test]
async fn a_certificate_of_another_name_or_time_and_a_missing_one_of_the_client_are_told_apart() {
    for (certificate, says) in [("elsewhere", "for another name"), ("old", "out of date")] {
        let site = over_tls(certificate, false).await;
        let ca = site.folder.path().join("town-ca.pem").display().to_string();
        let told = called(&["--api", &format!("https://127.0.0.1:{}", site.port), "--ca", &ca]).await;
        assert!(told.as_ref().is_err_and(|told| told.contains(says)), "{certificate}: {told:?}");
    }
    let site = over_tls("town", true).await;
    let file = |name: &str| site.folder.path().join(name).display().to_string();
    let (api, ca) = (format!("https://127.0.0.1:{}", site.port), file("town-ca.pem"));
    let shows = |name: &str| [file(&format!("{name}.pem")), file(&format!("{name}.key"))];
    let way = ["--api", &api, "--ca", &ca];
    let told = called(&way).await.unwrap_err();
    assert!(told.contains("--cert FILE"), "{told}");
    let [certificate, own] = shows("foreign");
    let told = called(&[&way[..], &["--cert", &certificate, "--cert-key", &own]].concat()).await.unwrap_err();
    assert!(told.contains("--cert FILE"), "{told}");
    let [certificate, own] = shows("desk");
    let told = called(&[&way[..], &["--cert", &certificate, "--cert-key", &own]].concat()).await.unwrap_err();
    assert!(told.contains("sign in with"), "it is in, and nobody yet: {told}");
}

#[tokio::test]
async fn a_service_that_is_not_there_or_speaks_no_tls_is_told_as_that() {
    let site = Site::new("").await;
    let told = called(&["--api", &format!("https://127.0.0.1:{}", site.port)]).await.unwrap_err();
    assert!(told.contains("does not speak TLS"), "{told}");
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let socket = format!("unix:{}", site.folder.path().join("none.sock").display());
    for nobody in [format!("http://{free}"), format!("https://{free}"), socket] {
        let told = called(&["--api", &nobody]).await.unwrap_err();
        assert!(told.contains("start it with `xueliang run") && told.contains(&nobody), "{told}");
    }
}
