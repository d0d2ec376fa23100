//! Keys that are sealed to each member.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{GroupKeys, check_recipients};
use crate::access::Rekey;
use crate::key::{READ_MARK_BYTES, SEALED_OVERHEAD_BYTES};
use crate::{
    AgreementKey, EpochKeys, Error, PeerCard, PeerId, ReadKey, ReplicaKey, Result, ThreadId,
};

const NAME: &str = "each/1";
const INFO_DOMAIN: &[u8] = b"threads/epoch-keys/1";
/// What is sealed to each: the replica key, and the read key or its mark.
const PLAIN_BYTES: usize = 32 + READ_MARK_BYTES;
/// What each recipient has of the sealed bytes.
const SHARE_BYTES: usize = PLAIN_BYTES + SEALED_OVERHEAD_BYTES;

/// Seals the keys to each member on their own, by HPKE as
/// [`AgreementPublicKey::seal`](crate::AgreementPublicKey::seal) does: the shares of the readers and
/// then of the replicas, 112 bytes each, in the order in which they are named.
///
/// It keeps nothing, so a member that missed any number of epochs opens the latest one. The price is
/// one public-key operation for each member and epoch.
///
/// ```
/// use threads_core::group::{GroupKeys, SealedToEach};
/// assert_eq!(SealedToEach.id(), "each/1");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SealedToEach;

/// What the second half of a share is.
#[derive(Clone, Copy)]
enum Share {
    Replica = 0,
    Reader = 1,
}

/// What a share is bound to.
fn info(thread: &ThreadId, epoch: u64, to: &PeerId, share: Share) -> Vec<u8> {
    // The length keeps apart what follows; a thread id has at most 66 bytes.
    let lengths = [thread.as_bytes().len() as u8];
    [
        INFO_DOMAIN,
        &lengths,
        thread.as_bytes(),
        &epoch.to_be_bytes(),
        to.key_bytes(),
        &[share as u8],
    ]
    .concat()
}

impl GroupKeys for SealedToEach {
    fn id(&self) -> &str {
        NAME
    }

    fn seal(
        &self,
        thread: &ThreadId,
        keys: &EpochKeys,
        readers: &[PeerCard],
        replicas: &[PeerCard],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>> {
        check_recipients(keys, readers, replicas)?;
        let (replica, mark) = (keys.replica().to_bytes(), keys.read_mark());
        let both = keys.read().map(ReadKey::to_bytes);
        let second = |share| match (share, &both) {
            (Share::Reader, Some(read)) => &**read,
            _ => &mark,
        };
        let readers = readers.iter().map(|card| (card, Share::Reader));
        let replicas = replicas.iter().map(|card| (card, Share::Replica));
        let mut sealed = Vec::with_capacity((readers.len() + replicas.len()) * SHARE_BYTES);
        for (card, share) in readers.chain(replicas) {
            let plain = Zeroizing::new([*replica, *second(share)].concat());
            let info = info(thread, keys.number(), &card.peer(), share);
            sealed.extend(card.agreement().seal_bytes(&info, &plain, rng)?);
        }
        Ok(sealed)
    }

    fn open(
        &self,
        thread: &ThreadId,
        rekey: &Rekey,
        me: &PeerId,
        agreement: &AgreementKey,
    ) -> Result<Option<EpochKeys>> {
        if rekey.scheme != NAME {
            let why = "new keys came in a way that this version does not know: install its scheme";
            return Err(
                Error::unsupported(why).with("scheme", format_args!("{:.32}", rekey.scheme))
            );
        }
        let (place, share) = match (
            rekey.readers.binary_search(me),
            rekey.replicas.binary_search(me),
        ) {
            (Ok(place), _) => (place, Share::Reader),
            (_, Ok(place)) => (rekey.readers.len() + place, Share::Replica),
            _ => return Ok(None),
        };
        let refused = || {
            Error::rejected("new keys that name this peer do not open for it")
                .with("epoch", rekey.epoch)
        };
        let recipients = rekey.readers.len() + rekey.replicas.len();
        if recipients.checked_mul(SHARE_BYTES) != Some(rekey.sealed.len()) {
            return Err(refused().with("bytes", rekey.sealed.len()));
        }
        // The place is one of the recipients', whose shares are there.
        let sealed = &rekey.sealed[place * SHARE_BYTES..][..SHARE_BYTES];
        let info = info(thread, rekey.epoch, me, share);
        let plain = agreement.open_bytes(&info, sealed).ok_or_else(refused)?;
        let (replica, second) = plain.split_first_chunk::<32>().ok_or_else(refused)?;
        let second = second.try_into().map_err(|_| refused())?;
        let replica = ReplicaKey::from_bytes(replica);
        let keys = match share {
            Share::Reader => EpochKeys::new(replica, ReadKey::from_bytes(second)),
            Share::Replica => EpochKeys::blind(replica, *second),
        };
        keys?.of(rekey.epoch).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, IdentityKey, Variant, system_rng};

    /// Row 14: keys that are not those of the number they come with.
    #[test]
    fn row_14_keys_of_another_epoch_are_refused() {
        let mut rng = system_rng();
        let thread = ThreadId::generate(Variant::AccessControlled, &mut rng);
        let (ann, keeper) = (
            IdentityKey::generate(&mut rng),
            IdentityKey::generate(&mut rng),
        );
        let keys = EpochKeys::generate(&mut rng);
        let others = EpochKeys::generate(&mut rng);
        for (who, share, second) in [
            (&ann, Share::Reader, *others.read().unwrap().to_bytes()),
            (&keeper, Share::Replica, others.read_mark()),
        ] {
            let plain = [*others.replica().to_bytes(), second].concat();
            let info = info(&thread, keys.number(), &who.peer_id(), share);
            let to = who.card().agreement();
            let sealed = to.seal_bytes(&info, &plain, &mut rng).unwrap();
            let mut named = (vec![who.peer_id()], Vec::new());
            if matches!(share, Share::Replica) {
                named = (named.1, named.0);
            }
            let rekey = Rekey {
                epoch: keys.number(),
                readers: named.0,
                replicas: named.1,
                scheme: NAME.to_owned(),
                sealed: sealed.into(),
            };
            let opened = SealedToEach.open(&thread, &rekey, &who.peer_id(), &who.agreement_key());
            let error = opened.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Rejected);
            assert!(
                error.to_string().contains("not those of the epoch"),
                "{error}"
            );
        }
    }

    /// A share that was sealed to a replica is of no use to it as a reader's.
    #[test]
    fn a_replica_that_is_named_as_a_reader_opens_nothing() {
        let mut rng = system_rng();
        let thread = ThreadId::generate(Variant::AccessControlled, &mut rng);
        let keeper = IdentityKey::generate(&mut rng);
        let keys = EpochKeys::generate(&mut rng);
        let card = keeper.card();
        let rekey = SealedToEach.rekey(&thread, &keys, &[], &[card], &mut rng);
        let mut rekey = rekey.unwrap();
        std::mem::swap(&mut rekey.readers, &mut rekey.replicas);
        let open = SealedToEach.open(&thread, &rekey, &card.peer(), &keeper.agreement_key());
        assert_eq!(open.unwrap_err().kind(), ErrorKind::Rejected);
    }
}
