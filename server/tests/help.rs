//! The program's own words. (This test also sees to it that `cargo test` builds the program, which the tests of the
//! whole system start.)

use std::process::Command;

fn run(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xueliang")).args(arguments).output().expect("it starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).expect("it speaks UTF-8"))
}

#[test]
fn every_command_says_what_it_does() {
    let (good, text) = run(&["--help"]);
    assert!(good && text.contains("events, never people"), "{text}");
    for command in [
        "run", "check", "watch", "replay", "simulate", "demo", "backup", "restore", "audit", "explain",
        "kinds", "plan", "register",
    ] {
        assert!(text.contains(&format!("  {command} ")), "{command} is listed");
        let (good, text) = run(&[command, "--help"]);
        assert!(good && text.contains("Usage:"), "{command}: {text}");
    }
}

#[test]
fn what_is_missing_is_said_with_its_name() {
    let (good, text) = run(&["run", "--config", "/does/not/exist.toml"]);
    assert!(!good && text.contains("/does/not/exist.toml"), "{text}");
    let (good, text) = run(&["watch", "--api", "nowhere", "--seconds", "1"]);
    assert!(!good && text.contains("http://ADDRESS:PORT"), "{text}");
    let (good, text) = run(&["kinds"]);
    assert!(good && text.contains("WATER_ZONE_ENTRY"), "{text}");
}
