//! The port: how many may connect, how slow they may be, and TLS where it is wanted.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tokio_native_tls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at one time.
const CONNECTIONS_MAX: usize = 2048;

/// Time for the head of a request; also how long a connection may rest between two of them.
const HEAD_WITHIN: Duration = Duration::from_secs(60);

/// Time for the handshake of TLS.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// How long a reader may take nothing: then it is cut off.
const STUCK: Duration = Duration::from_secs(30);

/// Bytes of an endless stream that the system holds for a reader: two seconds of sound. Left alone it holds some MB, in
/// which a listener who does not keep up would fall behind for minutes.
const NARROW: usize = 16 << 10;

/// Says that a connection carries an endless stream from now on, of which only the newest is worth anything.
#[derive(Debug, Clone, Default)]
pub(super) struct Narrow(Arc<AtomicBool>);

impl Narrow {
    /// It does.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Reads certificate and key, both PEM.
pub(super) fn tls(certificate: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    if let Err((message, remedy)) = crate::config::secrets::check_mode(key) {
        return Err(format!("{message}: {remedy}"));
    }
    let identity = native_tls::Identity::from_pkcs8(&read(certificate)?, &read(key)?)
        .map_err(|error| format!("certificate (PEM) and key (PEM, PKCS#8) do not fit: {error}"))?;
    let acceptor = native_tls::TlsAcceptor::new(identity).map_err(|error| error.to_string())?;
    Ok(acceptor.into())
}

/// Serves until `token` ends, and then as long as answers that were begun take, a moment at most.
pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router, token: CancellationToken) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let tasks = TaskTracker::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        let accepted = tokio::select! {
            () = token.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (tls, router, token) = (tls.clone(), router.clone(), token.clone());
                tasks.spawn(async move {
                    connection(stream, peer, tls, router, token).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "A connection failed.");
                // Out of descriptors, most likely: a moment's pause keeps the loop from spinning.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
    tasks.close();
    if tokio::time::timeout(Duration::from_secs(2), tasks.wait()).await.is_err() {
        tracing::debug!("Connections were cut.");
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    token: CancellationToken,
) {
    // Small answers and events go out at once.
    stream.set_nodelay(true).ok();
    let narrow = Narrow::default();
    let stream = Patient { stream, stuck: None, narrow: Some(narrow.clone()) };
    let from = (peer, narrow);
    match tls {
        None => answer(stream, from, router, token).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(stream)).await {
            Ok(Ok(stream)) => answer(stream, from, router, token).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "A handshake failed."),
            Err(_) => tracing::debug!(%peer, "A handshake took too long."),
        },
    }
}

async fn answer<S>(stream: S, (peer, narrow): (SocketAddr, Narrow), router: Router, token: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let router = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        request.extensions_mut().insert(narrow.clone());
        router.call(request)
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(64 << 10);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = token.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "A connection broke.");
    }
}

/// A connection that is given up when its peer takes nothing for [`STUCK`].
struct Patient {
    stream: TcpStream,
    stuck: Option<Pin<Box<Sleep>>>,
    /// Whether it is narrow; none once it was made so.
    narrow: Option<Narrow>,
}

impl Patient {
    fn make_narrow(&mut self) {
        if self.narrow.as_ref().is_some_and(|narrow| narrow.0.load(Ordering::Relaxed)) {
            self.narrow = None;
            if let Err(error) = SockRef::from(&self.stream).set_send_buffer_size(NARROW) {
                tracing::debug!(%error, "A stream's buffer stays as it is.");
            }
        }
    }

    fn bounded<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stuck = None;
            return polled;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep(STUCK)));
        match stuck.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.make_narrow();
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.bounded(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.bounded(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
