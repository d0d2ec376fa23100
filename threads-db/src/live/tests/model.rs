//! Windows and the least changes between them, against lists that are sorted anew.

use super::*;
use crate::query::{Place, Sort};

const HISTORIES: u64 = 3_000;
const STEPS: usize = 25;

/// What a row is sorted by, and what it shows.
type Entity = (u8, u8);

struct Model {
    sort: Vec<Sort>,
    entities: BTreeMap<String, Entity>,
}

impl Model {
    fn row(&self, id: &str, entity: &Entity) -> Row {
        let value = json!({"_id": id, "n": entity.0});
        Row {
            place: Place::of(&self.sort, &value),
            digest: [entity.1; 16],
            bytes: 1,
        }
    }

    /// All rows in their order.
    fn rows(&self) -> Vec<Row> {
        let rows = self
            .entities
            .iter()
            .map(|(id, entity)| self.row(id, entity));
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|a, b| a.place.compare(&b.place, &self.sort));
        rows
    }

    fn rows_behind(&self, place: &Place, most: usize) -> (Vec<Row>, bool) {
        let behind = |row: &Row| row.place.compare(place, &self.sort).is_gt();
        let mut rows: Vec<_> = self.rows().into_iter().filter(behind).collect();
        let more = rows.len() > most;
        rows.truncate(most);
        (rows, more)
    }

    fn shown(&self, room: &Room) -> Vec<(String, u8)> {
        let rows = self.rows().into_iter().skip(room.shown.start);
        rows.take(room.shown.len()).map(|row| shown(&row)).collect()
    }
}

fn shown(row: &Row) -> (String, u8) {
    (row.place.id().to_owned(), row.digest[0])
}

fn random_room(chance: &mut Chance) -> Room {
    let start = if chance.percent(50) {
        0
    } else {
        chance.below(5)
    };
    match chance.percent(30) {
        true => Room {
            shown: start..usize::MAX,
            spare: 0,
        },
        false => Room {
            shown: start..start + chance.below(8),
            spare: chance.below(6),
        },
    }
}

fn change(model: &mut Model, chance: &mut Chance, most: usize) -> BTreeSet<EntityId> {
    let mut touched = BTreeSet::new();
    for _ in 0..1 + chance.below(most) {
        let id = format!("e{}", chance.below(30));
        touched.insert(id.parse().unwrap());
        match model.entities.get(&id) {
            Some(_) if chance.percent(25) => drop(model.entities.remove(&id)),
            Some((n, _)) if chance.percent(30) => {
                model.entities.insert(id, (*n, chance.below(3) as u8));
            }
            Some(_) if chance.percent(10) => {}
            _ => drop(model.entities.insert(id, (chance.below(6) as u8, 0))),
        }
    }
    touched
}

/// The steps as changes, as the live query makes them.
fn follow(window: &mut Window, model: &Model, ids: BTreeSet<EntityId>) -> Vec<Step> {
    let touched = ids.into_iter().map(|id| {
        let entity = model.entities.get(id.as_str());
        let row = entity.map(|entity| model.row(id.as_str(), entity));
        (id, row)
    });
    let mut touched: Vec<_> = touched.collect();
    window.sift(&mut touched);
    let ids: Vec<_> = touched.iter().map(|(id, _)| id.clone()).collect();
    let old = window.side(&ids);
    window.replace(&old, touched);
    if let Some((place, most)) = window.lacks() {
        let (rows, more) = model.rows_behind(place, most);
        window.append(rows, more);
    }
    diff::steps(&old, &window.side(&ids), window.order())
}

fn history(seed: u64, counts: &mut [usize; 4]) {
    let mut chance = Chance(seed);
    let sort = if chance.percent(50) { "n" } else { "n:desc" };
    let mut model = Model {
        sort: vec![sort.parse().unwrap()],
        entities: BTreeMap::new(),
    };
    change(&mut model, &mut chance, 40);
    let room = random_room(&mut chance);
    let kept = room.shown.end.saturating_add(room.spare);
    let mut rows = model.rows();
    let more = rows.len() > kept;
    rows.truncate(kept);
    let mut window = Window::new(model.sort.clone(), room.clone(), rows, more);
    let mut list = model.shown(&room);
    for _ in 0..STEPS {
        let most = if chance.percent(80) { 3 } else { 30 };
        let touched = change(&mut model, &mut chance, most);
        let (old, new) = (list.clone(), model.shown(&room));
        let steps = follow(&mut window, &model, touched.clone());
        for step in &steps {
            let (at, touches) = match step {
                Step::Removed(from, row) => (0, old[from - room.shown.start].0 == row.place.id()),
                Step::Moved(_, to) => (1, touched.contains(&*id_at(&window, *to))),
                Step::Added(_) => (2, true),
                Step::Changed(at) => (3, touched.contains(&*id_at(&window, *at))),
            };
            counts[at] += 1;
            assert!(touches, "{seed}: {step:?} of a row that was not touched");
        }
        assert_least_steps(&old, &new, &steps, seed);
        let changes = changes_of(steps, &window, |id| {
            Ok((id.as_str().to_owned(), model.entities[id.as_str()].1))
        });
        LiveUpdate::Changes(changes.unwrap()).apply(&mut list);
        assert_eq!(list, new, "{seed}");
        window.trim(QueryCaps::unbounded()).unwrap();
        let kept = room.shown.end.saturating_add(2 * room.spare);
        assert!(window.order().len() <= kept);
    }
}

fn id_at(window: &Window, index: usize) -> Box<EntityId> {
    Box::new(window.row(index).unwrap().place.id().parse().unwrap())
}

/// Nothing is said that could be left out.
fn assert_least_steps(old: &[(String, u8)], new: &[(String, u8)], steps: &[Step], seed: u64) {
    let (was, is): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (old.iter().cloned().collect(), new.iter().cloned().collect());
    let count = |kind: fn(&Step) -> bool| steps.iter().filter(|step| kind(step)).count();
    let gone = was.keys().filter(|id| !is.contains_key(*id)).count();
    let come = is.keys().filter(|id| !was.contains_key(*id)).count();
    let changed = was
        .iter()
        .filter(|(id, shows)| is.get(*id).is_some_and(|now| now != *shows));
    assert_eq!(
        count(|step| matches!(step, Step::Removed(..))),
        gone,
        "{seed}"
    );
    assert_eq!(count(|step| matches!(step, Step::Added(_))), come, "{seed}");
    assert_eq!(
        count(|step| matches!(step, Step::Changed(_))),
        changed.count(),
        "{seed}"
    );
    let stay = |rows: &[(String, u8)], other: &BTreeMap<String, u8>| -> Vec<String> {
        let ids = rows.iter().map(|(id, _)| id.clone());
        ids.filter(|id| other.contains_key(id)).collect()
    };
    if stay(old, &is) == stay(new, &was) {
        assert_eq!(count(|step| matches!(step, Step::Moved(..))), 0, "{seed}");
    }
}

#[test]
fn windows_follow_and_say_no_more_than_they_must() {
    let mut counts = [0; 4];
    for seed in 0..HISTORIES {
        history(seed, &mut counts);
    }
    assert!(counts.iter().all(|count| *count > 1_000), "{counts:?}");
}
