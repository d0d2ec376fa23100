//! Defects that the simulator must find.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use threads_acl::Acl;
use threads_codec_jsonpatch::JsonPatch;
use threads_conformance::sim::generate::script;
use threads_conformance::sim::lab::{Lab, Ruled, Things};
use threads_conformance::sim::run::{Plant, run};
use threads_conformance::sim::seeds::find;
use threads_conformance::sim::store::Lie;
use threads_core::access::{Role, Rules, Scope, Stated, Statement};
use threads_core::codec::{Action, EntityState, EventCodec, Ordering};
use threads_core::datastore::ReadTxn;
use threads_core::policy::{AccessPolicy, AccessRecord, Candidate, Learned, Verdict};
use threads_core::reducer::View;
use threads_core::{CodecId, PeerId, Result, ThreadId};

/// Within so many seeds each is found.
const SEEDS: u64 = 40;

/// What a seed that fails says, with the defect planted; without it, it does not fail.
fn found(lab: &dyn Lab, plant: Option<Plant>) -> String {
    let seed = find(lab, 0..SEEDS, plant).expect("the defect is found");
    run(lab, &lab.script(seed), plant).unwrap_err().what
}

fn found_around_nodes(plant: Plant) -> String {
    let seed = find(&super::lab(), 0..SEEDS, Some(plant)).expect("the defect is found");
    run(&super::lab(), &script(seed), None).expect("without the defect all is well");
    found(&super::lab(), Some(plant))
}

#[test]
fn acknowledging_before_the_sync_is_found() {
    let what = found_around_nodes(Plant::Disk(Lie::SyncsLater));
    assert!(what.contains("on disk"), "{what}");
}

#[test]
fn showing_others_what_is_not_on_disk_is_found() {
    let what = found_around_nodes(Plant::Disk(Lie::SkipsEmptyCommits));
    assert!(what.contains("on disk"), "{what}");
}

#[test]
fn a_page_that_is_never_taken_in_is_found() {
    let what = found_around_nodes(Plant::DropsTakeIn);
    assert!(what.contains("do not agree"), "{what}");
}

#[test]
fn a_transport_that_swaps_replies_is_found() {
    let what = found_around_nodes(Plant::SwapsReplies);
    assert!(!what.contains("cannot"), "{what}");
}

/// A codec whose every ninth event changes nothing: what that is depends on what came when.
#[derive(Debug, Default)]
struct Forgetful {
    inner: JsonPatch,
    applied: AtomicU64,
}

impl EventCodec for Forgetful {
    fn id(&self) -> CodecId {
        self.inner.id()
    }

    fn ordering(&self) -> Ordering {
        self.inner.ordering()
    }

    fn encode(&self, before: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
        self.inner.encode(before, action)
    }

    fn apply(&self, before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
        let forgets = self.applied.fetch_add(1, Relaxed) % 9 == 8;
        match before.filter(|_| forgets) {
            Some(before) => Ok(before.clone()),
            None => self.inner.apply(before, event),
        }
    }

    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
        self.inner.view(state)
    }
}

#[test]
fn a_codec_that_depends_on_the_order_of_arrival_is_found() {
    let codec = "jsonpatch/1".parse().unwrap();
    let lab = Things::new(codec, |node| node.codec(Forgetful::default()));
    let what = found(&lab, None);
    assert!(
        what.contains("two states") || what.contains("verify"),
        "{what}"
    );
}

/// What a policy does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It has nothing judged again.
    JudgesOnce,
    /// On every other node it does not know what root has seen.
    IgnoresSeals,
    /// It shares threads with those who were removed.
    SharesOn,
}

#[derive(Debug)]
struct Broken {
    inner: Acl,
    fault: Fault,
    number: u64,
}

/// How many policies were made.
static MADE: AtomicU64 = AtomicU64::new(0);

impl AccessPolicy for Broken {
    fn judge(&self, candidate: &Candidate<'_>, txn: &dyn ReadTxn) -> Result<Verdict> {
        self.inner.judge(candidate, txn)
    }

    fn learn(&self, record: &AccessRecord<'_>, view: &mut View<'_>) -> Result<Learned> {
        let mut statements = record.statements.to_vec();
        if self.fault == Fault::IgnoresSeals && self.number % 2 == 1 {
            statements.retain(|statement| *statement != Statement::Checkpoint);
        }
        let statements = &statements;
        let mut learned = self.inner.learn(
            &AccessRecord {
                statements,
                ..*record
            },
            view,
        )?;
        if self.fault == Fault::JudgesOnce {
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
        let mut roles = self.inner.roles(thread, peer, scope, txn)?;
        if self.fault == Fault::SharesOn && *scope == Scope::Thread {
            roles = roles.map(|roles| {
                if roles.is_empty() {
                    vec![Role::Replicate]
                } else {
                    roles
                }
            });
        }
        Ok(roles)
    }

    fn rules(&self, thread: &ThreadId, txn: &dyn ReadTxn) -> Result<Option<Rules>> {
        self.inner.rules(thread, txn)
    }

    fn statements(&self, thread: &ThreadId, txn: &dyn ReadTxn) -> Result<Vec<Stated>> {
        self.inner.statements(thread, txn)
    }
}

fn found_in_policy(fault: Fault) -> String {
    let codec = "jsonpatch/1".parse().unwrap();
    let lab = Things::new(codec, move |node| {
        let number = MADE.fetch_add(1, Relaxed);
        let inner = Acl::new();
        let policy = Broken {
            inner,
            fault,
            number,
        };
        node.codec(JsonPatch::new()).policy(policy)
    });
    let lab = Ruled::new(lab);
    // One after the other, as which nodes are broken depends on how many were made before.
    let mut runs = (0..SEEDS).map(|seed| run(&lab, &lab.script(seed), None));
    let found = runs.find_map(Result::err);
    found.expect("the defect is found").what
}

#[test]
fn a_policy_that_judges_once_is_found() {
    let what = found_in_policy(Fault::JudgesOnce);
    assert!(
        what.contains("in quarantine") || what.contains("two states"),
        "{what}"
    );
}

#[test]
fn a_policy_that_ignores_seals_is_found() {
    found_in_policy(Fault::IgnoresSeals);
}

#[test]
fn a_policy_that_shares_with_the_removed_is_found() {
    let what = found_in_policy(Fault::SharesOn);
    assert!(what.contains("one of them is out"), "{what}");
}
