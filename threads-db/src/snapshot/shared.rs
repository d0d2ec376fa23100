//! What sync asks of the snapshots of a node, and opening a thread from one that came.

use threads_core::access::{Role, Scope};
use threads_core::blob::BlobRef;
use threads_core::books::{HeadBook, HeadBookMut};
use threads_core::datastore::{Datastore, DatastoreExt, Durability, Keyspace, ReadTxn, WriteTxn};
use threads_core::{Cid, Error, ErrorKind, PeerId, Result, ThreadId};

use super::open::open_if;
use super::search::{
    Passed, begin_fetching, begins_with, end, end_membership, fetch_on, opened, wait,
};
use super::seek::{Found, NotOpened, Seek, State};
use super::stored::check_name;
use super::word::{self, Word};
use crate::base::Base;
use crate::blobs::rows::{self, Root};
use crate::catalogue::Catalogue;
use crate::db::Db;
use crate::layout::{Number, meta};
use crate::node::Node;
use crate::sync::words::{KnownWords, ListedWords, Sought, Worded, Wording};
use crate::sync::{Claim, Fresh, News, shares};
use crate::thread::Thread;

impl Node {
    /// Whether no records are taken in: this node keeps no more of the thread, or seeks a snapshot to begin with.
    pub(crate) fn takes_none_of(
        &self,
        txn: &dyn ReadTxn,
        thread: Number,
        id: &ThreadId,
    ) -> Result<bool> {
        Ok(self.is_full_for(txn, id)? || super::is_sought(txn, thread)?)
    }

    pub(crate) fn words_for_peers(&self, what: Wording) -> Result<Worded> {
        match what {
            Wording::Greet(thread, peer, in_turn) => self.greeting_of_words(thread, &peer, in_turn),
            Wording::List(peer, claim, known) => {
                let Some(thread) = self.claimed(&peer, &claim)? else {
                    return Ok(Worded::Listed(None));
                };
                self.list_words(thread, (&peer, &known))
                    .map(|listed| Worded::Listed(Some(listed)))
            }
            Wording::Take(thread, peer, words) => self.take_words(thread, &peer, words),
            Wording::Seek(thread, ms, peers) => {
                self.seek_on(thread, (ms, &peers)).map(Worded::Sought)
            }
        }
    }

    /// What a peer is asked: who has a snapshot whole, or seeks one, does. Of others it could not have any here.
    fn greeting_of_words(&self, thread: Number, peer: &PeerId, in_turn: bool) -> Result<Worded> {
        let (known, sought) = {
            // Most threads have none: they are not even opened.
            let txn = self.inner.store.read()?;
            let whole = whole_words(&*txn, thread)?;
            let known: Vec<_> = whole.iter().map(|word| (word.peer(), word.seq())).collect();
            (known, super::is_sought(&*txn, thread)?)
        };
        if !sought && !in_turn && known.is_empty() {
            let ask = None;
            return Ok(Worded::Greeting { ask, sought });
        }
        let db = self.db(thread)?;
        let claim = Claim::new(&db.thread().replica, &self.peer_id(), peer);
        Ok(Worded::Greeting {
            ask: Some((claim, known)),
            sought,
        })
    }

    /// The words whose content is here, of those that a peer does not know.
    fn list_words(
        &self,
        thread: Number,
        (teller, theirs): (&PeerId, &KnownWords),
    ) -> Result<ListedWords> {
        let db = self.db(thread)?;
        let txn = self.snapshot_on_disk()?;
        let known_by = |peer: &PeerId| {
            let known = theirs.iter().find(|(known, _)| known == peer);
            known.map_or(0, |(_, seq)| *seq)
        };
        let mut words = whole_words(&*txn, thread)?;
        words.retain(|word| word.seq() > known_by(&word.peer()));
        let wanted = self.wants_words(&*txn, &db, teller)?;
        let ours = known(&*txn, thread)?;
        let mut behind = false;
        for (peer, seq) in theirs {
            let later = !ours
                .iter()
                .any(|(known, ours)| known == peer && ours >= seq);
            behind = behind || later && wanted(peer)?;
        }
        Ok(ListedWords {
            thread,
            words,
            behind,
        })
    }

    /// Whose words are of use here, of those that a peer may tell.
    fn wants_words<'a>(
        &self,
        txn: &'a dyn ReadTxn,
        db: &Db,
        teller: &'a PeerId,
    ) -> Result<impl Fn(&PeerId) -> Result<bool> + 'a> {
        let thread = db.thread().number;
        let seek = Seek::get(txn, thread)?.filter(Seek::is_sought);
        let keeps = rows::keeps_all(txn, db.thread())?;
        Ok(move |signer: &PeerId| {
            let trusted = seek.as_ref().is_some_and(|seek| seek.trusts(signer));
            let known = keeps && (signer == teller || shares::has(txn, thread, signer)?);
            Ok(trusted || known)
        })
    }

    /// Keeps words that a peer told, of those whose word is of use here.
    fn take_words(&self, thread: Number, teller: &PeerId, words: Vec<Word>) -> Result<Worded> {
        let db = self.db(thread)?;
        let (mut fit, mut sound) = (Vec::new(), true);
        {
            let txn = self.inner.store.read()?;
            let wanted = self.wants_words(&*txn, &db, teller)?;
            for word in words {
                match word.verify(db.id()) {
                    Err(_) => sound = false,
                    Ok(()) if wanted(&word.peer())? => fit.push(word),
                    Ok(()) => {}
                }
            }
        }
        let mut new = false;
        self.inner.store.transact(Durability::Group, |txn| {
            for word in &fit {
                let latest = known(txn.as_read(), thread)?;
                word.put(txn, db.thread())?;
                new |= known(txn.as_read(), thread)? != latest;
            }
            Ok(())
        })?;
        Ok(Worded::Taken { new, sound })
    }

    /// Sees how the snapshot stands that a thread is to begin with, and opens it when it is whole.
    fn seek_on(&self, thread: Number, passed: Passed<'_>) -> Result<Sought> {
        let Some(seek) = Seek::get(&*self.inner.store.read()?, thread)? else {
            return Ok(Sought::Nothing);
        };
        let db = self.db(thread)?;
        if !seek.is_sought() {
            // It ended with an error: what was left to do then is done, and sync goes on.
            end_membership(&db, seek)?;
            return Ok(Sought::Ended);
        }
        if is_closed(&db)? {
            // What failed was not cleared.
            let Ok(_alone) = self.inner.restoring.try_lock() else {
                return Ok(Sought::Waits);
            };
            if is_closed(&db)? {
                clear(&db)?;
            }
        }
        if has_records(&*self.inner.store.read()?, db.thread())? {
            if let State::Fetching(found, _) = seek.state.clone()
                && begins_with(&db, &found.snapshot)?
            {
                // It ended right after it was opened.
                return opened(&db, seek, &found);
            }
            return end(&db, seek, (NotOpened::HasRecords, String::new()));
        }
        match seek.state.clone() {
            State::Looking(..) => {
                let found = seek.find(&*self.inner.store.read()?, db.thread())?;
                match found {
                    Some(found) => begin_fetching(&db, seek, found),
                    None => wait(&db, seek, passed, String::new()),
                }
            }
            State::Fetching(found, progress) => fetch_on(&db, seek, (found, progress), passed),
            State::Opened(..) | State::Not(..) => Ok(Sought::Nothing),
        }
    }
}

/// The newest word that is here of each signer.
fn known(txn: &dyn ReadTxn, thread: Number) -> Result<KnownWords> {
    let words = word::of_thread(txn, thread)?.into_iter();
    Ok(words
        .filter_map(|(peer, words)| Some((peer, words.first()?.seq())))
        .collect())
}

/// The newest word of each signer whose content is here.
fn whole_words(txn: &dyn ReadTxn, thread: Number) -> Result<Vec<Word>> {
    let mut whole = Vec::new();
    for words in word::of_thread(txn, thread)?.into_values() {
        for word in words {
            let root = Root::get(txn, thread, &rows::name(word.blob()))?;
            if root.is_some_and(|root| root.place.is_some()) {
                whole.push(word);
                break;
            }
        }
    }
    Ok(whole)
}

fn is_closed(db: &Db) -> Result<bool> {
    Catalogue::is_closed(&*db.thread().node.store.read()?, db.thread().number)
}

/// Whether no snapshot can be made of what is here, though nothing is broken.
fn is_not_now(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Unsupported
    )
}

pub(super) fn has_records(txn: &dyn ReadTxn, thread: &Thread) -> Result<bool> {
    Ok(!HeadBook::new(txn).all(&thread.id)?.is_empty())
}

/// Takes a blob away here, if it is here.
pub(super) fn forget(db: &Db, blob: &Cid) -> Result<()> {
    match db.blobs().remove(blob) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Opens the thread from a snapshot that is here: first its name is compared with the one that was signed for, and then
/// its rules are asked whether its signers may say so. Nobody sees anything of it before.
pub(super) fn open(db: &Db, seek: &Seek, found: &Found) -> Result<()> {
    let thread = db.thread();
    check_name(db.blobs().open(&found.content)?, &found.snapshot)?;
    thread.node.store.transact(Durability::Group, |txn| {
        if has_records(txn.as_read(), thread)? {
            return Err(Error::conflict("the thread holds records already"));
        }
        Catalogue::close(txn, thread.number)
    })?;
    let content = db.blobs().open(&found.content)?;
    let may = |txn: &dyn ReadTxn| may_sign(txn, thread, seek, found);
    let opened = open_if(thread, content, &found.snapshot, &may);
    if opened.is_err() {
        clear(db)?;
    }
    opened
}

/// Whether enough of the signers may write by the rules that came with the snapshot.
fn may_sign(txn: &dyn ReadTxn, thread: &Thread, seek: &Seek, found: &Found) -> Result<()> {
    let mut signers = 0;
    for signer in &found.signers {
        let policy = &thread.node.policy;
        let roles = policy.roles(&thread.id, signer, &Scope::Thread, txn)?;
        signers += u64::from(roles.is_none_or(|roles| roles.contains(&Role::Write)));
    }
    match signers >= seek.signers_min() {
        true => Ok(()),
        false => Err(
            Error::rejected("by its own rules too few of those who signed it may write")
                .with("signers", signers),
        ),
    }
}

/// Clears what a snapshot left that could not be opened.
fn clear(db: &Db) -> Result<()> {
    let (thread, number) = (db.thread(), db.thread().number);
    db.node().clear_records(number)?;
    for prefix in meta::of_records(number) {
        db.node().clear_rows(Keyspace::Meta, &prefix)?;
    }
    thread.node.store.transact(Durability::Group, |txn| {
        HeadBookMut::new(txn).clear(&thread.id)?;
        Catalogue::bump(txn, thread)
    })
}

impl Db {
    /// Whether a snapshot is being opened, here or by another process, or that was cut short. Who searches for it
    /// clears what is left then: nobody else knows whether it goes on.
    pub(crate) fn is_being_opened(&self) -> Result<bool> {
        is_closed(self)
    }

    /// Whoever dropped records and told nobody of the snapshot that stands for them, as nobody shared the thread, does so
    /// before others come: they could not begin with anything else.
    pub(crate) fn offer_what_was_dropped(&self) -> Result<()> {
        let owes = {
            let thread = self.thread();
            let txn = thread.node.store.read()?;
            let told = word::of_thread(&*txn, thread.number)?;
            Base::get(&*txn, thread.number)?.is_some() && !told.contains_key(&self.node().peer_id())
        };
        if !owes {
            return Ok(());
        }
        match self.snapshot() {
            // Who comes gets from others what is here no more, as far as they have it.
            Err(error) if is_not_now(&error) => Ok(()),
            made => made.map(drop),
        }
    }

    /// Tells peers that this node signed a snapshot and keeps its content, and takes older ones away.
    pub(super) fn tell_of(&self, snapshot: Cid, content: &BlobRef) -> Result<()> {
        let thread = self.thread();
        let (me, now_ms) = (self.node().peer_id(), thread.node.clock.now_ms());
        let (latest, epoch) = {
            let txn = thread.node.store.read()?;
            let mut words = word::of_thread(&*txn, thread.number)?;
            (words.remove(&me), thread.writing_epoch(&*txn)?)
        };
        let latest = latest.and_then(|words| words.into_iter().next());
        if latest
            .as_ref()
            .is_some_and(|word| word.blob() == content.cid())
        {
            return Ok(());
        }
        let seq = latest.map_or(0, |word| word.seq());
        let seq = now_ms.max(seq.saturating_add(1)).max(1);
        let none = || Error::unsupported("there are no keys here to write under");
        let read = thread.read_of(epoch)?.ok_or_else(none)?;
        let word = {
            let rng = &mut **thread.node.rng();
            let said = (seq, snapshot);
            Word::sign(
                &thread.node.identity,
                &thread.id,
                said,
                content,
                (epoch, &read, rng),
            )?
        };
        let put = |txn: &mut dyn WriteTxn| word.put(txn, thread);
        thread.node.store.transact(Durability::Group, put)?;
        super::stored::clear_older(self)?;
        let news = News(Fresh::Words(thread.number));
        thread.node.notifier.notify_of(news);
        Ok(())
    }
}
