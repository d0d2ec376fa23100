//! Frames on the wire: four bytes of length, big-endian, and so many bytes.

use std::io;
use std::sync::Arc;

use libp2p::StreamProtocol;
use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::request_response::Codec;
use threads_core::transport::FRAME_BYTES_MAX;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::RECEIVING_BYTES_MAX;

/// The protocol of frames.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/threads/1");
/// Memory is taken in such steps, as bytes arrive and not as they are announced.
const STEP_BYTES: usize = 64 * 1024;

/// A frame, and the room it takes among those that are being received, or sent.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) bytes: Vec<u8>,
    _room: Vec<OwnedSemaphorePermit>,
}

impl From<Vec<u8>> for Frame {
    fn from(bytes: Vec<u8>) -> Self {
        Self::with_room(bytes, Vec::new())
    }
}

impl Frame {
    pub(crate) fn with_room(bytes: Vec<u8>, room: Vec<OwnedSemaphorePermit>) -> Self {
        Self { bytes, _room: room }
    }
}

/// Reads and writes frames. All of its clones share the room for what they read.
#[derive(Clone)]
pub(crate) struct Frames {
    requests: Arc<Semaphore>,
    replies: Arc<Semaphore>,
}

impl Frames {
    pub(crate) fn new() -> Self {
        let room = || Arc::new(Semaphore::new(RECEIVING_BYTES_MAX));
        Self {
            requests: room(),
            replies: room(),
        }
    }
}

fn refused(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads one frame. One that is too long is refused before any of it is read.
async fn read(io: &mut (impl AsyncRead + Unpin), room: &Arc<Semaphore>) -> io::Result<Frame> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(refused("a frame that is too long"));
    }
    let (mut bytes, mut taken) = (Vec::new(), None::<OwnedSemaphorePermit>);
    while bytes.len() < length {
        let (from, to) = (bytes.len(), length.min(bytes.len() + STEP_BYTES));
        let step = Arc::clone(room).try_acquire_many_owned((to - from) as u32);
        let step = step.map_err(|_| refused("too much is being received"))?;
        match &mut taken {
            Some(taken) => taken.merge(step),
            None => taken = Some(step),
        }
        bytes.resize(to, 0);
        io.read_exact(&mut bytes[from..]).await?;
    }
    Ok(Frame::with_room(bytes, taken.into_iter().collect()))
}

async fn write(io: &mut (impl AsyncWrite + Unpin), frame: Frame) -> io::Result<()> {
    // Frames are checked where they come in, so that the length fits.
    let length = u32::try_from(frame.bytes.len()).map_err(io::Error::other)?;
    io.write_all(&length.to_be_bytes()).await?;
    io.write_all(&frame.bytes).await
}

impl Codec for Frames {
    type Protocol = StreamProtocol;
    type Request = Frame;
    type Response = Frame;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, &self.requests).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Frame>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, &self.replies).await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        frame: Frame,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, frame).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        frame: Frame,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, frame).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::futures::io::Cursor;

    async fn read_back(bytes: &[u8], room: usize) -> io::Result<Frame> {
        read(&mut Cursor::new(bytes), &Arc::new(Semaphore::new(room))).await
    }

    #[tokio::test]
    async fn frames_come_back_and_hold_their_room() {
        for length in [0, 1, STEP_BYTES, STEP_BYTES + 1, FRAME_BYTES_MAX] {
            let mut wire = Vec::new();
            write(&mut wire, vec![7; length].into()).await.unwrap();
            let room = Arc::new(Semaphore::new(FRAME_BYTES_MAX));
            let frame = read(&mut Cursor::new(&wire), &room).await.unwrap();
            assert_eq!(frame.bytes, vec![7; length]);
            assert_eq!(room.available_permits(), FRAME_BYTES_MAX - length);
            drop(frame);
            assert_eq!(room.available_permits(), FRAME_BYTES_MAX);
        }
    }

    #[tokio::test]
    async fn row_32_a_length_that_lies_takes_nothing() {
        let too_long = (FRAME_BYTES_MAX as u32 + 1).to_be_bytes();
        let error = read_back(&too_long, RECEIVING_BYTES_MAX).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        // It announces 4 MiB and sends none: one step is all it takes.
        let short = (FRAME_BYTES_MAX as u32).to_be_bytes();
        let error = read_back(&short, STEP_BYTES).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(
            read_back(&[0, 0], 1).await.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[tokio::test]
    async fn what_is_being_received_is_bounded() {
        let mut wire = Vec::new();
        write(&mut wire, vec![7; 2 * STEP_BYTES].into())
            .await
            .unwrap();
        assert!(read_back(&wire, 2 * STEP_BYTES).await.is_ok());
        let error = read_back(&wire, 2 * STEP_BYTES - 1).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
