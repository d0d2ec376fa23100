//! Laws of purity: a codec is a function of its arguments.

use serde_json::{Value, json};
use threads_core::codec::{Action, EntityState, EventCodec};

use super::Subject;
use super::asked::{after, created, document, event, hex, same};
use crate::law::Checked;

/// How often each call is repeated. Some faults show every second time.
const TIMES: usize = 4;

pub(super) fn the_id_and_the_ordering_are_constants(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let first = (codec.id(), codec.ordering());
    for _ in 0..TIMES {
        let again = (codec.id(), codec.ordering());
        same(&first, &again, "asked one instance twice")?;
        let other = subject.codec();
        let other = (other.id(), other.ordering());
        same(&first, &other, "asked two instances")?;
    }
    Ok(())
}

fn before() -> Value {
    json!({"b": {"x": [1, 2]}, "a": "text", "c": null})
}

fn saved() -> Value {
    document(json!({"b": {"x": [2, 1, 3]}, "a": "other", "d": true}))
}

pub(super) fn encoding_is_a_function(subject: &Subject) -> Checked {
    let state = created(&*subject.codec(), before())?;
    let (created, saved) = (document(before()), saved());
    for (before, action) in [
        (None, Action::Create(&created)),
        (Some(&state), Action::Save(&saved)),
    ] {
        let codec = subject.codec();
        let first = hex(&event(&*codec, before, &action)?);
        for _ in 0..TIMES {
            let again = hex(&event(&*codec, before, &action)?);
            same(&first, &again, "encoded the same twice")?;
            let other = hex(&event(&*subject.codec(), before, &action)?);
            same(&first, &other, "encoded the same in two instances")?;
        }
    }
    Ok(())
}

pub(super) fn applying_and_viewing_are_functions(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let state = created(&*codec, before())?;
    let event = event(&*codec, Some(&state), &Action::Save(&saved()))?;
    let answer = |codec: &dyn EventCodec| -> Result<_, crate::law::Violation> {
        let state = codec.apply(Some(&state), &event)?;
        let view = String::from_utf8_lossy(&codec.view(&state)?).into_owned();
        Ok((hex(state.as_bytes()), view))
    };
    let first = answer(&*codec)?;
    for _ in 0..TIMES {
        same(
            &first,
            &answer(&*codec)?,
            "applied and viewed the same twice",
        )?;
        let other = answer(&*subject.codec())?;
        same(
            &first,
            &other,
            "applied and viewed the same in two instances",
        )?;
    }
    // A state is its bytes: another one with the same bytes is the same.
    let after = after(&*codec, Some(&state), &Action::Save(&saved()))?;
    let kept = EntityState::new(after.as_bytes());
    let views = (codec.view(&after)?, subject.codec().view(&kept)?.to_vec());
    same(
        &views.0.to_vec(),
        &views.1,
        "viewed a state, and one of the same bytes",
    )
}
