//! Documents that merge, on real nodes.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use serde::{Deserialize, Serialize};
use serde_json::json;
use threads_codec_automerge::{Automerge, Counter, Text};
use threads_core::codec::{Action, EntityState, EventCodec, Ordering};
use threads_core::module::{CollectionSpec, IndexSpec};
use threads_core::{CodecId, Result};
use threads_db::NodeBuilder;
use threads_db::query::Query;

use crate::net::{How, Net};

const MERGES: How = |builder| builder.codec_for(|own| Automerge::of(own.to_string()));

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Page {
    _id: String,
    title: String,
    body: Text,
    likes: Counter,
    tags: Vec<String>,
}

fn page(body: &str, likes: i64) -> Page {
    Page {
        _id: "p".into(),
        title: "Tea".into(),
        body: body.into(),
        likes: likes.into(),
        tags: vec!["a".into(), "b".into()],
    }
}

fn net(how: &[How]) -> Net {
    let mut net = Net::new(0);
    how.iter().for_each(|how| net.add(*how));
    net.shared_thread();
    let index = IndexSpec::on("likes".parse().unwrap());
    let spec = CollectionSpec::new("Page".parse().unwrap(), "automerge/1".parse().unwrap());
    net.db(0).define(&spec.with_index(index)).unwrap();
    net
}

fn query(text: &str) -> Query {
    Query::parse(text).unwrap()
}

fn edit(net: &Net, node: usize, edit: impl FnOnce(&mut Page)) {
    let pages = net.db(node).typed::<Page>("Page").unwrap();
    let mut page = pages.get("p").unwrap().unwrap();
    edit(&mut page);
    pages.save(&page).unwrap();
}

#[test]
fn texts_counters_and_lists_of_typed_values_merge_and_are_found_as_json() {
    let mut net = net(&[MERGES, MERGES]);
    let pages = net.db(0).typed::<Page>("Page").unwrap();
    pages.create(&page("Boil water.", 7)).unwrap();
    net.connect(0, 1);
    net.run();
    net.part(0, 1);
    edit(&net, 0, |page| {
        page.body.0.insert_str(5, "fresh ");
        page.likes.0 += 1;
        page.tags.remove(0);
    });
    edit(&net, 1, |page| {
        page.body.0.push_str(" Wait.");
        page.likes.0 += 1;
        page.tags.push("c".into());
        page.title = "Green tea".into();
    });
    net.connect(0, 1);
    net.run();
    let wanted = json!({
        "_id": "p", "title": "Green tea", "body": "Boil fresh water. Wait.", "likes": 9, "tags": ["b", "c"],
    });
    for node in 0..2 {
        let pages = net.db(node).collection("Page").unwrap();
        assert_eq!(
            pages
                .find(&query("likes = 9 and body contains 'fresh'"))
                .unwrap(),
            std::slice::from_ref(&wanted)
        );
        assert_eq!(pages.count(&query("likes = 8")).unwrap(), 0);
        assert!(net.db(node).verify(&mut |_| ()).unwrap().is_clean());
    }
}

#[test]
fn an_entity_without_an_id_gets_one_and_keeps_its_types() {
    #[derive(Serialize, Deserialize)]
    struct Note {
        body: Text,
    }
    let mut net = net(&[MERGES, MERGES]);
    let notes = net.db(0).typed::<Note>("Page").unwrap();
    let id = notes.create(&Note { body: "tea".into() }).unwrap();
    net.connect(0, 1);
    net.run();
    net.part(0, 1);
    let patch = |node: usize, body: &str| {
        let pages = net.db(node).collection("Page").unwrap();
        pages.patch(id.as_str(), &json!({"body": body})).unwrap();
    };
    patch(0, "green tea");
    patch(1, "tea please");
    net.connect(0, 1);
    net.run();
    let seen = |node: usize| net.db(node).collection("Page").unwrap().get(id.as_str());
    assert_eq!(seen(0).unwrap().unwrap()["body"], "green tea please");
    assert_eq!(seen(0).unwrap(), seen(1).unwrap());
}

/// How often any [`Watched`] was asked to apply an event, or to show a state.
static ASKED: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug)]
struct Watched(Automerge);

impl EventCodec for Watched {
    fn id(&self) -> CodecId {
        self.0.id()
    }

    fn ordering(&self) -> Ordering {
        self.0.ordering()
    }

    fn encode(&self, before: Option<&EntityState>, action: &Action<'_>) -> Result<Option<Vec<u8>>> {
        self.0.encode(before, action)
    }

    fn apply(&self, before: Option<&EntityState>, event: &[u8]) -> Result<EntityState> {
        ASKED.fetch_add(1, Relaxed);
        self.0.apply(before, event)
    }

    fn view<'a>(&self, state: &'a EntityState) -> Result<Cow<'a, [u8]>> {
        ASKED.fetch_add(1, Relaxed);
        self.0.view(state)
    }
}

const WATCHED: How = |builder: NodeBuilder| builder.codec(Watched(Automerge::of("ann")));

#[test]
fn what_is_handed_on_is_not_looked_into_and_a_late_event_is_one_event() {
    let mut net = net(&[WATCHED, MERGES]);
    let pages = net.db(0).typed::<Page>("Page").unwrap();
    pages.create(&page("Boil water.", 0)).unwrap();
    for n in 0..20 {
        edit(&net, 0, |page| page.likes.0 = n + 1);
    }
    // Handing on twenty records asks the codec nothing.
    let asked = ASKED.load(Relaxed);
    net.connect(0, 1);
    net.run();
    assert_eq!(ASKED.load(Relaxed), asked);
    net.part(0, 1);

    // An event that comes late does not have the others applied again.
    net.set_ahead(0, 2_000);
    edit(&net, 1, |page| page.likes.0 += 100);
    edit(&net, 0, |page| page.likes.0 += 1);
    let asked = ASKED.load(Relaxed);
    net.connect(0, 1);
    net.run();
    let seen = net.db(0).typed::<Page>("Page").unwrap().get("p").unwrap();
    assert_eq!(seen.unwrap().likes, Counter(121));
    let asked = ASKED.load(Relaxed) - asked;
    assert!(asked < 10, "the codec was asked {asked} times");
}
