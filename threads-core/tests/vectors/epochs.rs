//! Keys of epochs: their numbers, and how they get to members.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, OpModeS, Serializable as _};
use serde_json::{Value, json};
use threads_core::access::Rekey;
use threads_core::group::{GroupKeys, SealedToEach};
use threads_core::{
    EpochKeys, Error, IdentityKey, PeerCard, PeerId, ReadKey, ReplicaKey, Result, ThreadId, Variant,
};

use crate::{TestRng, array, bytes, hex, text};

pub(crate) fn make() -> Vec<Value> {
    [numbers(), rekeys()].concat()
}

fn keys_shown(keys: &EpochKeys) -> Value {
    json!({
        "number": keys.number().to_string(), "replica": hex(*keys.replica().to_bytes()),
        "read": keys.read().map(|key| hex(*key.to_bytes())), "mark": hex(keys.read_mark()),
    })
}

fn numbers() -> Vec<Value> {
    let mut rng = TestRng::new("epochs");
    let keys = [0; 2].map(|_| EpochKeys::generate(&mut rng));
    let [one, two] = &keys;
    let vector = |name: &str, keys: &EpochKeys| json!({"name": name, "kind": "epoch", "keys": keys_shown(keys)});
    let mut swapped = vector("the number of other keys", one);
    swapped["keys"]["number"] = two.number().to_string().into();
    swapped["reject"] = "rejected".into();
    vec![
        vector("the keys of a reader", one),
        vector("the keys of a replica", &two.without_read()),
        swapped,
    ]
}

fn rekeys() -> Vec<Value> {
    let mut rng = TestRng::new("rekeys");
    let thread = ThreadId::generate(Variant::AccessControlled, &mut rng);
    let people = [0; 4].map(|_| IdentityKey::generate(&mut rng));
    let [ann, bob, keeper, stranger] = &people;
    let keys = EpochKeys::generate(&mut rng);
    let (readers, replicas) = ([ann.card(), bob.card()], [keeper.card()]);
    let rekey = SealedToEach.rekey(&thread, &keys, &readers, &replicas, &mut rng);
    let rekey = rekey.unwrap();
    let vector = |name: &str, rekey: &Rekey, me: &IdentityKey, opened: Option<&EpochKeys>| {
        let peers = |peers: &[PeerId]| peers.iter().map(|p| hex(p.key_bytes())).collect::<Vec<_>>();
        json!({
            "name": name, "kind": "rekey", "thread": hex(thread.as_bytes()), "epoch": rekey.epoch.to_string(),
            "readers": peers(&rekey.readers), "replicas": peers(&rekey.replicas), "scheme": rekey.scheme,
            "sealed": hex(&rekey.sealed), "seed": hex(*me.to_bytes()), "keys": opened.map(keys_shown),
        })
    };
    let refused = |name: &str, change: &dyn Fn(&mut Rekey)| {
        let mut changed = rekey.clone();
        change(&mut changed);
        let mut vector = vector(name, &changed, ann, None);
        vector["reject"] = "rejected".into();
        vector
    };
    let last = rekey.sealed.len() - 1;
    let mut vectors = vec![
        vector("a reader", &rekey, ann, Some(&keys)),
        vector("another reader", &rekey, bob, Some(&keys)),
        vector("a replica", &rekey, keeper, Some(&keys.without_read())),
        vector("somebody else", &rekey, stranger, None),
        refused("new keys: another number", &|rekey| rekey.epoch ^= 1),
        refused("new keys: one byte less", &|rekey| {
            rekey.sealed.truncate(last);
        }),
        refused("new keys: one byte more", &|rekey| rekey.sealed.push(0)),
        refused("new keys: one recipient less", &|rekey| {
            rekey.replicas.clear();
        }),
        refused("new keys: the shares of others", &|rekey| {
            rekey.sealed.rotate_left(112);
        }),
        refused("new keys: a replica's share as a reader's", &|rekey| {
            let keeper = keeper.card().peer();
            rekey.readers = vec![keeper];
            rekey.replicas.clear();
            rekey.sealed.drain(..224);
        }),
    ];
    // Only the recipient can tell what was sealed to it.
    let renamed = vectors.len() - 1;
    vectors[renamed]["seed"] = hex(*keeper.to_bytes()).into();
    let others = EpochKeys::generate(&mut rng);
    vectors.push({
        let mut vector = vector(
            "new keys: those of another epoch",
            &forged(&thread, &others, keys.number(), &ann.card(), &mut rng),
            ann,
            None,
        );
        vector["reject"] = "rejected".into();
        vector
    });
    vectors
}

/// Keys under a number that is not theirs, sealed as if it were.
fn forged(
    thread: &ThreadId,
    keys: &EpochKeys,
    epoch: u64,
    to: &PeerCard,
    rng: &mut TestRng,
) -> Rekey {
    let info = [
        &b"threads/epoch-keys/1"[..],
        &[thread.as_bytes().len() as u8],
        thread.as_bytes(),
        &epoch.to_be_bytes(),
        to.peer().key_bytes(),
        &[1],
    ]
    .concat();
    let read = keys.read().unwrap();
    let plain = [*keys.replica().to_bytes(), *read.to_bytes()].concat();
    let sealed = hpke_seal(&to.agreement().to_bytes(), &info, &plain, rng);
    Rekey {
        epoch,
        readers: vec![to.peer()],
        replicas: Vec::new(),
        scheme: SealedToEach.id().to_owned(),
        sealed: sealed.into(),
    }
}

fn hpke_seal(to: &[u8; 32], info: &[u8], plain: &[u8], rng: &mut TestRng) -> Vec<u8> {
    let to = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(to).unwrap();
    let mode = OpModeS::Base;
    let sealed = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &mode,
        &to,
        info,
        plain,
        &[],
        rng,
    );
    let (encapped, ciphertext) = sealed.unwrap();
    [encapped.to_bytes().as_slice(), &ciphertext].concat()
}

pub(crate) fn read(vector: &Value) -> Result<()> {
    match text(&vector["kind"]) {
        "epoch" => read_keys(&vector["keys"]).map(drop),
        "rekey" => read_rekey(vector),
        kind => Err(Error::invalid("no such kind").with("kind", kind)),
    }
}

fn number(value: &Value) -> u64 {
    text(value).parse().unwrap()
}

fn read_keys(shown: &Value) -> Result<EpochKeys> {
    let replica = ReplicaKey::from_bytes(&array(&shown["replica"]));
    let keys = match shown["read"].is_null() {
        true => EpochKeys::blind(replica, array(&shown["mark"]))?,
        false => EpochKeys::new(replica, ReadKey::from_bytes(&array(&shown["read"])))?,
    };
    assert_eq!(hex(keys.read_mark()), text(&shown["mark"]));
    keys.of(number(&shown["number"]))
}

fn read_rekey(vector: &Value) -> Result<()> {
    let peers = |name: &str| -> Vec<PeerId> {
        let peers = vector[name].as_array().unwrap().iter();
        peers.map(|p| PeerId::from_key_bytes(array(p))).collect()
    };
    let rekey = Rekey {
        epoch: number(&vector["epoch"]),
        readers: peers("readers"),
        replicas: peers("replicas"),
        scheme: text(&vector["scheme"]).to_owned(),
        sealed: bytes(&vector["sealed"]).into(),
    };
    let thread = ThreadId::from_bytes(&bytes(&vector["thread"]))?;
    let me = IdentityKey::from_bytes(&array(&vector["seed"]));
    let opened = SealedToEach.open(&thread, &rekey, &me.peer_id(), &me.agreement_key())?;
    let wanted = match vector["keys"].is_null() {
        true => None,
        false => Some(read_keys(&vector["keys"])?),
    };
    assert_eq!(opened, wanted);
    Ok(())
}
