"""Batches: spec/04-events-and-batches.md."""

import cbor
import ids
import layers

EVENTS_MAX = 10_000
ACTIONS = ("create", "save", "delete")


class Refused(ValueError):
    """Not a batch in its one form."""


def decode(data):
    """The events of a batch, each a dict of collection, entity, codec, action and payload."""
    try:
        batch = cbor.decode(data)
    except cbor.Refused as fault:
        raise Refused(str(fault)) from None
    require(isinstance(batch, dict) and set(batch) == {"codecs", "collections", "events"}, "members")
    require(all(isinstance(table, list) for table in batch.values()), "tables")
    require(1 <= len(batch["events"]) <= EVENTS_MAX, "the number of events")
    collections, codecs = batch["collections"], batch["codecs"]
    for table, check in ((collections, ids.check_collection), (codecs, ids.check_codec)):
        for text in table:
            check_name(check, text)
    events = [decode_event(event, collections, codecs) for event in batch["events"]]
    for name, table in (("collection", collections), ("codec", codecs)):
        require(table == list(dict.fromkeys(event[name] for event in events)), "order of first use")
    return events


def require(condition, what):
    if not condition:
        raise Refused(what)


def check_name(check, text):
    try:
        require(isinstance(text, str), "a name")
        check(text)
    except ids.Refused:
        raise Refused("a name") from None


def decode_event(event, collections, codecs):
    require(isinstance(event, list) and len(event) == 5, "an event's members")
    collection, entity, codec, action, payload = event
    for position, table in ((collection, collections), (codec, codecs)):
        require(layers.is_number(position, 32) and position < len(table), "a position")
    require(layers.is_number(action, 8) and action < len(ACTIONS), "an action")
    require(isinstance(payload, bytes), "a payload")
    require(ACTIONS[action] != "delete" or not payload, "a delete without a payload")
    check_name(ids.check_entity, entity)
    return {
        "collection": collections[collection],
        "entity": entity,
        "codec": codecs[codec],
        "action": ACTIONS[action],
        "payload": payload.hex(),
    }
