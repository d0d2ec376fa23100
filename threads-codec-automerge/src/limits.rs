//! The bounds of documents and events. They decide what every peer accepts, so they are part of
//! the format: another bound is another codec id.

/// The longest event: 1 MiB (1,048,576 bytes) of one change, not deflated.
///
/// ```
/// assert_eq!(threads_codec_automerge::EVENT_BYTES_MAX, 1_048_576);
/// ```
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// The most operations in one event. A character of text is one, and so is a member or an element.
///
/// ```
/// assert_eq!(threads_codec_automerge::EVENT_OPS_MAX, 131_072);
/// ```
pub const EVENT_OPS_MAX: usize = 1 << 17;

/// The most bytes of member names in one event, each counted as often as operations name it. In an
/// event they are run-length encoded: a name of many bytes could stand for itself a thousand times.
///
/// ```
/// assert_eq!(threads_codec_automerge::EVENT_NAME_BYTES_MAX, 1_048_576);
/// ```
pub const EVENT_NAME_BYTES_MAX: usize = 1 << 20;

/// The most predecessors that the operations of one event have together.
///
/// ```
/// assert_eq!(threads_codec_automerge::EVENT_PREDS_MAX, 262_144);
/// ```
pub const EVENT_PREDS_MAX: usize = 1 << 18;

/// The most changes that one change depends on.
///
/// ```
/// assert_eq!(threads_codec_automerge::EVENT_DEPS_MAX, 4_096);
/// ```
pub const EVENT_DEPS_MAX: usize = 4_096;

/// The longest actor id, in bytes.
///
/// ```
/// assert_eq!(threads_codec_automerge::ACTOR_BYTES_MAX, 64);
/// ```
pub const ACTOR_BYTES_MAX: usize = 64;

/// The most operations that the changes of one entity have together. What comes after, in the order
/// of changes, is forgotten: so everybody forgets the same.
///
/// ```
/// assert_eq!(threads_codec_automerge::HISTORY_OPS_MAX, 262_144);
/// ```
pub const HISTORY_OPS_MAX: usize = 1 << 18;

/// The most bytes that the changes of one entity have together, as [`HISTORY_OPS_MAX`].
///
/// ```
/// assert_eq!(threads_codec_automerge::HISTORY_BYTES_MAX, 8_388_608);
/// ```
pub const HISTORY_BYTES_MAX: usize = 8 << 20;

/// The highest number of an operation.
///
/// ```
/// assert_eq!(threads_codec_automerge::OP_NUMBER_MAX, 1_073_741_824);
/// ```
pub const OP_NUMBER_MAX: u64 = 1 << 30;

/// The most that one operation adds to a counter, or takes from it; and a counter begins between
/// minus and plus its square. No number of increments that an entity can have overflows then.
///
/// ```
/// assert_eq!(threads_codec_automerge::INCREMENT_MAX, 2_147_483_648);
/// ```
pub const INCREMENT_MAX: i64 = 1 << 31;

/// Between which values a counter begins.
pub(crate) const COUNTER_MAX: i64 = 1 << 62;

/// The longest document that an application may save: 1 MiB (1,048,576 bytes) of JSON text.
///
/// ```
/// assert_eq!(threads_codec_automerge::DOCUMENT_BYTES_MAX, 1_048_576);
/// ```
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// The most JSON values in a document that an application may save, itself included; and in the
/// patches that it asks for.
///
/// ```
/// assert_eq!(threads_codec_automerge::DOCUMENT_VALUES_MAX, 100_000);
/// ```
pub const DOCUMENT_VALUES_MAX: usize = 100_000;

/// The deepest nesting of objects and arrays; the document itself is level 1. What strangers nest
/// deeper is shown as `null`.
///
/// ```
/// assert_eq!(threads_codec_automerge::DOCUMENT_DEPTH_MAX, 64);
/// ```
pub const DOCUMENT_DEPTH_MAX: usize = 64;

/// The most operations in a JSON Patch of an application.
///
/// ```
/// assert_eq!(threads_codec_automerge::PATCH_OPS_MAX, 1_000);
/// ```
pub const PATCH_OPS_MAX: usize = 1_000;

/// How many documents a codec keeps at hand, so that the next change need not build them again.
///
/// ```
/// assert_eq!(threads_codec_automerge::CACHE_DOCUMENTS_MAX, 64);
/// ```
pub const CACHE_DOCUMENTS_MAX: usize = 64;

/// How many operations the documents at hand have together: each takes some hundred bytes of memory.
///
/// ```
/// assert_eq!(threads_codec_automerge::CACHE_OPS_MAX, 262_144);
/// ```
pub const CACHE_OPS_MAX: usize = 1 << 18;
