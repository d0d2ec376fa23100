"""A second reader of the codec `jsonpatch/1`, written from spec/05-codec-jsonpatch.md alone.

Run it as `python3 spec/reader/jsonpatch.py`. It reads every case of spec/vectors/jsonpatch.json
and exits with 1 when one does not come out as written.
"""

import json
import pathlib
import sys

import cbor

EVENT_BYTES_MAX = 1 << 20
EVENT_OPS_MAX = 1_000
EVENT_DEPTH_MAX = 67
EVENT_VALUES_MAX = 104_000
DOCUMENT_BYTES_MAX = 1 << 20
DOCUMENT_DEPTH_MAX = 64
DOCUMENT_VALUES_MAX = 100_000

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "jsonpatch.json"


class Rejected(Exception):
    """An event that every peer leaves aside."""


def require(condition, message):
    if not condition:
        raise Rejected(message)


def number_text(number):
    """Section 2, float. Python finds the same digits and changes form at the same exponents."""
    mantissa, e, exponent = repr(number + 0.0).partition("e")
    return "%se%d" % (mantissa, int(exponent)) if e else mantissa


def text(value):
    """The canonical text of a value."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-8"))
        return "{%s}" % ",".join("%s:%s" % (text(name), text(value[name])) for name in names)
    if isinstance(value, list):
        return "[%s]" % ",".join(map(text, value))
    if isinstance(value, float):
        return number_text(value)
    return json.dumps(value, ensure_ascii=False)


def check_values(value, depth_max, values_max):
    """That a value is JSON, and within its limits."""
    level, depth, values = [value], 0, 0
    while level:
        inner = []
        for one in level:
            if isinstance(one, dict):
                inner.append(list(one.values()))
            elif isinstance(one, list):
                inner.append(one)
            elif isinstance(one, int):
                require(-(1 << 63) <= one < 1 << 64, "an integer out of range")
            elif isinstance(one, float):
                require(str(one) != "-0.0", "minus zero")
            else:
                require(one is None or isinstance(one, str), "a value that JSON has not")
        values += len(level)
        require(values <= values_max, "too many values")
        depth += bool(inner)
        require(depth <= depth_max, "nested too deep")
        level = [one for some in inner for one in some]


def check_path(path):
    require(isinstance(path, str) and path.startswith("/"), "not a path into the document")
    require(path.count("/") <= DOCUMENT_DEPTH_MAX, "a path too deep")
    for rest in path.split("~")[1:]:
        require(rest[:1] in ("0", "1"), "an unknown escape")


def is_code(value, codes):
    """Python holds True and 1.0 to be 1; the format does not."""
    return type(value) is int and value in codes


def decode(event):
    """Section 3: the kind and the payload."""
    require(len(event) <= EVENT_BYTES_MAX, "too many bytes")
    try:
        value = cbor.decode(event)
    except cbor.Refused as error:
        raise Rejected(str(error)) from None
    check_values(value, EVENT_DEPTH_MAX, EVENT_VALUES_MAX)
    require(isinstance(value, list) and len(value) == 2, "not a list of two parts")
    kind, payload = value
    require(is_code(kind, (0, 1, 2)), "an unknown kind")
    if kind != 2:
        require(isinstance(payload, dict), "a document that is not a map")
        return kind, payload
    require(isinstance(payload, list), "operations that are not a list")
    require(1 <= len(payload) <= EVENT_OPS_MAX, "no or too many operations")
    for op in payload:
        require(isinstance(op, list) and len(op) in (2, 3), "not an operation")
        require(is_code(op[0], (1,) if len(op) == 2 else (0, 2)), "an unknown operation")
        check_path(op[1])
    return kind, payload


def unescape(step):
    return step.replace("~1", "/").replace("~0", "~")


def index_of(step):
    """The index that a step is, or None."""
    digits = step.isascii() and step.isdigit()
    if not digits or (step != "0" and step.startswith("0")) or int(step) >= 1 << 64:
        return None
    return int(step)


def parent_of(document, steps):
    """What all these steps lead to, or None."""
    for step in steps:
        if isinstance(document, dict):
            document = document.get(unescape(step))
        elif isinstance(document, list):
            index = index_of(step)
            document = document[index] if index is not None and index < len(document) else None
        else:
            return None
    return document


def operate(document, op):
    """Section 4, one operation, in place."""
    steps = op[1].split("/")[1:]
    parent, last = parent_of(document, steps[:-1]), steps[-1]
    if isinstance(parent, dict):
        if op[0] == 1:
            parent.pop(unescape(last), None)
        else:
            parent[unescape(last)] = op[2]
    elif isinstance(parent, list):
        index = index_of(last)
        if index is None:
            return
        if index < len(parent):
            parent[index : index + (op[0] != 0)] = [] if op[0] == 1 else [op[2]]
        elif op[0] != 1:
            parent.append(op[2])


def apply(before, event):
    """The state after an event: canonical text."""
    kind, payload = decode(event)
    if kind == 0:
        after = {**(before or {}), **payload}
    elif kind == 1:
        after = payload
    else:
        after = before if before is not None else {}
        for op in payload:
            operate(after, op)
    check_values(after, DOCUMENT_DEPTH_MAX, DOCUMENT_VALUES_MAX)
    state = text(after)
    require(len(state.encode("utf-8")) <= DOCUMENT_BYTES_MAX, "a document too long")
    return state


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


def meant(before, action):
    """The text that an action asks for; None for a JSON Patch, which is not read here."""
    kind, value = next(iter(action.items()))
    if kind == "patch":
        return None
    return text(merge(before, value) if kind == "merge" else value)


def check(case):
    """What is wrong with a case, or None."""
    before, action = case["before"], case["action"]
    if action is not None and meant(before, action) not in (None, case["after"]):
        return "the action asks for %s" % meant(before, action)
    if case["event_hex"] is None:
        return None if text(before) == case["after"] else "no event, but another state"
    event = bytes.fromhex(case["event_hex"])
    try:
        after = apply(before, event)
    except Rejected as error:
        return "rejected: %s" % error if case["after"] is not None else None
    if cbor.encode(cbor.decode(event)) != event:
        return "the event does not encode to itself"
    return None if after == case["after"] else "the state is %s" % after


def main():
    cases = json.loads(VECTORS.read_text(encoding="utf-8"))
    wrong = [(case["name"], fault) for case in cases if (fault := check(case))]
    for name, fault in wrong:
        print("jsonpatch: %s: %s" % (name, fault), file=sys.stderr)
    if wrong or not cases:
        return 1
    print("jsonpatch: %d vectors read" % len(cases))
    return 0


if __name__ == "__main__":
    sys.exit(main())
