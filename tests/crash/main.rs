//! The real daemon, killed at every write, sync, rename and removal of a login, a move between
//! stores and a sign-out; and with a disk that fails at each of them. A start after that finds the
//! account, or cleanly the one before, and never less than was promised.
//!
//! strace makes it happen. It counts the calls of each thread; what else a thread writes (to wake
//! another) is counted with it, and is a moment to be killed at like any other.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/fake.rs"]
mod fake;
#[path = "../support/secret_service.rs"]
mod keyring;
#[path = "../support/notification_server.rs"]
mod notification_server;
#[path = "../support/session.rs"]
mod session;
#[path = "../support/mod.rs"]
mod support;

mod scenario;

use scenario::{CrashRun, Ended};
use support::PrivateBus;

/// Something that the daemon does, from a state of its own, and what may be left of it.
struct Scenario {
    name: &'static str,
    /// `token.store`; what is not the file has a keyring.
    store: &'static str,
    /// Where the account is at the start.
    account: Place,
    act: Act,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    File,
    Keyring,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    LogIn,
    SignOut,
    /// Nothing but to start: the account goes to the other store by itself.
    Move,
}

const LOGIN: Scenario = Scenario {
    name: "login over an account",
    store: "file",
    account: Place::File,
    act: Act::LogIn,
};
const SIGN_OUT: Scenario = Scenario { name: "sign-out", act: Act::SignOut, ..LOGIN };
const KEYRING_LOGIN: Scenario = Scenario {
    name: "login over an account in the keyring",
    store: "secret-service",
    account: Place::Keyring,
    act: Act::LogIn,
};
const KEYRING_SIGN_OUT: Scenario =
    Scenario { name: "sign-out with a keyring", act: Act::SignOut, ..KEYRING_LOGIN };
const TO_KEYRING: Scenario =
    Scenario { name: "file to keyring", store: "auto", account: Place::File, act: Act::Move };
const TO_FILE: Scenario =
    Scenario { name: "keyring to file", store: "file", account: Place::Keyring, act: Act::Move };

/// Every way to change what is on a disk.
const CALLS: [&str; 4] = ["write", "fsync", "/^rename", "/^unlink"];

/// Kills it at the first such call, at the second, … until it gets through.
async fn kill_at_every(scenario: &'static Scenario, calls: &str) -> u32 {
    let mut scene = CrashRun::new(scenario).await;
    for n in 1.. {
        let how = format!("killed at {calls} {n}");
        let (ended, promise) = scene.play(calls, &format!("signal=SIGKILL:when={n}")).await;
        if ended == Ended::Stopped {
            return n - 1;
        }
        scene.check(&how, promise).await;
    }
    unreachable!()
}

async fn kill(scenario: &'static Scenario) {
    if !installed() {
        return;
    }
    let mut points = 0;
    for calls in CALLS {
        points += kill_at_every(scenario, calls).await;
    }
    println!("{}: {points} kill points, 0 losses", scenario.name);
    assert!(points > 10, "{points}");
}

/// Lets each such call fail, one in each run; then all from one on.
async fn fail(scenario: &'static Scenario) {
    if !installed() {
        return;
    }
    let mut scene = CrashRun::new(scenario).await;
    let mut points = 0;
    // A thread that can't wake another ends the daemon, so not all of `write` fail for good.
    let lasting = ["fsync,/^rename,/^unlink,/^mkdir"];
    let all = CALLS.map(|calls| (calls, "")).into_iter().chain(lasting.map(|calls| (calls, "+")));
    for (calls, from) in all {
        for errno in ["ENOSPC", "EROFS", "EIO"] {
            for n in 1.. {
                let what = format!("error={errno}:when={n}{from}");
                let (_, promise) = scene.play(calls, &what).await;
                scene.check(&format!("{calls} {what}"), promise).await;
                if !scene.injected() {
                    break;
                }
                points += 1;
            }
        }
    }
    println!("{}: {points} failures, 0 losses", scenario.name);
    assert!(points > 30, "{points}");
}

#[tokio::test]
async fn a_login_killed_anywhere_leaves_one_of_the_two_accounts() {
    kill(&LOGIN).await;
}

#[tokio::test]
async fn a_login_on_a_disk_that_fails_anywhere_leaves_one_of_the_two_accounts() {
    fail(&LOGIN).await;
}

#[tokio::test]
async fn a_sign_out_killed_anywhere_is_done_or_was_never_begun() {
    kill(&SIGN_OUT).await;
}

#[tokio::test]
async fn a_sign_out_on_a_disk_that_fails_anywhere_is_done_or_changed_nothing() {
    fail(&SIGN_OUT).await;
}

#[tokio::test]
async fn a_login_with_a_keyring_leaves_one_of_the_two_accounts_wherever_it_is_killed() {
    kill(&KEYRING_LOGIN).await;
}

#[tokio::test]
async fn a_login_with_a_keyring_leaves_one_of_the_two_accounts_wherever_the_disk_fails() {
    fail(&KEYRING_LOGIN).await;
}

#[tokio::test]
async fn a_sign_out_with_a_keyring_is_done_or_was_never_begun_wherever_it_is_killed() {
    kill(&KEYRING_SIGN_OUT).await;
}

#[tokio::test]
async fn a_sign_out_with_a_keyring_is_done_or_changed_nothing_wherever_the_disk_fails() {
    fail(&KEYRING_SIGN_OUT).await;
}

#[tokio::test]
async fn a_move_to_the_keyring_leaves_one_copy_wherever_it_is_killed() {
    kill(&TO_KEYRING).await;
}

#[tokio::test]
async fn a_move_to_the_keyring_leaves_one_copy_wherever_the_disk_fails() {
    fail(&TO_KEYRING).await;
}

#[tokio::test]
async fn a_move_to_the_file_leaves_one_copy_wherever_it_is_killed() {
    kill(&TO_FILE).await;
}

#[tokio::test]
async fn a_move_to_the_file_leaves_one_copy_wherever_the_disk_fails() {
    fail(&TO_FILE).await;
}

/// Whether the test can be made here.
fn installed() -> bool {
    let runs = std::process::Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .status()
        .is_ok_and(|status| status.success());
    if !runs {
        assert!(
            std::env::var_os("PLEX_ACCOUNTD_CI").is_none(),
            "strace (package strace) is missing"
        );
        eprintln!("skipped: strace (package strace) is not installed, or not allowed to trace");
    }
    runs
}
