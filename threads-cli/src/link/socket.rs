//! The socket in the repository.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

const SOCKET: &str = "serve.sock";
/// The longest path of a socket that every system takes.
const PATH_BYTES_MAX: usize = 100;

/// Where the socket is, by a path that is short enough. The file is what keeps that path good.
fn path(dir: &Path) -> io::Result<(PathBuf, Option<std::fs::File>)> {
    let path = dir.join(SOCKET);
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return Ok((path, None));
    }
    let dir = std::fs::File::open(dir)?;
    let number = std::os::fd::AsRawFd::as_raw_fd(&dir);
    Ok((
        PathBuf::from(format!("/proc/self/fd/{number}/{SOCKET}")),
        Some(dir),
    ))
}

/// Listens. Whoever holds the repository's lock is the one that may: what is left of another is
/// removed.
pub(super) fn listen(dir: &Path) -> io::Result<UnixListener> {
    let (path, _open) = path(dir)?;
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, private)?;
    Ok(listener)
}

pub(super) fn connect(dir: &Path) -> io::Result<UnixStream> {
    let (path, _open) = path(dir)?;
    UnixStream::connect(path)
}

pub(super) fn remove(dir: &Path) {
    // A socket without a listener is in nobody's way.
    _ = std::fs::remove_file(dir.join(SOCKET));
}
