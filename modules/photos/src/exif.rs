//! What a camera writes into a file, as far as people ask for it.

use std::io::{BufRead, Seek};

use exif::{Exif, Field, In, Reader, Tag, Value};
use serde::{Deserialize, Serialize};

/// The longest text that is taken from a file, in characters.
const TEXT_CHARS_MAX: usize = 200;

/// What took a photograph.
///
/// ```
/// let camera = threads_module_photos::Camera { make: Some("Example".into()), ..Default::default() };
/// assert_eq!(serde_json::to_value(camera).unwrap(), serde_json::json!({"make": "Example"}));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Camera {
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make: Option<String>,
    /// Which one it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The lens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lens: Option<String>,
}

/// How a photograph was exposed.
///
/// ```
/// let exposure = threads_module_photos::Exposure { iso: Some(100), ..Default::default() };
/// assert_eq!(serde_json::to_value(exposure).unwrap(), serde_json::json!({"iso": 100}));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exposure {
    /// For how many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The number of the aperture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f_number: Option<f64>,
    /// The sensitivity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iso: Option<u32>,
    /// The focal length in millimetres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focal_length: Option<f64>,
}

/// Where a photograph was taken, in degrees of WGS 84, north and east being positive.
///
/// ```
/// let place = threads_module_photos::Place { latitude: 64.1, longitude: -21.9 };
/// assert_eq!(serde_json::to_value(place).unwrap()["latitude"], 64.1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// From -90 to 90.
    pub latitude: f64,
    /// From -180 to 180.
    pub longitude: f64,
}

/// What the EXIF of one file says.
pub(crate) struct Said(Exif);

impl Said {
    /// Reads the EXIF of a JPEG file; `None` where there is none that can be read.
    pub(crate) fn read<R: BufRead + Seek>(file: &mut R) -> Option<Self> {
        let mut reader = Reader::new();
        reader.continue_on_error(true);
        let read = reader.read_from_container(file);
        let read = read.or_else(|error| error.distill_partial_result(|_| ()));
        read.ok().map(Self)
    }

    fn field(&self, tag: Tag) -> Option<&Field> {
        self.0.get_field(tag, In::PRIMARY)
    }

    fn text(&self, tag: Tag) -> Option<String> {
        let Value::Ascii(lines) = &self.field(tag)?.value else {
            return None;
        };
        let text: String = String::from_utf8_lossy(lines.first()?)
            .chars()
            .filter(|c| !c.is_control())
            .take(TEXT_CHARS_MAX)
            .collect();
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn rational(&self, tag: Tag) -> Option<f64> {
        let Value::Rational(numbers) = &self.field(tag)?.value else {
            return None;
        };
        positive(numbers.first()?.to_f64())
    }

    /// How the picture lies: from 1, upright, to 8.
    pub(crate) fn orientation(&self) -> u8 {
        let lies = self.field(Tag::Orientation);
        let lies = lies.and_then(|field| field.value.get_uint(0));
        lies.and_then(|lies| u8::try_from(lies).ok()).unwrap_or(1)
    }

    /// When it was taken, as ISO 8601 has it.
    pub(crate) fn taken_at(&self) -> Option<String> {
        let said = self.text(Tag::DateTimeOriginal)?;
        let mut at = exif::DateTime::from_ascii(said.as_bytes()).ok()?;
        if let Some(offset) = self.text(Tag::OffsetTimeOriginal) {
            // One that cannot be read is as good as none.
            _ = at.parse_offset(offset.as_bytes());
        }
        let date = format!("{:04}-{:02}-{:02}", at.year, at.month, at.day);
        let time = format!("{:02}:{:02}:{:02}", at.hour, at.minute, at.second);
        let possible = (1..=12).contains(&at.month)
            && (1..=31).contains(&at.day)
            && (at.hour, at.minute, at.second) <= (23, 59, 60);
        let offset = at.offset.map_or_else(String::new, |minutes| {
            let sign = if minutes < 0 { '-' } else { '+' };
            let minutes = minutes.unsigned_abs();
            format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        });
        possible.then(|| format!("{date}T{time}{offset}"))
    }

    pub(crate) fn camera(&self) -> Option<Camera> {
        let camera = Camera {
            make: self.text(Tag::Make),
            model: self.text(Tag::Model),
            lens: self.text(Tag::LensModel),
        };
        (camera != Camera::default()).then_some(camera)
    }

    pub(crate) fn exposure(&self) -> Option<Exposure> {
        let iso = self.field(Tag::PhotographicSensitivity);
        let exposure = Exposure {
            seconds: self.rational(Tag::ExposureTime),
            f_number: self.rational(Tag::FNumber),
            iso: iso.and_then(|field| field.value.get_uint(0)),
            focal_length: self.rational(Tag::FocalLength),
        };
        (exposure != Exposure::default()).then_some(exposure)
    }

    pub(crate) fn place(&self) -> Option<Place> {
        let place = Place {
            latitude: self.degrees(Tag::GPSLatitude, Tag::GPSLatitudeRef, "S")?,
            longitude: self.degrees(Tag::GPSLongitude, Tag::GPSLongitudeRef, "W")?,
        };
        let on_earth = place.latitude.abs() <= 90.0 && place.longitude.abs() <= 180.0;
        on_earth.then_some(place)
    }

    fn degrees(&self, tag: Tag, side: Tag, negative: &str) -> Option<f64> {
        let Value::Rational(parts) = &self.field(tag)?.value else {
            return None;
        };
        let [degrees, minutes, seconds] = parts.first_chunk::<3>()?;
        let angle = degrees.to_f64() + minutes.to_f64() / 60.0 + seconds.to_f64() / 3600.0;
        // A ten-millionth of a degree is a centimetre.
        let angle = (angle * 1e7).round() / 1e7;
        let angle = angle.is_finite().then_some(angle)?;
        let is_negative = self.text(side)?.eq_ignore_ascii_case(negative);
        Some(if is_negative { -angle } else { angle })
    }
}

/// A number that measures something; the others say that it was not measured.
fn positive(number: f64) -> Option<f64> {
    (number.is_finite() && number > 0.0).then_some(number)
}
