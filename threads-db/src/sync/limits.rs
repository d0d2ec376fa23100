//! How fast, how often and how much: the times and bounds of sync.

/// How many records a peer may lack in all to be pushed what is new. One that lacks more is told, and pulls.
pub(crate) const PUSH_RECORDS_MAX: u64 = 256;
/// How many records are read for a page. What is on its way or not stored yet is sent again when who
/// gets it dies, so it is to be little; each page costs who gets it a sync of its disk, so it is not
/// to be less.
pub(crate) const READ_RECORDS_MAX: usize = 256;
/// How long what was taken in waits before other peers are told of it, in milliseconds.
pub(crate) const TELL_AFTER_MS: u64 = 250;
/// How long a record that a peer is known to have may take to be pushed by its writer before it is
/// pulled, in milliseconds.
pub(crate) const GRACE_MS: u64 = 500;
/// How long the peer with the greater id waits to be asked before it asks itself, in milliseconds.
pub(crate) const GREET_AFTER_MS: u64 = 1_000;
/// How many threads are compared with a peer at a time: what is here of them is in memory until it has
/// answered, about 7 KiB for each.
pub(crate) const COMPARED_MAX: usize = 1_024;
/// The shortest and the longest wait after a failure, in milliseconds.
pub(crate) const PAUSE_MS: u64 = 1_000;
pub(crate) const PAUSE_MS_MAX: u64 = 5 * 60 * 1_000;
/// How long a peer that was told of records may take to say that it has them before it is asked, in
/// milliseconds.
pub(crate) const REPAIR_AFTER_MS: u64 = 5_000;
/// How many requests of one peer are answered at a time.
pub(crate) const ANSWERS_MAX: usize = 8;
/// How many requests of one peer are answered in a second, and how many in a burst.
pub(crate) const REQUESTS_PER_SECOND: u64 = 1_000;
pub(crate) const REQUESTS_BURST: u64 = 4_000;
/// How long a peer that is asked too much asks others to wait, in milliseconds.
pub(crate) const BUSY_MS: u64 = 200;
/// How many pages of a pull may wait to be stored.
pub(crate) const PAGES_STORING_MAX: usize = 1;
/// For how many logs a connected peer may search in vain without being blamed.
pub(crate) const UNFOUND_MAX: usize = 1_024;
/// At which score a peer is cut off, and for how long, in milliseconds.
pub(crate) const SCORE_MIN: i64 = -100;
pub(crate) const BANNED_MS: u64 = 60 * 60 * 1_000;
/// In which time half of a score is forgotten, in milliseconds.
pub(crate) const SCORE_HALF_LIFE_MS: u64 = 10 * 60 * 1_000;
/// The most peers whose bad conduct is remembered.
pub(crate) const REMEMBERED_MAX: usize = 4_096;
/// How long a peer that asked to take part waits before it asks again, in milliseconds.
pub(crate) const JOIN_AGAIN_MS: u64 = 5_000;
/// The shortest and the longest time after which a record that is dated ahead is tried again, in
/// milliseconds.
pub(crate) const RETRY_HELD_MS: u64 = 1_000;
pub(crate) const RETRY_HELD_MS_MAX: u64 = 60_000;
/// After how long peers that are away are looked for in the transport's directory: at first, and then
/// again and again, in milliseconds.
pub(crate) const FIND_AFTER_MS: [u64; 2] = [10_000, 60_000];
pub(crate) const FIND_EVERY_MS: u64 = 10 * 60 * 1_000;
/// How long after somebody connected.
pub(crate) const FIND_SOON_MS: u64 = 1_000;
/// The most threads that are looked up.
pub(crate) const FIND_THREADS_MAX: usize = 1_000;
/// How often this node looks where it can be reached, in milliseconds.
pub(crate) const LOOK_EVERY_MS: u64 = 10_000;
/// How long until a peer is asked where others are, once for all that became known meanwhile; and until
/// it is asked again if it did not say, in milliseconds.
pub(crate) const LOCATE_AFTER_MS: u64 = 2_000;
pub(crate) const LOCATE_AGAIN_MS: u64 = 60_000;
/// How soon a peer is dialled of which a new address became known, however long it was in vain, in
/// milliseconds.
pub(crate) const DIAL_SOON_MS: u64 = 5_000;
/// The most peers that are dialled again and again.
pub(crate) const DIALS_MAX: usize = 4_096;
/// How long a peer that acknowledged something has before it is asked to sign for it, in milliseconds,
/// unless somebody waits for it.
pub(crate) const RECEIPT_AFTER_MS: u64 = 1_000;
/// How long until it is asked again when it is busy, or when it is asked about enough, in milliseconds.
pub(crate) const RECEIPT_AGAIN_MS: u64 = 200;
/// About how many threads a peer is asked to sign at a time.
pub(crate) const RECEIPTS_ASKED_MAX: usize = 4;
/// The most threads of which somebody waits for receipts, and the longest such wait, in milliseconds.
pub(crate) const AWAITED_MAX: usize = 1_024;
pub(crate) const AWAITED_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// How often each peer is asked to show a record that it signed for, on average, in milliseconds.
pub(crate) const CHECK_EVERY_MS: u64 = 5 * 60 * 1_000;
/// How soon peers are asked for what came without what it said, in milliseconds: when they have compared. And
/// of how many logs at a time.
pub(crate) const REFILL_AFTER_MS: u64 = 2_000;
pub(crate) const REFILL_RANGES_MAX: usize = 64;
/// How often in a row it may not answer before that counts as not being able to.
pub(crate) const MISSES_MAX: u32 = 3;
/// How long what was written waits before it is announced to those who are not connected; it is announced
/// once in that time at most. In milliseconds.
pub(crate) const ANNOUNCE_AFTER_MS: u64 = 1_000;
/// How far apart announcements of many threads are made, in milliseconds.
pub(crate) const ANNOUNCE_APART_MS: u64 = 50;
/// The most threads of which it is remembered that they are to be announced when somebody is connected.
pub(crate) const UNANNOUNCED_MAX: usize = 1_024;
/// Of how many threads, taken by chance, a node that begins announces what it wrote before.
pub(crate) const ANNOUNCED_ANEW_MAX: usize = 64;
/// How many publications are looked at and carried on in a second, and in a burst: of each peer that
/// this node knows, and of all others together.
pub(crate) const PUBLICATIONS_PER_SECOND: u64 = 4;
pub(crate) const PUBLICATIONS_BURST: u64 = 64;
pub(crate) const STRANGERS_PER_SECOND: u64 = 32;
pub(crate) const STRANGERS_BURST: u64 = 128;
/// The most peers whose publications are counted one by one.
pub(crate) const PUBLISHERS_MAX: usize = 1_024;
/// The most threads whose keys are tried on one publication.
pub(crate) const OPENINGS_MAX: usize = 1_024;
/// The most peers and threads of which it is remembered what was announced last.
pub(crate) const HEARD_MAX: usize = 4_096;
/// The most threads of which news is looked for, and the most peers that announced it of each.
pub(crate) const SOUGHT_MAX: usize = 1_024;
pub(crate) const ANNOUNCERS_MAX: usize = 16;
/// How long news that was announced may take to come by itself before it is looked for; somewhere in
/// the time after that, so that not all look at once. In milliseconds.
pub(crate) const SEEK_AFTER_MS: u64 = 500;
pub(crate) const SEEK_SPREAD_MS: u64 = 1_000;
/// How long until another peer is asked for it, in milliseconds, and how many are asked.
pub(crate) const SEEK_AGAIN_MS: u64 = 5_000;
pub(crate) const SEEK_PEERS_MAX: usize = 3;
/// How often a peer is tried before its time because of what it announced, in milliseconds.
pub(crate) const HASTEN_EVERY_MS: u64 = 60_000;
/// How long status tells of news that was announced and did not come, in milliseconds.
pub(crate) const ANNOUNCED_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// How long after a peer showed the key of a thread it is told of blobs, and asked for what is wanted, in
/// milliseconds: when they have compared.
pub(crate) const BLOB_LOOK_AFTER_MS: u64 = 500;
/// How many requests for blocks of blobs of a thread are with one peer at a time, and how many blocks each is
/// for.
pub(crate) const BLOB_CALLS_MAX: usize = 2;
pub(crate) const BLOCKS_ASKED_MAX: usize = 16;
/// How often it is looked how a snapshot stands that a thread is to begin with, in milliseconds.
pub(crate) const SOUGHT_STEP_MS: u64 = 500;
/// How long it takes at least until a peer is asked again in turn which snapshots it knows of.
pub(crate) const ASK_APART_MS: u64 = 1_000;
/// How many parts of a peer's list of blobs are asked for in a row.
pub(crate) const LISTS_ASKED_MAX: u32 = 1_000;
