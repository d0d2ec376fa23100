//! What is taken from the file of a photograph.

use std::io::{BufReader, Read, Seek, SeekFrom};

use threads_core::{Error, Result};

use crate::exif::{Camera, Exposure, Place, Said};
use crate::thumbnail;

/// The first bytes of a JPEG file.
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];

/// What the file of a photograph says, and a small picture of it.
///
/// Nothing of it is required: a file of another kind, or a broken one, is a photograph of which nothing is known.
///
/// ```
/// use std::io::Cursor;
/// use threads_module_photos::Taken;
///
/// let file = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/sample.jpg"));
/// let taken = Taken::read(&mut Cursor::new(file)).unwrap();
/// assert_eq!(taken.size, Some((48, 64)), "it is turned upright");
/// assert_eq!(taken.place.unwrap().latitude, 64.1475);
/// assert_eq!(Taken::read(&mut Cursor::new(b"no picture")).unwrap(), Taken::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Taken {
    /// How many pixels wide and high it is, upright.
    pub size: Option<(u32, u32)>,
    /// When it was taken: see [`Photo::taken_at`](crate::Photo::taken_at).
    pub taken_at: Option<String>,
    /// What took it.
    pub camera: Option<Camera>,
    /// How it was exposed.
    pub exposure: Option<Exposure>,
    /// Where it was taken.
    pub place: Option<Place>,
    /// A JPEG file of at most [`THUMBNAIL_SIDE`](crate::THUMBNAIL_SIDE) pixels on either side.
    pub thumbnail: Option<Vec<u8>>,
}

impl Taken {
    /// Reads a file. It is in memory as a picture while that is made small.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`](threads_core::ErrorKind::Unavailable) when the file cannot be read at all.
    ///
    /// ```
    /// use threads_module_photos::Taken;
    /// let broken = std::io::Cursor::new(b"\xff\xd8\xff and no more");
    /// assert!(Taken::read(&mut { broken }).unwrap().thumbnail.is_none());
    /// ```
    pub fn read<R: Read + Seek>(file: &mut R) -> Result<Self> {
        let mut file = BufReader::new(file);
        let mut begin = Vec::new();
        Read::by_ref(&mut file)
            .take(JPEG.len() as u64)
            .read_to_end(&mut begin)
            .map_err(unreadable)?;
        if begin != JPEG {
            return Ok(Self::default());
        }
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let said = Said::read(&mut file);
        let said = said.as_ref();
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let small = thumbnail::make(&mut file, said.map_or(1, Said::orientation));
        Ok(Self {
            size: small.as_ref().map(|small| small.size),
            taken_at: said.and_then(Said::taken_at),
            camera: said.and_then(Said::camera),
            exposure: said.and_then(Said::exposure),
            place: said.and_then(Said::place),
            thumbnail: small.and_then(|small| small.jpeg),
        })
    }
}

fn unreadable(cause: std::io::Error) -> Error {
    Error::unavailable("the file of a photograph cannot be read").caused_by(cause)
}
