//! One connection through the proxy: two directions, one fault, and an end of the right kind on both sides.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Counters;
use super::fault::{Ending, Fault, PIECE, Way};

/// How long a closed connection's last bytes are thrown away, so that its FIN is not overtaken by a reset.
const GOODBYE: Duration = Duration::from_millis(500);

/// Carries bytes between `client` and `upstream` until either ends or the fault ends it.
pub(super) async fn carry(
    mut client: TcpStream,
    upstream: SocketAddr,
    fault: watch::Receiver<Fault>,
    counters: Arc<Counters>,
) {
    let mut ending = fault.clone();
    let connected = tokio::select! {
        biased;
        how = ended(&mut ending) => Err(how),
        connected = TcpStream::connect(upstream) => connected.map_err(|_| Ending::Reset),
    };
    let mut server = match connected {
        Ok(server) => server,
        Err(how) => return close(&mut client, how).await,
    };
    // Bytes go on as they come: this proxy gathers none.
    let quick = client.set_nodelay(true).and(server.set_nodelay(true));
    if let Err(error) = quick {
        tracing::debug!(%error, "Connection went at once.");
    }
    let how = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let up = pump(from_client, to_server, fault.clone(), Way::Up, &counters.up);
        let down = pump(from_server, to_client, fault, Way::Down, &counters.down);
        tokio::select! {
            result = async { tokio::try_join!(up, down) } => if result.is_ok() { Ending::Finish } else { Ending::Reset },
            how = ended(&mut ending) => how,
        }
    };
    tokio::join!(close(&mut client, how), close(&mut server, how));
}

/// Waits for a fault that ends connections; the proxy's own end is one.
async fn ended(fault: &mut watch::Receiver<Fault>) -> Ending {
    loop {
        if let Some(how) = fault.borrow_and_update().ending() {
            return how;
        }
        if fault.changed().await.is_err() {
            return Ending::Reset;
        }
    }
}

async fn close(stream: &mut TcpStream, how: Ending) {
    // A peer that is gone already cannot be told.
    match how {
        Ending::Reset => drop(stream.set_zero_linger()),
        Ending::Finish => {
            drop(stream.shutdown().await);
            let mut rest = tokio::io::sink();
            drop(tokio::time::timeout(GOODBYE, tokio::io::copy(stream, &mut rest)).await);
        }
    }
}

/// Bytes that are held back, with the time at which each piece is due.
#[derive(Debug, Default)]
struct Held {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

impl Held {
    fn push(&mut self, due: Instant, piece: &[u8]) {
        self.bytes += piece.len();
        self.pieces.push_back((due, piece.to_vec()));
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let (_, piece) = self.pieces.pop_front()?;
        self.bytes -= piece.len();
        Some(piece)
    }

    fn due(&self) -> Option<Instant> {
        self.pieces.front().map(|(due, _)| *due)
    }
}

/// Carries one direction. What is not written is not read: the sender feels a receiver that takes nothing.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut fault: watch::Receiver<Fault>,
    way: Way,
    counter: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let (mut held, mut seen, mut is_open) = (Held::default(), 0_u64, true);
    let mut read_from = Instant::now();
    loop {
        let now = *fault.borrow_and_update();
        if !is_open && held.bytes == 0 {
            return to.shutdown().await;
        }
        let moves = !now.stalls(way);
        let reads = moves && is_open && held.bytes < now.hold();
        let due = held.due().filter(|_| moves);
        tokio::select! {
            changed = fault.changed() => if changed.is_err() {
                return Err(io::ErrorKind::ConnectionReset.into());
            },
            () = at(due) => if let Some(piece) = held.pop() {
                counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
                to.write_all(&piece).await?;
            },
            read = read_after(&mut from, &mut buffer[..now.piece()], read_from), if reads => {
                let count = read?;
                is_open = count > 0;
                now.spoil(seen, &mut buffer[..count]);
                seen += count as u64;
                read_from = Instant::now() + now.pause(count);
                held.push(Instant::now() + now.delay(), &buffer[..count]);
                if count == 0 {
                    held.pop();
                }
            }
        }
    }
}

async fn read_after(from: &mut ReadHalf<'_>, buffer: &mut [u8], start: Instant) -> io::Result<usize> {
    tokio::time::sleep_until(start).await;
    from.read(buffer).await
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
