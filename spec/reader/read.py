#!/usr/bin/env python3
"""A second reader of the formats of Threads, on the standard library of Python 3.9 alone.

It is written from the specification, not from the first reader. Run it from anywhere:

    python3 spec/reader/read.py               reads every vector, one line for each file
    python3 spec/reader/read.py --self-test   checks its primitives against their RFCs

It exits with 1, and names the vector, when one does not read as it should.
"""

import contextlib
import json
import pathlib
import sys

import automerge
import batch
import blobs
import cbor
import chacha
import ed25519
import epochs
import frames
import hpke
import ids
import invites
import jsonpatch
import lww
import keystore
import layers
import modules
import multibase
import records
import snapshots

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors"


class Mismatch(Exception):
    """A vector does not read as it says."""


def same(found, expected, what):
    if found != expected:
        raise Mismatch("%s: found %r, expected %r" % (what, found, expected))


def data(value):
    """The bytes of a member: hex, or a list of (hex, how many times)."""
    if isinstance(value, str):
        return bytes.fromhex(value)
    return b"".join(bytes.fromhex(text) * times for text, times in value)


def known(word):
    """Faults that a vector names by their kind alone."""

    @contextlib.contextmanager
    def guard(*faults):
        try:
            yield
        except faults:
            raise records.Refused(word) from None

    return guard


rejected = known("rejected")
malformed = known("Malformed")


# Identifiers.


def read_thread(v):
    raw = data(v["bytes"])
    same(ids.thread_from_bytes(raw), (v["version"], v["variant"], data(v["random"])), "parts")
    for base, text in v["text"].items():
        same(multibase.encode(base, raw), text, base)
        same(ids.thread_from_text(text), raw, base)


def read_peer(v):
    key = data(v["key"])
    same(ids.peer_from_bytes(data(v["bytes"])), key, "bytes")
    same(ids.peer_text(key), v["text"], "text")
    same(ids.peer_from_text(v["text"]), key, "text")
    same(ids.peer_from_text(v["cid"]), key, "cid")


def read_ulid(v):
    same(ids.ulid(v["now_ms"], data(v["random"])), v["text"], "text")


def read_address(v):
    base, peer, thread = ids.address_from_bytes(data(v["bytes"]))
    same(base, data(v["base"]), "base")
    same(thread, data(v["thread"]), "thread")
    same(ids.peer_text(peer) if peer else None, v["peer"], "peer")
    same(v["text"].endswith("/thread/" + multibase.encode("base32", thread)), True, "text")


# Keys.


def read_key_text(v):
    key = layers.key_from_text(v["of"], v["text"])
    same(key, data(v["key"]), "key")
    same(layers.key_text(v["of"], key), v["text"], "text")


def read_identity(v):
    seed, message, signature = data(v["seed"]), data(v["message"]), data(v["signature"])
    same(ed25519.public(seed), data(v["public"]), "public")
    ed25519.verify(data(v["public"]), message, signature)
    same(ed25519.sign(seed, message), signature, "signature")
    agreement = layers.agreement_secret(seed)
    same(agreement, data(v["agreement"]), "agreement")
    same(hpke.public(agreement), data(v["agreement_public"]), "agreement_public")


def read_synthetic(v):
    with rejected(chacha.Refused):
        opened = layers.open_synthetic(data(v["key"]), data(v["aad"]), data(v["sealed"]))
    same(opened, data(v["plaintext"]), "plaintext")


def read_random(v):
    with rejected(chacha.Refused):
        opened = chacha.xopen(data(v["key"]), data(v["aad"]), data(v["sealed"]))
    same(opened, data(v["plaintext"]), "plaintext")


def read_content_key(v):
    with rejected(hpke.Refused):
        opened = layers.unseal_content_key(data(v["secret"]), data(v["info"]), data(v["sealed"]))
    same(opened, data(v["content"]), "content")


def read_signature(v):
    ed25519.verify(data(v["key"]), data(v["message"]), data(v["signature"]))


def read_card(v):
    peer, agreement = invites.card(data(v["bytes"]))
    same((peer, agreement), (data(v["peer"]), data(v["agreement"])), "keys")
    same(ed25519.public(data(v["seed"])), peer, "peer")
    same(hpke.public(layers.agreement_secret(data(v["seed"]))), agreement, "agreement")
    same(invites.text("peer", data(v["bytes"])), v["text"], "text")
    same(read_card_text(v), data(v["bytes"]), "bytes")


def read_card_text(v):
    return invites.from_text("peer", v["text"], invites.CARD_BYTES)


def read_claim(v):
    replica = data(v["replica"])
    same(frames.locator(replica), data(v["locator"]), "locator")
    same(frames.rendezvous(replica), data(v["rendezvous"]), "rendezvous")
    if not frames.shows(replica, data(v["from"]), data(v["to"]), data(v["proof"])):
        raise records.Refused("rejected")


def read_receipt(v):
    log, seq, head = frames.receipt(data(v["bytes"]), data(v["peer"]), data(v["thread"]))
    same((log, str(seq)), (data(v["log"]), v["seq"]), "place")
    same(ids.cid_text(head), v["head"], "head")


def read_erasure(v):
    purge, counts = frames.erasure(data(v["bytes"]), data(v["peer"]), data(v["thread"]))
    same(ids.cid_text(purge), v["purge"], "purge")
    same([str(count) for count in counts], v["counts"], "counts")


def read_whereabouts(v):
    peer, seq, until, addrs = frames.whereabouts(data(v["bytes"]))
    same((peer, str(seq), str(until)), (data(v["peer"]), v["seq"], v["until"]), "word")
    same([addr.hex() for addr in addrs], v["addrs"], "addresses")


def epoch_keys(shown):
    """The keys of an epoch as a vector shows them, when they make its number."""
    replica, read_mark = data(shown["replica"]), data(shown["mark"])
    read = None if shown["read"] is None else data(shown["read"])
    if read is not None:
        same(epochs.mark(read), read_mark, "mark")
    epochs.check(int(shown["number"]), replica, read_mark)
    return replica, read, read_mark


def read_rekey(v):
    seed = data(v["seed"])
    lists = [[data(peer) for peer in v[name]] for name in ("readers", "replicas")]
    same(lists, [sorted(peers) for peers in lists], "order")
    me, secret = ed25519.public(seed), layers.agreement_secret(seed)
    opened = epochs.open_each(
        data(v["thread"]), int(v["epoch"]), *lists, data(v["sealed"]), me, secret
    )
    same(opened, None if v["keys"] is None else epoch_keys(v["keys"]), "keys")


def read_announcement(v):
    replica = data(v["replica"])
    same(frames.topic(replica), data(v["topic"]), "topic")
    with known("CannotOpen")(chacha.Refused), malformed(frames.Refused):
        log, seq, check = frames.announcement(
            data(v["bytes"]), replica, data(v["peer"]), data(v["thread"])
        )
    same((log, str(seq), check), (data(v["log"]), v["seq"], data(v["check"])), "head")


# Blocks.


def read_cid(v):
    cid, block = data(v["cid_bytes"]), data(v["bytes"])
    same(ids.cid_text(cid), v["cid"], "text")
    ids.check_block(cid, block)
    same(ids.cid_of(v["codec"], block), cid, "cid")


def plain(value):
    """A decoded value as the vectors show it."""
    if isinstance(value, bytes):
        return {"/": {"bytes": value.hex()}}
    if isinstance(value, cbor.Link):
        return {"/": ids.cid_text(value.cid)}
    return value


def read_cbor(v):
    with rejected(cbor.Refused):
        value = cbor.decode(data(v["bytes"]))
    same(plain(value), v["value"], "value")
    same(type(plain(value)), type(v["value"]), "type")
    same(cbor.encode(value), data(v["bytes"]), "bytes")


# Logs.


def read_link(v):
    target = records.skip_target(int(v["seq"]))
    same(None if target is None else str(target), v["skip"], "skip")


def read_path(v):
    steps = [int(step) for step in v["path"]]
    for seq, following in zip(steps, steps[1:]):
        target = records.skip_target(seq)
        if target is None or target < steps[-1]:
            target = seq - 1
        same(following, target, "step")


def read_batch(v):
    with malformed(batch.Refused):
        events = batch.decode(data(v["bytes"]))
    same(events, v["events"], "events")


def read_event(v):
    place = data(v["thread"]), data(v["log"]), v["seq"], v["epoch"]
    return read_layers(v, place)


def read_layers(v, place):
    """Opens an event's block, its header and its body."""
    sealed, body_cid = layers.decode_event(data(v["event"]))
    body = data(v["body"])
    ids.check_block(body_cid, body)
    header = layers.open_header(data(v["read"]), *place, sealed)
    recipient = data(v["recipient"]) if v["recipient"] else None
    plaintext = layers.open_body(header, *place, body, recipient)
    same(plaintext, data(v["plaintext"]), "plaintext")
    kind = "single-use" if "key" in header else "sealed" if "sealed" in header else "none"
    same(kind, v["encryption"], "encryption")
    shown = {
        "time": header["time"],
        "format": header["format"],
        "recipient": header["to"].hex() if "to" in header else None,
        "body": ids.cid_text(body_cid),
    }
    same(shown, v["header"], "header")
    if kind == "sealed":
        same(hpke.public(recipient), header["to"], "to")
    return plaintext


class Logs:
    """The CIDs of each log, in order."""

    def __init__(self):
        self.cids = {}

    def read(self, v):
        thread, block = data(v["thread"]), data(v["block"])
        record, opened = records.open_block(block, thread, data(v["replica"]))
        records.verify(record, data(v["log"]) if "log" in v else record["log"])
        log = self.cids.setdefault(record["log"], [])
        if "after" in v:
            cid = multibase.decode(v["after"]["cid"])
            records.follows(record, v["after"]["seq"], cid)
        else:
            records.follows(record, len(log), log[-1] if log else None)
        records.check_skip(record, log)
        for dep in record.get("deps", []):
            same(self.cids.get(dep["log"], [])[dep["seq"] - 1], dep["cid"].cid, "dep")
        cid = ids.cid_of(ids.DAG_CBOR, block)
        same(ids.cid_text(cid), v["cid"], "cid")
        same(opened, data(v["plain"]), "plain")
        same(show_record(record), v["fields"], "fields")
        log.append(cid)
        ids.check_block(record["event"].cid, data(v["event"]))
        place = thread, record["log"], record["seq"], record["epoch"]
        batch.decode(read_layers(v, place))


# Sync.


def shown(value):
    """A frame as the vectors show it: bytes as hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, cbor.Link):
        return value.cid.hex()
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    return value


def read_frame(decode):
    def read(v):
        with rejected(frames.Refused):
            frame = decode(data(v["bytes"]))
        same(shown(frame), v["value"], "value")
        same(cbor.encode(frame), data(v["bytes"]), "bytes")

    return read


def read_digest(v):
    heads = [(data(log), seq, multibase.decode(cid)[-32:]) for log, seq, cid in v["heads"]]
    same(frames.digest(heads), data(v["digest"]), "digest")


def read_range(v):
    heads = [(data(log), seq, data(check)) for log, seq, check in v["heads"]]
    same(frames.range_digest(heads), data(v["digest"]), "digest")


def read_joint(v):
    same(frames.joint([data(proof) for proof in v["proofs"]]), data(v["joint"]), "joint")


def read_invite(v):
    raw = invites.from_text("invite", v["text"], invites.INVITE_BYTES_MAX)
    same(shown(invites.invite(raw)), v["fields"], "fields")
    same(invites.text("invite", raw), v["text"], "text")


def read_keys(v):
    handed = invites.keys(data(v["identity"]), data(v["key"]), data(v["keys"]))
    same(shown({"read": None, **handed}), v["handed"], "handed")


def read_keystore(v):
    derived = data(v["argon2id"]) if v.get("argon2id") else None
    found = keystore.read(data(v["bytes"]), derived)
    same(found, tuple(data(v[name]) for name in ("id", "identity", "store", "key")), "keys")


def read_row(v):
    value = keystore.row(data(v["store"]), data(v["id"]), data(v["key"]), data(v["sealed"]))
    same(value, data(v["value"]), "value")


def read_mark(v):
    same(keystore.MARK + data(v["id"]), data(v["value"]), "mark")


def read_blob_chunk(v):
    content, sealed = data(v["content"]), data(v["bytes"])
    key = blobs.chunk_key(data(v["read_key"]), content)
    same(key, data(v["key"]), "key")
    same(blobs.open_chunk(key, sealed), content, "content")
    same(ids.cid_text(ids.cid_of(blobs.RAW, sealed)), v["cid"], "cid")


def read_blob_manifest(v):
    with rejected(blobs.Refused):
        size, parts, sealed = blobs.manifest(data(v["bytes"]))
    keys = b"".join(data(key) for _, key in v["parts"])
    key = blobs.manifest_key(data(v["read_key"]), size, keys)
    same((size, key), (v["size"], data(v["key"])), "key")
    same([ids.cid_text(part) for part in parts], [cid for cid, _ in v["parts"]], "parts")
    same(blobs.open_keys(key, sealed), keys, "keys")
    same(ids.cid_text(ids.cid_of(blobs.DAG_CBOR, data(v["bytes"]))), v["cid"], "cid")


def read_blob_reference(v):
    cid, key, size, media_type = blobs.reference(v["text"])
    shown = v["json"]
    same((cid, size, media_type), (shown["blob"], shown["size"], shown.get("type", "")), "reference")
    same(key, blobs.key_from_text(shown["key"]), "key")


# Snapshots.


def show_item(item):
    name, value = item
    if name == "thread":
        return [name, value["thread"].hex(), [ids.cid_text(link.cid) for link in value["acl"]]]
    if name == "log":
        return [name, value["log"].hex(), value["seq"], ids.cid_text(value["record"].cid)]
    if name == "marks":
        return [name, value["log"], value["first"], value["marks"].hex()]
    if name == "record":
        return [name, value["log"], value["seq"], value["apart"]]
    if name == "end":
        return [name, value["logs"], value["records"], value["entities"]]
    life = value["life"]
    life = life if isinstance(life, str) else [life["live"][0], life["live"][1].hex()]
    place = [value["log"], value["seq"], value["index"]]
    return [name, value["collection"], value["id"], life] + place


def read_content(v):
    keys = data(v["thread"]), data(v["replica"]), data(v["read"])
    with rejected(snapshots.Refused):
        found = snapshots.content(data(v["bytes"]), multibase.decode(v["snapshot"]), keys)
    same([show_item(item) for item in found], v["items"], "items")


def read_piece(v):
    snapshot = multibase.decode(v["snapshot"])
    with rejected(chacha.Refused):
        piece = snapshots.piece(
            data(v["read"]), data(v["thread"]), snapshot, v["number"], data(v["sealed"])
        )
    same(piece, data(v["piece"]), "piece")


def read_word_for_snapshot(v):
    with rejected(snapshots.Refused):
        peer, seq, epoch, blob, sealed = snapshots.word(
            data(v["bytes"]), data(v["thread"]), data(v["read"])
        )
    same((peer, seq, epoch), (data(v["peer"]), v["seq"], v["epoch"]), "who and which")
    same(ids.cid_text(blob), v["blob"], "blob")
    same(ids.cid_text(sealed["snapshot"].cid), v["snapshot"], "snapshot")
    same((sealed["key"], sealed["size"]), (data(v["key"]), v["size"]), "what opens it")


def show_record(record):
    def link(name):
        return ids.cid_text(record[name].cid) if name in record else None

    return {
        "log": record["log"].hex(),
        "seq": record["seq"],
        "epoch": record["epoch"],
        "author": record["author"]["peer"].hex() if "author" in record else None,
        "prev": link("prev"),
        "skip": link("skip"),
        "deps": [[d["log"].hex(), d["seq"], ids.cid_text(d["cid"].cid)] for d in record.get("deps", [])],
        "acl": [ids.cid_text(cid.cid) for cid in record.get("acl", [])],
        "tags": [tag.hex() for tag in record.get("tags", [])],
        "event": link("event"),
        "sig": record["sig"].hex(),
    }


KINDS = {
    "genesis": (),
    "grant": ("target", "role"),
    "revoke": ("target", "role"),
    "restrict": ("entity",),
    "checkpoint": (),
    "create": ("entity",),
    "save": ("entity",),
    "delete": ("entity",),
}
CHANGES = ("create", "save", "delete")


def read_history(v):
    """The form of a history, and that its outcome speaks of every event of it."""
    events, outcome = v["events"], v["outcome"]
    told = set()
    for event in events:
        members = set(event) - {"id", "author", "kind", "deps", "scope"}
        same(members, set(KINDS[event["kind"]]), "members of %s" % event["id"])
        same(event["kind"] == "genesis", not told, "the genesis comes first")
        same(set(event["deps"]) <= told, True, "what %s names comes before it" % event["id"])
        told.add(event["id"])
    for name, listed in outcome.items():
        if isinstance(listed, list):
            same(listed, sorted(set(listed)), name)
    same(outcome["root"], events[0]["author"], "root")
    changes = {event["id"] for event in events if event["kind"] in CHANGES}
    grants = {event["id"] for event in events if event["kind"] == "grant"}
    same(sorted(outcome["applied"] + outcome["quarantined"]), sorted(changes), "changes")
    same(set(outcome["authorised"]) <= told - changes, True, "authorised")
    same(set(outcome["counted"]) <= grants & set(outcome["authorised"]), True, "counted")
    peers = {event["author"] for event in events} | {event.get("target", "*") for event in events}
    same(set(outcome["roles"]), peers - {"*"}, "peers")


def readers():
    """The reader of each kind of vector, by file."""
    logs = Logs()
    return {
        "ids.json": {
            "thread": read_thread,
            "thread-bytes": lambda v: ids.thread_from_bytes(data(v["bytes"])),
            "thread-text": lambda v: ids.thread_from_text(v["text"]),
            "peer": read_peer,
            "peer-text": lambda v: ids.peer_from_text(v["text"]),
            "entity": lambda v: ids.check_entity(v["text"]),
            "collection": lambda v: ids.check_collection(v["text"]),
            "codec": lambda v: ids.check_codec(v["text"]),
            "ulid": read_ulid,
            "address": read_address,
            "address-bytes": lambda v: ids.address_from_bytes(data(v["bytes"])),
        },
        "keys.json": {
            "text": read_key_text,
            "identity": read_identity,
            "synthetic": read_synthetic,
            "random": read_random,
            "sealed-content-key": read_content_key,
            "signature": read_signature,
            "card": read_card,
            "card-bytes": lambda v: invites.card(data(v["bytes"])),
            "card-text": read_card_text,
            "claim": read_claim,
            "receipt": read_receipt,
            "erasure": read_erasure,
            "whereabouts": read_whereabouts,
            "announcement": read_announcement,
        },
        "epochs.json": {"epoch": lambda v: epoch_keys(v["keys"]), "rekey": read_rekey},
        "blocks.json": {"cid": read_cid, "cbor": read_cbor},
        "skip-links.json": {"link": read_link, "path": read_path},
        "batches.json": {"batch": read_batch},
        "events.json": {"event": read_event},
        "records.json": {"record": logs.read, "refused": logs.read},
        "frames.json": {
            "request": read_frame(frames.request),
            "reply": read_frame(frames.reply),
            "digest": read_digest,
            "range": read_range,
            "joint": read_joint,
        },
        "invites.json": {"invite": read_invite, "keys": read_keys},
        "access.json": {"history": read_history},
        "blobs.json": {
            "blob chunk": read_blob_chunk,
            "blob manifest": read_blob_manifest,
            "blob reference": read_blob_reference,
        },
        "snapshots.json": {
            "content": read_content,
            "piece": read_piece,
            "word": read_word_for_snapshot,
        },
        "keystore.json": {"file": read_keystore, "row": read_row, "mark": read_mark},
    }


REFUSALS = (
    ids.Refused,
    layers.Refused,
    records.Refused,
    ed25519.Refused,
    invites.Refused,
    keystore.Refused,
    epochs.Refused,
)


def read_vector(read, v):
    """Reads a vector, and compares the fault with the one it names, if it names one."""
    word = None
    try:
        read(v)
    except REFUSALS as fault:
        word = str(fault)
    same(word, v.get("reject"), "refusal")


def read_file(name, kinds):
    vectors = json.loads((VECTORS / name).read_text(encoding="utf-8"))["vectors"]
    for v in vectors:
        try:
            read_vector(kinds[v["kind"]], v)
        except Exception as fault:  # Whatever it is, the vector has to be named.
            raise Mismatch("%s: %s: %s" % (name, v.get("name"), fault)) from fault
    return len(vectors)


# The readers of codecs and of modules, each with its vectors and a check of its own.
CODECS = [jsonpatch, lww, automerge, modules]


def read_codec(codec):
    """A codec's own reader counts for itself."""
    name = codec.VECTORS.name
    cases = json.loads(codec.VECTORS.read_text(encoding="utf-8"))
    for case in cases:
        fault = codec.check(case)
        if fault:
            raise Mismatch("%s: %s: %s" % (name, case["name"], fault))
    return len(cases)


def self_test():
    for module in (cbor, multibase, chacha, ed25519, hpke):
        module.self_test()
        print("%s: known answers found" % module.__name__)


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if arguments:
        sys.exit("usage: read.py [--self-test]")
    files = readers()
    unknown = {path.name for path in VECTORS.glob("*.json")} - set(files) - {codec.VECTORS.name for codec in CODECS}
    if unknown:
        raise Mismatch("no reader for %s" % ", ".join(sorted(unknown)))
    for name, kinds in files.items():
        print("%s: %d vectors read" % (name[: -len(".json")], read_file(name, kinds)))
    for codec in CODECS:
        print("%s: %d vectors read" % (codec.VECTORS.stem, read_codec(codec)))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Mismatch as mismatch:
        sys.exit(str(mismatch))
