//! Stops and failures at every single step.

use plex_account_core::grants::{Book, Grant, Scope, Verdict};
use rustix::io::Errno;

use super::{
    faulty::{Fault, FaultyDisk},
    *,
};

/// Something that the daemon does, from a state of its own, and what may be left of it.
struct Scenario {
    name: &'static str,
    before: fn() -> Home,
    act: fn(OpenedStore),
    check: fn(&Home, OpenedStore),
}

fn old() -> Record {
    record("old", 1)
}

fn new() -> Record {
    record("new", 2)
}

fn old_home() -> Home {
    let home = Home::with_account(&old());
    run(home.open().store.set_rejected(Some(5))).unwrap();
    home
}

/// A home whose sign-out was cut short before the token was removed.
fn leaving_home() -> Home {
    let home = old_home();
    let path = home.file("account.json");
    let text = fs::read_to_string(&path).unwrap();
    let noted = text.replace("\"signing_out\": false", "\"signing_out\": true");
    assert_ne!(text, noted);
    fs::write(path, noted).unwrap();
    home
}

fn is_old(opened: &OpenedStore) -> bool {
    let refused = Some(5);
    let kept = opened.remembered == Some(list("old"));
    account(&opened.found) == Some((&old(), refused)) && kept
}

fn is_new(opened: &OpenedStore) -> bool {
    account(&opened.found).is_some_and(|(record, since)| same(record, &new()) && since.is_none())
}

fn is_nothing(home: &Home, opened: &OpenedStore) -> bool {
    if opened.sign_out == Some(FoundSignOut::ToBeRevoked) {
        // As the daemon goes on.
        forget(&mut home.open().store).unwrap();
    }
    let traces = home.holds("token-of") || home.has("servers.json");
    matches!(opened.found, StoredAccount::Nothing) && !traces && opened.remembered.is_none()
}

/// What programs of these names may have.
fn book(programs: &[&str]) -> Book {
    let grant = |program: &&str| Grant {
        program: program.parse().unwrap(),
        name: String::new(),
        scope: Scope::Servers,
        verdict: Verdict::Allow,
        made_at: 1,
        last_used: 0,
        uses: 0,
        asleep_since: 0,
    };
    Book { account: 1, grants: programs.iter().map(grant).collect(), ..Book::default() }
}

fn granting_home() -> Home {
    let home = old_home();
    run(home.open().store.keep_grants(book(&["app:a"]), true)).unwrap();
    home
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a verdict after another, and none any more",
        before: granting_home,
        act: |mut opened| {
            drop(run(opened.store.keep_grants(book(&["app:a", "app:b"]), true)));
            drop(run(opened.store.keep_grants(Book::default(), true)));
        },
        check: |_, opened| {
            assert!(is_old(&opened));
            let whole = [book(&["app:a"]), book(&["app:a", "app:b"]), Book::default()];
            assert!(whole.contains(&opened.grants), "{:?}", opened.grants);
        },
    },
    Scenario {
        name: "first start",
        before: Home::new,
        act: |_| {},
        check: |home, opened| {
            assert!(is_nothing(home, &opened));
            assert_eq!(home.open_clean().client_id, opened.client_id);
        },
    },
    Scenario {
        name: "start with an account",
        before: old_home,
        act: |_| {},
        check: |_, opened| assert!(is_old(&opened)),
    },
    Scenario {
        name: "first login",
        before: Home::new,
        act: |mut opened| drop(run(opened.store.store(new()))),
        check: |home, opened| assert!(is_new(&opened) || is_nothing(home, &opened)),
    },
    Scenario {
        name: "login over an account",
        before: old_home,
        act: |mut opened| drop(run(opened.store.store(new()))),
        check: |_, opened| assert!(is_new(&opened) || is_old(&opened), "{opened:?}"),
    },
    Scenario {
        name: "sign-out",
        before: old_home,
        act: |mut opened| drop(forget(&mut opened.store)),
        check: |home, opened| assert!(is_old(&opened) || is_nothing(home, &opened)),
    },
    Scenario {
        name: "start after a sign-out that was cut short",
        before: leaving_home,
        act: |_| {},
        check: |home, opened| assert!(is_nothing(home, &opened)),
    },
    Scenario {
        name: "login during a sign-out",
        before: old_home,
        act: |mut opened| {
            drop(forget(&mut opened.store));
            drop(run(opened.store.store(new())));
        },
        check: |home, opened| {
            assert!(is_old(&opened) || is_nothing(home, &opened) || is_new(&opened));
        },
    },
    Scenario {
        name: "refused",
        before: || Home::with_account(&old()),
        act: |mut opened| drop(run(opened.store.set_rejected(Some(5)))),
        check: |_, opened| {
            let (record, since) = account(&opened.found).expect("an account");
            assert_eq!(record, &old());
            assert!(since.is_none() || since == Some(5));
        },
    },
    Scenario {
        name: "server list",
        before: || Home::with_account(&old()),
        act: |mut opened| drop(run(opened.store.remember(list("new"), true))),
        check: |_, opened| {
            assert!(account(&opened.found).is_some());
            let list_found = opened.remembered;
            assert!(list_found == Some(list("old")) || list_found == Some(list("new")));
        },
    },
    Scenario {
        name: "server list, not waited for",
        before: || Home::with_account(&old()),
        act: |mut opened| drop(run(opened.store.remember(list("new"), false))),
        check: |_, opened| {
            assert!(account(&opened.found).is_some());
            let found = opened.remembered;
            assert!([None, Some(list("old")), Some(list("new"))].contains(&found));
        },
    },
    Scenario {
        name: "start with a damaged token",
        before: || {
            let home = old_home();
            fs::write(home.file("token.json"), "{\"version\":1,\"tok").unwrap();
            home
        },
        act: |_| {},
        check: |home, opened| {
            assert!(matches!(opened.found, StoredAccount::Damaged(_) | StoredAccount::Nothing));
            assert!(home.holds("\"tok"), "what was left is kept");
            assert!(matches!(home.open_clean().found, StoredAccount::Nothing));
        },
    },
    Scenario {
        name: "start with a damaged account.json",
        before: || {
            let home = Home::with_account(&old());
            fs::write(home.file("account.json"), "{").unwrap();
            home
        },
        act: |_| {},
        check: |home, opened| {
            assert!(same(account(&opened.found).unwrap().0, &old()));
            assert!(account(&home.open_clean().found).is_some());
        },
    },
    Scenario {
        name: "start with a token of another client id",
        before: || {
            let home = old_home();
            fs::write(home.file("client-id"), "client-2\n").unwrap();
            home
        },
        act: |_| {},
        check: |home, opened| {
            assert!(is_old(&opened));
            assert_eq!(opened.client_id, "client-1");
            assert_eq!(fs::read_to_string(home.file("client-id")).unwrap(), "client-1\n");
        },
    },
];

/// Runs a scenario on a disk with a fault.
fn perform(scenario: &Scenario, fault: Fault) -> (Home, Arc<FaultyDisk>) {
    let home = (scenario.before)();
    let disk = Arc::new(FaultyDisk::new(fault));
    if let Ok(opened) = home.open_faulty(&disk) {
        (scenario.act)(opened);
    }
    (home, disk)
}

/// What must hold of a state folder, whatever was done to it, when it is opened again.
fn reopen(scenario: &Scenario, home: &Home) {
    let opened = home.open();
    for path in home.files() {
        assert_eq!(mode(path.parent().unwrap()), 0o700, "{}", path.display());
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        assert_ne!(path.extension().and_then(|e| e.to_str()), Some("tmp"), "left over");
    }
    (scenario.check)(home, opened);
}

fn steps(scenario: &Scenario) -> usize {
    let (home, disk) = perform(scenario, Fault::None);
    reopen(scenario, &home);
    disk.steps()
}

#[test]
fn a_kill_at_any_step_leaves_the_account_or_cleanly_the_one_before() {
    for scenario in SCENARIOS {
        for at in 0..=steps(scenario) {
            eprintln!("{}: killed at step {at}", scenario.name);
            let (home, _) = perform(scenario, Fault::StopAt(at));
            reopen(scenario, &home);
        }
    }
}

#[test]
fn a_power_cut_at_any_step_leaves_the_account_or_cleanly_the_one_before() {
    for scenario in SCENARIOS {
        for at in 0..=steps(scenario) {
            let at_risk = perform(scenario, Fault::StopAt(at)).1.at_risk();
            for lost in 0..=at_risk {
                eprintln!("{}: power cut at step {at}, {lost} lost", scenario.name);
                let (home, disk) = perform(scenario, Fault::StopAt(at));
                disk.cut_power(lost);
                reopen(scenario, &home);
            }
        }
    }
}

#[test]
fn an_error_at_any_step_leaves_the_account_or_cleanly_the_one_before() {
    for scenario in SCENARIOS {
        for at in 0..=steps(scenario) {
            for errno in [Errno::IO, Errno::ACCESS] {
                let (once, lasting) = (Fault::FailAt(at, errno), Fault::ChangesFailFrom(at, errno));
                for fault in [once, lasting, Fault::FullFrom(at)] {
                    eprintln!("{}: {fault:?}", scenario.name);
                    let (home, _) = perform(scenario, fault);
                    reopen(scenario, &home);
                }
            }
        }
    }
}

/// What a call answered is what a restart finds.
#[test]
fn what_was_answered_with_success_is_on_the_disk_and_a_failed_sign_out_changed_nothing() {
    let count = |act: fn(&mut Store)| {
        let disk = Arc::new(FaultyDisk::new(Fault::None));
        let shared: Arc<dyn Fs> = disk.clone();
        act(&mut old_home().open_on(&shared).store);
        disk.steps()
    };
    let stored = count(|store| drop(run(store.store(new()))));
    let forgotten = count(|store| drop(forget(store)));
    for errno in [Errno::IO, Errno::NOSPC, Errno::ROFS] {
        for at in 0..=stored.max(forgotten) {
            for fault in [Fault::FailAt(at, errno), Fault::ChangesFailFrom(at, errno)] {
                let disk: Arc<dyn Fs> = Arc::new(FaultyDisk::new(fault));

                let home = old_home();
                let mut opened = home.open_on(&disk);
                let lasting = run(opened.store.store(new())).is_ok();
                let again = home.open();
                // Only a disk that takes no more writes at all may keep what it did not promise.
                let undone = is_old(&again) || !matches!(fault, Fault::FailAt(..));
                assert!(if lasting { is_new(&again) } else { undone }, "{fault:?}: {again:?}");

                let disk: Arc<dyn Fs> = Arc::new(FaultyDisk::new(fault));
                let home = old_home();
                let mut opened = home.open_on(&disk);
                let readable = account(&opened.found).is_some();
                let noted = note(&mut opened.store);
                if noted.is_ok() {
                    drop(run(opened.store.forget(None)));
                }
                let again = home.open();
                match noted {
                    // Whatever becomes of the deletion.
                    Ok(_) => assert!(is_nothing(&home, &again), "{fault:?}"),
                    Err(StoreFault { message: why, .. }) => {
                        assert!(is_old(&again), "{fault:?}: {why} {again:?}");
                        assert!(why.contains(&*home.state().to_string_lossy()), "{why}");
                    }
                }
                assert!(
                    readable || matches!(opened.found, StoredAccount::Unreadable(_)),
                    "{fault:?}"
                );
            }
        }
    }
}

/// A newer version's files, or what can't be read, are not lost for a login that fails.
#[test]
fn a_login_over_what_cannot_be_read_leaves_it_in_its_place_until_the_new_token_is_written() {
    let newer = || {
        let home = old_home();
        for name in ["account.json", "token.json"] {
            let text = fs::read_to_string(home.file(name)).unwrap();
            fs::write(home.file(name), text.replace("\"version\": 1", "\"version\": 2")).unwrap();
        }
        home
    };
    let files = |home: &Home| {
        ["account.json", "token.json"].map(|name| fs::read_to_string(home.file(name)).ok())
    };
    let disk = Arc::new(FaultyDisk::new(Fault::None));
    let home = newer();
    run(home.open_faulty(&disk).unwrap().store.store(new())).unwrap();
    assert!(is_new(&home.open()));
    assert_eq!(home.aside().len(), 2);
    for at in 0..=disk.steps() {
        let home = newer();
        let before = files(&home);
        let disk = Arc::new(FaultyDisk::new(Fault::FailAt(at, Errno::NOSPC)));
        let stored = run(home.open_faulty(&disk).unwrap().store.store(new()));
        if stored.is_ok() {
            assert!(is_new(&home.open()), "step {at}");
        } else {
            assert_eq!(files(&home), before, "step {at}");
            assert!(!home.holds("token-of-new"), "step {at}");
        }
    }
}

/// A token that was taken while a sign-out was under way is not forgotten with the old one.
#[test]
fn a_login_that_overtook_a_sign_out_is_kept_if_it_was_said_to_be() {
    for at in 0..100 {
        for fault in [Fault::FailAt(at, Errno::IO), Fault::ChangesFailFrom(at, Errno::NOSPC)] {
            let home = old_home();
            let disk: Arc<dyn Fs> = Arc::new(FaultyDisk::new(fault));
            let mut store = home.open_on(&disk).store;
            if forget(&mut store).is_ok() && run(store.store(new())).is_ok() {
                assert!(is_new(&home.open()), "{fault:?}");
            }
        }
    }
}

/// Nothing that was answered with success may still be on its way to the disk.
#[test]
fn what_was_answered_with_success_outlives_a_power_cut() {
    /// What is done, and what must be found afterwards.
    type Step = (fn(&mut Store) -> Result<(), StoreFault>, fn(&Home, OpenedStore));
    let steps: [Step; 5] = [
        (|store| run(store.store(new())).map(drop), |_, opened| assert!(is_new(&opened))),
        (
            |store| run(store.set_rejected(Some(6))),
            |_, opened| assert_eq!(account(&opened.found), Some((&old(), Some(6)))),
        ),
        (
            |store| run(store.remember(list("new"), true)),
            |_, opened| assert_eq!(opened.remembered, Some(list("new"))),
        ),
        (|store| forget(store), |home, opened| assert!(is_nothing(home, &opened))),
        (|store| forget(store), |home, opened| assert!(is_nothing(home, &opened))),
    ];
    for (n, (act, check)) in steps.into_iter().enumerate() {
        for lost in 0.. {
            let home = old_home();
            // An older account lies in another folder.
            fs::create_dir_all(home.old_state()).unwrap();
            set_mode(&home.old_state(), 0o700);
            for path in home.files() {
                fs::copy(&path, home.old_state().join(path.file_name().unwrap())).unwrap();
            }
            let disk = Arc::new(FaultyDisk::new(Fault::None));
            let shared: Arc<dyn Fs> = disk.clone();
            act(&mut home.open_on(&shared).store).unwrap();
            if lost > disk.at_risk() {
                break;
            }
            disk.cut_power(lost);
            eprintln!("step {n}, {lost} lost");
            check(&home, home.open());
        }
    }
}

/// A read that fails is not an account that is gone.
#[test]
fn an_account_that_cannot_be_read_for_a_moment_is_unreadable_and_comes_back() {
    for before in [old_home, || {
        let home = old_home();
        fs::create_dir_all(home.old_state().parent().unwrap()).unwrap();
        fs::rename(home.state(), home.old_state()).unwrap();
        home
    }] {
        let disk = Arc::new(FaultyDisk::new(Fault::None));
        let shared: Arc<dyn Fs> = disk.clone();
        before().open_on(&shared);
        for at in 0..=disk.steps() {
            let home = before();
            let disk: Arc<dyn Fs> = Arc::new(FaultyDisk::new(Fault::FailAt(at, Errno::IO)));
            let mut opened = home.open_on(&disk);
            let found = match opened.found {
                StoredAccount::Unreadable(_) => run(opened.store.read_again()),
                found => found,
            };
            assert_eq!(account(&found), Some((&old(), Some(5))), "step {at}");
        }
    }
}
