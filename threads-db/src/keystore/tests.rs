//! Keystores: their faults, their file, and what a crash leaves.

use std::io;

use tempfile::TempDir;
use threads_codec_jsonpatch::JsonPatch;
use threads_conformance::faulty::{Fails, Faulty};
use threads_core::datastore::{DatastoreExt, Direction, Durability, Keyspace, Memory};
use threads_core::module::CollectionSpec;
use threads_core::{ThreadId, system_rng};

use super::*;
use crate::Node;
use crate::keystore::disk::Step;
use crate::thread::books;

fn start(store: impl Datastore, keystore: Option<&Keystore>) -> Result<Node> {
    let builder = Node::builder(store).codec(JsonPatch::new());
    match keystore {
        Some(keystore) => builder.keystore(keystore).open(),
        None => builder.open(),
    }
}

fn define(node: &Node, name: &str) {
    let spec = CollectionSpec::new(name.parse().unwrap(), "jsonpatch/1".parse().unwrap());
    node.open("friends").unwrap().define(&spec).unwrap();
}

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keystore");
    (dir, path)
}

fn create(path: &Path, passphrase: Option<&str>) -> Keystore {
    Keystore::create(path, None, passphrase, &mut system_rng()).unwrap()
}

fn fault_of<T>(result: Result<T>) -> KeystoreFault {
    let error = result.err().unwrap();
    KeystoreFault::of(&error).unwrap_or_else(|| panic!("{error:?}"))
}

fn read(path: &Path) -> KeystoreFile {
    KeystoreFile::read(path).unwrap()
}

/// A store as versions before keystores left it, and the secrets in it.
fn clear_store() -> (Arc<Memory>, ThreadId, Vec<[u8; 32]>) {
    let store = Arc::new(Memory::new());
    let node = start(Arc::clone(&store), None).unwrap();
    let db = node.create("friends").unwrap();
    write(&node);
    (Arc::clone(&store), db.id().clone(), secrets_of(&node))
}

/// Begins a log, so that its key is in the store.
fn write(node: &Node) {
    define(node, "people");
}

/// Every secret of a node with one thread: identity, replica key, read key, log key.
fn secrets_of(node: &Node) -> Vec<[u8; 32]> {
    let txn = node.inner.store.read().unwrap();
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let rows = txn.scan(Keyspace::Keys, all, Direction::Forward).unwrap();
    let secrets: Vec<_> = rows
        .filter_map(|row| <[u8; 32]>::try_from(&*row.unwrap().1).ok())
        .collect();
    assert_eq!(secrets.len(), 4);
    assert!(secrets.contains(&*node.identity().to_bytes()));
    secrets
}

/// How many of the secrets are in some row of a store.
fn found(store: &dyn Datastore, secrets: &[[u8; 32]]) -> usize {
    let txn = store.read().unwrap();
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let mut bytes = Vec::new();
    for space in Keyspace::ALL {
        for row in txn.scan(*space, all, Direction::Forward).unwrap() {
            bytes.extend_from_slice(&row.unwrap().1);
        }
    }
    let is_in = |secret: &&[u8; 32]| bytes.windows(32).any(|window| window == *secret);
    secrets.iter().filter(is_in).count()
}

#[test]
fn each_fault_has_an_error_of_its_own() {
    let (_dir, path) = place();
    assert_eq!(fault_of(KeystoreFile::read(&path)), KeystoreFault::Missing);
    let keystore = create(&path, Some("pass"));
    let file = read(&path);
    assert_eq!(fault_of(file.open(None)), KeystoreFault::PassphraseNeeded);
    for wrong in ["Pass", "pass ", ""] {
        assert_eq!(
            fault_of(file.open(Some(wrong))),
            KeystoreFault::WrongPassphrase
        );
    }
    assert!(file.open(Some("pass")).is_ok());

    let store = Arc::new(Memory::new());
    start(Arc::clone(&store), Some(&keystore)).unwrap();
    assert_eq!(
        fault_of(start(Arc::clone(&store), None)),
        KeystoreFault::Missing
    );
    let elsewhere = path.with_file_name("elsewhere");
    let adopted = Keystore::adopt(&elsewhere, &*store, None, &mut system_rng());
    assert_eq!(fault_of(adopted), KeystoreFault::Missing);
    let other = create(&elsewhere, None);
    let opened = start(store, Some(&other));
    assert_eq!(fault_of(opened), KeystoreFault::Foreign);

    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(fault_of(KeystoreFile::read(&path)), KeystoreFault::Damaged);
}

#[cfg(unix)]
#[test]
fn row_55_a_keystore_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_dir, path) = place();
    create(&path, None);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    for exposed in [0o640, 0o604, 0o620, 0o601] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(exposed)).unwrap();
        let error = KeystoreFile::read(&path).unwrap_err();
        assert_eq!(KeystoreFault::of(&error), Some(KeystoreFault::Exposed));
        assert!(error.message().contains("chmod 600"), "{error}");
    }
}

#[test]
fn every_byte_that_changes_is_damage_and_no_wrong_passphrase() {
    let (_dir, path) = place();
    for passphrase in [None, Some("pass")] {
        _ = std::fs::remove_file(&path);
        create(&path, passphrase);
        let whole = std::fs::read(&path).unwrap();
        let tried = |bytes: &[u8]| KeystoreFile::of_bytes(&path, bytes);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            let error = tried(&bytes).unwrap_err();
            // The version is one byte.
            if at == 17 {
                assert_eq!(error.kind(), threads_core::ErrorKind::Unsupported);
                continue;
            }
            assert_eq!(
                KeystoreFault::of(&error),
                Some(KeystoreFault::Damaged),
                "byte {at}"
            );
            assert_eq!(
                fault_of(tried(&whole[..at])),
                KeystoreFault::Damaged,
                "length {at}"
            );
        }
    }
}

#[test]
fn an_entry_is_bound_to_its_name_and_its_keystore() {
    let (_dir, path) = place();
    let keystore = create(&path, None);
    let file = read(&path);
    let changed = |change: &dyn Fn(&mut KeystoreFile)| {
        let mut file = KeystoreFile::of_bytes(&path, &std::fs::read(&path).unwrap()).unwrap();
        change(&mut file);
        fault_of(file.open_with(&keystore.file_key()))
    };
    assert!(file.open_with(&keystore.file_key()).is_ok());
    changed(&|file| file.swap_entries());
    changed(&|file| file.rename());
}

#[test]
fn a_store_in_the_clear_is_taken_over_and_loses_nothing() {
    let (_dir, path) = place();
    let (store, id, secrets) = clear_store();
    assert_eq!(found(&*store, &secrets), 4);
    let keystore = Keystore::adopt(&path, &*store, None, &mut system_rng()).unwrap();
    let node = start(Arc::clone(&store), Some(&keystore)).unwrap();
    assert_eq!(found(&*store, &secrets), 0);
    assert_eq!(secrets_of(&node), secrets);
    assert_eq!(node.open("friends").unwrap().id(), &id);
    define(&node, "more");
    drop(node);
    // Twice is as once.
    let keystore = read(&path).open(None).unwrap();
    let node = start(Arc::clone(&store), Some(&keystore)).unwrap();
    assert_eq!(secrets_of(&node), secrets);
    assert_eq!(node.open("friends").unwrap().log(None).unwrap().len(), 2);
}

#[test]
fn what_a_node_writes_over_a_keystore_is_never_in_the_clear() {
    let (_dir, path) = place();
    let store = Arc::new(Memory::new());
    let keystore = create(&path, None);
    let node = start(Arc::clone(&store), Some(&keystore)).unwrap();
    let db = node.create("friends").unwrap();
    write(&node);
    let secrets = secrets_of(&node);
    assert_eq!(found(&*store, &secrets), 0);
    assert_eq!(found(&*node.datastore(), &secrets), 4);
    let txn = node.inner.store.read().unwrap();
    assert_eq!(
        books::thread_keys(&*txn, db.id()).unwrap().0,
        db.thread().replica
    );
}

#[test]
fn a_key_that_is_altered_or_moved_in_the_store_is_corrupt() {
    let (_dir, path) = place();
    let store = Arc::new(Memory::new());
    let keystore = create(&path, None);
    let node = start(Arc::clone(&store), Some(&keystore)).unwrap();
    let ids = ["a", "b"].map(|name| node.create(name).unwrap().id().clone());
    drop(node);
    let row = |id: &ThreadId| [&[id.as_bytes().len() as u8], id.as_bytes(), b"r"].concat();
    let [a, b] = ids.each_ref().map(row);
    let value = store
        .read()
        .unwrap()
        .get(Keyspace::Keys, &a)
        .unwrap()
        .unwrap()
        .into_owned();
    let mut flipped = value.clone();
    flipped[40] ^= 1;
    for (key, value) in [(&b, &value), (&a, &flipped), (&a, &vec![7; 32])] {
        let store = Arc::new(store.fork());
        store
            .transact(Durability::Group, |txn| txn.put(Keyspace::Keys, key, value))
            .unwrap();
        let node = start(store, Some(&keystore)).unwrap();
        let error = node.threads().unwrap_err();
        assert_eq!(error.kind(), threads_core::ErrorKind::Corrupt, "{error}");
    }
}

const STEPS: [Step; 6] = [
    Step::Create,
    Step::Write,
    Step::Sync,
    Step::Rename,
    Step::SyncDir,
    Step::Wipe,
];

/// Fails at one step, as if the disk did.
fn fails_at(wanted: Step) -> impl FnMut(Step) -> io::Result<()> {
    move |step| match step == wanted {
        true => Err(io::Error::other("planted")),
        false => Ok(()),
    }
}

#[test]
fn a_failure_at_any_step_leaves_the_file_before_or_the_new_one() {
    for step in STEPS {
        let (dir, path) = place();
        let keystore = create(&path, None);
        let open = |passphrase: Option<&str>| {
            let lock = Lock::new(
                &keystore.0.key,
                &keystore.0.id,
                passphrase,
                &mut system_rng(),
            );
            file::encode(&keystore.0, lock.unwrap(), &mut system_rng()).unwrap()
        };
        let bytes = open(Some("pass"));
        let replaced = disk::replace(&path, &bytes, &mut system_rng(), &mut fails_at(step));
        let is_new = matches!(step, Step::SyncDir | Step::Wipe);
        assert_eq!(read(&path).is_protected(), is_new, "{step:?}");
        let opened = read(&path).open(Some("pass")).unwrap();
        assert_eq!(opened.identity(), keystore.identity());
        // That the new one may not be durable is an error; that the old one may be found is none.
        assert_eq!(replaced.is_ok(), step == Step::Wipe);
        let names = std::fs::read_dir(dir.path()).unwrap();
        assert_eq!(names.count(), 1, "{step:?}");
    }
}

#[test]
fn what_a_crash_left_of_a_file_is_in_nobodys_way_and_goes() {
    let (dir, path) = place();
    let mut keystore = create(&path, None);
    let left = dir.path().join("keystore.new-0123456789abcdef");
    std::fs::copy(&path, &left).unwrap();
    assert!(read(&path).open(None).is_ok());
    keystore.protect("pass", &mut system_rng()).unwrap();
    assert!(!left.exists());
}

#[test]
fn a_crash_at_any_step_of_taking_over_leaves_everything_openable() {
    // Before the file is there: nothing has changed.
    for step in STEPS {
        let (_dir, path) = place();
        let (store, _, secrets) = clear_store();
        let whole = path.with_file_name("whole");
        let keystore = Keystore::adopt(&whole, &*store, None, &mut system_rng()).unwrap();
        let bytes = std::fs::read(&whole).unwrap();
        _ = disk::replace(&path, &bytes, &mut system_rng(), &mut fails_at(step));
        drop(keystore);
        let node = start(Arc::clone(&store), None).unwrap();
        assert_eq!(secrets_of(&node), secrets, "{step:?}");
        // The next start goes on from there.
        let keystore = match KeystoreFile::read(&path) {
            Ok(file) => file.open(None).unwrap(),
            Err(_) => Keystore::adopt(&path, &*store, None, &mut system_rng()).unwrap(),
        };
        let node = start(store, Some(&keystore)).unwrap();
        assert_eq!(secrets_of(&node), secrets, "{step:?}");
    }
    // After it: each write of the transaction fails in turn.
    for nth in 1.. {
        let (_dir, path) = place();
        let (clear, _, secrets) = clear_store();
        let keystore = Keystore::adopt(&path, &*clear, None, &mut system_rng()).unwrap();
        let store = Arc::new(Faulty::new(clear.fork(), Fails::Writing));
        store.arm(nth);
        let opened = start(Arc::clone(&store), Some(&keystore));
        let failed = store.disarm();
        assert_eq!(opened.is_err(), failed);
        if failed {
            // As it was: it opens without the keystore too.
            assert_eq!(found(store.inner(), &secrets), 4);
            let node = start(store.inner().fork(), None).unwrap();
            assert_eq!(secrets_of(&node), secrets);
        }
        let node = start(Arc::clone(&store), Some(&keystore)).unwrap();
        assert_eq!(secrets_of(&node), secrets);
        assert_eq!(found(store.inner(), &secrets), 0);
        if !failed {
            assert_eq!(nth, 6, "three keys, the mark, and the commit can fail");
            break;
        }
    }
}

#[test]
fn the_keystore_of_another_identity_takes_nothing_over() {
    let (_dir, path) = place();
    let (store, _, secrets) = clear_store();
    let other = create(&path, None);
    let opened = start(Arc::clone(&store), Some(&other));
    assert_eq!(fault_of(opened), KeystoreFault::Foreign);
    assert_eq!(found(&*store, &secrets), 4);
}

#[test]
fn a_changed_passphrase_opens_the_same_keys_and_the_one_before_none() {
    let (_dir, path) = place();
    let mut keystore = create(&path, Some("first"));
    let (id, key) = (*read(&path).id(), keystore.file_key());
    let rng = &mut system_rng();
    keystore.protect("second", rng).unwrap();
    assert_eq!(
        fault_of(read(&path).open(Some("first"))),
        KeystoreFault::WrongPassphrase
    );
    assert_eq!(
        fault_of(read(&path).open_with(&key)),
        KeystoreFault::WrongPassphrase
    );
    let opened = read(&path).open(Some("second")).unwrap();
    assert_eq!(opened.identity(), keystore.identity());
    assert_eq!(*read(&path).id(), id);
    keystore.unprotect(rng).unwrap();
    assert!(!read(&path).is_protected());
    assert_eq!(read(&path).open(None).unwrap().0.store, opened.0.store);
}

#[test]
fn row_55_a_protected_keystore_has_no_secret_in_it_and_debug_shows_none() {
    let (_dir, path) = place();
    let keystore = create(&path, Some("pass"));
    let bytes = std::fs::read(&path).unwrap();
    let open = &keystore.0;
    let secrets = [
        open.identity.to_bytes(),
        open.store.to_bytes(),
        open.key.to_bytes(),
    ];
    for secret in &secrets {
        assert!(!bytes.windows(32).any(|window| window == &secret[..]));
    }
    let shown = format!("{keystore:?} {:?}", read(&path));
    assert!(
        shown.contains("Keystore(") && !shown.contains("pass\""),
        "{shown}"
    );
}
