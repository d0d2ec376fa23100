//! Laws of purity: a codec is a function of its arguments.

use serde_json::{Value, json};
use threads_core::codec::{Action, EntityState, EventCodec};

use super::Subject;
use super::asked::{after, created, document, event, same, same_bytes};
use crate::law::{Checked, Violation};

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

/// Of what a Save removes and adds there is more than one thing, so that their order can differ.
fn before() -> Value {
    json!({"b": {"x": [1, 2]}, "a": "text", "c": null, "p": 1, "q": 2, "r": 3})
}

fn saved() -> Value {
    document(json!({"b": {"x": [2, 1, 3]}, "a": "other", "d": true, "e": 4, "f": 5, "g": 6}))
}

pub(super) fn encoding_is_a_function(subject: &Subject) -> Checked {
    let state = created(&*subject.codec(), before())?;
    let (created, saved) = (document(before()), saved());
    for (before, action) in [
        (None, Action::Create(&created)),
        (Some(&state), Action::Save(&saved)),
    ] {
        let codec = subject.codec();
        let first = event(&*codec, before, &action)?;
        for _ in 0..TIMES {
            let again = event(&*codec, before, &action)?;
            same_bytes(&first, &again, "encoded the same twice")?;
            let other = event(&*subject.codec(), before, &action)?;
            same_bytes(&first, &other, "encoded the same in two instances")?;
        }
    }
    Ok(())
}

pub(super) fn applying_and_viewing_are_functions(subject: &Subject) -> Checked {
    let codec = subject.codec();
    let state = created(&*codec, before())?;
    let event = event(&*codec, Some(&state), &Action::Save(&saved()))?;
    let answer = |codec: &dyn EventCodec| -> Result<_, Violation> {
        let state = codec.apply(Some(&state), &event)?;
        let view = codec.view(&state)?.into_owned();
        Ok((state.into_bytes(), view))
    };
    let (state_first, view_first) = answer(&*codec)?;
    for _ in 0..TIMES {
        for (other, how) in [(&codec, "twice"), (&subject.codec(), "in two instances")] {
            let (state, view) = answer(&**other)?;
            same_bytes(&state_first, &state, &format!("applied the same {how}"))?;
            same_bytes(&view_first, &view, &format!("viewed the same {how}"))?;
        }
    }
    // A state is its bytes: another one with the same bytes is the same.
    let after = after(&*codec, Some(&state), &Action::Save(&saved()))?;
    let kept = EntityState::new(after.as_bytes());
    let other = subject.codec();
    same_bytes(
        &codec.view(&after)?,
        &other.view(&kept)?,
        "viewed a state, and one of the same bytes",
    )
}
