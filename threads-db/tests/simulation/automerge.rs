//! Documents that merge, on peers that write, meet and fall down by chance.

use std::collections::BTreeMap;

use serde_json::json;
use threads_codec_automerge::{Automerge, Counter, Text};
use threads_codec_lww::Lww;
use threads_conformance::sim::generate::{self, Also};
use threads_conformance::sim::lab::{Lab, Things};
use threads_conformance::sim::script::Script;
use threads_conformance::sim::seeds;
use threads_core::rand_core::CryptoRng;
use threads_core::{Error, ErrorKind, Result};
use threads_db::query::Query;
use threads_db::{Db, NodeBuilder, WriteTransaction};

use crate::provide;

fn equip(node: NodeBuilder) -> NodeBuilder {
    node.codec_for(|own| Automerge::of(own.to_string()))
}

#[test]
fn peers_whose_documents_merge_agree_once_all_is_healed() {
    let lab = Things::new("automerge/1".parse().unwrap(), equip);
    seeds::check(&lab, seeds::from_env(60));
}

/// One page that all peers write at once: they type into its text and step its counter.
struct Together;

#[derive(serde::Serialize, serde::Deserialize)]
struct Page {
    _id: String,
    body: Text,
    steps: Counter,
    lines: Vec<u32>,
}

impl Lab for Together {
    fn equip(&self, builder: NodeBuilder) -> NodeBuilder {
        equip(builder)
    }

    fn prepare(&self, db: &Db) -> Result<()> {
        provide(db, "Page", "automerge/1")
    }

    fn write(
        &self,
        db: &Db,
        txn: &mut WriteTransaction<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<()> {
        let pages = db.typed::<Page>("Page")?;
        let Some(mut page) = txn.get(&pages, "p")? else {
            let (_id, body) = ("p".into(), "ab".into());
            let first = Page {
                _id,
                body,
                steps: Counter(0),
                lines: vec![],
            };
            return txn.create(&pages, &first).map(drop);
        };
        let (chance, at) = (rng.next_u32() % 6, rng.next_u32() as usize);
        match chance {
            0 if !page.lines.is_empty() => drop(page.lines.remove(at % page.lines.len())),
            0 | 1 => page
                .lines
                .insert(at % (page.lines.len() + 1), rng.next_u32() % 4),
            2 | 3 => page.steps.0 += 1,
            4 if page.body.0.len() > 1 => drop(page.body.0.remove(at % page.body.0.len())),
            _ => page.body.0.insert(at % (page.body.0.len() + 1), 'x'),
        }
        match txn.save(&pages, &page) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other.map(drop),
        }
    }
}

#[test]
fn peers_who_write_one_page_together_agree_once_all_is_healed() {
    seeds::check(&Together, seeds::from_env(60));
}

/// Each peer has pages of its own, which all step the counters of; each step is told in another collection, of
/// another codec, in the transaction that does it.
#[derive(Default)]
pub(super) struct Counted {
    /// A defect to be found: some steps are told to nobody.
    pub(super) keeps_back: bool,
}

/// What is told.
const TOLD: &str = "Told";

impl Lab for Counted {
    fn equip(&self, builder: NodeBuilder) -> NodeBuilder {
        equip(builder).codec(Lww::new())
    }

    fn prepare(&self, db: &Db) -> Result<()> {
        provide(db, "Page", "automerge/1")?;
        provide(db, TOLD, "lww/1")
    }

    fn write(
        &self,
        db: &Db,
        txn: &mut WriteTransaction<'_>,
        rng: &mut dyn CryptoRng,
    ) -> Result<()> {
        let (pages, told) = (db.typed::<Page>("Page")?, db.collection(TOLD)?);
        let own = txn.log()?.to_string();
        if !txn.has(&pages, &own)? {
            let body = own.as_str().into();
            let (_id, steps, lines) = (own.clone(), Counter(0), vec![]);
            txn.create(
                &pages,
                &Page {
                    _id,
                    body,
                    steps,
                    lines,
                },
            )?;
        }
        // Its own, or one of another peer that it knows.
        let all = db.collection("Page")?.find(&Query::new())?;
        let one = all.get(rng.next_u32() as usize % all.len().max(1));
        let id = one.and_then(|page| page["_id"].as_str()).unwrap_or(&own);
        let Some(mut page) = txn.get(&pages, id)? else {
            return Ok(());
        };
        let by = i64::from(rng.next_u32() % 20) - 9;
        page.steps.0 += by;
        txn.save(&pages, &page)?;
        if self.keeps_back && by == 3 {
            return Ok(());
        }
        let number = format!("{:08x}{:08x}", rng.next_u32(), rng.next_u32());
        let step = json!({"_id": number, "page": id, "by": by});
        txn.create(&told, &step).map(drop)
    }

    fn script(&self, seed: u64) -> Script {
        generate::with(seed, &[Also::NoBackups])
    }

    fn check(&self, peers: &[&Db]) -> Result<()> {
        for db in peers.iter().filter(|db| db.collection(TOLD).is_ok()) {
            let mut due: BTreeMap<String, i64> = BTreeMap::new();
            for page in db.typed::<Page>("Page")?.find(&Query::new())? {
                due.insert(page._id, -page.steps.0);
            }
            for step in db.collection(TOLD)?.find(&Query::new())? {
                let page = step["page"].as_str().unwrap_or_default();
                *due.entry(page.to_owned()).or_default() += step["by"].as_i64().unwrap_or_default();
            }
            if due.values().any(|left| *left != 0) {
                return Err(Error::corrupt("a counter is not the sum of its steps")
                    .with("left", format_args!("{due:?}")));
            }
        }
        Ok(())
    }
}

#[test]
fn a_counter_is_the_sum_of_the_steps_that_were_told() {
    seeds::check(&Counted::default(), seeds::from_env(15));
}
