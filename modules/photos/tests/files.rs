//! What is taken from files of all kinds, whole and broken.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::io::Cursor;

use threads_module_photos::{Camera, Exposure, Place, THUMBNAIL_SIDE, Taken};

const SAMPLE: &[u8] = include_bytes!("../sample.jpg");

fn read(file: &[u8]) -> Taken {
    Taken::read(&mut Cursor::new(file)).unwrap()
}

#[test]
fn all_that_a_camera_says_is_taken() {
    let taken = read(SAMPLE);
    assert_eq!(taken.taken_at.as_deref(), Some("2024-06-21T23:59:01"));
    let text = |text: &str| Some(text.to_owned());
    let camera = Camera {
        make: text("Example"),
        model: text("One"),
        lens: text("50 mm"),
    };
    assert_eq!(taken.camera, Some(camera));
    let exposure = Exposure {
        seconds: Some(0.004),
        f_number: Some(8.0),
        iso: Some(100),
        focal_length: Some(50.0),
    };
    assert_eq!(taken.exposure, Some(exposure));
    let place = Place {
        latitude: 64.1475,
        longitude: -21.94,
    };
    assert_eq!(taken.place, Some(place));
}

#[test]
fn the_small_picture_is_upright_and_says_nothing_of_where_it_was_taken() {
    let taken = read(SAMPLE);
    let small = taken.thumbnail.unwrap();
    assert!(!small.windows(4).any(|window| window == b"Exif"));
    let again = read(&small);
    assert_eq!((again.size, taken.size), (Some((48, 64)), Some((48, 64))));
    assert_eq!((again.camera, again.place), (None, None));
    // What was blue on the left is above now.
    let picture = image::load_from_memory(&small).unwrap().into_rgb8();
    let (above, below) = (picture.get_pixel(24, 8), picture.get_pixel(24, 56));
    assert!(above[2] > 150 && below[2] < 100, "{above:?} {below:?}");
}

#[test]
fn a_large_photograph_has_a_small_picture_in_its_proportions() {
    let picture = image::RgbImage::from_fn(1_600, 400, |x, y| image::Rgb([x as u8, y as u8, 7]));
    let mut file = Cursor::new(Vec::new());
    picture
        .write_to(&mut file, image::ImageFormat::Jpeg)
        .unwrap();
    let taken = read(file.get_ref());
    assert_eq!(taken.size, Some((1_600, 400)));
    assert_eq!(
        read(&taken.thumbnail.unwrap()).size,
        Some((THUMBNAIL_SIDE, 80))
    );
}

#[test]
fn a_file_cut_anywhere_is_no_error_and_no_panic() {
    for end in 0..SAMPLE.len() {
        read(&SAMPLE[..end]);
    }
    for at in 0..SAMPLE.len() {
        let mut file = SAMPLE.to_vec();
        file[at] ^= 0xff;
        read(&file);
    }
}

#[test]
fn a_picture_that_says_it_is_larger_than_memory_is_not_decoded() {
    // The frame header has its height and width behind the marker, a length and a depth.
    let at = SAMPLE
        .windows(2)
        .rposition(|window| window == [0xff, 0xc0])
        .unwrap();
    let mut file = SAMPLE.to_vec();
    file[at + 5..at + 9].fill(0xff);
    let taken = read(&file);
    assert_eq!(
        (taken.size, taken.thumbnail),
        (Some((65_535, 65_535)), None)
    );
    assert!(taken.camera.is_some(), "what it says is taken all the same");
}
