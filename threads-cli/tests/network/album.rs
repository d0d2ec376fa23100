//! An album of real photographs goes from one repository to another through a blind replica.
//!
//! The photographs are those of the npm package `exif`, some of which were made to break readers of EXIF. It
//! needs `npm`, `tar` and the registry, and says so and passes where one of them is missing.
#![allow(clippy::print_stdout, reason = "a skipped test says why")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use threads_module_photos::{Album, Photo, Taken};

use crate::common::serving::{Serving, TCP, card, until};
use crate::common::{Place, word};

const PACKAGE: &str = "exif@0.6.0";

/// Fetches the photographs; the reason if that is not possible here.
fn fetch(place: &Place) -> Result<Vec<PathBuf>, String> {
    let run = |program: &str, words: &[&str]| {
        let output = Command::new(program)
            .args(words)
            .current_dir(place.path(""))
            .output()
            .map_err(|error| format!("{program} does not start: {error}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(format!(
                "{program}: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )),
        }
    };
    let archive = run("npm", &["pack", PACKAGE, "--silent", "--fetch-retries=1"])?;
    run("tar", &["-xzf", &archive])?;
    let files = std::fs::read_dir(place.path("package/test")).map_err(|error| error.to_string())?;
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "jpg"));
    files.sort();
    Ok(files)
}

/// Puts a photograph in, with a small picture of it, and gives what is to be kept of it.
fn put(place: &Place, file: &Path) -> Value {
    let add = |path: &Path| {
        let words = [
            "--json",
            "blob",
            "add",
            "t",
            "--type",
            "image/jpeg",
            word(path),
        ];
        serde_json::from_value(place.ok(words).json()["reference"].clone()).unwrap()
    };
    let taken = Taken::read(&mut std::fs::File::open(file).unwrap()).unwrap();
    let mut photo = Photo::new(add(file), &taken);
    photo.album = Some("all".to_owned());
    photo.id = Some(file.file_stem().unwrap().to_str().unwrap().to_owned());
    if let Some(small) = &taken.thumbnail {
        photo.thumbnail = Some(add(&place.file("small.jpg", small)));
    }
    serde_json::to_value(photo).unwrap()
}

/// Ann's thread with an album, a replica that cannot read it, and Bob, who can. By its rules they know of each
/// other.
fn share(ann: &Place) -> (Place, Place) {
    ann.ok(["create", "t", "--access-controlled"]);
    for collection in ["Album", "Photo"] {
        ann.ok(["collection", "add", "t", collection]);
    }
    let join = |role: &str| {
        let other = Place::new();
        let words = ["invite", "t", "--role", role, "--to", &card(&other)];
        let invite = ann.ok(words).out;
        other.ok(["join", invite.trim(), "--name", "t"]);
        other
    };
    (join("replicate"), join("write"))
}

fn put_album(ann: &Place, files: &[PathBuf]) {
    for file in files {
        ann.ok(["put", "t", "Photo", &put(ann, file).to_string()]);
    }
    let album = Album {
        id: Some("all".to_owned()),
        ..Album::named("Everything")
    };
    let album = serde_json::to_string(&album).unwrap();
    ann.ok(["put", "t", "Album", &album]);
}

/// How many blobs somebody has whole.
fn whole(place: &Place) -> usize {
    let blobs = place.ok(["--json", "blob", "ls", "t"]).rows();
    blobs.iter().filter(|blob| blob["whole"] == true).count()
}

/// Gets every photograph of the album, and compares it with the file that it was.
fn get_all(bob: &Place, files: &[PathBuf]) {
    let found = bob
        .ok(["--json", "find", "t", "Photo", "album = 'all'"])
        .rows();
    assert_eq!(found.len(), files.len());
    for file in files {
        let entity = format!("Photo/{}", file.file_stem().unwrap().to_str().unwrap());
        let out = bob.path("out.jpg");
        let words = ["blob", "get", "t", &entity, "--field", "original"];
        bob.ok(words.into_iter().chain(["-o", word(&out), "--force"]));
        assert!(
            std::fs::read(&out).unwrap() == std::fs::read(file).unwrap(),
            "{entity}"
        );
    }
}

#[test]
fn an_album_goes_through_a_replica_that_reads_nothing_and_comes_out_byte_for_byte() {
    let ann = Place::new();
    let files = match fetch(&ann) {
        Ok(files) => files,
        Err(why) => return println!("skipped: no photographs here: {why}"),
    };
    assert!(files.len() >= 10, "{files:?}");
    let (replica, bob) = share(&ann);

    let keeps = Serving::start(&replica, TCP);
    let gives = Serving::start(&ann, TCP);
    ann.ok(["connect", &keeps.addresses[0]]);
    put_album(&ann, &files);
    let blobs = whole(&ann);
    assert!(blobs > files.len(), "originals, and small pictures");
    until("the replica has all", || whole(&replica) == blobs);
    ann.ok(["sync", "t", "--wait"]);
    drop(gives);

    let gets = Serving::start(&bob, TCP);
    bob.ok(["connect", &keeps.addresses[0]]);
    until("the album", || {
        bob.run(["get", "t", "Album", "all"]).code == 0
    });
    assert_eq!(whole(&bob), 0, "nothing that is large came unasked");
    get_all(&bob, &files);
    let sony = bob.ok(["--json", "get", "t", "Photo", "sony-alpha-6000"]);
    assert_eq!(sony.json()["camera"]["make"], "SONY");
    let words = ["blob", "get", "t", "Photo/sony-alpha-6000", "--field"];
    let mut small = bob.command(words.into_iter().chain(["thumbnail"]));
    let small = small.output().unwrap().stdout;
    let bytes = small.len();
    assert!(
        small.starts_with(&[0xff, 0xd8]) && bytes < 40_000,
        "{bytes} bytes"
    );
    drop((gets, keeps));

    // No file of the replica holds anything of what it kept.
    let secret = std::fs::read(&files[files.len() - 1]).unwrap();
    let store = std::fs::read(replica.repo().join("store/data.mdb")).unwrap();
    let stretch = &secret[secret.len() / 2..secret.len() / 2 + 32];
    assert!(!store.windows(32).any(|window| window == stretch));
}
