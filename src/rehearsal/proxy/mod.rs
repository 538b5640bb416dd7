//! The fault proxy: a bad network in front of one server, on a port of its own.
//!
//! Owns its port and the connections through it. It knows no protocol: it refuses, cuts, resets, stalls, slows, delays
//! and corrupts bytes. What it holds is bounded: a receiver that takes nothing is felt by the sender.

mod connection;
pub mod fault;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

pub use self::fault::{Fault, Scope, Way};

/// Connections at one time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 64;
/// Pause after the system could not give a listener or a connection.
const TROUBLE: Duration = Duration::from_millis(50);

/// A proxy in front of one server. Dropping it ends its connections.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// The fault of new connections.
    next: watch::Sender<Fault>,
    listening: watch::Receiver<bool>,
    _accepting: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    living: Mutex<Vec<watch::Sender<Fault>>>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
}

/// What went through a proxy so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Connections that were accepted.
    pub connections: u64,
    /// Bytes from clients to the server.
    pub up: u64,
    /// Bytes from the server to clients.
    pub down: u64,
}

impl FaultProxy {
    /// Takes a free port on 127.0.0.1 and passes everything on to `upstream`, which need not be there yet.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        // It never listens: it keeps the port while nobody does, so that a refused port is nobody else's.
        let keeper = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = keeper.local_addr()?;
        let listener = bound(address)?.listen(BACKLOG)?;
        let shared = Arc::<Shared>::default();
        let (next, next_receiver) = watch::channel(Fault::Pass);
        let (listening_sender, listening) = watch::channel(true);
        let door = Door {
            keeper,
            address,
            upstream,
            shared: shared.clone(),
            next: next_receiver,
            listening: listening_sender,
        };
        let accepting = AbortOnDropHandle::new(tokio::spawn(door.keep(listener)));
        Ok(Self { address, shared, next, listening, _accepting: accepting })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port of [`FaultProxy::address`].
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Makes a fault, or ends it with [`Fault::Pass`], for all connections.
    pub async fn set(&self, fault: Fault) {
        self.set_for(fault, Scope::All).await;
    }

    /// Makes a fault for some connections. Those that come later have what was last said for new ones.
    pub async fn set_for(&self, fault: Fault, scope: Scope) {
        if scope != Scope::Living {
            self.next.send_replace(fault);
            let wanted = fault != Fault::Refuse;
            // An error says that the door is gone, and with it every connection.
            drop(self.listening.clone().wait_for(|listening| *listening == wanted).await);
        }
        if scope != Scope::New {
            let mut living = self.shared.living.lock().unwrap_or_else(PoisonError::into_inner);
            living.retain(|connection| !connection.is_closed());
            for connection in living.iter() {
                connection.send_replace(fault);
            }
        }
    }

    /// What went through so far.
    pub fn counts(&self) -> Counts {
        let Counters { connections, up, down } = &*self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts { connections: read(connections), up: read(up), down: read(down) }
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        let living = self.shared.living.lock().unwrap_or_else(PoisonError::into_inner);
        living.iter().filter(|connection| !connection.is_closed()).count()
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts, or does not.
struct Door {
    keeper: TcpSocket,
    address: SocketAddr,
    upstream: SocketAddr,
    shared: Arc<Shared>,
    next: watch::Receiver<Fault>,
    listening: watch::Sender<bool>,
}

impl Door {
    async fn keep(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        let mut connections = JoinSet::new();
        loop {
            let fault = *self.next.borrow_and_update();
            match (fault, &listener) {
                (Fault::Refuse, _) => listener = None,
                (_, None) => listener = self.listen().await,
                _ => {}
            }
            self.listening.send_replace(listener.is_some());
            let room = connections.len() < CONNECTIONS_MAX;
            tokio::select! {
                changed = self.next.changed() => if changed.is_err() { return },
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = accept(listener.as_ref()), if room => match accepted {
                    Ok(client) => self.take(client, fault, &mut connections),
                    Err(error) => {
                        tracing::warn!(%error, "Fault proxy could not take a connection.");
                        tokio::time::sleep(TROUBLE).await;
                    }
                },
            }
        }
    }

    async fn listen(&self) -> Option<TcpListener> {
        match bound(self.address).and_then(|socket| socket.listen(BACKLOG)) {
            Ok(listener) => Some(listener),
            Err(error) => {
                tracing::warn!(%error, keeper = ?self.keeper, "Fault proxy cannot listen again yet.");
                tokio::time::sleep(TROUBLE).await;
                None
            }
        }
    }

    fn take(&self, client: TcpStream, fault: Fault, connections: &mut JoinSet<()>) {
        self.shared.counters.connections.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = watch::channel(fault);
        let mut living = self.shared.living.lock().unwrap_or_else(PoisonError::into_inner);
        living.retain(|connection| !connection.is_closed());
        living.push(sender);
        drop(living);
        connections.spawn(connection::carry(client, self.upstream, receiver, self.shared.counters.clone()));
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(client, _)| client),
        None => std::future::pending().await,
    }
}
