//! What is left out comes from the environment, and nothing from there counts for a service of this machine that was named.
//! How services answer is tested where they are served (`roles::bus::public`).

use std::ffi::OsString;

use super::*;

#[test]
fn what_is_given_goes_before_the_environment_and_that_before_what_is_usual() {
    let variable = |name: &str| Some(OsString::from(format!("/from/{name}")));
    let given = Reach { api: Some("unix:/x".into()), ca_file: Some("/ca".into()), ..Reach::default() };
    let filled = given.filled_from(variable);
    assert_eq!(filled.api.as_deref(), Some("unix:/x"));
    assert_eq!(filled.ca_file, Some("/ca".into()));
    assert_eq!(filled.cert_file, Some("/from/XUELIANG_CERT_FILE".into()));
    assert_eq!(filled.cert_key_file, Some("/from/XUELIANG_CERT_KEY_FILE".into()));
    assert_eq!(filled.key_file, Some("/from/XUELIANG_KEY_FILE".into()));
    assert_eq!(Reach::default().filled_from(variable).api.as_deref(), Some("/from/XUELIANG_API"));
    let nothing = Reach::default().filled_from(|_| None);
    assert!(nothing.api.is_none() && nothing.key_file.is_none());
    assert!(Reach::at("unix:/x").filled().key_file.is_none());
}

#[tokio::test]
async fn a_variable_that_is_empty_says_nothing() {
    let empty = Reach::default().filled_from(|_| Some(OsString::new()));
    assert!(empty.api.is_none() && empty.ca_file.is_none() && empty.key_file.is_none());
    // As with nothing else in the environment.
    let here = Reach { api: Some("http://127.0.0.1:1".into()), ..Reach::default() };
    let key = |text: &str| here.connected(|name| (name == "XUELIANG_KEY").then(|| text.into()));
    assert!(key("").is_ok());
    assert!(key("no key").is_err(), "one that is set is used");
}

#[test]
fn an_address_of_this_machine_is_taken_where_no_other_is_named_and_a_key_that_is_named_counts_there() {
    let named = Reach { api: Some("https://town:1".into()), ..Reach::default() };
    assert_eq!(named.or_at("unix:/x").address(), "https://town:1");
    // As with nothing in the environment.
    let nothing = Reach { key_file: Some("/key".into()), alone: true, ..Reach::default() };
    let here = nothing.or_at("unix:/x");
    assert_eq!((here.address(), here.key_file()), ("unix:/x".to_owned(), Some("/key".into())));
}

#[test]
fn every_trouble_but_what_the_service_says_itself_has_its_advice() {
    use Trouble::*;
    for trouble in [
        Nobody,
        Untrusted,
        OutOfDate,
        OtherName,
        WantsCertificate,
        WantsTls,
        NoTls,
        NotSignedIn,
        NotPermitted,
    ] {
        let told = advice(trouble, "http://127.0.0.1:8750");
        assert!(told.is_some_and(|advice| advice.len() > 20), "{trouble:?}");
    }
    assert_eq!(advice(Other, "http://127.0.0.1:8750"), None);
    for address in ["https://town:1", "unix:/run/api.sock", ""] {
        assert_eq!(
            advice(WantsTls, address),
            None,
            "{address}: nobody was spoken to without TLS that wants it"
        );
    }
}
