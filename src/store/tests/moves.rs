//! The account on its way between file and keyring: stopped or failed at every step of either.

use rustix::io::Errno;

use super::{ring::Mood, *};
use plex_account_core::event::FaultOf;

/// What a call answered, as far as it binds.
enum Answered {
    /// Nothing.
    Nothing,
    /// With success: from now on this is the account.
    Promised(Option<Record>),
}
use Answered::{Nothing, Promised};

/// Something that the daemon does, and what the account may be afterwards.
struct Scenario {
    name: &'static str,
    choice: TokenStore,
    before: fn() -> Home,
    act: fn(OpenedStore) -> Answered,
    allowed: fn() -> Vec<Option<Record>>,
}

fn old() -> Record {
    record("old", 1)
}

fn new() -> Record {
    record("new", 2)
}

/// A home with an open keyring and nothing in it.
fn keyring() -> Home {
    let home = Home::new();
    home.vault.lock().unwrap().mood = Mood::Open;
    home
}

/// A home whose account is in the file; the keyring came later.
fn in_file() -> Home {
    let home = Home::with_account(&old());
    home.vault.lock().unwrap().mood = Mood::Open;
    home
}

/// A home whose account is in the keyring.
fn in_keyring() -> Home {
    let mut home = in_file();
    home.choice = TokenStore::Auto;
    assert_eq!(run(home.open().store.settle()), Relocation::Moved(Storage::SecretService));
    assert!(!home.has("token.json"));
    home
}

/// A home whose account is in the file, and a copy of it in the keyring: a move was cut short.
fn in_both() -> Home {
    let home = in_file();
    home.vault.lock().unwrap().item = Some(old());
    let path = home.file("account.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.replace("residue\": false", "residue\": true")).unwrap();
    home
}

/// As the daemon begins: what is in the keyring is read.
fn begun(mut opened: OpenedStore) -> OpenedStore {
    if opened.found == StoredAccount::InKeyring {
        opened.found = run(opened.store.read_again());
    }
    opened
}

fn login(opened: OpenedStore) -> Answered {
    let stored = run(begun(opened).store.store(new()));
    stored.map_or(Nothing, |_| Promised(Some(new())))
}

fn sign_out(opened: OpenedStore) -> Answered {
    let mut store = begun(opened).store;
    let forgotten = forget(&mut store);
    forgotten.map_or(Nothing, |()| Promised(None))
}

fn settle(opened: OpenedStore) -> Answered {
    run(begun(opened).store.settle());
    Nothing
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "first login",
        choice: TokenStore::Auto,
        before: keyring,
        act: login,
        allowed: || vec![None, Some(new())],
    },
    Scenario {
        name: "login over an account in the keyring",
        choice: TokenStore::SecretService,
        before: in_keyring,
        act: login,
        allowed: || vec![Some(old()), Some(new())],
    },
    Scenario {
        name: "login over an account in the file",
        choice: TokenStore::Auto,
        before: in_file,
        act: login,
        allowed: || vec![Some(old()), Some(new())],
    },
    Scenario {
        name: "login into the file over an account in the keyring",
        choice: TokenStore::File,
        before: in_keyring,
        act: login,
        allowed: || vec![Some(old()), Some(new())],
    },
    Scenario {
        name: "file to keyring",
        choice: TokenStore::Auto,
        before: in_file,
        act: settle,
        allowed: || vec![Some(old())],
    },
    Scenario {
        name: "keyring to file",
        choice: TokenStore::File,
        before: in_keyring,
        act: settle,
        allowed: || vec![Some(old())],
    },
    Scenario {
        name: "a move that was cut short",
        choice: TokenStore::File,
        before: in_both,
        act: settle,
        allowed: || vec![Some(old())],
    },
    Scenario {
        name: "sign-out",
        choice: TokenStore::Auto,
        before: in_keyring,
        act: sign_out,
        allowed: || vec![Some(old()), None],
    },
    Scenario {
        name: "sign-out after a move that was cut short",
        choice: TokenStore::File,
        before: in_both,
        act: sign_out,
        allowed: || vec![Some(old()), None],
    },
    Scenario {
        name: "login during a sign-out",
        choice: TokenStore::Auto,
        before: in_keyring,
        act: |opened| {
            let mut store = begun(opened).store;
            drop(forget(&mut store));
            let stored = run(store.store(new()));

            stored.map_or(Nothing, |_| Promised(Some(new())))
        },
        allowed: || vec![Some(old()), None, Some(new())],
    },
    Scenario {
        name: "a name added",
        choice: TokenStore::Auto,
        before: || {
            let home = Home { choice: TokenStore::Auto, ..keyring() };
            let nameless = Record { user: None, ..old() };
            run(home.open().store.store(nameless)).unwrap();
            home
        },
        act: |opened| {
            let stored = run(begun(opened).store.store(old()));
            stored.map_or(Nothing, |_| Promised(Some(old())))
        },
        allowed: || vec![Some(old()), Some(Record { user: None, ..old() })],
    },
];

/// Does it on a disk, and with a keyring, that have a fault.
fn perform(scenario: &Scenario, fault: Fault) -> (Home, Arc<FaultyDisk>, Answered) {
    let home = Home { choice: scenario.choice, ..(scenario.before)() };
    let disk = Arc::new(FaultyDisk::new(fault));
    let answered = home.open_faulty(&disk).map_or(Nothing, scenario.act);
    (home, disk, answered)
}

/// What the next starts find. In the end there is one copy of it, or none of none.
fn end(home: &Home) -> Option<Record> {
    let record = |opened: &OpenedStore| match &opened.found {
        StoredAccount::Account { record, .. } => Some(record.clone()),
        StoredAccount::Nothing | StoredAccount::Damaged(_) => None,
        found => panic!("{found:?}"),
    };
    let mut opened = begun(home.open());
    let found = record(&opened);
    run(opened.store.settle());
    if opened.sign_out == Some(FoundSignOut::ToBeRevoked) {
        forget(&mut opened.store).unwrap();
    }
    let in_file = home.has("token.json");
    let in_keyring = home.vault.lock().unwrap().item.is_some();
    assert_eq!(usize::from(in_file) + usize::from(in_keyring), usize::from(found.is_some()));
    assert!(found.is_some() || !home.holds("token-of"));
    assert_eq!(record(&begun(home.open())), found);
    found
}

fn check(scenario: &Scenario, home: &Home, answered: Answered) {
    let end = end(home);
    let is = |allowed: &Option<Record>| match (&end, allowed) {
        (Some(end), Some(allowed)) => same(end, allowed),
        (end, allowed) => end.is_none() && allowed.is_none(),
    };
    assert!((scenario.allowed)().iter().any(is), "{end:?}");
    if let Promised(promised) = answered {
        assert!(is(&promised), "{end:?}");
    }
}

fn steps(scenario: &Scenario) -> usize {
    let (home, disk, answered) = perform(scenario, Fault::None);
    check(scenario, &home, answered);
    disk.steps()
}

#[test]
fn a_kill_or_power_cut_at_any_step_leaves_one_account_in_one_place() {
    for scenario in SCENARIOS {
        for at in 0..=steps(scenario) {
            let at_risk = perform(scenario, Fault::StopAt(at)).1.at_risk();
            for lost in 0..=at_risk {
                eprintln!("{}: stopped at step {at}, {lost} lost", scenario.name);
                let (home, disk, answered) = perform(scenario, Fault::StopAt(at));
                disk.cut_power(lost);
                check(scenario, &home, answered);
            }
        }
    }
}

#[test]
fn an_error_at_any_step_leaves_one_account_in_one_place() {
    for scenario in SCENARIOS {
        for at in 0..=steps(scenario) {
            for fault in [
                Fault::FailAt(at, Errno::IO),
                Fault::FullFrom(at),
                Fault::ChangesFailFrom(at, Errno::ROFS),
            ] {
                eprintln!("{}: {fault:?}", scenario.name);
                let (home, _, answered) = perform(scenario, fault);
                check(scenario, &home, answered);
            }
        }
    }
}

#[test]
fn where_a_login_goes_is_what_was_chosen_and_never_a_file_because_of_a_lock_or_silence() {
    let (file, keyring) = (Ok(Storage::File), Ok(Storage::SecretService));
    for (mood, auto, wanted) in [
        (Mood::Open, keyring, keyring),
        (Mood::Absent, file, Err(FaultOf::Keyring)),
        (Mood::Locked, Err(FaultOf::LockedKeyring), Err(FaultOf::LockedKeyring)),
        (Mood::Silent, Err(FaultOf::Keyring), Err(FaultOf::Keyring)),
        (Mood::Refuses, Err(FaultOf::Keyring), Err(FaultOf::Keyring)),
        (Mood::Declines, Err(FaultOf::Declined), Err(FaultOf::Declined)),
    ] {
        for (choice, expected) in [
            (TokenStore::Auto, auto),
            (TokenStore::SecretService, wanted),
            (TokenStore::File, file),
        ] {
            let home = Home { choice, ..Home::new() };
            home.vault.lock().unwrap().mood = mood;
            let stored = run(home.open().store.store(new())).map_err(|fault| fault.of);
            assert_eq!(stored, expected, "{mood:?} {choice:?}");
            assert_eq!(home.has("token.json"), stored == file, "{mood:?} {choice:?}");
        }
    }
}

#[test]
fn a_sign_out_forgets_the_account_that_a_new_one_could_not_be_stored_over() {
    let home = Home { choice: TokenStore::SecretService, ..in_file() };
    let mut store = home.open().store;
    home.vault.lock().unwrap().mood = Mood::Locked;
    run(store.store(new())).unwrap_err();
    run(store.set_rejected(Some(9))).unwrap();
    run(store.remember(list("new"), true)).unwrap();
    let opened = home.open();
    assert_eq!(account(&opened.found), Some((&old(), None)), "it is as it was");
    assert_eq!(opened.remembered, Some(list("old")));
    forget(&mut store).unwrap();

    assert!(!home.holds("token-of"));
    assert_eq!(home.open().found, StoredAccount::Nothing);
}

#[test]
fn who_said_no_is_asked_again_after_an_unlock_a_new_owner_or_a_new_login_only() {
    let home = Home { choice: TokenStore::Auto, ..Home::new() };
    let mut store = home.open().store;
    let mood = |mood| home.vault.lock().unwrap().mood = mood;
    let asked = |store: &mut Store, record| {
        run(store.settle()); // the keyring changed
        let before = home.vault.lock().unwrap().asked;
        assert_eq!(run(store.store(record)).unwrap_err().of, FaultOf::Declined);
        home.vault.lock().unwrap().asked - before
    };
    mood(Mood::Declines);
    assert_eq!(asked(&mut store, old()), 1);
    assert_eq!(asked(&mut store, old()), 0, "the same sign-in");
    assert_eq!(asked(&mut store, Record { user: None, ..old() }), 0, "and with another name");
    assert_eq!(asked(&mut store, new()), 1, "another one");
    mood(Mood::Locked);
    run(store.settle());
    mood(Mood::Declines);
    assert_eq!(asked(&mut store, new()), 1, "unlocked anew");
    home.vault.lock().unwrap().owners += 1;
    assert_eq!(asked(&mut store, new()), 1, "another keyring");
    assert_eq!(asked(&mut store, new()), 0);
}

#[test]
fn who_said_no_to_a_move_is_not_asked_about_it_at_each_change() {
    let home = Home { choice: TokenStore::Auto, ..in_file() };
    let mut store = home.open().store;
    home.vault.lock().unwrap().mood = Mood::Declines;
    for _ in 0..3 {
        assert_eq!(run(store.settle()), Relocation::AsItWas);
    }
    assert_eq!(home.vault.lock().unwrap().asked, 1);
    assert!(home.has("token.json"));
}
