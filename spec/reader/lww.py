"""A second reader of the codec `lww/1`, written from spec/08-codec-lww.md alone.

Run it as `python3 spec/reader/lww.py`. It reads every case of spec/vectors/lww.json and exits
with 1 when one does not come out as written.
"""

import json
import pathlib
import sys

EVENT_BYTES_MAX = 1 << 20
STATE_BYTES_MAX = 1 << 20
DOCUMENT_DEPTH_MAX = 64

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "lww.json"


class Rejected(Exception):
    """An event that every peer leaves aside."""


def require(condition, message):
    if not condition:
        raise Rejected(message)


def text(value):
    """The one text of a value: that of `jsonpatch/1`, but that -0.0 is itself."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-8"))
        return "{%s}" % ",".join("%s:%s" % (text(name), text(value[name])) for name in names)
    if isinstance(value, list):
        return "[%s]" % ",".join(map(text, value))
    if isinstance(value, float):
        mantissa, e, exponent = repr(value).partition("e")
        return "%se%d" % (mantissa, int(exponent)) if e else mantissa
    if isinstance(value, int) and not isinstance(value, bool):
        require(-(1 << 63) <= value < 1 << 64, "an integer out of range")
    return json.dumps(value, ensure_ascii=False)


def depth(value):
    """How many levels of objects and lists a value has."""
    level, levels = [value], 0
    while level:
        inner = [list(one.values()) if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))]
        levels += bool(inner)
        level = [one for some in inner for one in some]
    return levels


def decode(event):
    """Section 2."""
    require(len(event.encode("utf-8")) <= EVENT_BYTES_MAX, "too many bytes")
    try:
        change = json.loads(event)
    except ValueError as error:
        raise Rejected(str(error)) from None
    require(isinstance(change, dict) and set(change) <= {"remove", "set"}, "not an event")
    require(all(isinstance(part, dict) and part for part in change.values()), "an empty part")
    require(text(change) == event, "not in its one form")
    remove, write = change.get("remove", {}), change.get("set", {})
    require(all(type(seen) is int and seen >= 0 for seen in remove.values()), "not a count")
    require(not set(remove) & set(write), "written and removed")
    require(depth({"set": write}) <= DOCUMENT_DEPTH_MAX + 1, "nested too deep")
    return remove, write


def apply(before, event):
    """Section 3: the members and the counts after an event."""
    members, counts = ({}, {}) if before is None else (dict(before[0]), dict(before[1]))
    remove, write = decode(event)
    for name, seen in remove.items():
        if name in members and counts[name] <= seen:
            del members[name]
    for name, value in write.items():
        members[name] = value
        counts[name] = counts.get(name, 0) + 1
    return members, counts


def shown(state):
    """The two texts of a state."""
    members, counts = state
    listed = {name: count for name, count in counts.items() if count != 1 or name not in members}
    texts = [text(members), text(listed)]
    require(sum(len(one.encode("utf-8")) for one in texts) < STATE_BYTES_MAX, "a state too long")
    return texts


def merge(target, patch):
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merge(target.get(name), value)
    return target


def check(case):
    """What is wrong with a case, or None."""
    state = None
    for event in case["before"]:
        state = apply(state, event)
    if case["event"] is None:
        return None if shown(state) == case["after"] else "no event, but another state"
    try:
        after = shown(apply(state, case["event"]))
    except Rejected as error:
        return "rejected: %s" % error if case["after"] is not None else None
    if after != case["after"]:
        return "the state is %s" % after
    if case["action"] is not None:
        kind, value = next(iter(case["action"].items()))
        meant = merge(state[0], value) if kind == "merge" else value
        if text(meant) != after[0]:
            return "the action asks for %s" % text(meant)
    return None


def main():
    cases = json.loads(VECTORS.read_text(encoding="utf-8"))
    wrong = [(case["name"], fault) for case in cases if (fault := check(case))]
    for name, fault in wrong:
        print("lww: %s: %s" % (name, fault), file=sys.stderr)
    if wrong or not cases:
        return 1
    print("lww: %d vectors read" % len(cases))
    return 0


if __name__ == "__main__":
    sys.exit(main())
