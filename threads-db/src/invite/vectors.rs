//! The vectors of invites, `spec/06-sync.md`.
//!
//! `THREADS_VECTORS=write cargo test -p threads-db --lib vectors` rewrites the files.

use serde_bytes::{ByteArray, ByteBuf};
use serde_json::{Value, json};
use threads_core::{
    IdentityKey, Multiaddr, ReadKey, ReplicaKey, Result, ThreadId, Variant, multibase, text,
};

use super::{Invite, Role, TAG, Unsigned, Way, open_keys, seal_keys};
use crate::sharing::ThreadKeys;
use crate::vectors::encode::{blob, list, map, string, uint};
use crate::vectors::{TestRng, array, bytes, check, hex, text as word};

const DOMAIN: &[u8] = b"threads/invite/1";
const UNTIL_MS: u64 = 1_700_000_000_000;

#[test]
fn invites() {
    check(
        "invites.json",
        "Invites, and keys that are sealed to one peer: spec/06-sync.md",
        [invites_made(), keys(), refused(), refused_texts()].concat(),
        read,
    );
}

/// Who invites, and who is invited.
fn people() -> [IdentityKey; 2] {
    let mut rng = TestRng::new("invites");
    [0; 2].map(|_| IdentityKey::generate(&mut rng))
}

fn thread_keys() -> (ThreadKeys, Value) {
    let mut rng = TestRng::new("thread keys");
    let id = ThreadId::generate(Variant::Raw, &mut rng);
    let (replica, read) = (ReplicaKey::generate(&mut rng), ReadKey::generate(&mut rng));
    let shown = json!({
        "thread": hex(id.as_bytes()), "replica": hex(*replica.to_bytes()), "read": hex(*read.to_bytes()),
    });
    (ThreadKeys::new(id, replica, read), shown)
}

fn sealed(role: Role) -> (ByteBuf, ByteBuf) {
    let (keys, [_, bob]) = (thread_keys().0, people());
    let rng = &mut TestRng::new("sealed to bob");
    seal_keys(&keys, role, "friends", &bob.card(), rng).unwrap()
}

/// What comes out for a role.
fn handed(role: Role) -> Value {
    let mut shown = thread_keys().1;
    if !role.can_read() {
        shown["read"] = Value::Null;
    }
    shown["role"] = role.to_string().into();
    shown["name"] = "friends".into();
    shown
}

fn unsigned(way: Way, addrs: &[&str]) -> Unsigned {
    let addr = |text: &&str| ByteBuf::from(text.parse::<Multiaddr>().unwrap().to_vec());
    Unsigned {
        v: 1,
        id: "01JD00000000000000000000ZZ".to_owned(),
        by: people()[0].peer_id(),
        addrs: addrs.iter().map(addr).collect(),
        until: UNTIL_MS,
        way,
    }
}

fn show(invite: &Invite) -> Value {
    let Unsigned {
        v,
        id,
        by,
        addrs,
        until,
        way,
    } = &invite.unsigned;
    let way = match way {
        Way::To(peer, key, keys) => json!({"to": [hex(peer.key_bytes()), hex(key), hex(keys)]}),
        Way::Link(secret) => json!({"link": hex(**secret)}),
    };
    let addrs: Value = addrs.iter().map(hex).collect();
    json!({"v": v, "id": id, "by": hex(by.key_bytes()), "addrs": addrs, "until": until, "way": way})
}

fn invites_made() -> Vec<Value> {
    let [ann, bob] = people();
    let (key, keys) = sealed(Role::Write);
    let cases = [
        (
            "to one peer, with two addresses",
            unsigned(
                Way::To(bob.peer_id(), key, keys),
                &["/ip4/192.0.2.7/tcp/4001", "/dns4/example.com/tcp/443/wss"],
            ),
        ),
        ("a link", unsigned(Way::Link(ByteArray::new([7; 16])), &[])),
    ];
    let vector = |(name, unsigned): (&str, Unsigned)| {
        let invite = unsigned.sign(&ann).unwrap();
        json!({"name": format!("an invite {name}"), "kind": "invite", "text": invite.to_string(), "fields": show(&invite)})
    };
    cases.map(vector).to_vec()
}

fn keys() -> Vec<Value> {
    let [ann, bob] = people();
    let vector = |name: &str, seed: &IdentityKey, (key, keys): &(ByteBuf, ByteBuf)| json!({"name": format!("keys {name}"), "kind": "keys", "identity": hex(*seed.to_bytes()), "key": hex(key), "keys": hex(keys)});
    let mut vectors = Vec::new();
    for role in [Role::Write, Role::Read, Role::Replicate] {
        let mut good = vector(&format!("to {role}"), &bob, &sealed(role));
        good["handed"] = handed(role);
        vectors.push(good);
    }
    let (key, keys) = sealed(Role::Write);
    let mut flipped = keys.clone();
    flipped[30] ^= 1;
    let mut other_key = key.clone();
    other_key[3] ^= 1;
    let refused = [
        vector("for another", &ann, &(key.clone(), keys.clone())),
        vector("with a bit flipped", &bob, &(key.clone(), flipped)),
        vector("under another key", &bob, &(other_key, keys.clone())),
        vector(
            "cut short",
            &bob,
            &(key.clone(), keys[..40].to_vec().into()),
        ),
        vector("without a key", &bob, &(ByteBuf::new(), keys)),
    ];
    vectors.extend(refused.map(|mut vector| {
        vector["reject"] = "rejected".into();
        vector
    }));
    vectors
}

/// The members of a link, to be changed.
fn members() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("v", uint(1)),
        ("id", string("01JD")),
        ("by", blob(people()[0].peer_id().key_bytes())),
        ("addrs", list(&[])),
        ("until", uint(UNTIL_MS)),
        ("way", map(&[("link", blob([7; 16]))])),
    ]
}

fn with(name: &str, value: Vec<u8>) -> Vec<(&str, Vec<u8>)> {
    let mut members = members();
    for member in members.iter_mut().filter(|(member, _)| *member == name) {
        member.1.clone_from(&value);
    }
    members
}

fn signed(members: &[(&str, Vec<u8>)], by: &IdentityKey, domain: &[u8]) -> Vec<u8> {
    let unsigned = map(members);
    let sig = by.sign(&[domain, &unsigned].concat());
    list(&[unsigned, blob(sig)])
}

fn refused() -> Vec<Value> {
    let [ann, bob] = people();
    let good = signed(&members(), &ann, DOMAIN);
    assert!(text::encode(TAG, &good).parse::<Invite>().is_ok());
    let by_ann = |members: &[(&str, Vec<u8>)]| signed(members, &ann, DOMAIN);
    let mut with_more = members();
    with_more.push(("more", uint(1)));
    let mut without = members();
    without.retain(|(name, _)| *name != "until");
    let mut flipped = good.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let two_ways = map(&[("link", blob([7; 16])), ("to", list(&[]))]);
    let blocks = [
        (
            "signed by another",
            signed(&members(), &bob, DOMAIN),
            "BadSignature",
        ),
        (
            "signed as something else",
            signed(&members(), &ann, b"threads/card/1"),
            "BadSignature",
        ),
        ("a bit of its signature flipped", flipped, "BadSignature"),
        (
            "of a later version",
            by_ann(&with("v", uint(2))),
            "unsupported",
        ),
        (
            "17 addresses",
            by_ann(&with("addrs", list(&vec![blob([]); 17]))),
            "rejected",
        ),
        ("a member too many", by_ann(&with_more), "rejected"),
        ("a member missing", by_ann(&without), "rejected"),
        (
            "a way that is none",
            by_ann(&with("way", map(&[("by", uint(1))]))),
            "rejected",
        ),
        ("two ways", by_ann(&with("way", two_ways)), "rejected"),
        (
            "a secret of 15 bytes",
            by_ann(&with("way", map(&[("link", blob([7; 15]))]))),
            "rejected",
        ),
        ("no signature", list(&[map(&members())]), "rejected"),
        (
            "a byte after the end",
            [&good[..], &[0]].concat(),
            "rejected",
        ),
        (
            "an end below nothing",
            by_ann(&with("until", vec![0x20])),
            "rejected",
        ),
    ];
    let vector =
        |(name, bytes, word): (&str, Vec<u8>, &str)| vector(name, &text::encode(TAG, &bytes), word);
    blocks.map(vector).to_vec()
}

fn vector(name: &str, text: &str, word: &str) -> Value {
    json!({"name": format!("an invite: {name}"), "kind": "invite", "text": text, "reject": word})
}

fn refused_texts() -> Vec<Value> {
    let good = signed(&members(), &people()[0], DOMAIN);
    let shown = text::encode(TAG, &good);
    let bare = multibase::encode(multibase::Base::Base32Lower, &good);
    let texts = [
        ("a letter less", shown[..shown.len() - 1].to_owned()),
        ("another tag", text::encode("peer", &good)),
        ("no checksum", format!("invite_{bare}")),
        ("more than 4 KiB", text::encode(TAG, &[0; 4 * 1024 + 1])),
    ];
    texts
        .map(|(name, text)| vector(name, &text, "invalid"))
        .to_vec()
}

fn read(vector: &Value) -> Result<()> {
    match word(&vector["kind"]) {
        "invite" => {
            let invite: Invite = word(&vector["text"]).parse()?;
            assert_eq!(show(&invite), vector["fields"]);
            assert_eq!(invite.to_string(), vector["text"]);
        }
        "keys" => {
            let identity = IdentityKey::from_bytes(&array(&vector["identity"]));
            let (key, sealed) = (bytes(&vector["key"]), bytes(&vector["keys"]));
            let (keys, role, name) = open_keys(&identity, &key, &sealed)?;
            let expected = &vector["handed"];
            assert_eq!(handed(role), *expected);
            assert_eq!(name, word(&expected["name"]));
            let mut known = thread_keys().0;
            if !role.can_read() {
                known = known.without_read();
            }
            assert_eq!(keys, known);
        }
        other => panic!("unknown kind {other}"),
    }
    Ok(())
}
