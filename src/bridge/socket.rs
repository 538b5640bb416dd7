//! The bridge's socket: who may connect, and how many.
//!
//! The folder is 0700, the socket 0600, and every peer's uid is asked of the kernel all the same: a folder can be
//! opened by mistake. What is served is in `routes`.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::protocol::BridgeService;
use super::routes;
use super::state_folder::StateFolder;

/// Connections at one time: a view, a few verbs, a daemon; more is a mistake somewhere.
const CONNECTIONS_MAX: usize = 32;

/// How long a reader that does not read may delay the end of the process.
const CLOSING: Duration = Duration::from_secs(2);

/// Why the protocol cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve the show's protocol on {path}: {error}")]
pub struct SocketError {
    path: String,
    error: io::Error,
}

/// Serves `service` on the show's socket until `token` ends; readers of the event stream get the last status first.
///
/// The caller holds the show's lock: a socket that is found is the remainder of a bridge that is gone.
pub async fn serve(folder: &StateFolder, service: BridgeService, token: CancellationToken) -> Result<(), SocketError> {
    let path = folder.socket().path();
    let fail = |error| SocketError { path: path.display().to_string(), error };
    let listener = bind(folder).map_err(fail)?;
    let router = routes::router(service, token.clone());
    let server = axum::serve(listener, router).with_graceful_shutdown(token.clone().cancelled_owned());
    let served = tokio::select! {
        served = server => served,
        () = async { token.cancelled().await; tokio::time::sleep(CLOSING).await } => Ok(()),
    };
    // The next bridge removes what stays behind.
    drop(fs::remove_file(&path));
    served.map_err(fail)
}

fn bind(folder: &StateFolder) -> io::Result<OwnerOnly> {
    let path = folder.socket().path();
    match fs::symlink_metadata(&path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(&path)?,
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else has this name: remove it")),
        Err(_) => {}
    }
    let listener = folder.socket().with(|path| UnixListener::bind(path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let own_uid = rustix::process::geteuid().as_raw();
    Ok(OwnerOnly { listener, own_uid, slots: Arc::new(Semaphore::new(CONNECTIONS_MAX)) })
}

/// Whether a peer may speak to a bridge: its owner, and root, who can do anything anyhow.
fn is_allowed(peer_uid: u32, own_uid: u32) -> bool {
    peer_uid == own_uid || peer_uid == 0
}

/// Accepts the owner's connections and closes all others.
struct OwnerOnly {
    listener: UnixListener,
    own_uid: u32,
    slots: Arc<Semaphore>,
}

impl axum::serve::Listener for OwnerOnly {
    type Io = Peer;
    type Addr = ();

    async fn accept(&mut self) -> (Peer, ()) {
        loop {
            let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
            let stream = match UnixListener::accept(&self.listener).await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "A connection to the show's socket failed.");
                    // Out of descriptors, most likely: a moment's pause keeps the loop from spinning.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            };
            match stream.peer_cred() {
                Ok(peer) if is_allowed(peer.uid(), self.own_uid) => return (Peer { stream, _slot: slot }, ()),
                Ok(peer) => tracing::warn!(uid = peer.uid(), "Another user was refused at the show's socket."),
                Err(error) => tracing::warn!(%error, "A peer without credentials was refused at the show's socket."),
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection that gives its slot back when it closes.
struct Peer {
    stream: UnixStream,
    _slot: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Peer {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Peer {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn only_the_owner_and_root_may_speak_to_a_bridge() {
        for (peer, own, expected) in [(1000, 1000, true), (0, 1000, true), (1001, 1000, false), (1000, 0, false)] {
            assert_eq!(is_allowed(peer, own), expected, "peer {peer}, own {own}");
        }
    }
}
