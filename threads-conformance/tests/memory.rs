//! The reference store keeps every law.

use threads_conformance::datastore::Subject;
use threads_conformance::datastore::model::{Plan, run};
use threads_conformance::faulty::{Fails, Faulty};
use threads_core::datastore::Memory;

fn subject() -> Subject {
    Subject::new(|_dir| Ok(Memory::new())).with_failing(|_dir| {
        let store = Faulty::new(Memory::new(), Fails::Writing);
        store.arm(9);
        Ok(store)
    })
}

threads_conformance::datastore_laws!(subject());

#[test]
fn any_bytes_make_a_plan_that_the_store_carries_out() {
    for length in (0..256).step_by(7) {
        for factor in 1..8 {
            let bytes: Vec<u8> = (0..length).map(|n| (n * factor) as u8).collect();
            let plan = Plan::from_bytes(&bytes);
            assert_eq!(run(&subject(), &plan), Ok(()), "{plan:?}");
        }
    }
}
