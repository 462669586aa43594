//! Completion in shells.

use std::{fs, path::Path};

use crate::common::{Bus, but, having, read, server};

#[tokio::test]
async fn what_is_installed_is_what_plexctl_prints() {
    let bus = Bus::start();
    for shell in ["bash", "zsh", "fish"] {
        let mut command = bus.plexctl(&format!("completions {shell}"));
        // It needs no bus.
        command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
        let (code, printed, err) = read(&command.output().await.unwrap());
        assert_eq!((code, &*err), (0, ""));
        let path = format!("{}/packaging/completions/plexctl.{shell}", env!("CARGO_MANIFEST_DIR"));
        let installed = fs::read_to_string(path).unwrap();
        assert!(installed == printed, "plexctl completions {shell} prints:\n{printed}");
    }
}

/// What bash offers after `plexctl VERB`, where the last word is `word`.
async fn offered(bus: &Bus, verb: &str, word: &str) -> Vec<String> {
    let script = "source packaging/completions/plexctl.bash; COMP_WORDS=(plexctl $1 \"$2\"); \
                  COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _clap_complete_plexctl plexctl \"$2\" x; \
                  printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut command = bus.command("bash");
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["-c", script, "bash", verb, word]);
    let program = Path::new(env!("CARGO_BIN_EXE_plexctl")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", program.display()));
    let (_, out, _) = read(&command.output().await.unwrap());
    out.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[tokio::test]
async fn servers_complete_by_what_is_known_now() {
    let bus = Bus::start();
    assert_eq!(offered(&bus, "", "ref").await, ["refresh"]);
    assert_eq!(
        offered(&bus, "url", "").await,
        ["--json", "--help"],
        "no daemon, and none is started"
    );

    let servers = [
        server("f00d01", "Attic", true),
        server("f00d02", "Living $(room) *", false),
        server("cafe05", "Twin", true),
        but(&server("cafe06", "Twin", false), |_| ()),
    ];
    let _served = bus.serve(having(servers)).await;
    assert_eq!(offered(&bus, "url", "At").await, ["Attic"]);
    assert_eq!(offered(&bus, "wait --server", "At").await, ["Attic"]);
    // As the line has to have it.
    assert_eq!(offered(&bus, "url", "Living\\ ").await, [r"Living\ \$\(room\)\ \*"]);
    assert_eq!(offered(&bus, "mute", "f00d").await, ["f00d01", "f00d02"]);
    let all = offered(&bus, "url", "").await;
    for word in ["Attic", r"Living\ \$\(room\)\ \*", "cafe05", "cafe06"] {
        assert!(all.iter().any(|one| one == word), "{word}: {all:?}");
    }
}
