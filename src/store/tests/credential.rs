//! The token that the unit gives, over the account that is kept.

use super::*;
use plex_account_core::event::FaultOf;

/// The home of an account, and a credential over it.
struct Unit {
    home: Home,
    credentials: TempDir,
}

impl Unit {
    fn new(home: Home, credential: &[u8]) -> Self {
        let credentials = tempfile::tempdir().unwrap();
        fs::write(credentials.path().join("plex-token"), credential).unwrap();
        set_mode(&credentials.path().join("plex-token"), 0o440);
        Self { home, credentials }
    }

    fn open(&self) -> OpenedStore {
        let credentials = Some(self.credentials.path().to_owned());
        let directories = Directories { credentials, ..self.home.directories() };
        let disk: Arc<dyn Fs> = Arc::new(FaultyDisk::new(Fault::None));
        open_on(&directories, self.home.choice, &disk, self.home.vault.clone()).unwrap()
    }

    /// All files of the state folder but the credential's own list.
    fn beneath(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files =
            self.home.files().into_iter().filter(|f| !f.ends_with("servers-credential.json"));
        let mut files: Vec<_> = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        files.sort();
        files
    }
}

fn given(found: &StoredAccount) -> &Record {
    match found {
        StoredAccount::Account { record, storage: Storage::Credential, rejected_since: None } => {
            record
        }
        found => panic!("{found:?}"),
    }
}

#[test]
fn it_goes_before_the_account_beneath_and_changes_nothing_of_it() {
    let unit = Unit::new(Home::with_account(&record("anna", 7)), b"token-of-unit\nclient-9\n");
    let before = unit.beneath();
    let mut opened = unit.open();
    let record = given(&opened.found).clone();
    assert_eq!(record.token, Token::new("token-of-unit".into()).unwrap());
    assert_eq!((&*record.client_id, &*opened.client_id), ("client-9", "client-9"));
    assert_eq!((record.user.as_ref(), record.signed_in_at), (None, 0));
    assert_eq!((opened.remembered, opened.list_of), (None, 0));

    let user = Some(User { id: 8, ..User::default() });
    let named = Record { user, ..record };
    assert_eq!(run(opened.store.store(named)), Ok(Storage::Credential));
    run(opened.store.set_rejected(Some(3))).unwrap();
    run(opened.store.remember(list("unit"), true)).unwrap();
    let refused = forget(&mut opened.store).unwrap_err();
    assert_eq!(refused.of, FaultOf::Disk);
    assert!(refused.message.contains("unit"), "{refused}");

    assert_eq!(run(opened.store.settle()), Relocation::AsItWas);
    assert_eq!(unit.beneath(), before);
    assert!(!unit.home.holds("token-of-unit"));

    let opened = unit.open();
    given(&opened.found);
    assert_eq!((opened.remembered, opened.list_of), (Some(list("unit")), 8));
    let back = unit.home.open_clean();
    assert_eq!(account(&back.found), Some((&self::record("anna", 7), None)));
    assert_eq!((back.remembered, back.list_of), (Some(list("old")), 7));
    assert_eq!(back.client_id, "client-1");
}

#[test]
fn without_a_client_id_of_its_own_it_has_that_of_the_installation() {
    let unit = Unit::new(Home::new(), b"  token-of-unit \r\n\n");
    let id = unit.open().client_id;
    assert_eq!(id.len(), 36);
    assert_eq!(given(&unit.open().found).client_id, id);
    assert_eq!(unit.home.open_clean().client_id, id);
}

#[test]
fn one_that_makes_no_sense_is_said_and_costs_the_account_beneath_nothing() {
    let junk: [&[u8]; 9] = [
        b"",
        b"\n",
        b"two words",
        b"token\nclient\nmore",
        b"token\nno client",
        b"token\n\nclient",
        b"\xff\xfe",
        &[b'x'; 5000],
        &vec![b'x'; 70_000],
    ];
    for junk in junk {
        let unit = Unit::new(Home::with_account(&record("anna", 7)), junk);
        let before = unit.beneath();
        let mut opened = unit.open();
        let StoredAccount::Damaged(sentence) = &opened.found else { panic!("{:?}", opened.found) };
        assert!(sentence.contains("plex-token"), "{sentence}");
        let stored = run(opened.store.store(record("berta", 8)));
        assert_eq!(stored.unwrap_err().message, *sentence);
        run(opened.store.remember(list("new"), true)).unwrap();
        assert_eq!(unit.beneath(), before);
        assert!(account(&unit.home.open_clean().found).is_some());
    }
    let unit = Unit::new(Home::new(), b"");
    let path = unit.credentials.path().join("plex-token");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(unit.open().found, StoredAccount::Unreadable(_)));
}
