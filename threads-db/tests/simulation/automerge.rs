//! Documents that merge, on peers that write, meet and fall down by chance.

use threads_codec_automerge::{Automerge, Counter, Text};
use threads_conformance::sim::lab::{Lab, Things};
use threads_conformance::sim::seeds;
use threads_core::module::CollectionSpec;
use threads_core::rand_core::CryptoRng;
use threads_core::{ErrorKind, Result};
use threads_db::{Db, NodeBuilder, WriteTransaction};

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
        if db.collection("Page").is_ok() {
            return Ok(());
        }
        db.define(&CollectionSpec::new(
            "Page".parse()?,
            "automerge/1".parse()?,
        ))
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
