//! A policy with one fault at a time. Without one it takes root at its word: who was given a role may
//! change everything but what root had not seen when it took one.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use threads_core::access::{History, PeerRules, Role, Rules, Scope, Stated, Statement, Subject};
use threads_core::datastore::{Direction, ReadTxn};
use threads_core::policy::{
    AccessPolicy, AccessRecord, Again, Candidate, Learned, Verdict, policy_prefix,
};
use threads_core::record::Dep;
use threads_core::reducer::{ReadView, View};
use threads_core::{Cid, PeerId, Result, ThreadId, block};

/// What a policy does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    AnswersByChance,
    LetsTheLastWin,
    RefusesWhatItCannotRead,
    TakesErrorsForNo,
    TellsOtherRules,
    NamesNothing,
    CountsTwice,
    KeepsBansToItself,
    RemembersWhatWasGivenUp,
    BansInAllThreads,
    TellsOfOthers,
    CountsPurgesByChance,
}

/// As random as a test can be: another number each time.
static RANDOM: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
pub(crate) struct Broken {
    fault: Option<Fault>,
    banned: Mutex<HashSet<(Option<ThreadId>, PeerId)>>,
}

/// What is kept of a peer: whether root gave it a role, and what root had seen each time it took one.
type Row = (bool, Vec<Vec<Dep>>);

fn row(value: Option<&[u8]>) -> Result<Row> {
    value.map_or(Ok(Row::default()), block::decode)
}

impl Broken {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Self {
            fault,
            banned: Mutex::default(),
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn root(view: &ReadView<'_>) -> Result<Option<PeerId>> {
        let root = view.get(b"root")?;
        Ok(root.map(|root| PeerId::from_key_bytes((*root).try_into().unwrap())))
    }

    fn roles_of(view: &ReadView<'_>, peer: &PeerId) -> Result<PeerRules> {
        let (given, taken) = row(view.get(peer.key_bytes())?.as_deref())?;
        let mut rules = PeerRules::default();
        if given && taken.is_empty() {
            rules.thread = vec![Role::Replicate, Role::Read, Role::Write];
        }
        Ok(rules)
    }

    fn note(&self, thread: &ThreadId, peer: PeerId) {
        let key = match self.fault {
            Some(Fault::BansInAllThreads) => None,
            _ => Some(thread.clone()),
        };
        let remembers = [
            Fault::KeepsBansToItself,
            Fault::RemembersWhatWasGivenUp,
            Fault::BansInAllThreads,
        ];
        if self.fault.is_some_and(|fault| remembers.contains(&fault)) {
            self.banned.lock().unwrap().insert((key, peer));
        }
    }

    fn remembers(&self, thread: &ThreadId, peer: PeerId) -> bool {
        let banned = self.banned.lock().unwrap();
        banned.contains(&(None, peer)) || banned.contains(&(Some(thread.clone()), peer))
    }

    fn state(
        &self,
        record: &AccessRecord<'_>,
        statement: &Statement,
        view: &mut View<'_>,
    ) -> Result<Option<Again>> {
        let (peer, seen) = match statement {
            Statement::Genesis(genesis) => {
                view.put(b"root", genesis.root().key_bytes())?;
                return Ok(None);
            }
            Statement::Grant {
                to: Subject::Peer(peer),
                ..
            } => (*peer, None),
            Statement::Revoke {
                from: Subject::Peer(peer),
                seen,
                ..
            } => (*peer, Some(seen.clone())),
            _ => return Ok(None),
        };
        if view.get(b"root")?.as_deref() != Some(&record.author.key_bytes()[..]) {
            return Ok(None);
        }
        let mut kept = row(view.get(peer.key_bytes())?.as_deref())?;
        match &seen {
            None => {
                kept.0 = true;
                if self.is(Fault::LetsTheLastWin) {
                    kept.1.clear();
                }
            }
            Some(seen) => {
                self.note(record.thread, peer);
                if !self.is(Fault::KeepsBansToItself) {
                    kept.1.push(seen.clone());
                }
            }
        }
        view.put(peer.key_bytes(), &block::encode(&kept)?)?;
        Ok(Some(Again {
            author: Some(peer),
            // A role that is given for the first time lets in what others took for granted.
            beyond: seen.unwrap_or_default(),
            entity: None,
            within: None,
        }))
    }
}

impl AccessPolicy for Broken {
    fn judge(&self, candidate: &Candidate<'_>, txn: &dyn ReadTxn) -> Result<Verdict> {
        let refused = Ok(Verdict::Quarantine("root did not say so".into()));
        if self.is(Fault::AnswersByChance) && RANDOM.fetch_add(1, Ordering::SeqCst) % 7 == 3 {
            return refused;
        }
        let prefix = policy_prefix(candidate.thread);
        let view = ReadView::new(txn, &prefix)?;
        if Self::root(&view)? == Some(candidate.author) {
            return Ok(Verdict::Accept);
        }
        if self.is(Fault::RefusesWhatItCannotRead) && candidate.changes.is_none() {
            return refused;
        }
        if self.remembers(candidate.thread, candidate.author) {
            return refused;
        }
        let (given, taken) = row(view.get(candidate.author.key_bytes())?.as_deref())?;
        for seen in taken {
            let mut within = false;
            for dep in seen {
                within |= match (candidate.within)(&dep) {
                    Err(_) if self.is(Fault::TakesErrorsForNo) => false,
                    found => found?,
                };
            }
            if !within {
                return refused;
            }
        }
        match given {
            true => Ok(Verdict::Accept),
            false => refused,
        }
    }

    fn learn(&self, record: &AccessRecord<'_>, view: &mut View<'_>) -> Result<Learned> {
        let key = [b"said/", &record.id.to_bytes()[..]].concat();
        let known = view.get(&key)?.is_some();
        if known && !self.is(Fault::CountsTwice) {
            return Ok(Learned::default());
        }
        let mut learned = Learned::default();
        for statement in record.statements {
            learned.again.extend(self.state(record, statement, view)?);
        }
        let said = (&record.id, &record.author, record.statements);
        let mut key = key;
        // Twice under two keys, if it counts twice.
        key.extend(known.then_some(0));
        view.put(&key, &block::encode(&said)?)?;
        if self.is(Fault::NamesNothing) {
            learned.again.clear();
        }
        Ok(learned)
    }

    fn roles(
        &self,
        thread: &ThreadId,
        peer: &PeerId,
        scope: &Scope,
        txn: &dyn ReadTxn,
    ) -> Result<Option<Vec<Role>>> {
        let prefix = policy_prefix(thread);
        let view = ReadView::new(txn, &prefix)?;
        let Some(root) = Self::root(&view)? else {
            return Ok(None);
        };
        let mut rules = Rules::new(root, History::All);
        rules.peers.insert(*peer, Self::roles_of(&view, peer)?);
        let of = rules.of(peer);
        Ok(Some(match scope {
            Scope::Acl => of.acl,
            _ => of.thread,
        }))
    }

    fn rules(&self, thread: &ThreadId, txn: &dyn ReadTxn) -> Result<Option<Rules>> {
        let prefix = policy_prefix(thread);
        let view = ReadView::new(txn, &prefix)?;
        let Some(root) = Self::root(&view)? else {
            return Ok(None);
        };
        let mut rules = Rules::new(root, History::All);
        for entry in view.scan(b"", Direction::Forward)? {
            let (key, _) = entry?;
            if let Ok(key) = <[u8; 32]>::try_from(&*key) {
                let peer = PeerId::from_key_bytes(key);
                let mut of = Self::roles_of(&view, &peer)?;
                if self.is(Fault::TellsOtherRules) {
                    of.thread.push(Role::Delete);
                }
                rules.peers.insert(peer, of);
            }
        }
        Ok(Some(rules))
    }

    fn statements(&self, thread: &ThreadId, txn: &dyn ReadTxn) -> Result<Vec<Stated>> {
        let prefix = policy_prefix(thread);
        let view = ReadView::new(txn, &prefix)?;
        let mut stated = Vec::new();
        for entry in view.scan(b"said/", Direction::Forward)? {
            let (record, mut author, statements): (Cid, PeerId, Vec<Statement>) =
                block::decode(&entry?.1)?;
            if self.is(Fault::TellsOfOthers) {
                author = PeerId::from_key_bytes([99; 32]);
            }
            let by_chance = self.is(Fault::CountsPurgesByChance);
            stated.extend(statements.into_iter().map(|statement| {
                Stated {
                    record,
                    author,
                    statement,
                    void: (by_chance && RANDOM.fetch_add(1, Ordering::Relaxed).is_multiple_of(2))
                        .then(|| "it does not count".to_owned()),
                }
            }));
        }
        Ok(stated)
    }
}
