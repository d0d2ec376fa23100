//! Whatever later versions say, an earlier one reads them, and damages nothing that it does not know: with versions
//! made up by chance, on two nodes that are apart.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use threads_core::Result;
use threads_core::module::{AclTemplate, Module, ModuleCollection, Step, Version};
use threads_db::{Collection, Db};

use super::{hand_over, node};

/// How many versions are made up.
const VERSIONS: usize = 4;

/// A member of a version.
#[derive(Clone, Debug)]
struct Member {
    /// What it comes from: members of one line are one member in several versions.
    line: usize,
    path: String,
    values: Vec<Value>,
    /// Whether a default is shown where nothing is stored.
    shown: bool,
}

impl Member {
    fn new(line: usize, path: String, shown: bool) -> Self {
        let values = [0, 1, 2].map(Value::from).into();
        Self {
            line,
            path,
            values,
            shown,
        }
    }

    fn get(&self, entity: &Value) -> Option<Value> {
        let pointer = format!("/{}", self.path.replace('.', "/"));
        entity.pointer(&pointer).cloned()
    }

    /// A merge patch that gives it this value.
    fn patch(&self, value: &Value) -> Value {
        let names = self.path.rsplit('.');
        names.fold(value.clone(), |inner, name| json!({name: inner}))
    }
}

/// A module with as many versions as an application knows.
#[derive(Clone, Debug)]
struct MadeUp {
    versions: Vec<(Vec<Member>, Vec<Step>)>,
    known: usize,
}

impl MadeUp {
    fn new(choices: &[u8]) -> Self {
        let paths = ["a", "b", "c", "d", "o.x", "o.y"];
        let mut members: Vec<_> = (0..)
            .zip(paths)
            .map(|(line, path)| Member::new(line, path.to_owned(), false))
            .collect();
        let mut versions = vec![(members.clone(), Vec::new())];
        let mut choices = choices.iter().cycle();
        for version in 1..VERSIONS {
            let mut steps = Vec::new();
            members = members
                .into_iter()
                .filter_map(|member| later(member, version, *choices.next()?, &mut steps))
                .collect();
            let (path, shown) = (
                format!("new{version}"),
                choices.next().is_some_and(|n| n % 2 == 0),
            );
            steps.push(match shown {
                true => Step::add_with(&path, json!(0)).unwrap(),
                false => Step::add(&path).unwrap(),
            });
            members.push(Member::new(paths.len() + version, path, shown));
            versions.push((members.clone(), steps));
        }
        let known = VERSIONS;
        Self { versions, known }
    }

    fn knowing(&self, known: usize) -> Self {
        Self {
            known,
            ..self.clone()
        }
    }
}

/// What becomes of a member in a later version, and the step to that.
fn later(member: Member, version: usize, choice: u8, steps: &mut Vec<Step>) -> Option<Member> {
    let above = member
        .path
        .rsplit_once('.')
        .map_or(String::new(), |(above, _)| format!("{above}."));
    let path = format!("{above}m{}v{version}", member.line);
    let from = &*member.path;
    match choice % 6 {
        2 => {
            steps.push(Step::rename(from, &path).unwrap());
            Some(Member { path, ..member })
        }
        3 => {
            let more = |end: &'static str| {
                member
                    .values
                    .iter()
                    .map(move |old| (old.clone(), format!("{old}{end}").into()))
            };
            let pairs: Vec<(Value, Value)> = more("+").chain(more("-")).collect();
            let values = pairs.iter().map(|(_, new)| new.clone()).collect();
            steps.push(Step::map(from, &path, pairs).unwrap());
            Some(Member {
                path,
                values,
                ..member
            })
        }
        4 if !member.shown => {
            let [first, .., last] = &member.values[..] else {
                return None;
            };
            let values = vec![
                json!([first]),
                json!([last, first]),
                json!([first, last, first]),
            ];
            steps.push(Step::wrap(from, &path).unwrap());
            Some(Member {
                path,
                values,
                ..member
            })
        }
        5 => {
            steps.push(Step::remove_with(from, member.values[0].clone()).unwrap());
            None
        }
        _ => Some(member),
    }
}

fn schema(members: &[Member]) -> Value {
    let mut schema = json!({"type": "object", "properties": {"o": {"properties": {}}}});
    for member in members {
        let pointer = match member.path.split_once('.') {
            None => format!("/properties/{}", member.path),
            Some((above, name)) => format!("/properties/{above}/properties/{name}"),
        };
        let (above, name) = pointer.rsplit_once('/').unwrap();
        schema.pointer_mut(above).unwrap()[name] = json!({});
    }
    schema
}

impl Module for MadeUp {
    fn id(&self) -> &str {
        "org.example.made-up"
    }

    fn versions(&self) -> Result<Vec<Version>> {
        let known = self.versions.iter().take(self.known);
        let version = |(members, steps): &(Vec<Member>, Vec<Step>)| {
            let thing = ModuleCollection::new("Thing", "jsonpatch/1", schema(members))?;
            let steps = steps.iter().cloned();
            Ok(Version::new().with(steps.fold(thing, ModuleCollection::with_step)))
        };
        known.map(version).collect()
    }

    fn acl_template(&self) -> Result<Option<AclTemplate>> {
        Ok(None)
    }

    fn vectors(&self) -> Option<&str> {
        None
    }
}

/// What an application does: it knows so many versions, and gives a member a value.
type Act = (usize, prop::sample::Index, prop::sample::Index, bool);

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = (
        1..=VERSIONS,
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        any::<bool>(),
    );
    prop::collection::vec(act, 1..6)
}

struct Apps {
    module: MadeUp,
    /// The collection of each version.
    things: Vec<Collection<Value>>,
}

impl Apps {
    fn of(module: &MadeUp, db: &Db) -> Self {
        let things = (1..=VERSIONS).map(|known| {
            let module = db.install(&module.knowing(known)).unwrap();
            module.collection("Thing").unwrap()
        });
        Self {
            module: module.clone(),
            things: things.collect(),
        }
    }

    fn seen(&self) -> Vec<Value> {
        let seen = |things: &Collection<Value>| things.get("t").unwrap().unwrap();
        self.things.iter().map(seen).collect()
    }

    fn members(&self, version: usize) -> &[Member] {
        &self.module.versions[version].0
    }

    /// Carries it out, and checks that it did nothing else. Gives the line of the member.
    fn act(&self, (known, member, value, saves): &Act) -> usize {
        let version = known - 1;
        let member = &self.members(version)[member.index(self.members(version).len())];
        let value = &member.values[value.index(member.values.len())];
        let (before, things) = (self.seen(), &self.things[version]);
        if *saves {
            let mut entity = before[version].clone();
            json_patch_merge(&mut entity, &member.patch(value));
            things.save(&entity).unwrap();
        } else {
            things.patch("t", &member.patch(value)).unwrap();
        }
        let after = self.seen();
        assert_eq!(
            member.get(&after[version]).as_ref(),
            Some(value),
            "{member:?}"
        );
        for (version, (before, after)) in before.iter().zip(&after).enumerate() {
            let others = self
                .members(version)
                .iter()
                .filter(|other| other.line != member.line);
            for other in others {
                assert_eq!(other.get(after), other.get(before), "{member:?} {other:?}");
            }
        }
        member.line
    }
}

/// What a merge patch without null does.
fn json_patch_merge(entity: &mut Value, patch: &Value) {
    match patch {
        Value::Object(members) => {
            if !entity.is_object() {
                *entity = Value::Object(Map::new());
            }
            for (name, value) in members {
                json_patch_merge(&mut entity[name], value);
            }
        }
        value => *entity = value.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn versions_that_are_unknown_are_read_and_never_damaged(
        choices in prop::collection::vec(any::<u8>(), 24),
        maker in 1..=VERSIONS,
        hers in acts(),
        his in acts(),
    ) {
        let module = MadeUp::new(&choices);
        let (ann, bob) = (node(), node());
        let here = ann.create("t").unwrap();
        let ours = Apps::of(&module, &here);
        let mut made = json!({"_id": "t", "o": {}});
        for member in ours.members(maker - 1) {
            json_patch_merge(&mut made, &member.patch(&member.values[0]));
        }
        ours.things[maker - 1].create(&made).unwrap();
        prop_assert_eq!(&ours.seen()[maker - 1], &made);
        // What a version says that nobody here has ever heard of.
        let tomorrow = json!({"tomorrow": [1], "o": {"tomorrow": {"x": 2}}});
        here.collection("Thing").unwrap().patch("t", &tomorrow).unwrap();
        let there = bob.add_thread("t", &here.keys()).unwrap();
        hand_over(&here, &bob);
        let theirs = Apps::of(&module, &there);

        let hers: Vec<_> = hers.iter().map(|act| ours.act(act)).collect();
        let his: Vec<_> = his.iter().map(|act| theirs.act(act)).collect();
        let apart = [ours.seen(), theirs.seen()];
        hand_over(&here, &bob);
        hand_over(&there, &ann);
        let together = ours.seen();
        prop_assert_eq!(&together, &theirs.seen());
        for (version, seen) in together.iter().enumerate() {
            for member in ours.members(version) {
                let by = [hers.contains(&member.line), his.contains(&member.line)];
                let kept = match by {
                    [true, true] => continue,
                    [_, false] => &apart[0],
                    [false, true] => &apart[1],
                };
                prop_assert_eq!(member.get(seen), member.get(&kept[version]), "{:?}", member);
            }
        }
        for db in [&here, &there] {
            let stored = db.collection("Thing").unwrap().get("t").unwrap().unwrap();
            prop_assert_eq!(&stored["tomorrow"], &json!([1]));
            prop_assert_eq!(&stored["o"]["tomorrow"], &json!({"x": 2}));
        }
    }
}
