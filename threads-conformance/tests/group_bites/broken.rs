//! A scheme with one fault at a time. Without one it seals the keys to each member, as bytes of one
//! content key each, so that what it binds to what can be left out.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use threads_core::access::Rekey;
use threads_core::group::{GroupKeys, check_recipients};
use threads_core::rand_core::CryptoRng;
use threads_core::{
    AgreementKey, ContentKey, EpochKeys, Error, IdentityKey, PeerCard, PeerId, ReadKey, ReplicaKey,
    Result, ThreadId,
};

/// What a scheme does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    ChangesItsName,
    TakesEveryScheme,
    GivesReplicasTheReadKey,
    SealsToTheList,
    ForgetsTheThread,
    BelievesTheNumber,
    WritesTheKeysDown,
    CountsOnTheLength,
    RemembersInsteadOfSealing,
    SealsMarksToReaders,
}

/// As random as a test can be: another number each time.
static RANDOM: AtomicU32 = AtomicU32::new(0);

/// Bytes of the two halves that each member has.
const SHARE_BYTES: usize = 160;
const NAMES: [&str; 2] = ["broken/1", "broken/2"];

#[derive(Debug)]
pub(crate) struct Broken {
    fault: Option<Fault>,
    memory: Mutex<HashMap<u64, EpochKeys>>,
}

impl Broken {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Self {
            fault,
            memory: Mutex::default(),
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn info(&self, thread: &ThreadId) -> Vec<u8> {
        match self.is(Fault::ForgetsTheThread) {
            true => Vec::new(),
            false => thread.as_bytes().to_vec(),
        }
    }

    /// A pair that everybody knows.
    fn known_to_all() -> AgreementKey {
        IdentityKey::from_bytes(&[9; 32]).agreement_key()
    }

    fn halves(&self, plain: [ContentKey; 2], reader: bool, epoch: u64) -> Result<EpochKeys> {
        let [replica, second] = plain.map(|key| key.to_bytes());
        let replica = ReplicaKey::from_bytes(&replica);
        let keys = match reader || self.is(Fault::GivesReplicasTheReadKey) {
            true => EpochKeys::new(replica, ReadKey::from_bytes(&second))?,
            false => EpochKeys::blind(replica, *second)?,
        };
        match self.is(Fault::BelievesTheNumber) {
            true => Ok(keys),
            false => keys.of(epoch),
        }
    }
}

impl GroupKeys for Broken {
    fn id(&self) -> &str {
        match self.is(Fault::ChangesItsName) {
            true => NAMES[RANDOM.fetch_add(1, Ordering::Relaxed) as usize % 2],
            false => NAMES[0],
        }
    }

    fn seal(
        &self,
        thread: &ThreadId,
        keys: &EpochKeys,
        readers: &[PeerCard],
        replicas: &[PeerCard],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<u8>> {
        if !self.is(Fault::SealsMarksToReaders) {
            check_recipients(keys, readers, replicas)?;
        }
        let replica = ContentKey::from_bytes(&keys.replica().to_bytes());
        let mark = ContentKey::from_bytes(&keys.read_mark());
        let read = keys
            .read()
            .map(|key| ContentKey::from_bytes(&key.to_bytes()));
        let read = read.unwrap_or_else(|| mark.clone());
        let all = readers.iter().map(|card| (card, true));
        let all = all.chain(replicas.iter().map(|card| (card, false)));
        let mut sealed = Vec::new();
        for (card, reader) in all {
            let second = match reader || self.is(Fault::GivesReplicasTheReadKey) {
                true => &read,
                false => &mark,
            };
            let to = match self.is(Fault::SealsToTheList) {
                true => Self::known_to_all().public_key(),
                false => card.agreement(),
            };
            let info = self.info(thread);
            sealed.extend(to.seal(&info, &replica, rng)?);
            sealed.extend(to.seal(&info, second, rng)?);
        }
        if self.is(Fault::WritesTheKeysDown) {
            sealed.extend_from_slice(&*keys.replica().to_bytes());
        }
        if self.is(Fault::RemembersInsteadOfSealing) {
            let number = keys.number();
            self.memory.lock().unwrap().insert(number, keys.clone());
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
        let known = match self.is(Fault::ChangesItsName) {
            true => NAMES.contains(&&*rekey.scheme),
            false => rekey.scheme == NAMES[0] || self.is(Fault::TakesEveryScheme),
        };
        if !known {
            return Err(Error::unsupported("another scheme"));
        }
        let readers = rekey.readers.len();
        let (place, reader) = match (
            rekey.readers.binary_search(me),
            rekey.replicas.binary_search(me),
        ) {
            (Ok(place), _) => (place, true),
            (_, Ok(place)) => (readers + place, false),
            _ => return Ok(None),
        };
        let remembers = self.is(Fault::RemembersInsteadOfSealing);
        if remembers && !self.memory.lock().unwrap().contains_key(&rekey.epoch) {
            return Err(Error::rejected("never heard of"));
        }
        let own = match self.is(Fault::CountsOnTheLength) {
            true => Some(&rekey.sealed[place * SHARE_BYTES..][..SHARE_BYTES]),
            false => rekey
                .sealed
                .get(place * SHARE_BYTES..(place + 1) * SHARE_BYTES),
        };
        let (first, second) = own
            .ok_or_else(|| Error::rejected("too short"))?
            .split_at(SHARE_BYTES / 2);
        let known = Self::known_to_all();
        let agreement = match self.is(Fault::SealsToTheList) {
            true => &known,
            false => agreement,
        };
        let info = self.info(thread);
        let plain = [
            agreement.open(&info, first)?,
            agreement.open(&info, second)?,
        ];
        self.halves(plain, reader, rekey.epoch).map(Some)
    }
}
