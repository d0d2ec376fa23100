//! Laws of who can open keys, and the members of all these laws.

use threads_core::access::Rekey;
use threads_core::group::GroupKeys;
use threads_core::{
    EpochKeys, ErrorKind, IdentityKey, PeerCard, Result, ThreadId, Variant, system_rng,
};

use super::Subject;
use crate::law::{Checked, Violation, ensure};

/// Members of each kind, and an epoch that was sealed to them.
pub(super) struct Group {
    pub(super) scheme: Box<dyn GroupKeys>,
    pub(super) thread: ThreadId,
    pub(super) readers: Vec<IdentityKey>,
    pub(super) replicas: Vec<IdentityKey>,
    pub(super) keys: EpochKeys,
    pub(super) rekey: Rekey,
}

pub(super) fn cards(of: &[IdentityKey]) -> Vec<PeerCard> {
    let mut cards: Vec<_> = of.iter().map(IdentityKey::card).collect();
    cards.sort_by_key(PeerCard::peer);
    cards
}

impl Group {
    pub(super) fn new(subject: &Subject) -> Result<Self> {
        Self::of(subject, 4, 3)
    }

    pub(super) fn of(subject: &Subject, readers: usize, replicas: usize) -> Result<Self> {
        let mut rng = system_rng();
        let mut people = |count| -> Vec<_> {
            let new = (0..count).map(|_| IdentityKey::generate(&mut rng));
            new.collect()
        };
        let (readers, replicas) = (people(readers), people(replicas));
        let thread = ThreadId::generate(Variant::AccessControlled, &mut rng);
        let keys = EpochKeys::generate(&mut rng);
        let scheme = subject.make();
        let (to, keepers) = (cards(&readers), cards(&replicas));
        let rekey = scheme.rekey(&thread, &keys, &to, &keepers, &mut rng)?;
        Ok(Self {
            scheme,
            thread,
            readers,
            replicas,
            keys,
            rekey,
        })
    }

    pub(super) fn open(&self, rekey: &Rekey, me: &IdentityKey) -> Result<Option<EpochKeys>> {
        let (peer, agreement) = (me.peer_id(), me.agreement_key());
        self.scheme.open(&self.thread, rekey, &peer, &agreement)
    }
}

pub(super) fn members_open_what_is_theirs(subject: &Subject) -> Checked {
    for (readers, replicas) in [(4, 3), (1, 0), (0, 2), (64, 64)] {
        let group = Group::of(subject, readers, replicas)?;
        let done = format!("sealed to {readers} readers and {replicas} replicas; one opened it");
        for reader in &group.readers {
            let seen = group.open(&group.rekey, reader)?;
            let holds = seen.as_ref() == Some(&group.keys);
            ensure(holds, &done, format_args!("a reader has {seen:?}"))?;
        }
        for replica in &group.replicas {
            let seen = group.open(&group.rekey, replica)?;
            let reads = seen.as_ref().is_some_and(|keys| keys.read().is_some());
            let text = format_args!("a replica has {seen:?}, the read key: {reads}");
            let holds = seen == Some(group.keys.without_read());
            ensure(holds, &done, text)?;
        }
    }
    Ok(())
}

pub(super) fn others_open_nothing(subject: &Subject) -> Checked {
    let group = Group::new(subject)?;
    let stranger = IdentityKey::generate(&mut system_rng());
    let open = |rekey: &Rekey, done: &str| -> Checked {
        match group.open(rekey, &stranger) {
            Ok(Some(keys)) => Err(Violation::new(done, format_args!("it has {keys:?}"))),
            _ => Ok(()),
        }
    };
    open(&group.rekey, "one who is not named opened the keys")?;
    for place in 0..group.rekey.readers.len() {
        let mut named = group.rekey.clone();
        named.readers[place] = stranger.peer_id();
        named.readers.sort();
        open(
            &named,
            "one who was written in a reader's place opened the keys",
        )?;
    }
    let mut added = group.rekey.clone();
    added.readers.push(stranger.peer_id());
    added.readers.sort();
    open(
        &added,
        "one who was written beside the readers opened the keys",
    )
}

pub(super) fn readers_need_the_read_key(subject: &Subject) -> Checked {
    let group = Group::new(subject)?;
    let blind = group.keys.without_read();
    let (readers, replicas) = (cards(&group.readers), cards(&group.replicas));
    let rng = &mut system_rng();
    let sealed = group
        .scheme
        .seal(&group.thread, &blind, &readers, &replicas, rng);
    let kind = sealed.as_ref().err().map(threads_core::Error::kind);
    let done = "sealed to readers the keys of an epoch whose read key is not known";
    let text = format_args!("{:?}", sealed.map(|bytes| bytes.len()));
    ensure(kind == Some(ErrorKind::Invalid), done, text)
}
