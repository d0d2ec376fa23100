//! Laws of what opens, where, and for whom.

use threads_core::{EpochKeys, ThreadId, Variant, system_rng};

use super::Subject;
use super::members::{Group, cards};
use crate::law::{Checked, Violation, ensure};

/// At how many places bytes are changed.
const PLACES: usize = 64;

pub(super) fn another_thread_opens_nothing(subject: &Subject) -> Checked {
    let group = Group::new(subject)?;
    let other = ThreadId::generate(Variant::AccessControlled, &mut system_rng());
    for me in group.readers.iter().chain(&group.replicas) {
        let (peer, agreement) = (me.peer_id(), me.agreement_key());
        let opened = group.scheme.open(&other, &group.rekey, &peer, &agreement);
        if let Ok(Some(keys)) = opened {
            let done = "the keys of one thread were opened as those of another";
            return Err(Violation::new(done, format_args!("{keys:?}")));
        }
    }
    Ok(())
}

pub(super) fn what_opens_are_the_keys_of_the_number(subject: &Subject) -> Checked {
    let group = Group::new(subject)?;
    let rng = &mut system_rng();
    let others = EpochKeys::generate(rng);
    let (readers, replicas) = (cards(&group.readers), cards(&group.replicas));
    let mut swapped = group
        .scheme
        .rekey(&group.thread, &others, &readers, &replicas, rng)?;
    swapped.epoch = group.keys.number();
    for me in group.readers.iter().chain(&group.replicas) {
        let opened = group.open(&swapped, me);
        let text = format_args!("{opened:?}, of keys whose number is {}", others.number());
        ensure(
            opened.is_err(),
            "keys were opened that came under the number of others",
            text,
        )?;
    }
    Ok(())
}

pub(super) fn any_bytes_are_opened_or_refused(subject: &Subject) -> Checked {
    let group = Group::new(subject)?;
    let length = group.rekey.sealed.len();
    let mut changed = Vec::new();
    for place in (0..length).step_by((length / PLACES).max(1)) {
        let mut flipped = group.rekey.sealed.to_vec();
        flipped[place] ^= 1;
        changed.push(flipped);
        changed.push(group.rekey.sealed[..place].to_vec());
        changed.push(group.rekey.sealed[place..].to_vec());
    }
    let longer = |byte| [&group.rekey.sealed[..], &vec![byte; length]].concat();
    changed.extend([
        longer(0),
        longer(0xff),
        vec![0x9f; length],
        vec![0xff; length],
    ]);
    for sealed in changed {
        let mut rekey = group.rekey.clone();
        rekey.sealed = sealed.into();
        for me in group.readers.iter().chain(&group.replicas) {
            let Ok(Some(keys)) = group.open(&rekey, me) else {
                continue;
            };
            let done = "changed some of the sealed bytes, and opened them";
            let text = format_args!("other keys: {keys:?}");
            ensure(keys.number() == group.rekey.epoch, done, text)?;
        }
    }
    Ok(())
}

pub(super) fn another_instance_opens_it(subject: &Subject) -> Checked {
    let group = Group::new(subject)?;
    for me in &group.readers {
        let (peer, agreement) = (me.peer_id(), me.agreement_key());
        let other = subject.make();
        let seen = other.open(&group.thread, &group.rekey, &peer, &agreement);
        let holds = matches!(&seen, Ok(Some(keys)) if *keys == group.keys);
        ensure(
            holds,
            "sealed by one instance, opened by a new one",
            format_args!("{seen:?}"),
        )?;
    }
    Ok(())
}
