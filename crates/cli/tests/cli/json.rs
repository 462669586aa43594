//! What programs read, against files: the documented schema. A change here breaks somebody.

use plex_account_core::words::{Reason, Route};
use plex_accountd::dbus::command::Command as Asked;
use serde_json::Value;

use crate::common::{Bus, at, but, having, json_lines, server};

/// Compares with `json/NAME.json`.
fn same(name: &str, value: &Value) {
    let path = format!("{}/tests/cli/json/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let shown = serde_json::to_string_pretty(value).unwrap();
    assert!(*value == expected, "{name}.json says otherwise; this is printed now:\n{shown}");
}

#[tokio::test]
async fn what_is_printed_is_what_is_documented() {
    let bus = Bus::start();
    let uri = "https://192-0-2-1.example.plex.direct:32400";
    let attic = but(&at(&server("a", "Attic", true), &[(uri, false)]), |server| {
        server.reason = Reason::Probe;
        server.route = Route::Remote;
        server.best_uri = uri.to_owned();
        server.muted_until = u64::MAX;
    });
    let view = having([attic, server("b", "Barn", false)]);
    let (mut service, mut commands) = bus.serve(view).await;
    let one = async |arguments: &str| {
        let (code, out, err) = bus.run(arguments).await;
        assert_eq!((code, &*err), (0, ""), "{arguments}");
        let mut lines = json_lines(&out);
        assert_eq!(lines.len(), 1, "{out}");
        lines.remove(0)
    };
    let mut status = one("status --json").await;
    assert_eq!(status["version"].take(), env!("CARGO_PKG_VERSION"));
    same("status", &status);
    same("servers", &one("servers --all --json").await);
    same("url", &one("url Attic --json").await);
    same("muted", &one("muted --json").await);

    let refresh = async {
        let Some(Asked::Refresh(reply)) = commands.recv().await else { panic!("no refresh") };
        reply.send(Ok(())).unwrap();
    };
    same("refresh", &tokio::join!(one("refresh --json"), refresh).0);
    let logout = async {
        let Some(Asked::SignOut(reply)) = commands.recv().await else { panic!("no sign-out") };
        let mut view = crate::common::signed_out();
        view.account.details.revoked = Some((true, String::new()));
        service.publish(view).await.unwrap();
        reply.send(Ok(())).unwrap();
    };
    same("logout", &tokio::join!(one("logout --json"), logout).0);
}
