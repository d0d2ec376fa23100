//! What a module says, and whether the engine takes it.

use threads_core::module::{Manifest, Module};
use threads_db::schema::CompiledSchema;

use super::Subject;
use crate::law::{Checked, Violation, ensure};

pub(super) fn it_says_the_same_every_time(subject: &Subject) -> Checked {
    let (one, other) = (subject.module(), subject.module());
    let said =
        |module: &dyn Module| format!("{:?}", (module.id(), module.versions(), module.vectors()));
    let rules = |module: &dyn Module| format!("{:?}", module.acl_template());
    let first = (said(&*one), rules(&*one));
    for (module, which) in [(&one, "again"), (&other, "of another instance")] {
        let now = (said(&**module), rules(&**module));
        let seen = format_args!(
            "{} and {}; before: {} and {}",
            now.0, now.1, first.0, first.1
        );
        ensure(now == first, format_args!("it was asked {which}"), seen)?;
    }
    Ok(())
}

pub(super) fn its_parts_fit_each_other(subject: &Subject) -> Checked {
    match Manifest::of(&*subject.module()) {
        Ok(_) => Ok(()),
        Err(error) => Err(Violation::new("its manifest was made", error)),
    }
}

pub(super) fn the_engine_takes_its_schemas(subject: &Subject) -> Checked {
    let manifest = Manifest::of(&*subject.module())?;
    for version in 1..=manifest.version() {
        for collection in manifest.collections(version) {
            let name = &collection.spec.name;
            let Some(schema) = &collection.spec.schema else {
                let done = format_args!("the schema of {name} in version {version} was looked for");
                return Err(Violation::new(done, "there is none"));
            };
            if let Err(error) = CompiledSchema::compile(schema) {
                let done = format_args!("the schema of {name} in version {version} was compiled");
                return Err(Violation::new(done, error));
            }
        }
    }
    Ok(())
}
