//! A small picture of a photograph, upright.

use std::io::{BufRead, Cursor, Seek};

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, ImageReader, Limits};

/// The pixels of the longer side of a small picture, at most.
pub const THUMBNAIL_SIDE: u32 = 320;
/// The most pixels of a photograph of which a small picture is made: larger ones have none.
pub const PIXELS_MAX: u64 = 120_000_000;
/// The most memory that decoding may take, in bytes.
const DECODE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// From 1 to 100.
const QUALITY: u8 = 80;

/// The size of a photograph as it is looked at, and a small picture of it.
pub(crate) struct Small {
    pub(crate) size: (u32, u32),
    pub(crate) jpeg: Option<Vec<u8>>,
}

/// Makes the small picture of a JPEG file that lies as its EXIF says; `None` for what is no picture.
pub(crate) fn make<R: BufRead + Seek>(file: R, orientation: u8) -> Option<Small> {
    let mut reader = ImageReader::with_format(file, ImageFormat::Jpeg);
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODE_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    let (width, height) = image::ImageDecoder::dimensions(&decoder);
    let turned = (5..=8).contains(&orientation);
    let size = if turned {
        (height, width)
    } else {
        (width, height)
    };
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return Some(Small { size, jpeg: None });
    }
    // Bounded by its size, which was just looked at.
    image::ImageDecoder::set_limits(&mut decoder, Limits::no_limits()).ok()?;
    let jpeg = DynamicImage::from_decoder(decoder)
        .ok()
        .and_then(|picture| shrink(picture, orientation));
    Some(Small { size, jpeg })
}

fn shrink(picture: DynamicImage, orientation: u8) -> Option<Vec<u8>> {
    let longer = picture.width().max(picture.height());
    let mut small = match longer > THUMBNAIL_SIDE {
        true => picture.thumbnail(THUMBNAIL_SIDE, THUMBNAIL_SIDE),
        false => picture,
    };
    if let Some(orientation) = Orientation::from_exif(orientation) {
        small.apply_orientation(orientation);
    }
    let mut jpeg = Cursor::new(Vec::new());
    // JPEG has no transparency, and sixteen bits are of no use here.
    let small = DynamicImage::ImageRgb8(small.into_rgb8());
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    small.write_with_encoder(encoder).ok()?;
    Some(jpeg.into_inner())
}
