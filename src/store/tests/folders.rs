//! Which folder is used, and in what condition it may be.

use rustix::io::Errno;

use super::{
    super::fs::RealFs,
    faulty::{Fault, FaultyDisk},
    *,
};

/// A home whose account lies where systemd 252 puts it.
fn old_home() -> Home {
    let home = Home::with_account(&record("anna", 7));
    fs::create_dir_all(home.old_state().parent().unwrap()).unwrap();
    fs::rename(home.state(), home.old_state()).unwrap();
    home
}

#[test]
fn an_account_is_found_where_an_older_systemd_put_it_and_stays_there() {
    let home = old_home();
    let mut directories = home.directories();
    directories.state_directory = Some(home.dir.path().join("given"));
    let mut opened = Store::open(&directories, TokenStore::File).unwrap();
    assert_eq!(account(&opened.found), Some((&record("anna", 7), None)));
    assert_eq!(opened.client_id, "client-1");
    assert_eq!(opened.remembered, Some(list("old")));
    run(opened.store.store(record("berta", 8))).unwrap();
    assert!(fs::read_to_string(home.old_state().join("token.json")).unwrap().contains("berta"));
    assert!(!home.dir.path().join("given").exists());
}

#[test]
fn the_first_folder_that_holds_an_account_is_used_and_a_sign_out_clears_them_all() {
    let home = old_home();
    fs::create_dir_all(home.state()).unwrap();
    let newer = Home::with_account(&record("berta", 8));
    for path in newer.files() {
        fs::copy(&path, home.file(path.file_name().unwrap().to_str().unwrap())).unwrap();
    }
    let mut opened = home.open_clean();
    assert_eq!(account(&opened.found), Some((&record("berta", 8), None)));
    forget(&mut opened.store).unwrap();

    assert!(!home.holds("token-of"));
    assert!(
        matches!(home.open_clean().found, StoredAccount::Nothing),
        "nobody else is signed in now"
    );
}

#[test]
fn without_an_account_the_client_id_of_another_folder_is_taken_over() {
    let home = old_home();
    for name in ["token.json", "account.json", "servers.json"] {
        fs::remove_file(home.old_state().join(name)).unwrap();
    }
    assert_eq!(home.open_clean().client_id, "client-1");
    assert_eq!(fs::read_to_string(home.file("client-id")).unwrap(), "client-1\n");
}

#[test]
fn what_a_folder_further_down_holds_is_not_known_while_it_is_closed() {
    let disk = |fault| Arc::new(FaultyDisk::new(fault)) as Arc<dyn Fs>;
    for why in [Errno::ACCESS, Errno::IO] {
        // The third step looks for a token in the second folder.
        let home = Home::new();
        let mut opened = home.open_on(&disk(Fault::FailAt(2, why)));
        // Nothing is said, and nothing of ours is put there.
        assert!(matches!(opened.found, StoredAccount::Unreadable(_)));
        assert!(home.files().is_empty(), "not even a client id: {:?}", home.files());
        let record = Record { client_id: opened.client_id.clone(), ..record("anna", 7) };
        run(opened.store.store(record.clone())).unwrap();
        assert!(home.file("token.json").exists());
        assert_eq!(account(&home.open_clean().found), Some((&record, None)));
    }
}

#[test]
fn a_read_only_folder_is_no_reason_not_to_start() {
    let read_only =
        || -> Arc<dyn Fs> { Arc::new(FaultyDisk::new(Fault::ChangesFailFrom(0, Errno::ROFS))) };
    let home = Home::with_account(&record("anna", 7));
    let opened = home.open_on(&read_only());
    assert_eq!(account(&opened.found), Some((&record("anna", 7), None)));
    assert_eq!(opened.complaints, [""; 0]);

    let home = Home::new();
    let mut opened = home.open_on(&read_only());
    assert!(matches!(opened.found, StoredAccount::Nothing));
    assert_eq!(opened.client_id.len(), 36);
    assert!(opened.complaints.iter().all(|c| c.contains("read-only")), "{opened:?}");
    let refused = run(opened.store.store(record("anna", 7))).unwrap_err().to_string();
    assert!(refused.contains("make it writable"), "{refused}");
    forget(&mut opened.store).unwrap();
}

#[test]
fn a_client_id_that_could_not_be_kept_is_kept_with_the_account() {
    let home = Home::new();
    let only = Directories { state_directory: Some(home.state()), ..Directories::default() };
    let open = |fault| {
        let disk: Arc<dyn Fs> = Arc::new(FaultyDisk::new(fault));
        open_on(&only, TokenStore::File, &disk, home.vault.clone()).unwrap()
    };
    open(Fault::None);
    // The step that makes the file is the one whose failure is complained of.
    let mut opened = (0..)
        .map(|at| {
            let _ = fs::remove_file(home.file("client-id"));
            let opened = open(Fault::FailAt(at, Errno::NOSPC));
            (opened, home.file("client-id").exists())
        })
        .find_map(|(opened, written)| {
            // While nobody knows of an account none is made.
            (!written && matches!(opened.found, StoredAccount::Nothing)).then_some(opened)
        })
        .unwrap();
    assert!(opened.complaints[0].contains("disk is full"), "{opened:?}");
    let record = Record { client_id: opened.client_id.clone(), ..record("anna", 7) };
    run(opened.store.store(record)).unwrap();
    assert_eq!(fs::read_to_string(home.file("client-id")).unwrap().trim(), opened.client_id);
}

#[test]
fn no_place_at_all_is_said_in_a_sentence() {
    let error = Store::open(&Directories::default(), TokenStore::File).unwrap_err();
    assert!(error.contains("HOME"), "{error}");
}

#[test]
fn a_folder_that_belongs_to_somebody_else_is_refused() {
    let home = Home::new();
    home.open_clean();
    let other = rustix::process::Uid::from_raw(54321);
    if rustix::fs::chown(home.state(), Some(other), None).is_err() {
        eprintln!("skipped: only root can give a folder away");
        return;
    }
    let error = Store::open(&home.directories(), TokenStore::File).unwrap_err();
    assert!(error.contains("belongs to user 54321"), "{error}");
}

#[test]
fn a_folder_that_vanishes_is_made_again() {
    let home = Home::new();
    let mut opened = home.open_clean();
    fs::remove_dir_all(home.state()).unwrap();
    run(opened.store.store(record("anna", 7))).unwrap();
    assert_eq!(mode(&home.state()), 0o700);
    assert_eq!(account(&home.open_clean().found), Some((&record("anna", 7), None)));
}

#[test]
fn what_a_killed_write_left_behind_is_cleaned_up_and_nothing_else() {
    let home = Home::with_account(&record("anna", 7));
    fs::write(home.file(".token.json.0123456789abcdef.tmp"), "token-of-").unwrap();
    fs::write(home.file("notes.txt"), "mine").unwrap();
    home.open_clean();
    assert!(!home.has(".token.json.0123456789abcdef.tmp"));
    assert!(home.has("notes.txt"));
}

#[test]
fn a_second_daemon_leaves_alone_what_the_first_is_writing() {
    let home = Home::with_account(&record("anna", 7));
    let path = home.file(".token.json.0123456789abcdef.tmp");
    let file = RealFs.create(&path).unwrap();
    Store::open(&home.directories(), TokenStore::File).unwrap();
    assert!(path.exists());
    drop(file);
    Store::open(&home.directories(), TokenStore::File).unwrap();
    assert!(!path.exists());
}
