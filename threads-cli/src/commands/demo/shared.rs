//! The part of the demonstration in which two people and a replica share a thread.

use super::{QUERY, Step, keep, refused, step, then};

/// What happens in one of the repositories that several processes share.
pub(super) enum Act {
    Run(Step),
    /// Serve it from now on; the variable keeps where.
    Serve(&'static str, &'static str),
    /// Serve it no longer.
    Stop(&'static str),
}

use Act::{Run, Serve, Stop};

/// Two people and a replica, each with processes of their own: in which repository, and what.
pub(super) const SHARED: &[(&str, Act)] = &[
    (
        "first",
        Serve(
            "The first repository, served by a process of its own.",
            "FIRST",
        ),
    ),
    (
        "third",
        Run(step(
            "Somebody else, with a repository of their own.",
            &["init"],
        )),
    ),
    (
        "third",
        Run(keep(
            "Their card: an id, and the key that things are sealed to.",
            &["id"],
            "CARD",
        )),
    ),
    (
        "first",
        Run(keep(
            "An invite that only they can open. Commands work while the repository is served.",
            &["invite", "people", "--role", "write", "--to", "$CARD"],
            "INVITE",
        )),
    ),
    (
        "third",
        Run(step("They join, and get the thread.", &["join", "$INVITE"])),
    ),
    ("third", Run(then(&["sync", "people", "--wait"]))),
    ("third", Run(then(&["find", "people", "Person", QUERY]))),
    (
        "replica",
        Run(step(
            "A machine that is to keep the thread, and not to read it.",
            &["init"],
        )),
    ),
    ("replica", Run(keep("", &["id"], "CARD"))),
    (
        "first",
        Run(keep(
            "",
            &["invite", "people", "--role", "replicate", "--to", "$CARD"],
            "INVITE",
        )),
    ),
    ("replica", Run(then(&["join", "$INVITE"]))),
    ("replica", Run(then(&["sync", "people", "--wait"]))),
    (
        "replica",
        Run(refused(
            "It has every record, and not a word.",
            &["find", "people", "Person"],
        )),
    ),
    ("replica", Run(then(&["verify", "people"]))),
    (
        "third",
        Run(step(
            "While they are connected, members hear of each other.",
            &["sync", "people", "--wait"],
        )),
    ),
    (
        "replica",
        Serve("It is there when others are away.", "REPLICA"),
    ),
    ("first", Stop("The first one goes away.")),
    (
        "first",
        Run(step(
            "Both write, each alone.",
            &["patch", "people", "Person", "john", r#"{"age": 27}"#],
        )),
    ),
    (
        "third",
        Run(then(&[
            "patch",
            "people",
            "Person",
            "john",
            r#"{"lastName": "Smith"}"#,
        ])),
    ),
    (
        "third",
        Run(step(
            "They never meet again: each meets the replica, and they agree to the byte.",
            &["connect", "$REPLICA"],
        )),
    ),
    ("third", Run(then(&["sync", "people", "--wait"]))),
    ("first", Run(then(&["connect", "$REPLICA"]))),
    ("first", Run(then(&["sync", "people", "--wait"]))),
    ("third", Run(then(&["sync", "people", "--wait"]))),
    ("first", Run(then(&["get", "people", "Person", "john"]))),
    ("third", Run(then(&["get", "people", "Person", "john"]))),
    (
        "third",
        Run(step(
            "Who has what: only what they said.",
            &["status", "people"],
        )),
    ),
];
