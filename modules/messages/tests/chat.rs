//! A chat between peers that are apart: one order for all, answers after questions, and nothing
//! read that nobody saw.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use proptest::prelude::*;
use threads_codec_jsonpatch::JsonPatch;
use threads_core::datastore::Memory;
use threads_core::{IdentityKey, system_rng};
use threads_db::query::{Query, field};
use threads_db::{Collection, Db, ExportOptions, Node, RestoreOptions};
use threads_module_messages::{
    CHANNEL, Channel, MESSAGE, Message, Messages, ORDER, POSITION_MAX, READ_MARK, ReadMark, is_read,
};

fn node() -> Node {
    let identity = IdentityKey::generate(&mut system_rng());
    let builder = Node::builder(Memory::new()).codec(JsonPatch::new());
    builder.identity(identity).open().unwrap()
}

fn messages(db: &Db) -> Collection<Message> {
    db.install(&Messages).unwrap().typed(MESSAGE).unwrap()
}

fn in_channel() -> Query {
    Query::new().filter(field("channel").eq("general"))
}

fn shown(db: &Db) -> Vec<Message> {
    let query = ORDER
        .iter()
        .fold(in_channel(), |query, field| query.sort(field));
    messages(db).find(&query).unwrap()
}

/// Says something after what is known here.
fn say(db: &Db, author: &str, clock: u64, text: &str) -> Message {
    let query = in_channel().sort_desc("position").limit(1);
    let last = messages(db).find(&query).unwrap();
    let message = Message::after(last.first(), "general", author, clock, text);
    let id = messages(db).create(&message).unwrap();
    messages(db).get(id.as_str()).unwrap().unwrap()
}

fn hand_over(from: &Db, to: &Node) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chat.car");
    let file = std::fs::File::create(&path).unwrap();
    from.export(file, &ExportOptions::default(), &mut |_| ())
        .unwrap();
    to.restore(&path, &RestoreOptions::default(), &mut |_| ())
        .unwrap();
}

#[test]
fn all_agree_on_one_order_whatever_their_clocks_say() {
    let (ann, bob) = (node(), node());
    let hers = ann.create("chat").unwrap();
    let chat = hers.install(&Messages).unwrap();
    chat.typed(CHANNEL)
        .unwrap()
        .create(&Channel::named("general"))
        .unwrap();
    let his = bob.add_thread("chat", &hers.keys()).unwrap();
    hand_over(&hers, &bob);

    // Ann's clock is an hour ahead. Apart, both talk; then Bob answers.
    for n in 0..3 {
        say(&hers, "ann", 3_600_000 + n, &format!("ann {n}"));
        say(&his, "bob", n, &format!("bob {n}"));
    }
    hand_over(&hers, &bob);
    let question = shown(&his)
        .into_iter()
        .find(|message| message.text == "ann 2")
        .unwrap();
    let answer = say(&his, "bob", 10, "an answer").discussing(&question);
    messages(&his).save(&answer).unwrap();
    hand_over(&his, &ann);

    let (here, there) = (shown(&hers), shown(&his));
    assert_eq!(here, there);
    let texts: Vec<_> = here.iter().map(|message| &*message.text).collect();
    assert_eq!(
        texts,
        [
            "bob 0",
            "ann 0",
            "bob 1",
            "ann 1",
            "bob 2",
            "ann 2",
            "an answer"
        ]
    );
    let discussion = Query::new().filter(field("discussion").eq(question.id.unwrap()));
    assert_eq!(messages(&hers).find(&discussion).unwrap().len(), 1);
    let plan = messages(&hers).explain(&in_channel()).unwrap().to_string();
    assert!(plan.starts_with("index channel,position"), "{plan}");
}

#[test]
fn what_comes_late_is_unread_wherever_it_stands() {
    let (ann, bob) = (node(), node());
    let hers = ann.create("chat").unwrap();
    messages(&hers);
    let his = bob.add_thread("chat", &hers.keys()).unwrap();
    hand_over(&hers, &bob);
    let late = say(&his, "bob", 1, "I was first");
    for n in 0..5 {
        say(&hers, "ann", n, &format!("{n}"));
    }
    let marks: Collection<ReadMark> = hers.install(&Messages).unwrap().typed(READ_MARK).unwrap();
    let (mut phone, mut desk) = (
        ReadMark::new("general", "ann", "phone"),
        ReadMark::new("general", "ann", "desk"),
    );
    shown(&hers).iter().for_each(|message| phone.note(message));
    desk.note(&shown(&hers)[0]);
    marks.save(&phone).unwrap();
    marks.save(&desk).unwrap();
    hand_over(&his, &ann);

    let mine = marks
        .find(&Query::new().filter(field("reader").eq("ann")))
        .unwrap();
    assert_eq!(mine.len(), 2);
    let unread: Vec<_> = shown(&hers)
        .into_iter()
        .filter(|message| !is_read(message, &mine))
        .collect();
    assert_eq!((unread.len(), &unread[0]), (1, &late));
    assert_eq!(shown(&hers)[0].position, late.position);
    // The two devices together say it is read, once one of them showed it.
    desk.note(&late);
    marks.save(&desk).unwrap();
    let mine = marks.find(&Query::new()).unwrap();
    assert!(shown(&hers).iter().all(|message| is_read(message, &mine)));
}

#[test]
fn a_position_at_the_end_stops_nobody() {
    let db = node().create("chat").unwrap();
    let last = Message {
        position: POSITION_MAX,
        ..Message::after(None, "general", "eve", 5, "the end")
    };
    messages(&db).create(&last).unwrap();
    let after = say(&db, "ann", 6, "not quite");
    assert_eq!(after.position, POSITION_MAX);
    assert_eq!(shown(&db)[1].text, "not quite");
    let wrong = Message {
        position: POSITION_MAX + 1,
        ..last
    };
    assert!(messages(&db).create(&wrong).is_err());
}

proptest! {
    /// Marks of one reader in any order say the same, and never less than one of them alone.
    #[test]
    fn marks_only_grow(positions in prop::collection::vec((0u8..3, 1u64..20), 1..30), split in any::<prop::sample::Index>()) {
        let message = |(author, position): &(u8, u64)| Message { position: *position, ..Message::after(None, "c", &author.to_string(), 0, "x") };
        let at = split.index(positions.len());
        let (mut one, mut other, mut all) = (ReadMark::new("c", "r", "1"), ReadMark::new("c", "r", "2"), ReadMark::new("c", "r", "3"));
        positions[..at].iter().for_each(|read| one.note(&message(read)));
        positions[at..].iter().for_each(|read| other.note(&message(read)));
        positions.iter().rev().for_each(|read| all.note(&message(read)));
        for author in 0..3 {
            for position in 1..25 {
                let message = message(&(author, position));
                prop_assert_eq!(is_read(&message, [&one, &other]), is_read(&message, [&all]));
                let furthest = positions.iter().filter(|read| read.0 == author).map(|read| read.1).max();
                prop_assert_eq!(is_read(&message, [&all]), furthest >= Some(position));
            }
        }
    }
}
