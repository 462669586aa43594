//! The account, by exit code and in words; what stands between plex-account and the service.

use plex_account_core::{
    error::CallError,
    state_snapshot::StateSnapshot,
    words::{ErrorName, LoginState},
};
use plex_accountd::dbus::{NameError, Service, command::Command as Asked};
use tokio::sync::mpsc;

use crate::common::{Bus, json_lines, read, signed_out};

#[tokio::test]
async fn without_a_bus_or_a_daemon_it_says_so_and_exits_5() {
    let bus = Bus::start();
    for arguments in ["status", "watch", "wait --signed-in", "servers --watch"] {
        let (code, out, err) = bus.run(arguments).await;
        assert_eq!((code, &*out), (5, ""), "{arguments}");
        assert!(err.contains("plex-accountd can't be reached"), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    let mut command = bus.plex_account("status");
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    let (code, _, err) = read(&command.output().await.unwrap());
    assert_eq!(code, 5);
    assert!(err.contains("session bus can't be reached"), "{err}");
    assert!(err.contains("Run plex-account in a session"), "{err}");
}

#[tokio::test]
async fn a_wrong_command_line_is_2() {
    let bus = Bus::start();
    for arguments in [
        "servers --shared --all",
        "sing-in",
        "wait",
        "wait --state online",
        "wait --signed-in --server x",
        "wait --signed-in --timeout soon",
        "wait --signed-in --timeout 60",
        "wait --signed-in --timeout -5s",
        "wait --server x --state asleep",
        "mute x --for 8",
        "mute x --until yesterday",
        "mute x --for 8h --until 18:00",
        "watch --json --format waybar",
        "url",
    ] {
        assert_eq!(bus.run(arguments).await.0, 2, "{arguments}");
    }
    let empty = bus.plex_account("url").arg("").output().await.unwrap();
    assert_eq!(read(&empty).0, 2);
}

#[tokio::test]
async fn status_tells_scripts_by_its_exit_code() {
    let bus = Bus::start();
    let (mut service, _commands) = bus.serve(StateSnapshot::default()).await;
    for (state, signed_in, code) in [
        (LoginState::Unknown, false, 1),
        (LoginState::Locked, false, 1),
        (LoginState::SignedOut, false, 3),
        (LoginState::Rejected, false, 3),
        (LoginState::Waiting, false, 3),
        (LoginState::Waiting, true, 0),
        (LoginState::SignedIn, true, 0),
    ] {
        let mut view = StateSnapshot::default();
        view.account.login_state = state;
        view.account.signed_in = signed_in;
        service.publish(view).await.unwrap();
        let (exit, out, err) = bus.run("status").await;
        assert_eq!((exit, &*err), (code, ""), "{state}");
        assert!(out.starts_with("Account:  "), "{out}");
        let (exit, out, _) = bus.run("status --json").await;
        assert_eq!(exit, code);
        let status = &json_lines(&out)[0];
        assert_eq!(status["state"], state.word());
        assert_eq!(status["signed_in"], signed_in);
    }
}

#[tokio::test]
async fn without_an_account_it_exits_3() {
    let bus = Bus::start();
    let (_service, mut commands) = bus.serve(signed_out()).await;
    for arguments in ["servers", "servers --json", "url attic", "open attic", "mute attic"] {
        let (code, out, err) = bus.run(arguments).await;
        assert_eq!((code, &*out), (3, ""), "{arguments}");
        assert!(err.contains("Not signed in"), "{err}");
    }
    let refused = async {
        let Some(Asked::Refresh(reply)) = commands.recv().await else { panic!("no refresh") };
        let sentence = "Nobody is signed in; call StartLogin.".to_owned();
        reply.send(Err(CallError::Account(ErrorName::NotSignedIn, sentence))).unwrap();
    };
    let ((code, out, err), ()) = tokio::join!(bus.run("refresh"), refused);
    assert_eq!((code, &*out), (3, ""));
    assert_eq!(err, "plex-account: Nobody is signed in; call StartLogin.\n");
}

/// What a daemon of an earlier version might have: less.
struct Older;

#[zbus::interface(name = "org.plexaccountd.Account1")]
#[allow(clippy::unused_self)]
impl Older {
    fn login_status(&self) -> (&str, std::collections::HashMap<&str, zbus::Variant<'_>>) {
        ("signed-in", std::collections::HashMap::new())
    }
    #[zbus(property)]
    fn signed_in(&self) -> bool {
        true
    }
    #[zbus(property)]
    fn version(&self) -> &'static str {
        "0.0.1"
    }
}

#[tokio::test]
async fn an_older_daemon_is_told_from_a_broken_one() {
    let bus = Bus::start();
    let older = bus.connect().await;
    older.object_server().at("/org/plexaccountd/Account1", Older).await.unwrap();
    older.request_name("org.plexaccountd.Account1").await.unwrap();
    let (code, out, err) = bus.run("status").await;
    assert_eq!((code, &*err), (0, ""));
    assert!(out.starts_with("Account:  signed in\n"), "{out}");
    let (code, out, err) = bus.run("refresh").await;
    assert_eq!((code, &*out), (1, ""));
    assert!(err.contains("(0.0.1)"), "{err}");
    assert!(err.contains("systemctl --user restart plex-accountd"), "{err}");
}

#[tokio::test]
async fn a_second_service_does_not_get_the_name() {
    let bus = Bus::start();
    let (_first, _commands) = bus.serve(StateSnapshot::default()).await;
    let (sender, _commands) = mpsc::channel(1);
    let second =
        Service::serve(&bus.connect().await, sender, StateSnapshot::default()).await.unwrap();
    assert!(matches!(second.own_name().await, Err(NameError::Taken(_))));
}
