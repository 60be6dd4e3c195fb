//! Every crate that the lock file brings to Linux carries a licence that this project may ship.
//! What is allowed and why stands in `docs/licences.md`; a new entry in [`ALLOWED`] goes there first.

use std::iter::Peekable;
use std::process::Command;
use std::vec::IntoIter;

use serde_json::Value;

/// SPDX identifiers, with their exception where they have one.
const ALLOWED: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "IJG",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

#[test]
fn every_dependency_has_an_allowed_licence() {
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform"])
        .arg(&target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata writes JSON");
    let packages = metadata["packages"].as_array().expect("metadata lists packages");
    assert!(packages.len() > 50, "metadata lists {} packages, which cannot be all", packages.len());

    let refused: Vec<String> = packages
        .iter()
        .filter_map(|package| {
            let licence = package["license"].as_str();
            let reason = match licence.map(satisfied) {
                Some(Ok(true)) => return None,
                Some(Ok(false)) => "not on the allow-list".to_owned(),
                Some(Err(error)) => error,
                None => "no licence expression".to_owned(),
            };
            let (name, version) = (package["name"].as_str()?, package["version"].as_str()?);
            Some(format!("  {name} {version}: {}: {reason}", licence.unwrap_or("-")))
        })
        .collect();
    assert!(
        refused.is_empty(),
        "crates with a licence that docs/licences.md does not allow; replace the crate, or add the \
         licence there and in {} with the reason:\n{}",
        file!(),
        refused.join("\n")
    );
}

#[test]
fn an_expression_holds_when_one_whole_choice_is_allowed() {
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-2.0-or-later OR MIT", true),
        ("MIT AND GPL-3.0-only", false),
        ("MPL-2.0/Apache-2.0", true),
        ("(MIT OR Apache-2.0) AND IJG", true),
        ("MIT OR Apache-2.0 AND GPL-3.0-only", true),
        ("(MIT OR Apache-2.0) AND GPL-3.0-only", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-2.0-only WITH Classpath-exception-2.0", false),
    ] {
        assert_eq!(satisfied(expression), Ok(expected), "{expression}");
    }
    for malformed in ["", "MIT OR", "(MIT", "MIT Apache-2.0", "AND MIT"] {
        assert!(satisfied(malformed).is_err(), "{malformed:?} is no expression");
    }
}

/// Whether an SPDX expression can be met with [`ALLOWED`] alone. `/` is the old way to write `OR`.
fn satisfied(expression: &str) -> Result<bool, String> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut tokens = tokens.into_iter().peekable();
    let verdict = any_of(&mut tokens)?;
    match tokens.next() {
        None => Ok(verdict),
        Some(token) => Err(format!("unexpected {token}")),
    }
}

fn any_of(tokens: &mut Peekable<IntoIter<&str>>) -> Result<bool, String> {
    let mut verdict = all_of(tokens)?;
    while tokens.next_if_eq(&"OR").is_some() {
        verdict |= all_of(tokens)?;
    }
    Ok(verdict)
}

fn all_of(tokens: &mut Peekable<IntoIter<&str>>) -> Result<bool, String> {
    let mut verdict = licence(tokens)?;
    while tokens.next_if_eq(&"AND").is_some() {
        verdict &= licence(tokens)?;
    }
    Ok(verdict)
}

fn licence(tokens: &mut Peekable<IntoIter<&str>>) -> Result<bool, String> {
    match tokens.next() {
        Some("(") => {
            let verdict = any_of(tokens)?;
            tokens.next_if_eq(&")").ok_or("a parenthesis is not closed")?;
            Ok(verdict)
        }
        None | Some("AND" | "OR" | "WITH" | ")") => Err("a licence is missing".to_owned()),
        Some(name) if tokens.next_if_eq(&"WITH").is_some() => {
            let exception = tokens.next().ok_or("an exception is missing")?;
            Ok(ALLOWED.contains(&format!("{name} WITH {exception}").as_str()))
        }
        Some(name) => Ok(ALLOWED.contains(&name)),
    }
}
