//! Completion in shells.

use std::{fs, path::Path};

use crate::{
    common::{Bus, Person, at, but, having, read, server},
    support::installed,
};

#[tokio::test]
async fn what_is_installed_is_what_plex_account_prints() {
    let bus = Bus::start();
    for shell in ["bash", "zsh", "fish"] {
        let mut command = bus.plex_account(&format!("completions {shell}"));
        // It needs no bus.
        command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
        let (code, printed, err) = read(&command.output().await.unwrap());
        assert_eq!((code, &*err), (0, ""));
        let path = format!(
            "{}/../../packaging/completions/plex-account.{shell}",
            env!("CARGO_MANIFEST_DIR")
        );
        let installed = fs::read_to_string(path).unwrap();
        assert!(installed == printed, "plex-account completions {shell} prints:\n{printed}");
    }
}

/// A `PATH` on which plex-account is found.
fn path() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_plex-account")).parent().unwrap();
    format!("{}:{}", program.display(), std::env::var("PATH").unwrap())
}

/// What bash offers after `plex-account VERB`, where the last word is `word`.
async fn offered(bus: &Bus, verb: &str, word: &str) -> Vec<String> {
    let script = "source packaging/completions/plex-account.bash; COMP_WORDS=(plex-account $1 \"$2\"); \
                  COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _clap_complete_plex_account plex-account \"$2\" x; \
                  printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut command = bus.command("bash");
    command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .args(["-c", script, "bash", verb, word]);
    command.env("PATH", path());
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

/// Somebody types a start of a name, Tab and Enter in a shell of theirs. It says `ready` and what it
/// `runs` by its settings.
async fn the_name_is_completed_and_quoted(shell: &str, settings: &str, text: &str) {
    let words: Vec<&str> = shell.split(' ').chain(["-c", "true"]).collect();
    if !installed(words[0], &words) {
        return;
    }
    let bus = Bus::start();
    let uri = "http://192.0.2.7:32400";
    let living = at(&server("f00d02", "Living $(room) *", false), &[(uri, false)]);
    let _served = bus.serve(having([server("f00d01", "Attic", true), living])).await;

    let home = tempfile::tempdir().unwrap();
    let settings = home.path().join(settings);
    fs::create_dir_all(settings.parent().unwrap()).unwrap();
    fs::write(settings, text).unwrap();
    let mut command = bus.command("script");
    // Wide enough for a line to stay in one piece.
    let line = format!("stty cols 200 rows 40; exec {shell} -i");
    command.args(["--quiet", "--command", &line, "/dev/null"]);
    command.env("SHELL", "/bin/sh").env("TERM", "xterm-256color").env("PATH", path());
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "ZDOTDIR"] {
        command.env(name, home.path());
    }
    command.env("COMPLETIONS", concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/completions"));
    let mut person = Person::at(command);
    person.sees("ready>").await;
    person.types("plex-account url Liv\t\n").await;
    person.sees("runs <").await;
    let line = person.sees(">").await;
    assert_eq!(line.trim_end_matches(['>', ' ']), r"plex-account url Living\ \$\(room\)\ \*");
    person.sees(uri).await;
}

#[tokio::test]
async fn zsh_completes_a_server() {
    let settings = r#"
        mkdir $HOME/functions && cp $COMPLETIONS/plex-account.zsh $HOME/functions/_plex-account
        fpath=($HOME/functions $fpath)
        autoload -Uz compinit && compinit -u -D
        preexec() { print -r -- "runs <$1>" }
        PS1='ready> '
    "#;
    the_name_is_completed_and_quoted("zsh -d", ".zshrc", settings).await;
}

#[tokio::test]
async fn fish_completes_a_server() {
    let settings = r#"
        source $COMPLETIONS/plex-account.fish
        # Else it reads all manuals.
        mkdir -p $XDG_DATA_HOME/fish/generated_completions
        function tells --on-event fish_preexec; echo "runs <$argv>"; end
        function fish_prompt; printf 'ready> '; end
    "#;
    the_name_is_completed_and_quoted("fish", "fish/config.fish", settings).await;
}
