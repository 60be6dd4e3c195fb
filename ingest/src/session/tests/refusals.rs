//! Cameras that refuse, in every way: told by their cause, over each driver.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use super::*;

over_both! {
    a_camera_that_refuses_is_told_from_one_that_is_gone,
    a_wrong_password_is_told_from_a_missing_one_and_never_shown,
    a_recorder_with_a_wrong_password_sees_one_login_of_all_its_cameras,
    a_locked_account_is_left_alone,
    every_refusal_is_told_by_its_cause,
    an_unsupported_codec_is_named,
    a_redirect_is_not_followed_and_takes_no_password_along,
}

fn a_camera_that_refuses_is_told_from_one_that_is_gone(source: StreamSource) {
    let town = Town::of(keyframes_only());
    town.apply(Fault::Refuse);
    let rig = Rig::start(&town.url(), source, |_| {});
    let (cause, detail) = rig.offline();
    assert_eq!(cause, OfflineCause::Closed, "{detail}");
    town.clear();
    rig.kept.after("lets us in", 0, false);
    drop(rig);
    town.runtime.block_on(town.simulator().close_port());
    let rig = Rig::start(&town.url(), source, |_| {});
    let (cause, detail) = rig.offline();
    assert_eq!(cause, OfflineCause::Refused, "{detail}");
}

fn a_wrong_password_is_told_from_a_missing_one_and_never_shown(source: StreamSource) {
    let account = || simulator::Account::new("canary-user", "canary-right");
    let town = Town::of(camera("vtest@10fps.h264").account(account()));
    let right = Rig::start(&town.url(), source, |spec| {
        spec.credentials = Some(Credentials::new("canary-user", "canary-right"));
    });
    right.kept.after("signs in", 0, false);
    drop(right);
    let wrong = Rig::start(&town.url(), source, |spec| {
        spec.credentials = Some(Credentials::new("canary-user", "canary-wrong"));
    });
    let (cause, detail) = wrong.offline();
    assert_eq!(cause, OfflineCause::Unauthorized);
    assert!(detail.contains("refuses the user or password"), "{detail}");
    let shown = format!("{detail} {:?} {:?}", wrong.kept.signals.lock().unwrap(), wrong.handle());
    assert!(!shown.contains("canary"), "{shown}");
    drop(wrong);
    let (cause, detail) = Rig::start(&town.url(), source, |_| {}).offline();
    assert_eq!(cause, OfflineCause::Unauthorized);
    assert!(detail.contains("name `credentials`"), "{detail}");
}

fn a_recorder_with_a_wrong_password_sees_one_login_of_all_its_cameras(source: StreamSource) {
    let lock = simulator::LockPolicy {
        attempts: 3,
        duration: Duration::from_secs(600),
        answer: simulator::LockAnswer::Unauthorized,
    };
    let account = simulator::Account { lock: Some(lock), ..simulator::Account::new("operator", "right") };
    let town = Town::of(camera("vtest@10fps.h264").account(account));
    let accounts = Accounts::default();
    let channels: Vec<_> = (0..8)
        .map(|channel| {
            Rig::start(&town.url(), source, |spec| {
                spec.camera = format!("gate-{channel}").parse().unwrap();
                spec.credentials = Some(Credentials::new("operator", "wrong"));
                spec.accounts = accounts.clone();
            })
        })
        .collect();
    let details: Vec<_> = channels.iter().map(Rig::offline).collect();
    assert!(details.iter().all(|(cause, _)| *cause == OfflineCause::Unauthorized), "{details:?}");
    let told = details.iter().filter(|(_, detail)| detail.contains("another camera")).count();
    assert_eq!(told, 7, "the others say why they do not try: {details:?}");
    let counters = town.simulator().camera("gate").unwrap().counters();
    assert_eq!((counters.logins_failed, counters.logins_locked_out), (1, 0));
    // With the right password nobody has to wait for the account.
    let right = Rig::start(&town.url(), source, |spec| {
        spec.credentials = Some(Credentials::new("operator", "right"));
        spec.accounts = accounts.clone();
    });
    right.kept.after("signs in", 0, false);
}

fn a_locked_account_is_left_alone(source: StreamSource) {
    for answer in [simulator::LockAnswer::Unauthorized, simulator::LockAnswer::Forbidden] {
        let lock = simulator::LockPolicy { attempts: 3, duration: Duration::from_secs(600), answer };
        let account = simulator::Account { lock: Some(lock), ..simulator::Account::new("operator", "right") };
        let town = Town::of(camera("vtest@10fps.h264").account(account));
        town.apply(Fault::LockAccount);
        let rig = Rig::start(&town.url(), source, |spec| {
            spec.credentials = Some(Credentials::new("operator", "right"));
        });
        let (cause, detail) = rig.offline();
        let expected = match answer {
            simulator::LockAnswer::Unauthorized => OfflineCause::Unauthorized,
            simulator::LockAnswer::Forbidden => OfflineCause::Forbidden,
        };
        assert_eq!(cause, expected, "{detail}");
        assert!(detail.contains("5 minutes"), "{detail}");
        // A second session with that account does not even ask.
        let counters = town.simulator().camera("gate").unwrap().counters();
        assert_eq!(counters.logins_locked_out, 1, "{detail}");
    }
}

/// On each connection, answers each request with the next of the texts, then closes. `{cseq}` stands for the
/// request's number. Not every driver asks for options; where they are asked for they are told, unless what answers
/// speaks no RTSP. The thread lives as long as the test.
fn answering(answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rtsp://{}/a", listener.local_addr().unwrap());
    let rtsp = answers.iter().all(|answer| answer.is_empty() || answer.starts_with("RTSP/"));
    std::thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let mut answers = answers.iter().peekable();
            while answers.peek().is_some() {
                let mut request = Vec::new();
                let mut byte = [0; 1];
                while !request.ends_with(b"\r\n\r\n") && socket.read(&mut byte).is_ok_and(|n| n == 1) {
                    request.push(byte[0]);
                }
                let request = String::from_utf8_lossy(&request).into_owned();
                let cseq = request.lines().find_map(|l| l.strip_prefix("CSeq: ")).unwrap_or("1").to_owned();
                let options = rtsp && request.starts_with("OPTIONS");
                let answer = if options { OPTIONS } else { answers.next().unwrap_or(&"") };
                if socket.write_all(answer.replace("{cseq}", &cseq).as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    url
}

const OPTIONS: &str = "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY\r\n\r\n";

fn every_refusal_is_told_by_its_cause(source: StreamSource) {
    let cases: [(&'static [&'static str], OfflineCause); 7] = [
        (&["RTSP/1.0 404 Not Found\r\nCSeq: {cseq}\r\n\r\n"], OfflineCause::NotFound),
        (&["RTSP/1.0 403 Forbidden\r\nCSeq: {cseq}\r\n\r\n"], OfflineCause::Forbidden),
        (
            &["RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\nWWW-Authenticate: Basic realm=\"a\"\r\n\r\n"],
            OfflineCause::Unauthorized,
        ),
        (&["RTSP/1.0 503 Service Unavailable\r\nCSeq: {cseq}\r\n\r\n"], OfflineCause::Rejected),
        (&["SSH-2.0-OpenSSH_9.2\r\n"], OfflineCause::NotRtsp),
        (&["HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"], OfflineCause::NotRtsp),
        (&[""], OfflineCause::Closed),
    ];
    for (answers, expected) in cases {
        let url = answering(answers);
        let rig = Rig::start(&url, source, |_| {});
        let (cause, detail) = rig.offline();
        println!("{cause}: {detail}");
        drop(rig);
        assert_eq!(cause, expected, "{answers:?}: {detail}");
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(Rig::start(&format!("rtsp://{free}/a"), source, |_| {}).offline().0, OfflineCause::Refused);
    let outside = Rig::start("rtsp://192.0.2.1/a", source, |_| {}).offline();
    assert_eq!(outside.0, OfflineCause::AddressNotAllowed);
}

fn an_unsupported_codec_is_named(source: StreamSource) {
    let description = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=a\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n\
        c=IN IP4 0.0.0.0\r\na=rtpmap:96 AV1/90000\r\na=control:t\r\n";
    let answer = format!(
        "RTSP/1.0 200 OK\r\nCSeq: {{cseq}}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{description}",
        description.len()
    );
    let answer: &'static str = Box::leak(answer.into_boxed_str());
    let answers: &'static [&'static str] = Box::leak(vec![answer, ""].into_boxed_slice());
    let url = answering(answers);
    let (cause, detail) = Rig::start(&url, source, |_| {}).offline();
    assert_eq!(cause, OfflineCause::UnsupportedCodec, "{detail}");
    assert!(detail.contains("AV1"), "{detail}");
}

fn a_redirect_is_not_followed_and_takes_no_password_along(source: StreamSource) {
    let target = TcpListener::bind("127.0.0.2:0").unwrap();
    let text = format!(
        "RTSP/1.0 302 Moved Temporarily\r\nCSeq: {{cseq}}\r\nLocation: rtsp://{}/stolen\r\n\r\n",
        target.local_addr().unwrap()
    );
    let text: &'static str = Box::leak(text.into_boxed_str());
    let answers: &'static [&'static str] = Box::leak(vec![text].into_boxed_slice());
    let url = answering(answers);
    let rig = Rig::start(&url, source, |spec| {
        spec.credentials = Some(Credentials::new("canary-user", "canary-right"));
    });
    let (cause, detail) = rig.offline();
    assert_eq!(cause, OfflineCause::Redirected, "{detail}");
    drop(rig);
    target.set_nonblocking(true).unwrap();
    if let Ok((mut socket, _)) = target.accept() {
        let mut got = Vec::new();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.read_to_end(&mut got).unwrap();
        assert!(got.is_empty(), "{:?}", String::from_utf8_lossy(&got));
    }
}
