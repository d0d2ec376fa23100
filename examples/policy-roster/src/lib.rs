//! A policy with a roster: whoever made a thread says who may write, and nobody else has a say.
//!
//! The guide `docs/writing-a-policy.md` leads here.
//!
//! * Root, who made the thread, lets a peer in with a role of the thread, and takes it out again. That
//!   is final: who was taken out does not come back. Anybody may leave.
//! * A change is applied when root let its author in as a writer, and when everyone who took the author
//!   out had seen the change. What was written without knowing of that is kept in quarantine.
//!
//! Neither rule asks what came first, so that all peers with the same records decide alike. All that is
//! kept is what was stated, and each question reads that anew: right, and slow where much is stated.
//!
//! ```
//! use example_policy_roster::Roster;
//! use threads_core::policy::AccessPolicy;
//! let policy: Box<dyn AccessPolicy> = Box::new(Roster);
//! ```

use std::collections::BTreeMap;

use threads_core::access::{Genesis, PeerRules, Role, Rules, Scope, Stated, Statement, Subject};
use threads_core::datastore::{Direction, ReadTxn};
use threads_core::policy::{
    AccessPolicy, AccessRecord, Again, Candidate, Learned, Verdict, policy_prefix,
};
use threads_core::record::Dep;
use threads_core::reducer::{ReadView, View};
use threads_core::{Cid, PeerCard, PeerId, Result, ThreadId, Variant, block};

/// The policy. See the [crate] for its rules.
///
/// ```
/// assert_eq!(format!("{:?}", example_policy_roster::Roster), "Roster");
/// ```
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it has nothing to add a field for"
)]
pub struct Roster;

/// A row of what is kept: a record, its author, and what it says.
type Said = (Cid, PeerId, Vec<Statement>);

/// What follows from all that was said, whatever the order in which it came.
struct Known {
    genesis: Option<Genesis>,
    peers: BTreeMap<PeerId, Peer>,
}

#[derive(Default)]
struct Peer {
    /// The roles that root gave it.
    given: Vec<Role>,
    /// What had been seen of it, each time it was taken out.
    taken: Vec<Vec<Dep>>,
    card: Option<PeerCard>,
}

enum Effect<'a> {
    Begins,
    LetsIn(PeerId, Role),
    TakesOut(PeerId, &'a [Dep]),
    None,
    /// It has no effect, for this reason.
    Void(&'static str),
}

fn effect(root: Option<PeerId>, author: PeerId, statement: &Statement) -> Effect<'_> {
    match statement {
        Statement::Leave { seen } => Effect::TakesOut(author, seen),
        Statement::Card(_) => Effect::None,
        _ if root != Some(author) => Effect::Void("only root says who may write"),
        Statement::Grant {
            to: Subject::Peer(peer),
            scope: Scope::Thread,
            role,
        } => Effect::LetsIn(*peer, *role),
        Statement::Revoke {
            from: Subject::Peer(peer),
            scope: Scope::Thread,
            seen,
            ..
        } => Effect::TakesOut(*peer, seen),
        Statement::Genesis(_) => Effect::Begins,
        Statement::Rekey(_) => Effect::None,
        _ => Effect::Void("a roster has peers of the whole thread, and nothing else"),
    }
}

impl Known {
    fn of(thread: &ThreadId, said: &[Said]) -> Self {
        let by_record = said.iter();
        let all = by_record.flat_map(|(_, author, all)| all.iter().map(|one| (*author, one)));
        let genesis = all.clone().find_map(|(author, statement)| match statement {
            Statement::Genesis(genesis) if genesis.root() == author && genesis.is_of(thread) => {
                Some(genesis.clone())
            }
            _ => None,
        });
        let mut known = Self {
            genesis,
            peers: BTreeMap::new(),
        };
        let root = known.root();
        for (author, statement) in all {
            match effect(root, author, statement) {
                Effect::LetsIn(peer, role) => known.peer(peer).given.push(role),
                Effect::TakesOut(peer, seen) => known.peer(peer).taken.push(seen.to_vec()),
                Effect::Begins | Effect::None | Effect::Void(_) => {}
            }
            if let Statement::Card(card) = statement {
                // Whoever signs several has the greatest, on every peer.
                let kept = &mut known.peer(card.peer()).card;
                let other = kept.filter(|kept| kept.to_bytes() > card.to_bytes());
                *kept = other.or(Some(*card));
            }
        }
        known
    }

    fn peer(&mut self, peer: PeerId) -> &mut Peer {
        self.peers.entry(peer).or_default()
    }

    fn root(&self) -> Option<PeerId> {
        self.genesis.as_ref().map(Genesis::root)
    }
}

impl Peer {
    fn was_given(&self, role: Role) -> bool {
        self.given.iter().any(|given| given.implies(role))
    }

    fn rules(&self) -> PeerRules {
        let mut roles = Role::ALL.to_vec();
        roles.retain(|role| self.taken.is_empty() && self.was_given(*role));
        PeerRules {
            thread: roles,
            acl: Vec::new(),
            card: self.card,
        }
    }
}

fn said(thread: &ThreadId, txn: &dyn ReadTxn) -> Result<Vec<Said>> {
    let prefix = policy_prefix(thread);
    let view = ReadView::new(txn, &prefix)?;
    let rows = view.scan(b"", Direction::Forward)?;
    rows.map(|row| block::decode(&row?.1)).collect()
}

impl AccessPolicy for Roster {
    fn judge(&self, candidate: &Candidate<'_>, txn: &dyn ReadTxn) -> Result<Verdict> {
        let known = Known::of(candidate.thread, &said(candidate.thread, txn)?);
        let has_rules = candidate.thread.variant() == Variant::AccessControlled;
        if !has_rules || known.root() == Some(candidate.author) {
            return Ok(Verdict::Accept);
        }
        let author = known.peers.get(&candidate.author);
        let Some(author) = author.filter(|peer| peer.was_given(Role::Write)) else {
            return Ok(Verdict::Quarantine(
                "root did not let its author write".into(),
            ));
        };
        for seen in &author.taken {
            let mut was_seen = false;
            for dep in seen {
                was_seen |= (candidate.within)(dep)?;
            }
            if !was_seen {
                return Ok(Verdict::Quarantine("its author had been taken out".into()));
            }
        }
        Ok(Verdict::Accept)
    }

    fn learn(&self, record: &AccessRecord<'_>, view: &mut View<'_>) -> Result<Learned> {
        let rows = view.scan(b"", Direction::Forward)?;
        let rows = rows.map(|row| block::decode(&row?.1));
        let mut all: Vec<Said> = rows.collect::<Result<_>>()?;
        if all.iter().any(|(known, ..)| *known == record.id) {
            return Ok(Learned::default());
        }
        let place = (all.len() as u64).to_be_bytes();
        all.push((record.id, record.author, record.statements.to_vec()));
        view.put(&place, &block::encode(&all.last())?)?;
        let root = Known::of(record.thread, &all).root();
        let mut learned = Learned::default();
        for statement in record.statements {
            let mut again = Again::default();
            match effect(root, record.author, statement) {
                // Who root is matters for all that anybody wrote.
                Effect::Begins => {}
                Effect::LetsIn(peer, _) => again.author = Some(peer),
                Effect::TakesOut(peer, seen) => {
                    again.author = Some(peer);
                    again.beyond = seen.to_vec();
                }
                Effect::None => continue,
                Effect::Void(why) => {
                    learned.void = Some(why.into());
                    continue;
                }
            }
            learned.again.push(again);
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
        let of = self.rules(thread, txn)?.map(|rules| rules.of(peer));
        Ok(of.map(|of| match scope {
            Scope::Acl => of.acl,
            Scope::Thread | Scope::Entity(_) => of.thread,
        }))
    }

    fn rules(&self, thread: &ThreadId, txn: &dyn ReadTxn) -> Result<Option<Rules>> {
        let known = Known::of(thread, &said(thread, txn)?);
        let peers = known.peers.into_iter();
        let peers = peers.map(|(peer, kept)| (peer, kept.rules())).collect();
        Ok(known.genesis.map(|genesis| Rules {
            peers,
            ..Rules::new(genesis.root(), genesis.history())
        }))
    }

    fn statements(&self, thread: &ThreadId, txn: &dyn ReadTxn) -> Result<Vec<Stated>> {
        let all = said(thread, txn)?;
        let root = Known::of(thread, &all).root();
        let stated = all.into_iter().flat_map(|(record, author, statements)| {
            statements.into_iter().map(move |statement| Stated {
                record,
                author,
                void: match effect(root, author, &statement) {
                    Effect::Void(why) => Some(why.to_owned()),
                    _ => None,
                },
                statement,
            })
        });
        Ok(stated.collect())
    }
}
