//! Clients we did not write, unmodified and believing that they talk to plex.tv over https. More of them, which take
//! longer to get, are in `tests/interop`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::start_with;

/// What this program prints, run against a stand-in of its own; nothing where it can't be run here.
fn client(program: &str) -> Option<Value> {
    let modules = modules()?;
    let dir = tempfile::tempdir().unwrap();
    let certs = dir.path().to_str().unwrap();
    let (http, https) = ("http://127.0.0.1:0", "https://127.0.0.1:0");
    let fake = start_with(&["--listen", http, "--listen", https, "--make-certs", certs], 2);
    let port = fake.urls[1].rsplit(':').next().unwrap();
    let output = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(program))
        .args([port, fake.authority()])
        .env("PYTHONPATH", modules)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("REQUESTS_CA_BUNDLE", dir.path().join("ca.pem"))
        .env("SSL_CERT_FILE", dir.path().join("ca.pem"))
        .env("NO_PROXY", "*")
        .env("HOME", dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn python_plexauth_signs_in_with_everything_in_a_form() {
    let Some(seen) = client("plexauth_client.py") else { return };
    assert_eq!(seen["before"], json!(null));
    assert!(seen["got"].is_string());
    assert_eq!(seen["got"], seen["given"]);
}

#[test]
fn python_plexapi_signs_in_and_lists_the_servers() {
    let Some(seen) = client("plexapi_client.py") else { return };
    assert_eq!(seen["by_code"]["username"], "demo");
    assert_eq!(
        seen["by_code"]["servers"],
        json!([
            ["Attic", true, true],
            ["Cellar", true, false],
            ["media", false, true],
            ["家のサーバー", true, true]
        ])
    );
    assert_eq!(seen["by_link"], seen["by_code"]);
    assert_eq!(seen["linked"], true);
    assert_eq!(seen["ping"], true);
    assert!(seen["devices"].as_array().unwrap().contains(&json!("Attic")));
    assert_eq!(seen["reached"], "a".repeat(40));
    assert_eq!(seen["after_sign_out"], "Unauthorized");
    assert_eq!(seen["denied"], false);
}

/// Where the clients can be imported from, in the versions of `tests/interop`; fetched once into the target folder if
/// need be.
fn modules() -> Option<PathBuf> {
    let modules = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-clients");
    let importable = || {
        Command::new("python3")
            .args(["-c", "import plexapi.myplex, plexauth"])
            .env("PYTHONPATH", &modules)
            .output()
    };
    // One test installs, the other waits; the lock ends with the file.
    let lock = File::create(modules.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    match importable() {
        Ok(output) if output.status.success() => return Some(modules),
        Ok(_) => {}
        Err(error) => return skip(&format!("no python3: {error}")),
    }
    // Built beside and moved, so that an interrupted download is never taken for a whole one.
    let fresh = modules.with_extension(format!("new-{}", std::process::id()));
    let installed = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop/requirements.txt"))
        .arg("--target")
        .arg(&fresh)
        .output();
    let _ = std::fs::remove_dir_all(&modules);
    let moved = std::fs::rename(&fresh, &modules);
    match (installed, moved, importable()) {
        (Ok(_), Ok(()), Ok(output)) if output.status.success() => Some(modules),
        (Ok(output), ..) => skip(&format!("the clients can't be installed: {}", said(&output))),
        (Err(error), ..) => skip(&format!("no pip: {error}")),
    }
}

/// Skipping is for a developer's machine; where everything must be tried, it is a failure.
fn skip(reason: &str) -> Option<PathBuf> {
    assert!(std::env::var_os("PLEX_ACCOUNTD_CI").is_none(), "{reason}");
    eprintln!("skipped: {reason}");
    None
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
