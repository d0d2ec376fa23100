//! The scenarios that fix what the rules mean, each in 200 orders of delivery, with duplicates, and reversed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use common::{in_every_order, vectors};
use threads_acl::eval::{Described, Outcome, evaluate};
use threads_core::ErrorKind;

const ORDERS: u64 = 200;

/// A history under construction. Root is `R`, its genesis `g`.
struct Story(Vec<Described>);

/// After these events.
type Deps<'a> = &'a [&'a str];

impl Story {
    fn new() -> Self {
        Self(vec![Described::new("g", "R", "genesis", &[])])
    }

    fn tell(mut self, event: Described) -> Self {
        self.0.push(event);
        self
    }

    fn grants(self, id: &str, by: &str, to: &str, role: &str, deps: Deps<'_>) -> Self {
        self.tell(Described::new(id, by, "grant", deps).target(to).role(role))
    }

    fn revokes(self, id: &str, by: &str, of: &str, role: &str, deps: Deps<'_>) -> Self {
        self.tell(Described::new(id, by, "revoke", deps).target(of).role(role))
    }

    /// Makes an admin.
    fn adds(self, id: &str, by: &str, whom: &str, deps: Deps<'_>) -> Self {
        self.tell(
            Described::new(id, by, "grant", deps)
                .target(whom)
                .role("write")
                .scope("acl"),
        )
    }

    /// Removes an admin.
    fn removes(self, id: &str, by: &str, whom: &str, deps: Deps<'_>) -> Self {
        self.tell(
            Described::new(id, by, "revoke", deps)
                .target(whom)
                .role("write")
                .scope("acl"),
        )
    }

    fn checkpoint(self, id: &str, deps: Deps<'_>) -> Self {
        self.tell(Described::new(id, "R", "checkpoint", deps))
    }

    fn saves(self, id: &str, by: &str, deps: Deps<'_>) -> Self {
        self.saves_to(id, by, "n", deps)
    }

    fn saves_to(self, id: &str, by: &str, entity: &str, deps: Deps<'_>) -> Self {
        self.tell(Described::new(id, by, "save", deps).entity(entity))
    }

    fn deletes(self, id: &str, by: &str, entity: &str, deps: Deps<'_>) -> Self {
        self.tell(Described::new(id, by, "delete", deps).entity(entity))
    }

    fn ends(self) -> End {
        let evaluation = in_every_order(&self.0, ORDERS);
        assert_eq!(evaluation.pending, []);
        let mut vectors = vectors::read().vectors.into_iter();
        assert!(
            vectors.any(|vector| vector.events == self.0),
            "no vector of the specification is this story: add it"
        );
        let root = &evaluation.outcome.roles["R"];
        assert_eq!(
            root.thread,
            ["delete", "read", "replicate", "write"],
            "nobody removes root"
        );
        assert_eq!(root.acl, ["write"]);
        End(evaluation.outcome)
    }
}

struct End(Outcome);

impl End {
    #[track_caller]
    fn roles(self, peer: &str, roles: &[&str]) -> Self {
        assert_eq!(self.0.roles[peer].thread, roles, "{peer}");
        self
    }

    #[track_caller]
    fn admins(self, admins: &[&str]) -> Self {
        let all = self.0.roles.iter().filter(|(name, _)| *name != "R");
        let found: Vec<_> = all.filter(|(_, roles)| !roles.acl.is_empty()).collect();
        let found: Vec<_> = found.into_iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, admins);
        self
    }

    #[track_caller]
    fn data(self, applied: &[&str], quarantined: &[&str]) -> Self {
        assert_eq!(
            (&self.0.applied[..], &self.0.quarantined[..]),
            (&own(applied)[..], &own(quarantined)[..])
        );
        self
    }

    #[track_caller]
    fn alive(self, entities: &[&str]) -> Self {
        assert_eq!(self.0.alive, entities);
        self
    }
}

fn own(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

#[test]
fn scenario_01_a_grant_then_a_write() {
    let story = Story::new()
        .grants("a", "R", "A", "write", &["g"])
        .saves("e1", "A", &["a"]);
    story
        .ends()
        .roles("A", &["write"])
        .data(&["e1"], &[])
        .alive(&["n"]);
}

#[test]
fn scenario_02_row_20_a_write_before_its_grant_is_kept_apart() {
    let story = Story::new()
        .saves("e1", "A", &["g"])
        .grants("a", "R", "A", "write", &["g"])
        .saves("e2", "A", &["a", "e1"]);
    story.ends().roles("A", &["write"]).data(&["e2"], &["e1"]);
}

#[test]
fn scenario_03_what_the_remover_saw_stays() {
    let story = Story::new()
        .grants("a", "R", "A", "write", &["g"])
        .saves("e1", "A", &["a"])
        .revokes("r", "R", "A", "write", &["e1"])
        .saves("e2", "A", &["r"]);
    story.ends().roles("A", &[]).data(&["e1"], &["e2"]);
}

#[test]
fn scenario_04_row_21_a_write_concurrent_with_the_removal_is_quarantined() {
    let story = Story::new()
        .grants("a", "R", "A", "write", &["g"])
        .saves("e1", "A", &["a"])
        .revokes("r", "R", "A", "write", &["e1"])
        .saves("e2", "A", &["e1"]);
    story.ends().roles("A", &[]).data(&["e1"], &["e2"]);
}

fn two_admins() -> Story {
    Story::new()
        .adds("a", "R", "A", &["g"])
        .adds("b", "R", "B", &["a"])
}

#[test]
fn scenario_05_a_removal_wins_over_a_concurrent_grant() {
    let story = two_admins()
        .grants("x", "R", "X", "read", &["b"])
        .grants("x1", "A", "X", "read", &["x"])
        .revokes("x2", "B", "X", "read", &["x"]);
    story.ends().roles("X", &[]);
}

#[test]
fn scenario_06_a_new_grant_does_not_revive() {
    let story = Story::new()
        .grants("a", "R", "A", "write", &["g"])
        .revokes("r", "R", "A", "write", &["a"])
        .saves("e1", "A", &["a"])
        .grants("a2", "R", "A", "write", &["r"])
        .saves("e2", "A", &["a2", "e1"]);
    story.ends().roles("A", &["write"]).data(&["e2"], &["e1"]);
}

#[test]
fn scenario_07_a_new_grant_answers_only_what_it_saw() {
    let story = two_admins()
        .grants("x", "R", "X", "write", &["b"])
        .revokes("x1", "A", "X", "write", &["x"])
        .revokes("x2", "B", "X", "write", &["x"])
        .grants("x3", "B", "X", "write", &["x2"]);
    story.ends().roles("X", &[]);
}

#[test]
fn scenario_08_row_24_mutual_removal_takes_both() {
    two_admins()
        .removes("r1", "A", "B", &["b"])
        .removes("r2", "B", "A", &["b"])
        .ends()
        .admins(&[]);
}

#[test]
fn scenario_09_nobody_removes_root() {
    let story = two_admins()
        .grants("w", "R", "A", "write", &["b"])
        .removes("r1", "A", "R", &["w"])
        .revokes("r2", "A", "R", "replicate", &["r1"])
        .removes("r3", "R", "A", &["w"])
        .revokes("r4", "R", "A", "replicate", &["r3"]);
    story.ends().roles("A", &[]).admins(&["B"]);
}

#[test]
fn scenario_10_a_cycle_of_removals_takes_all() {
    let story = two_admins()
        .adds("c", "R", "C", &["b"])
        .removes("r1", "A", "B", &["c"])
        .removes("r2", "B", "C", &["c"])
        .removes("r3", "C", "A", &["c"]);
    story.ends().admins(&[]);
}

#[test]
fn scenario_11_a_removal_by_one_who_is_removed_counts() {
    let story = two_admins()
        .adds("c", "R", "C", &["b"])
        .removes("r1", "A", "B", &["c"])
        .removes("r2", "B", "C", &["c"]);
    story.ends().admins(&["A"]);
}

#[test]
fn scenario_12_unless_root_removed_it() {
    let story = two_admins()
        .adds("c", "R", "C", &["b"])
        .removes("r1", "R", "B", &["c"])
        .removes("r2", "B", "C", &["c"]);
    story.ends().admins(&["A", "C"]);
}

#[test]
fn scenario_13_delegates_of_both_sides() {
    let story = two_admins()
        .adds("c", "A", "C", &["b"])
        .adds("d", "B", "D", &["b"])
        .removes("r1", "C", "B", &["c"])
        .removes("r2", "D", "A", &["d"]);
    // B's grant of D and A's grant of C are concurrent with the removal of who gave them.
    story.ends().admins(&[]);
}

#[test]
fn scenario_14_row_22_a_back_dated_grant_is_void_with_all_built_on_it() {
    let story = two_admins()
        .removes("r", "A", "B", &["b"])
        .grants("d", "B", "D", "write", &["b"])
        .saves("e1", "D", &["d"]);
    story.ends().roles("D", &[]).data(&[], &["e1"]);
}

#[test]
fn scenario_15_row_23_a_checkpoint_seals() {
    let story = two_admins()
        .removes("r1", "A", "B", &["b"])
        .checkpoint("c", &["r1"])
        .removes("r2", "B", "A", &["b"]);
    story.ends().admins(&["A"]);
}

#[test]
fn scenario_16_a_sealed_admin_makes_no_others() {
    let story = two_admins()
        .removes("r1", "R", "B", &["b"])
        .adds("c", "B", "C", &["b"])
        .removes("r2", "C", "A", &["c"]);
    story.ends().admins(&["A"]);
}

#[test]
fn scenario_17_one_grant_that_counts_is_enough() {
    let story = two_admins()
        .grants("d1", "A", "D", "write", &["b"])
        .grants("d2", "B", "D", "write", &["b"])
        .removes("r", "R", "B", &["b"])
        .saves("e1", "D", &["d1", "d2"]);
    story
        .ends()
        .roles("D", &["write"])
        .admins(&["A"])
        .data(&["e1"], &[]);
}

#[test]
fn scenario_18_a_removal_is_not_retroactive() {
    let story = two_admins()
        .grants("d", "B", "D", "write", &["b"])
        .removes("r", "R", "B", &["d"])
        .saves("e1", "D", &["d"]);
    story
        .ends()
        .roles("D", &["write"])
        .admins(&["A"])
        .data(&["e1"], &[]);
}

#[test]
fn scenario_19_a_removal_takes_the_roles_that_imply_it() {
    let story = Story::new()
        .grants("a", "R", "A", "write", &["g"])
        .grants("b1", "R", "B", "read", &["a"])
        .grants("b2", "R", "B", "write", &["b1"])
        .revokes("r1", "R", "A", "read", &["b2"])
        .revokes("r2", "R", "B", "write", &["r1"]);
    story.ends().roles("A", &[]).roles("B", &["read"]);
}

fn restricted() -> Story {
    Story::new()
        .grants("a", "R", "A", "write", &["g"])
        .grants("b", "R", "B", "write", &["a"])
        .tell(
            Described::new("n1a", "R", "grant", &["b"])
                .target("A")
                .role("write")
                .scope("entity:n1"),
        )
        .tell(Described::new("q", "R", "restrict", &["n1a"]).entity("n1"))
}

#[test]
fn scenario_20_a_restricted_entity() {
    let story = restricted()
        .saves_to("e1", "A", "n1", &["q"])
        .saves_to("e2", "B", "n1", &["q"])
        .saves_to("e3", "B", "n2", &["q"]);
    story
        .ends()
        .data(&["e1", "e3"], &["e2"])
        .alive(&["n1", "n2"]);
}

#[test]
fn a_restriction_leaves_what_it_saw_and_holds_what_it_did_not() {
    let story = restricted().saves_to("early", "B", "n1", &["b"]);
    story.ends().data(&[], &["early"]);
    let seen = Story::new()
        .grants("b", "R", "B", "write", &["g"])
        .saves_to("early", "B", "n1", &["b"])
        .tell(Described::new("q", "R", "restrict", &["early"]).entity("n1"));
    seen.ends().data(&["early"], &[]);
}

#[test]
fn the_role_of_an_entity_is_not_enough_without_that_of_the_thread() {
    let story = restricted()
        .revokes("r", "R", "A", "write", &["q"])
        .saves_to("e1", "A", "n1", &["r"]);
    story.ends().data(&[], &["e1"]);
}

#[test]
fn deleting_is_final_and_asks_for_its_own_role() {
    let story = Story::new()
        .grants("a", "R", "A", "write", &["g"])
        .grants("d", "R", "D", "delete", &["a"])
        .saves_to("e1", "A", "n1", &["d"])
        .saves_to("e2", "A", "n2", &["d"])
        .deletes("no", "A", "n2", &["e2"])
        .deletes("yes", "D", "n1", &["e1"])
        .saves_to("late", "A", "n1", &["yes"])
        .saves_to("not", "D", "n2", &["e2"]);
    story
        .ends()
        .data(&["e1", "e2", "late", "yes"], &["no", "not"])
        .alive(&["n2"]);
}

#[test]
fn what_everyone_has_does_not_lift_a_ban() {
    let story = Story::new()
        .grants("all", "R", "*", "write", &["g"])
        .saves("e1", "X", &["all"])
        .revokes("ban", "R", "X", "replicate", &["e1"])
        .grants("again", "R", "*", "write", &["ban"])
        .saves("e2", "X", &["again", "e1"])
        .grants("own", "R", "X", "write", &["again"])
        .saves("e3", "X", &["own", "e2"])
        .saves("y", "Y", &["all"]);
    let end = story.ends().roles("X", &["write"]).roles("Y", &["write"]);
    end.data(&["e1", "e3", "y"], &["e2"]);
}

#[test]
fn what_everyone_had_is_taken_and_what_one_was_given_stays() {
    let story = Story::new()
        .grants("all", "R", "*", "read", &["g"])
        .grants("x", "R", "X", "read", &["all"])
        .grants("y", "R", "Y", "replicate", &["x"])
        .revokes("none", "R", "*", "read", &["y"]);
    story
        .ends()
        .roles("X", &["read"])
        .roles("Y", &["replicate"]);
}

#[test]
fn who_leaves_needs_no_say_and_is_gone() {
    let story = Story::new()
        .grants("a", "R", "A", "write", &["g"])
        .saves("e1", "A", &["a"])
        .revokes("bye", "A", "A", "replicate", &["e1"])
        .revokes("other", "A", "R", "replicate", &["e1"]);
    let end = story.ends().roles("A", &[]).data(&["e1"], &[]);
    assert_eq!(end.0.authorised, ["a", "bye", "g"]);
}

#[test]
fn row_09_a_fork_of_a_log_undoes_no_removal() {
    let story = Story::new()
        .grants("a", "R", "A", "write", &["g"])
        .saves("e1", "A", &["a"])
        .revokes("r", "R", "A", "write", &["e1"])
        // Two branches of A's log after e1, and one from before.
        .saves("f1", "A", &["e1"])
        .saves("f2", "A", &["e1"])
        .saves("f3", "A", &["a"]);
    story.ends().data(&["e1"], &["f1", "f2", "f3"]);
}

#[test]
fn a_restored_backup_of_root_forks_its_chain_and_all_agree() {
    // Each branch of root's chain seals the removal that the other calls off.
    let story = two_admins()
        .removes("r1", "A", "B", &["b"])
        .removes("r2", "B", "A", &["b"])
        .checkpoint("c1", &["r1"])
        .checkpoint("c2", &["r2"]);
    let end = story.ends();
    assert!(
        !end.0.authorised.contains(&"r1".to_owned())
            && !end.0.authorised.contains(&"r2".to_owned())
    );
}

#[test]
fn row_25_what_waits_is_told_and_has_no_effect() {
    let events = [
        Described::new("e2", "A", "save", &["e1"]).entity("n"),
        Described::new("g", "R", "genesis", &[]),
        Described::new("e1", "A", "create", &["a", "g"]).entity("n"),
    ];
    let evaluation = evaluate(&events).unwrap();
    assert_eq!(
        (
            evaluation.outcome.applied.len(),
            evaluation.outcome.quarantined.len()
        ),
        (0, 0)
    );
    let told: Vec<_> = evaluation
        .pending
        .iter()
        .map(|one| (one.id.as_str(), &one.missing[..]))
        .collect();
    assert_eq!(told, [("e1", &own(&["a"])[..]), ("e2", &own(&["e1"])[..])]);

    // What depends on itself waits for ever.
    let round = [
        Described::new("g", "R", "genesis", &[]),
        Described::new("c1", "R", "checkpoint", &["c2"]),
        Described::new("c2", "R", "checkpoint", &["c1"]),
    ];
    assert_eq!(evaluate(&round).unwrap().pending.len(), 2);
}

#[test]
fn what_is_no_history_is_refused_and_says_where() {
    let g = || Described::new("g", "R", "genesis", &[]);
    let new = |kind| Described::new("e", "A", kind, &["g"]);
    let refused = [
        (vec![], "no event of kind genesis"),
        (
            vec![g(), Described::new("h", "A", "genesis", &[])],
            "two events of kind genesis",
        ),
        (
            vec![Described::new("g", "R", "genesis", &["h"])],
            "genesis depends on nothing",
        ),
        (vec![g(), new("promote")], "no such kind"),
        (
            vec![g(), new("save")],
            "another member (kind: save, member: entity, event: e)",
        ),
        (vec![g(), new("restrict")], "member: entity"),
        (vec![g(), new("grant").role("read")], "member: target"),
        (vec![g(), new("revoke").target("X")], "member: role"),
        (
            vec![g(), new("grant").target("X").role("owner")],
            "a role is replicate",
        ),
        (
            vec![g(), new("grant").target("X").role("no-access")],
            "revoke replicate",
        ),
        (
            vec![g(), new("grant").target("X").role("read").scope("acl")],
            "role write only",
        ),
        (
            vec![g(), new("grant").target("X").role("read").scope("entity:")],
            "no such scope",
        ),
        (
            vec![g(), Described::new("e", "*", "checkpoint", &[])],
            "name the author",
        ),
    ];
    for (events, words) in refused {
        let error = evaluate(&events).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(
            error.to_string().contains(words),
            "{error} does not say {words}"
        );
    }
    let twice = [g(), new("checkpoint"), new("save").entity("n")];
    assert_eq!(evaluate(&twice).unwrap_err().kind(), ErrorKind::Conflict);
}
