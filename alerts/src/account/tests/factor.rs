//! The second factor, as people sign in with it.

use super::*;

/// The code of a factor at the bench's time.
fn code(desk: &Desk, secret: &str) -> String {
    let secret = base32_bytes(secret);
    let totp = totp_rs::TOTP::new(totp_rs::Algorithm::SHA1, 6, 0, 30, secret).unwrap();
    totp.generate(u64::try_from(desk.bench.clock.wall().0).unwrap() / 1_000_000)
}

/// RFC 4648, without padding.
fn base32_bytes(text: &str) -> Vec<u8> {
    let digits = text.bytes().map(|byte| if byte.is_ascii_digit() { byte - b'2' + 26 } else { byte - b'A' });
    let bits: String = digits.map(|digit| format!("{digit:05b}")).collect();
    bits.as_bytes()
        .chunks_exact(8)
        .map(|eight| u8::from_str_radix(std::str::from_utf8(eight).unwrap(), 2).unwrap())
        .collect()
}

#[tokio::test]
async fn a_second_factor_is_asked_for_taken_once_and_taken_away_by_a_reset_only() {
    let desk = Desk::new().await;
    desk.made("ana", &[Role::Judge]).await;
    let token = desk.sign_in("ana").await;
    let caller = desk.caller(&token);
    let refused = desk.accounts.enrol_totp(&caller, OTHER).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Forbidden);
    let (secret, url) = desk.accounts.enrol_totp(&caller, PASSWORD).await.unwrap();
    assert!(url.starts_with("otpauth://totp/xueliang:ana?secret="), "{url}");
    // Until it is confirmed it does not count, over a restart too.
    let desk = desk.reopen().await;
    desk.sign_in("ana").await;
    let caller = desk.caller(&token);
    assert!(desk.accounts.confirm_totp(&caller, "000000").await.is_err());
    desk.accounts.confirm_totp(&caller, &code(&desk, &secret)).await.unwrap();
    assert_eq!(desk.accounts.list_sessions(&caller, "").len(), 1, "others have ended");

    let desk = desk.reopen().await;
    let ask = async |code: &str| desk.try_sign_in("ana", PASSWORD, code).await;
    assert!(matches!(ask("").await, Ok(SignedIn::CodeNeeded)));
    let used = code(&desk, &secret);
    assert_eq!(ask(&used).await.unwrap_err().kind(), ErrorKind::Unauthenticated, "it confirmed the factor");
    desk.bench.clock.advance(Duration::from_secs(30));
    let fresh = code(&desk, &secret);
    assert!(matches!(ask(&fresh).await, Ok(SignedIn::Session { .. })));
    assert!(ask(&fresh).await.is_err(), "a code is taken once");
    let twice = desk.accounts.enrol_totp(&desk.caller(&token), PASSWORD).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Conflict, "it cannot be replaced at an open console");

    let handed = desk.accounts.reset(&desk.local(), "ana").await.unwrap();
    assert_eq!(desk.accounts.caller(&token), None);
    assert!(desk.try_sign_in("ana", PASSWORD, &code(&desk, &secret)).await.is_err());
    let profile = desk.set_up(&handed.token, PASSWORD).await.unwrap();
    assert!(!profile.has_totp);
    desk.sign_in("ana").await;
}

#[tokio::test]
async fn codes_that_are_wrong_make_wait_however_often_the_password_is_right() {
    let desk = Desk::new().await;
    desk.made("ana", &[Role::Judge]).await;
    let caller = desk.caller(&desk.sign_in("ana").await);
    let (secret, _) = desk.accounts.enrol_totp(&caller, PASSWORD).await.unwrap();
    desk.accounts.confirm_totp(&caller, &code(&desk, &secret)).await.unwrap();
    let mut tries = 0;
    loop {
        let half = desk.try_sign_in("ana", PASSWORD, "").await;
        if matches!(half, Err(Error::TooMany { .. })) {
            break;
        }
        assert!(matches!(half, Ok(SignedIn::CodeNeeded)));
        assert!(desk.try_sign_in("ana", PASSWORD, "000000").await.is_err());
        tries += 1;
        assert!(tries < 10, "codes may be guessed for ever");
    }
    assert_eq!(tries, 5);
}
