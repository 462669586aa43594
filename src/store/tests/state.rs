//! What is in the files, right and wrong.

use std::{
    fs::File,
    io,
    os::unix::fs::symlink,
    sync::{Mutex, mpsc},
    task::Poll,
};

use super::{super::fs::RealFs, *};

/// The home of an account whose files a test then spoils.
fn home() -> Home {
    Home::with_account(&record("anna", 7))
}

fn edit(home: &Home, file: &str, from: &str, to: &str) {
    let path = home.file(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

/// What made the state unreadable; nothing may have been touched.
fn unreadable(home: &Home) -> String {
    let before = home.files();
    let opened = home.open();
    assert_eq!(home.files().len(), before.len());
    assert!(home.aside().is_empty());
    match opened.found {
        StoredAccount::Unreadable(why) => why.message,
        found => panic!("{found:?}"),
    }
}

fn damaged(home: &Home) -> String {
    match home.open().found {
        StoredAccount::Damaged(sentence) => sentence,
        found => panic!("{found:?}"),
    }
}

#[test]
fn a_restart_finds_the_account_with_all_that_belongs_to_it() {
    let record = record("anna", 7);
    let home = Home::new();
    let mut store = Store::open(&home.directories(), TokenStore::File).unwrap().store;
    run(store.store(record.clone())).unwrap();
    run(store.remember(list("old"), true)).unwrap();
    run(store.set_rejected(Some(99))).unwrap();
    let opened = Store::open(&home.directories(), TokenStore::File).unwrap();
    assert_eq!(account(&opened.found), Some((&record, Some(99))));
    assert_eq!(opened.client_id, record.client_id);
    assert_eq!(opened.remembered, Some(list("old")));
}

#[test]
fn a_new_sign_in_is_not_refused_because_the_last_one_was() {
    let home = home();
    let mut opened = home.open_clean();
    run(opened.store.set_rejected(Some(99))).unwrap();
    // The name that came later is the same sign-in.
    run(opened.store.store(record("anna", 7))).unwrap();
    assert_eq!(account(&home.open_clean().found), Some((&record("anna", 7), Some(99))));
    run(opened.store.store(record("berta", 8))).unwrap();
    let again = home.open_clean();
    assert_eq!(account(&again.found), Some((&record("berta", 8), None)));
    assert_eq!(again.remembered, None, "the list is another account's");
}

#[test]
fn the_token_is_in_one_file_and_only_its_owner_reads_any() {
    let home = home();
    set_mode(&home.state(), 0o755);
    set_mode(&home.file("token.json"), 0o644);
    let opened = home.open_clean();
    assert_eq!(mode(&home.state()), 0o700);
    assert_eq!(home.files().len(), 4);
    for path in home.files() {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        let holds = fs::read_to_string(&path).unwrap().contains("token-of-anna");
        assert_eq!(holds, path.ends_with("token.json"), "{}", path.display());
    }
    assert!(!format!("{opened:?}").contains("token-of-anna"));
}

#[test]
fn a_sign_out_leaves_no_trace_but_the_client_id_and_the_note_until_it_is_removed() {
    let home = home();
    edit(&home, "token.json", "\"version\": 1", "\"version\": ");
    damaged(&home);
    assert_eq!(home.aside().len(), 1);
    let mut opened = home.open_clean();
    run(opened.store.store(record("anna", 7))).unwrap();
    run(opened.store.remember(list("old"), true)).unwrap();

    note(&mut opened.store).unwrap();
    assert!(home.holds("\"signing_out\": true"));
    assert!(home.holds("token-of-anna"), "it is to be revoked first");
    assert_eq!(home.open_clean().found, StoredAccount::Nothing);
    run(opened.store.forget(None)).unwrap();
    assert!(!home.holds("token-of-anna"), "not even in a damaged copy");
    assert!(!home.has("servers.json"));
    // A list that comes late is nobody's.
    run(opened.store.remember(list("late"), true)).unwrap();
    assert!(!home.has("servers.json"));

    assert!(!home.holds("\"signing_out\": true"));
    let again = home.open_clean();
    assert!(matches!(again.found, StoredAccount::Nothing));
    assert_eq!(again.client_id, "client-1");

    // Signed out already is no error.
    forget(&mut opened.store).unwrap();
}

#[test]
fn a_token_file_cut_short_anywhere_is_put_aside_and_said_once() {
    let whole = fs::read(home().file("token.json")).unwrap();
    // The last two are the closing brace and the newline after it.
    for length in 0..whole.len() - 1 {
        let home = home();
        fs::write(home.file("token.json"), &whole[..length]).unwrap();
        let sentence = damaged(&home);
        assert!(sentence.contains("sign in again"), "{sentence}");
        assert!(!sentence.contains("token-of"), "{sentence}");
        let [aside] = &home.aside()[..] else { panic!("{length}") };
        assert!(aside.starts_with("token.json.damaged-"), "{aside}");
        assert_eq!(fs::read(home.file(aside)).unwrap(), &whole[..length]);
        assert_eq!(mode(&home.file(aside)), 0o600);
        assert!(matches!(home.open_clean().found, StoredAccount::Nothing));
    }
}

#[test]
fn a_token_that_no_header_could_carry_is_damage() {
    for (from, to) in [
        ("token-of-anna", ""),
        ("token-of-anna", "a b"),
        ("token-of-anna", "a\\nb"),
        ("client-1", ""),
        ("client-1", "a\\u0000"),
        ("\"version\": 1", "\"version\": 0"),
        ("\"version\": 1", "\"version\": -1"),
        ("\"signed_in_at\": 1007", "\"signed_in_at\": \"x\""),
    ] {
        let home = home();
        edit(&home, "token.json", from, to);
        damaged(&home);
    }
}

#[test]
fn a_few_damaged_copies_are_kept_and_no_more() {
    let home = home();
    for n in 0..6 {
        fs::write(home.file("token.json"), format!("junk {n}")).unwrap();
        damaged(&home);
    }
    // All of one second: the latest, and none over another.
    let mut kept: Vec<_> =
        home.aside().iter().map(|name| fs::read_to_string(home.file(name)).unwrap()).collect();
    kept.sort();
    assert_eq!(kept, ["junk 3", "junk 4", "junk 5"]);
}

#[test]
fn a_token_file_that_is_gone_is_told_from_no_account() {
    let home = home();
    fs::remove_file(home.file("token.json")).unwrap();
    assert!(damaged(&home).contains("is gone"));
    let opened = home.open_clean();
    assert!(matches!(opened.found, StoredAccount::Nothing));
    assert_eq!(opened.remembered, None);
}

#[test]
fn a_good_token_counts_whatever_account_json_says() {
    for content in [None, Some(""), Some("junk"), Some("{\"version\":1,\"store\":\"none\"}")] {
        let home = home();
        match content {
            None => fs::remove_file(home.file("account.json")).unwrap(),
            Some(text) => fs::write(home.file("account.json"), text).unwrap(),
        }
        let opened = home.open();
        let (found, since) = account(&opened.found).unwrap();
        assert!(same(found, &record("anna", 7)) && since.is_none());
        let is_damage = matches!(content, Some("" | "junk"));
        assert_eq!(opened.complaints.len(), usize::from(is_damage), "{content:?}");
        assert!(home.holds("\"store\": \"file\""), "{content:?}");
        assert!(account(&home.open_clean().found).is_some());
    }
}

#[test]
fn what_is_there_but_cannot_be_read_is_left_alone_and_tried_again() {
    for name in ["token.json", "account.json"] {
        let home = home();
        let (path, away) = (home.file(name), home.dir.path().join("away"));
        fs::rename(&path, &away).unwrap();

        fs::create_dir(&path).unwrap();
        assert!(unreadable(&home).contains("is a folder"));
        fs::remove_dir(&path).unwrap();

        symlink(&away, &path).unwrap();
        assert!(unreadable(&home).contains("symbolic link"));
        fs::remove_file(&path).unwrap();

        fs::write(&path, vec![b' '; 100_000]).unwrap();
        assert!(unreadable(&home).contains("too large"));

        let mut opened = home.open();
        assert_eq!(opened.remembered, Some(list("old")));
        let refused = forget(&mut opened.store).unwrap_err().to_string();
        assert!(refused.contains(name), "{refused}");
        assert!(matches!(run(opened.store.read_again()), StoredAccount::Unreadable(_)));
        fs::rename(&away, &path).unwrap();
        let found = run(opened.store.read_again());
        assert_eq!(account(&found), Some((&record("anna", 7), None)));
        forget(&mut opened.store).unwrap();
    }
}

#[test]
fn a_newer_version_s_files_are_left_alone() {
    for name in ["token.json", "account.json"] {
        let home = home();
        let other = if name == "token.json" { "client_id" } else { "store" };
        edit(&home, name, other, "renamed");
        edit(&home, name, "\"version\": 1", "\"version\": 2");
        assert!(unreadable(&home).contains("newer plex-accountd"));
    }
    let home = home();
    edit(&home, "account.json", "\"file\"", "\"elsewhere\"");
    assert!(unreadable(&home).contains("store that this version does not know"));
}

#[test]
fn a_sign_in_over_what_cannot_be_read_keeps_it_aside() {
    let home = home();
    edit(&home, "token.json", "\"version\": 1", "\"version\": 2");
    let mut opened = home.open();
    run(opened.store.store(record("berta", 8))).unwrap();
    assert_eq!(account(&home.open_clean().found), Some((&record("berta", 8), None)));
    assert!(home.holds("token-of-anna"));
}

#[test]
fn a_server_list_that_makes_no_sense_costs_the_list_and_not_the_account() {
    let whole = fs::read(home().file("servers.json")).unwrap();
    for length in (1..whole.len() - 1).step_by(7) {
        let home = home();
        fs::write(home.file("servers.json"), &whole[..length]).unwrap();
        let opened = home.open();
        assert_eq!(account(&opened.found), Some((&record("anna", 7), None)));
        assert_eq!(opened.remembered, None);
        assert_eq!(opened.complaints.len(), 1);
        assert_eq!(home.aside().len(), 1);
        home.open_clean();
    }
    // What a power cut leaves of a list that was not waited for is no reason to bother anybody.
    for nothing in [vec![], vec![0; 4096]] {
        let home = home();
        fs::write(home.file("servers.json"), nothing).unwrap();
        assert_eq!(home.open_clean().remembered, None);
    }
}

#[test]
fn the_client_id_is_made_once_and_outlives_damage_to_the_file() {
    let home = Home::new();
    let id = home.open_clean().client_id;
    assert_eq!(id.len(), 36);
    assert_eq!(home.open_clean().client_id, id);
    fs::write(home.file("client-id"), "\0\0\0").unwrap();
    let other = home.open_clean().client_id;
    assert_ne!(other, id);
    assert_eq!(home.open_clean().client_id, other);

    // The one that a token was issued to goes before any other.
    let home = self::home();
    fs::write(home.file("client-id"), "").unwrap();
    assert_eq!(home.open_clean().client_id, "client-1");
    fs::remove_file(home.file("client-id")).unwrap();
    assert_eq!(home.open_clean().client_id, "client-1");
}

/// A disk that waits, whenever a file is to be made, until the test lets go.
struct SlowDisk(Mutex<mpsc::Receiver<()>>);

impl Fs for SlowDisk {
    fn create(&self, path: &Path) -> io::Result<File> {
        // A sender that is gone lets everything go.
        let _ = self.0.lock().unwrap().recv();
        RealFs.create(path)
    }
}

#[test]
fn a_note_that_came_too_late_is_taken_back() {
    let home = home();
    let (let_go, wait) = mpsc::channel();
    let disk: Arc<dyn Fs> = Arc::new(SlowDisk(Mutex::new(wait)));
    let mut store = home.open_on(&disk).store;
    run(async {
        let mut noting = Box::pin(store.note_sign_out(false, Instant::now() + FORGET_TIMEOUT));
        // The first poll gives the work away.
        std::future::poll_fn(|context| {
            assert!(noting.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(noting);
        drop(let_go);
        // The next call waits for its turn.
        store.cancel_sign_out().await.unwrap();
    });
    assert_eq!(account(&home.open_clean().found), Some((&record("anna", 7), None)));
}
