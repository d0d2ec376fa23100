//! Changes that are made here are those that Automerge makes, to the byte.

use std::collections::BTreeMap;

use automerge::{ObjId, ScalarValue};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::edit;
use crate::limits::{COUNTER_MAX, EVENT_BYTES_MAX, INCREMENT_MAX};
use crate::node::Node;

type Members = BTreeMap<String, Node>;

/// What is seen, as an application gives it.
fn node(seen: &Seen) -> Node {
    match seen {
        Seen::Map(_, members) => Node::Map(named(members)),
        Seen::List(_, elements) => Node::List(elements.iter().map(node).collect()),
        Seen::Text(_, text) => Node::Text(text.clone()),
        Seen::Scalar(ScalarValue::Boolean(value)) => Node::Bool(*value),
        Seen::Scalar(ScalarValue::Int(value)) => Node::Integer(*value),
        Seen::Scalar(ScalarValue::Uint(value)) => Node::Unsigned(*value),
        Seen::Scalar(ScalarValue::F64(value)) => Node::Float(*value),
        Seen::Scalar(ScalarValue::Str(text)) => Node::String(text.to_string()),
        Seen::Scalar(ScalarValue::Counter(value)) => Node::Counter(value.into()),
        Seen::Scalar(_) | Seen::Deep => Node::Null,
    }
}

fn named(members: &BTreeMap<String, Seen>) -> Members {
    let named = members
        .iter()
        .map(|(name, seen)| (name.clone(), node(seen)));
    named.collect()
}

fn members(document: &Document) -> Members {
    match &document.seen {
        Seen::Map(_, members) => named(members),
        _ => Members::new(),
    }
}

/// The edits that make of a document what is wanted.
fn edits(document: &Document, wanted: &Members) -> Vec<Edit> {
    let mut edits = Vec::new();
    if let Seen::Map(_, seen) = &document.seen {
        edit::members(&ObjId::Root, seen, wanted.clone(), &mut edits);
    }
    edits
}

fn reopened(state: &EntityState) -> Document {
    Document::open(state::split(state).unwrap()).unwrap()
}

/// A document whose changes are made here, and its double, whose changes Automerge makes.
struct Pair {
    writer: &'static str,
    here: Document,
    double: Document,
}

impl Pair {
    fn new(writer: &'static str) -> Self {
        let (here, double) = (Document::new(), Document::new());
        Self {
            writer,
            here,
            double,
        }
    }

    /// Both save the same, and make the same of it.
    fn save(&mut self, saved: &Members) -> Option<Vec<u8>> {
        let (edits, wanted) = (edits(&self.here, saved), edits(&self.double, saved));
        assert_eq!(format!("{edits:?}"), format!("{wanted:?}"));
        if edits.is_empty() {
            return None;
        }
        let before = self.here.state().unwrap();
        let actor = self.double.actor(self.writer.as_bytes(), &wanted).unwrap();
        let made = self.here.commit(self.writer.as_bytes(), edits);
        let double = self.double.commit_by_automerge(actor, wanted);
        let said = |error: &Error| error.to_string();
        assert_eq!(made.as_ref().map_err(said), double.as_ref().map_err(said));
        if made.is_err() {
            // Of a document whose commit fails nothing is kept.
            (self.here, self.double) = (reopened(&before), reopened(&before));
            return None;
        }
        self.check();
        made.ok().flatten()
    }

    fn add(&mut self, event: &[u8]) {
        for document in [&mut self.here, &mut self.double] {
            let decoded = change::decode(event).unwrap();
            if !document.has(&decoded.change) {
                document.add(decoded).unwrap();
            }
        }
        self.check();
    }

    fn check(&self) {
        let (here, double) = (&self.here, &self.double);
        assert_eq!(here.seen, double.seen);
        assert_eq!(here.state().unwrap(), double.state().unwrap());
        let mut heads = double.inner.get_heads();
        heads.sort_unstable();
        assert!(
            here.index
                .heads()
                .iter()
                .eq(heads.iter().map(|head| &head.0))
        );
    }
}

/// What a writer changes in a save.
#[derive(Clone, Debug)]
enum Act {
    Put(Node),
    Remove,
    Step(i64),
}

#[derive(Clone, Debug)]
struct Touch {
    path: &'static [&'static str],
    name: &'static str,
    act: Act,
}

impl Touch {
    fn carry_out(&self, members: &mut Members) {
        let place = self.path.iter().fold(members, |members, name| {
            let inner = members.entry((*name).to_owned()).or_insert(Node::Null);
            if !matches!(inner, Node::Map(_)) {
                *inner = Node::Map(Members::new());
            }
            match inner {
                Node::Map(members) => members,
                _ => unreachable!("it was made a map"),
            }
        });
        match (&self.act, place.get_mut(self.name)) {
            (Act::Put(node), _) => {
                place.insert(self.name.to_owned(), node.clone());
            }
            (Act::Remove, _) => {
                place.remove(self.name);
            }
            (Act::Step(by), Some(Node::Counter(value))) => *value += by,
            (Act::Step(_), _) => {
                place.insert(self.name.to_owned(), Node::Counter(7));
            }
        }
    }
}

fn nodes() -> impl Strategy<Value = Node> {
    let whole = prop_oneof![
        any::<i64>(),
        -70..70_i64,
        select(vec![i64::MIN, -65, -64, 63, 64])
    ];
    let float = select(vec![0.0, -0.0, 1.5, f64::MAX, f64::MIN_POSITIVE]);
    let text = "[a-zäöü名😀\"]{0,4}";
    prop_oneof![
        1 => Just(Node::Null),
        2 => any::<bool>().prop_map(Node::Bool),
        4 => whole.prop_map(Node::Integer),
        1 => (1_u64 << 63..).prop_map(Node::Unsigned),
        1 => float.prop_map(Node::Float),
        4 => text.prop_map(Node::String),
        1 => "[a-z ]{100,200}".prop_map(Node::String),
        3 => select(vec![0, 7, 1 << 40]).prop_map(Node::Counter),
        1 => text.prop_map(Node::Text),
        1 => Just(Node::List(vec![Node::Integer(1), Node::Map(Members::new())])),
        1 => Just(Node::Map(Members::new())),
    ]
}

fn touches() -> impl Strategy<Value = Vec<Touch>> {
    let act = prop_oneof![
        4 => nodes().prop_map(Act::Put),
        2 => Just(Act::Remove),
        3 => select(vec![1, -3, 1 << 31, -(1 << 32)]).prop_map(Act::Step),
    ];
    let path = select(vec![&[][..], &[], &["in"], &["in", "名"]]);
    let name = select(vec!["a", "ä", "", "😀", "in"]);
    let touch = (path, name, act).prop_map(|(path, name, act)| Touch { path, name, act });
    prop::collection::vec(touch, 1..8)
}

#[derive(Clone, Debug)]
enum Turn {
    Save(Vec<Touch>),
    Hear(Vec<Index>),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn changes_made_here_are_what_automerge_makes(
        turns in prop::collection::vec((0..3_usize, prop_oneof![
            4 => touches().prop_map(Turn::Save),
            1 => prop::collection::vec(any::<Index>(), 1..6).prop_map(Turn::Hear),
        ]), 1..32),
    ) {
        let mut pairs = ["ann", "bob", "eve"].map(Pair::new);
        let mut events = Vec::new();
        for (who, turn) in &turns {
            let pair = &mut pairs[*who];
            match turn {
                Turn::Save(touches) => {
                    let mut wanted = members(&pair.here);
                    touches.iter().for_each(|touch| touch.carry_out(&mut wanted));
                    let is_there = edits(&pair.here, &wanted).is_empty();
                    let event = pair.save(&wanted);
                    prop_assert_eq!(event.is_none(), is_there);
                    // What was saved is there.
                    prop_assert!(edits(&pair.here, &wanted).is_empty());
                    events.extend(event);
                }
                Turn::Hear(which) if !events.is_empty() => {
                    which.iter().for_each(|at| pair.add(at.get::<Vec<u8>>(&events)));
                }
                Turn::Hear(_) => {}
            }
        }
        for pair in &mut pairs {
            events.iter().for_each(|event| pair.add(event));
            pair.here.catch_up().unwrap();
            prop_assert_eq!(&Seen::read(&pair.here.inner), &pair.here.seen);
            prop_assert_eq!(pair.here.inner.get_heads(), pair.double.inner.get_heads());
            prop_assert_eq!(&reopened(&pair.here.state().unwrap()).seen, &pair.here.seen);
        }
    }
}

fn named_nodes<const N: usize>(nodes: [(&str, Node); N]) -> Members {
    nodes.map(|(name, node)| (name.to_owned(), node)).into()
}

#[test]
fn everyday_edits_take_no_automerge_until_something_else_comes() {
    let mut pair = Pair::new("ann");
    let inner = |at| Node::Map(named_nodes([("at", Node::Integer(at))]));
    pair.save(&named_nodes([("n", Node::Integer(1)), ("in", inner(1))]))
        .unwrap();
    assert_eq!(pair.here.lacks, 0);
    let everyday = [
        named_nodes([("n", Node::Integer(2)), ("in", inner(1)), ("s", Node::Null)]),
        named_nodes([("c", Node::Counter(2)), ("in", inner(2))]),
        named_nodes([("c", Node::Counter(5)), ("in", inner(2))]),
    ];
    for (members, lacks) in everyday.iter().zip(1..) {
        pair.save(members).unwrap();
        assert_eq!(pair.here.lacks, lacks);
    }
    let made = pair.here.inner.get_heads();
    assert_ne!(made, pair.double.inner.get_heads());
    pair.save(&named_nodes([("t", Node::Text("tea".into()))]))
        .unwrap();
    assert_eq!(pair.here.lacks, 0);
    assert_eq!(pair.here.inner.get_heads(), pair.double.inner.get_heads());
}

#[test]
fn a_change_that_is_too_large_is_refused_alike() {
    let mut pair = Pair::new("ann");
    let long = Node::String("x".repeat(EVENT_BYTES_MAX));
    assert_eq!(pair.save(&named_nodes([("s", long)])), None);
}

#[test]
fn a_counter_that_is_out_of_bounds_is_put_once_as_a_number() {
    let mut pair = Pair::new("ann");
    let far = Node::Counter(COUNTER_MAX + 1);
    let put = pair.save(&named_nodes([("c", far.clone())]));
    assert!(put.is_some());
    let again = pair.save(&named_nodes([("c", far)]));
    assert_eq!(again, None);
}

#[test]
fn a_counter_is_put_where_one_that_began_alike_has_got_far() {
    let mut pair = Pair::new("ann");
    for at in [7, 7 + INCREMENT_MAX, 7 + 2 * INCREMENT_MAX, 7] {
        let wanted = named_nodes([("c", Node::Counter(at))]);
        assert!(pair.save(&wanted).is_some());
        assert_eq!(members(&pair.here), wanted);
    }
}
