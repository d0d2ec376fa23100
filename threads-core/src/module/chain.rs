//! Chains: the versions of a collection one after the other, and what becomes of each member.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::shape::Shape;
use super::source::Source;
use super::step::{STEPS_MAX, Step};
use crate::{Error, FieldPath, Result};

type Paths = BTreeSet<Vec<String>>;

/// A member that is not simply stored where the version has it.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Where the version has it.
    pub(super) seen: FieldPath,
    pub(super) source: Source,
    pub(super) default: Option<Value>,
}

/// What the versions of a collection make of its members.
pub(super) struct Chain<'s> {
    /// The schema of the last one.
    pub(super) schema: &'s Value,
    pub(super) slots: Vec<Slot>,
    pub(super) owed: Vec<(Source, Value)>,
    /// The members of the version so far.
    members: Paths,
    /// Those that a version ever had, or that are stored for one.
    used: Paths,
    /// Those that the steps of this version brought.
    added: Paths,
}

impl<'s> Chain<'s> {
    pub(super) fn of(versions: &[(&'s Value, &[Step])]) -> Result<Self> {
        let Some(((schema, steps), later)) = versions.split_first() else {
            return Err(Error::invalid("a collection has at least one version"));
        };
        if !steps.is_empty() {
            return Err(Error::invalid(
                "the first version of a collection has no steps: there is none before it",
            ));
        }
        let members = listed(schema)?;
        let mut chain = Self {
            schema,
            slots: Vec::new(),
            owed: Vec::new(),
            used: members.clone(),
            members,
            added: Paths::new(),
        };
        for (schema, steps) in later {
            chain.go_on(schema, steps)?;
        }
        Ok(chain)
    }

    fn go_on(&mut self, schema: &'s Value, steps: &[Step]) -> Result<()> {
        if steps.len() > STEPS_MAX {
            let error = Error::invalid("a version has too many steps of one collection");
            return Err(error.with("most", STEPS_MAX));
        }
        self.added.clear();
        for step in steps {
            step.check_size()?;
            self.check(step)?;
            self.make(step)?;
        }
        self.schema = schema;
        let listed = listed(schema)?;
        let new = |path: &&Vec<String>| {
            let above = (1..=path.len()).map(|end| &path[..end]);
            !self.members.contains(*path)
                && !above.into_iter().any(|path| self.added.contains(path))
        };
        if let Some(path) = listed.iter().find(new) {
            let error = "a later version lists a member that no step brings: add one";
            return Err(Error::invalid(error).with("path", path.join(".")));
        }
        if let Some(path) = self.members.iter().find(|path| !listed.contains(*path)) {
            let error =
                "a later version does not list a member of the one before: remove it by a step";
            return Err(Error::invalid(error).with("path", path.join(".")));
        }
        self.used.extend(listed.iter().cloned());
        self.members = listed;
        Ok(())
    }

    /// Refuses a step that does not fit the version so far, or uses a name again.
    fn check(&self, step: &Step) -> Result<()> {
        if let Some(from) = step.from()
            && !self.members.contains(from.segments())
        {
            let error = "a step begins with a member that the version before does not list";
            return Err(Error::invalid(error).with("path", from));
        }
        let Some(to) = step.to() else { return Ok(()) };
        let (_, above) = to.segments().split_last().unwrap_or((&EMPTY, &[]));
        if !above.is_empty() && !self.members.contains(above) {
            let error = "a step brings a member into an object that the version does not list";
            return Err(Error::invalid(error).with("path", to));
        }
        if to.segments() == ["_id"] || self.used.contains(to.segments()) {
            let error = "a step gives a name that is used already, or was: choose another one";
            return Err(Error::invalid(error).with("path", to));
        }
        // What is moved stays where it is; everything else needs a place that nothing ever had.
        let place = self.place(to)?;
        if !matches!(step, Step::Rename { .. }) && self.used.contains(place.segments()) {
            let error = "a step needs a place that is used already, or was: choose another name";
            return Err(Error::invalid(error).with("path", place));
        }
        let within = |from: &&FieldPath| to.segments().starts_with(from.segments());
        if step.from().filter(within).is_some() {
            return Err(Error::invalid("a step moves a member into itself").with("path", to));
        }
        Ok(())
    }

    fn make(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Add { path, default } => {
                let source = Source::Field(self.place(path)?);
                self.slot(path, source, default.clone());
            }
            Step::Remove { path, default } => {
                let (source, shown) = self.taken(path)?;
                if let Some(default) = default {
                    // The versions before have a value for it.
                    let (nothing, mut made) = (json!({}), json!({}));
                    source.put(&nothing, &mut made, Some(default), Shape::anything())?;
                }
                let owed = default
                    .clone()
                    .filter(|value| shown.as_ref() != Some(value));
                self.owed.extend(owed.map(|value| (source, value)));
            }
            Step::Rename { from, to } => self.rename(from, to)?,
            Step::Map { from, to, values } => {
                let exact = self.place(to)?;
                let (of, shown) = self.taken(from)?;
                let up = |old: Value| {
                    let pair = values.iter().find(|(from, _)| *from == old);
                    pair.map_or(old, |(_, new)| new.clone())
                };
                let (of, values) = (Box::new(of), values.clone());
                self.slot(to, Source::Map { of, exact, values }, shown.map(up));
            }
            Step::Wrap { from, to } => {
                let rest = self.place(to)?;
                let (of, shown) = self.taken(from)?;
                if shown.is_some() {
                    let error = "a member with a default cannot become a list: give it none";
                    return Err(Error::invalid(error).with("path", from));
                }
                let of = Box::new(of);
                self.slot(to, Source::Wrap { of, rest }, None);
            }
        }
        if let Some(from) = step.from() {
            self.members
                .retain(|path| !path.starts_with(from.segments()));
        }
        if let Some(to) = step.to() {
            self.used.insert(to.segments().to_vec());
            self.members.insert(to.segments().to_vec());
            self.added.insert(to.segments().to_vec());
        }
        Ok(())
    }

    fn slot(&mut self, seen: &FieldPath, source: Source, default: Option<Value>) {
        let (Source::Field(place)
        | Source::Map { exact: place, .. }
        | Source::Wrap { rest: place, .. }) = &source;
        self.used.insert(place.segments().to_vec());
        let in_place = matches!(&source, Source::Field(at) if at == seen);
        if !in_place || default.is_some() {
            let seen = seen.clone();
            self.slots.push(Slot {
                seen,
                source,
                default,
            });
        }
    }

    /// Where a member of the version so far is stored, and what is seen where it is not; the
    /// version has it no longer.
    fn taken(&mut self, path: &FieldPath) -> Result<(Source, Option<Value>)> {
        let place = self.place(path);
        let own = self.slots.iter().position(|slot| slot.seen == *path);
        let own = own.map(|at| self.slots.remove(at));
        self.slots
            .retain(|slot| !slot.seen.segments().starts_with(path.segments()));
        match own {
            Some(slot) => Ok((slot.source, slot.default)),
            None => Ok((Source::Field(place?), None)),
        }
    }

    fn rename(&mut self, from: &FieldPath, to: &FieldPath) -> Result<()> {
        let place = self.place(from);
        let mut own = false;
        for slot in &mut self.slots {
            if let Some(below) = slot.seen.segments().strip_prefix(from.segments()) {
                own |= below.is_empty();
                let all = to.segments().iter().chain(below).cloned();
                slot.seen = FieldPath::new(all)?;
            }
        }
        if !own {
            self.slot(to, Source::Field(place?), None);
        }
        let moved = self.members.iter().filter_map(|path| {
            let below = path.strip_prefix(from.segments())?;
            Some([to.segments(), below].concat())
        });
        let moved: Vec<_> = moved.collect();
        self.members.extend(moved);
        Ok(())
    }

    /// Where a member is stored that has no slot of its own.
    fn place(&self, path: &FieldPath) -> Result<FieldPath> {
        let above = |slot: &&Slot| path.segments().starts_with(slot.seen.segments());
        let nearest = self.slots.iter().filter(above);
        let nearest = nearest.max_by_key(|slot| slot.seen.segments().len());
        match nearest.map(|slot| (&slot.source, slot.seen.segments().len())) {
            None => Ok(path.clone()),
            Some((Source::Field(at), len)) => {
                let below = &path.segments()[len..];
                FieldPath::new(at.segments().iter().chain(below).cloned())
            }
            Some(_) => {
                let error = "a step reaches into a member that another step made";
                Err(Error::invalid(error).with("path", path))
            }
        }
    }
}

const EMPTY: String = String::new();

/// The members that a schema lists.
fn listed(schema: &Value) -> Result<Paths> {
    let shape = Shape::of(schema);
    if shape.members().is_none() {
        return Err(Error::invalid(
            "the schema of a module's collection lists its members: give it properties, and no \
             additionalProperties but false",
        ));
    }
    let mut paths = shape.paths()?;
    paths.remove(&["_id".to_owned()][..]);
    Ok(paths)
}
