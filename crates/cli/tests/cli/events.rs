//! `watch` and `wait`: what happens while they run.

use plex_account_core::{
    state_snapshot::StateSnapshot,
    words::{Outcome, PlexTv, State},
};
use plex_accountd::dbus::Service;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::common::{Bus, Following, but, having, read, server, signed_out};

/// A line less its time, which is now.
fn timeless(mut event: Value) -> Value {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let time = event.as_object_mut().unwrap().remove("time").unwrap();
    assert!((now - 60..=now).contains(&time.as_u64().unwrap()), "{time}");
    event
}

fn offline() -> StateSnapshot {
    let attic = but(&server("a", "Attic", true), |server| server.state = State::Offline);
    having([attic, server("b", "Barn", true)])
}

#[tokio::test]
async fn each_event_is_an_object_in_its_order() {
    let bus = Bus::start();
    let connection = bus.connect().await;
    let (sender, _commands) = mpsc::channel(4);
    let attic = server("a", "Attic", true);
    let mut service = Service::serve(&connection, sender, having([attic.clone()])).await.unwrap();
    service.own_name().await.unwrap();

    let mut watch = bus.follow("watch --json");
    let first = timeless(watch.json().await);
    assert_eq!(first["event"], "snapshot");
    assert_eq!(
        first["account"],
        json!({ "state": "signed-in", "signed_in": true, "username": "ada" })
    );
    assert_eq!(first["servers"][0]["id"], "a");

    service.publish(offline()).await.unwrap();
    let added = json!({
        "event": "server-added", "id": "b", "name": "Barn", "owned": true, "state": "online",
    });
    assert_eq!(timeless(watch.json().await), added);
    let state = json!({
        "event": "server-state", "id": "a", "name": "Attic",
        "old_state": "online", "new_state": "offline",
    });
    assert_eq!(timeless(watch.json().await), state);

    let mut view = signed_out();
    view.account.plex_tv = PlexTv::Unreachable;
    service.publish(view).await.unwrap();
    let mut removed = [timeless(watch.json().await), timeless(watch.json().await)];
    removed.sort_by_key(|event| event["id"].to_string());
    assert_eq!(removed[0], json!({ "event": "server-removed", "id": "a", "name": "Attic" }));
    assert_eq!(removed[1], json!({ "event": "server-removed", "id": "b", "name": "Barn" }));
    let account = json!({
        "event": "account", "state": "signed-out", "signed_in": false, "username": "",
    });
    assert_eq!(timeless(watch.json().await), account);
    let plex_tv = json!({ "event": "plex-tv", "plex_tv": "unreachable" });
    assert_eq!(timeless(watch.json().await), plex_tv);

    service.login_finished(Outcome::Expired, "Too late.").await.unwrap();
    let finished =
        json!({ "event": "login-finished", "outcome": "expired", "message": "Too late." });
    assert_eq!(timeless(watch.json().await), finished);

    connection.close().await.unwrap();
    assert_eq!(timeless(watch.json().await), json!({ "event": "service", "running": false }));
    let _again = bus.serve(having([attic])).await;
    assert_eq!(timeless(watch.json().await), json!({ "event": "service", "running": true }));
    assert_eq!(watch.json().await["event"], "snapshot");
}

#[tokio::test]
async fn people_get_a_line_and_a_pipe_that_closes_ends_it() {
    let bus = Bus::start();
    let (mut service, _commands) = bus.serve(having([server("a", "Attic", true)])).await;
    // The last word is that somebody listens: until then, what happens is lost to it.
    let program = env!("CARGO_BIN_EXE_plex-account");
    let line = format!("'{program}' watch | head -n 1; echo ${{PIPESTATUS[0]}}");
    let mut bash = bus.command("bash");
    bash.args(["-c", &line]);
    let mut piped = Following::of(&mut bash);
    let mut online = false;
    let said = loop {
        let views = [offline(), having([server("a", "Attic", true), server("b", "Barn", true)])];
        service.publish(views[usize::from(online)].clone()).await.unwrap();
        online = !online;
        tokio::select! {
            said = piped.line() => break said,
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
        }
    };
    assert!(said.contains("Attic: ") || said.contains("Barn is new, ● online"), "{said}");
    // Without another event: it sees that nobody reads.
    assert_eq!(piped.line().await, "0");
}

#[tokio::test]
async fn waybar_gets_a_module_that_follows() {
    let bus = Bus::start();
    let connection = bus.connect().await;
    let (sender, _commands) = mpsc::channel(4);
    let tricky = server("a", "<b> & co", true);
    let mut service = Service::serve(&connection, sender, having([tricky])).await.unwrap();
    service.own_name().await.unwrap();
    let mut watch = bus.follow("watch --format waybar");
    assert_eq!(
        watch.json().await,
        json!({
            "text": "1/1", "alt": "online", "class": "online", "percentage": 100,
            "tooltip": "&lt;b&gt; &amp; co: online",
        })
    );
    service.publish(offline()).await.unwrap();
    loop {
        let module = watch.json().await;
        if module["class"] == "offline" {
            assert_eq!(module["text"], "1/2");
            break;
        }
    }
    service.publish(signed_out()).await.unwrap();
    while watch.json().await["class"] != "signed-out" {}
    connection.close().await.unwrap();
    assert_eq!(watch.json().await["class"], "stopped");
}

#[tokio::test]
async fn waiting_ends_when_it_is_so_or_in_time() {
    let bus = Bus::start();
    let (mut service, _commands) = bus.serve(offline()).await;
    assert_eq!(bus.run("wait --server barn").await.0, 0);
    assert_eq!(bus.run("wait --server attic --state offline --timeout 9s").await.0, 0);
    assert_eq!(bus.run("wait --signed-in").await.0, 0);
    let (code, out, err) = bus.run("wait --server attic --timeout 50ms").await;
    assert_eq!((code, &*out), (4, ""));
    assert!(err.contains("attic has not become online"), "{err}");
    assert_eq!(bus.run("wait --server nowhere --timeout 9s").await.0, 1);

    let waiting = bus.plex_account("wait --server attic --state online").spawn().unwrap();
    service.publish(having([server("a", "Attic", true)])).await.unwrap();
    assert_eq!(read(&waiting.wait_with_output().await.unwrap()).0, 0);

    service.publish(signed_out()).await.unwrap();
    assert_eq!(bus.run("wait --server attic --timeout 9s").await.0, 3);
    assert_eq!(bus.run("wait --signed-in --timeout 50ms").await.0, 4);
    let waiting = bus.plex_account("wait --signed-in").spawn().unwrap();
    // No list has come yet: the server that is waited for may be in it.
    let mut view = having([]);
    view.account.last_refresh = 0;
    service.publish(view).await.unwrap();
    assert_eq!(read(&waiting.wait_with_output().await.unwrap()).0, 0);
    let waiting = bus.plex_account("wait --server attic").spawn().unwrap();
    service.publish(having([server("a", "Attic", true)])).await.unwrap();
    assert_eq!(read(&waiting.wait_with_output().await.unwrap()).0, 0);
}
