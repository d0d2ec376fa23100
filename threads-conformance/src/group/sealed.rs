//! Laws of a scheme's name and of what it seals.

use threads_core::ErrorKind;

use super::Subject;
use super::members::Group;
use crate::law::{Checked, ensure};

/// The longest name of a scheme, in bytes.
const NAME_BYTES_MAX: usize = 32;

pub(super) fn its_name_stays(subject: &Subject) -> Checked {
    let scheme = subject.make();
    let name = scheme.id().to_owned();
    let text = format_args!("{name:?}");
    let holds = (1..=NAME_BYTES_MAX).contains(&name.len());
    ensure(holds, "asked for its name", text)?;
    for other in [&scheme, &subject.make()] {
        let seen = other.id().to_owned();
        let text = format_args!("{seen:?} after {name:?}");
        ensure(seen == name, "asked for its name again", text)?;
    }
    Ok(())
}

pub(super) fn other_schemes_are_unsupported(subject: &Subject) -> Checked {
    let group = Group::new(subject)?;
    let mut other = group.rekey.clone();
    other.scheme = format!("{}x", group.scheme.id());
    let opened = group.open(&other, &group.readers[0]);
    let kind = opened.as_ref().err().map(threads_core::Error::kind);
    let done = format!("opened what names the scheme {:?}", other.scheme);
    ensure(
        kind == Some(ErrorKind::Unsupported),
        done,
        format_args!("{opened:?}"),
    )
}

pub(super) fn no_key_stands_in_the_sealed_bytes(subject: &Subject) -> Checked {
    let group = Group::new(subject)?;
    let read = group.keys.read().map(|key| ("read", key.to_bytes()));
    let keys = [Some(("replica", group.keys.replica().to_bytes())), read];
    for (kind, key) in keys.into_iter().flatten() {
        let place = group
            .rekey
            .sealed
            .windows(32)
            .position(|bytes| bytes == *key);
        let text = format_args!("the {kind} key, at {place:?}");
        ensure(place.is_none(), "looked through the sealed bytes", text)?;
    }
    Ok(())
}
