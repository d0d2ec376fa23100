#![doc = include_str!("../README.md")]

use serde::{Deserialize, Serialize};
use threads_core::blob::BlobRef;

mod exif;
mod module;
mod taken;
mod thumbnail;

pub use exif::{Camera, Exposure, Place};
pub use module::Photos;
pub use taken::Taken;
pub use thumbnail::{PIXELS_MAX, THUMBNAIL_SIDE};

/// The name of the collection of albums.
pub const ALBUM: &str = "Album";
/// The name of the collection of photographs.
pub const PHOTO: &str = "Photo";

/// A name under which photographs are found.
///
/// ```
/// assert_eq!(threads_module_photos::Album::named("Iceland").name, "Iceland");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Album {
    /// Made by the database when there is none.
    #[serde(rename = "_id", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it is called.
    pub name: String,
    /// What there is to say about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

impl Album {
    /// One of which only the name is known.
    ///
    /// ```
    /// assert!(threads_module_photos::Album::named("Iceland").about.is_none());
    /// ```
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }
}

/// A photograph: where it is, and what is known of it.
///
/// ```
/// use std::io::Cursor;
/// use threads_core::blob::{BlobKey, BlobRef};
/// use threads_core::block::{DAG_CBOR, cid_of};
/// use threads_module_photos::{Photo, Taken};
///
/// let original = BlobRef::new(cid_of(DAG_CBOR, b""), BlobKey::from_bytes(&[7; 32]), 9, "image/jpeg").unwrap();
/// let file = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/sample.jpg"));
/// let photo = Photo::new(original, &Taken::read(&mut Cursor::new(file)).unwrap());
/// assert_eq!(photo.taken_at.as_deref(), Some("2024-06-21T23:59:01"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Photo {
    /// Made by the database when there is none.
    #[serde(rename = "_id", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The file as it came from the camera.
    pub original: BlobRef,
    /// A small picture of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<BlobRef>,
    /// The album that it is in, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub album: Option<String>,
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How many pixels wide it is, upright.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// How many pixels high it is, upright.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// When it was taken, by the clock of the camera, such as `2024-06-21T23:59:01`, with `+02:00` behind it
    /// where the camera says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<String>,
    /// What took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<Camera>,
    /// How it was exposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
    /// Where it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl Photo {
    /// A photograph whose file is `original` and says what was `taken` from it; in no album yet, and without a
    /// small picture.
    ///
    /// ```
    /// # use threads_core::blob::{BlobKey, BlobRef};
    /// # use threads_core::block::{DAG_CBOR, cid_of};
    /// use threads_module_photos::{Photo, Taken};
    /// # let original = BlobRef::new(cid_of(DAG_CBOR, b""), BlobKey::from_bytes(&[7; 32]), 9, "").unwrap();
    /// assert_eq!(Photo::new(original.clone(), &Taken::default()).original, original);
    /// ```
    pub fn new(original: BlobRef, taken: &Taken) -> Self {
        let size = taken.size;
        Self {
            id: None,
            original,
            thumbnail: None,
            album: None,
            title: None,
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            taken_at: taken.taken_at.clone(),
            camera: taken.camera.clone(),
            exposure: taken.exposure,
            place: taken.place,
        }
    }
}
