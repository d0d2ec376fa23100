//! The scheme that nodes use keeps every law.

use threads_conformance::group::Subject;
use threads_core::group::SealedToEach;

threads_conformance::group_keys_laws!(Subject::new(|| SealedToEach));
