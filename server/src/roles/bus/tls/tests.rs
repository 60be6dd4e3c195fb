//! TLS as clients meet it: who is let in, who is not, and what a renewed certificate changes.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};
use tokio_stream::StreamExt as _;
use xueliang_base::shutdown;

use super::*;

/// Who signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own, PEM.
    pub pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }
    /// A certificate and its key, PEM.
    pub fn issue(&self, name: &str) -> (String, String) {
        self.issue_until(name, 4096)
    }
    /// The same, good until a year begins.
    pub fn issue_until(&self, name: &str, year: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

struct Site {
    folder: tempfile::TempDir,
    authority: Authority,
    clients: Authority,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Self { folder, authority: Authority::new(), clients: Authority::new() };
        site.renew();
        fs::write(site.folder.path().join("clients.pem"), &site.clients.pem).unwrap();
        site
    }
    fn renew(&self) {
        let (certificate, key) = self.authority.issue("town.test");
        fs::write(self.folder.path().join("town.pem"), certificate).unwrap();
        fs::write(self.folder.path().join("town.key"), key).unwrap();
    }
    fn files(&self, with_clients: bool) -> ApiTls {
        let file = |name: &str| self.folder.path().join(name);
        ApiTls {
            certificate: file("town.pem"),
            key: file("town.key"),
            client_ca: with_clients.then(|| file("clients.pem")),
        }
    }
    fn connector(&self, trusted: &str, own: Option<(String, String)>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => config
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        TlsConnector::from(Arc::new(config))
    }
}

/// Whether a client gets through to the service: it sends a byte, which comes.
async fn gets_through(
    address: std::net::SocketAddr,
    incoming: &mut ReceiverStream<io::Result<Connection>>,
    connector: TlsConnector,
) -> bool {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let stream = TcpStream::connect(address).await.unwrap();
    let from = stream.local_addr().unwrap();
    let client = async {
        let name = ServerName::try_from("town.test").unwrap();
        let mut stream = connector.connect(name, stream).await?;
        stream.write_all(b"x").await?;
        // Refusals of a client's certificate come after its own handshake is over.
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        io::Result::Ok(())
    };
    let server = async {
        let mut connection = incoming.next().await.unwrap().unwrap();
        assert_eq!(connection.connect_info().remote_addr, Some(from));
        let mut byte = [0];
        connection.read_exact(&mut byte).await.unwrap();
        connection.write_all(&byte).await.unwrap();
        connection.flush().await.unwrap();
        // Until the client has it.
        drop(connection.read(&mut byte).await);
    };
    tokio::select! {
        through = client => through.is_ok(),
        () = server => true,
    }
}

#[tokio::test]
async fn clients_get_in_with_a_certificate_that_is_asked_for_and_no_other() {
    let site = Site::new();
    let other = Authority::new();
    for (asked, own, trusted, expected) in [
        (false, None, &site.authority, true),
        (false, None, &other, false),
        (true, None, &site.authority, false),
        (true, Some(other.issue("desk")), &site.authority, false),
        (true, Some(site.clients.issue("desk")), &site.authority, true),
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_stop, stopping) = shutdown::pair();
        let mut incoming = incoming(listener, site.files(asked), stopping).unwrap();
        let what = format!("asked {asked}, shown {}", own.is_some());
        let connector = site.connector(&trusted.pem, own);
        assert_eq!(gets_through(address, &mut incoming, connector).await, expected, "{what}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
    let site = Site::new();
    let mut current = Current::new(site.files(false)).unwrap();
    let first = current.config();
    current.look();
    assert!(Arc::ptr_eq(&first, &current.config), "nothing has changed");
    let touch = |name: &str| {
        let path = site.folder.path().join(name);
        let file = fs::File::options().append(true).open(path).unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        file.set_modified(before + Duration::from_secs(60)).unwrap();
    };
    site.renew();
    touch("town.pem");
    current.look();
    assert!(!Arc::ptr_eq(&first, &current.config));
    let second = Arc::clone(&current.config);
    fs::write(site.folder.path().join("town.pem"), "nothing").unwrap();
    current.look();
    assert!(Arc::ptr_eq(&second, &current.config), "what works stays");
}

#[test]
fn what_is_wrong_with_files_is_said_with_their_names() {
    let site = Site::new();
    let told = |files: &ApiTls| format!("{:#}", read(files).map(drop).unwrap_err());
    let mut files = site.files(true);
    files.certificate = "/no/such.pem".into();
    assert!(told(&files).contains("/no/such.pem"), "{}", told(&files));
    fs::write(site.folder.path().join("empty.pem"), "").unwrap();
    let files = ApiTls { client_ca: Some(site.folder.path().join("empty.pem")), ..site.files(false) };
    assert!(told(&files).contains("holds no certificate"), "{}", told(&files));
    let (_, key) = site.authority.issue("town.test");
    fs::write(site.folder.path().join("other.key"), &key).unwrap();
    let files = ApiTls { key: site.folder.path().join("other.key"), ..site.files(false) };
    let told = told(&files);
    assert!(told.contains("is not the key of") && !told.contains(key.lines().nth(1).unwrap()), "{told}");
}
