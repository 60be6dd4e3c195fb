//! Sinks behind TLS, with certificates of an authority of their own, as platforms of cities have.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use super::*;

/// An authority, with its certificate in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn at(folder: &std::path::Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let file = folder.join(name);
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file }
    }
    /// What a server shows that bears this name, until the end of a year.
    fn server(&self, name: &str, until: i32) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(until, 12, 31);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_its_file_is_named_and_for_its_own_name_only() {
    let bench = Bench::new();
    let folder = bench.folder.path();
    let (city, other) = (Authority::at(folder, "city.pem"), Authority::at(folder, "other.pem"));
    let good = Receiver::over_tls(city.server("127.0.0.1", 2090)).await;
    let misnamed = Receiver::over_tls(city.server("127.0.0.2", 2090)).await;
    let expired = Receiver::over_tls(city.server("127.0.0.1", 2020)).await;
    let with = |name: &str, receiver: &Receiver, authority: &Authority| SinkSpec {
        ca_file: Some(authority.file.clone()),
        ..spec(&bench, name, &receiver.url)
    };
    let specs = vec![
        with("good", &good, &city),
        with("untrusted", &good, &other),
        with("misnamed", &misnamed, &city),
        with("expired", &expired, &city),
        SinkSpec { ca_file: Some(folder.join("nowhere.pem")), ..spec(&bench, "unread", &good.url) },
    ];
    let running = start(&bench, specs).await;
    let alert = critical();
    bench.commit(std::slice::from_ref(&alert)).await;
    good.wait_for(1).await;
    for (name, fault) in [
        ("untrusted", Fault::Tls),
        ("misnamed", Fault::Tls),
        ("expired", Fault::Tls),
        ("unread", Fault::Local),
    ] {
        until(|| running.sinks.counts(name).unwrap().failures > 0).await;
        let counts = running.sinks.counts(name).unwrap();
        assert_eq!((counts.fault, counts.taken), (Some(fault), 0), "{name}");
    }
    let key = (alert.id.to_string(), 1);
    assert_eq!(good.got(), [key], "once, and nothing to one whose certificate is not trusted");
    assert!(misnamed.got().is_empty() && expired.got().is_empty());
    assert!(shares(&bench).await.iter().all(|share| share.sink == "good"), "nothing left for the others");
    running.stop().await;
}
