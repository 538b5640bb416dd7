//! What ties a child of the rehearsal to its parent: the child's standard input.
//!
//! The parent may write lines (a stream key, never on a command line) and keeps the pipe open as long as it wants the
//! child. When the parent dies, however that happens, the pipe closes and the child ends.

use std::io::BufRead as _;

use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

/// Longest line that a parent may send; longer ones end the child.
const LINE_LIMIT: u64 = 64 * 1024;

/// The child's end.
#[derive(Debug)]
pub struct Lifeline {
    lines: mpsc::Receiver<String>,
}

impl Lifeline {
    /// Reads standard input on a thread of its own: a blocked read there does not hold up the runtime's end.
    ///
    /// # Errors
    /// When the thread does not start.
    pub fn open() -> std::io::Result<Self> {
        let (sender, lines) = mpsc::channel(16);
        std::thread::Builder::new().name("lifeline".to_owned()).spawn(move || read_lines(&sender))?;
        Ok(Self { lines })
    }

    /// The next line from the parent; none once it is gone.
    pub async fn line(&mut self) -> Option<String> {
        self.lines.recv().await
    }

    /// Waits until the parent is gone, or asks to end with SIGTERM or Ctrl-C.
    pub async fn ended(mut self) {
        let closed = async { while self.lines.recv().await.is_some() {} };
        tokio::select! {
            () = closed => {}
            () = terminated() => {}
        }
    }
}

async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn read_lines(sender: &mpsc::Sender<String>) {
    let mut input = std::io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let read = std::io::Read::take(&mut input, LINE_LIMIT).read_until(b'\n', &mut line);
        let Ok(1..) = read else { return };
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if line.last() != Some(&b'\n') || sender.blocking_send(text).is_err() {
            return;
        }
    }
}

/// Writes one JSON line where a parent waits for it.
///
/// # Errors
/// When nobody reads.
pub async fn announce(
    mut out: impl tokio::io::AsyncWrite + Unpin,
    line: &impl serde::Serialize,
) -> Result<(), super::RehearsalError> {
    let mut bytes = serde_json::to_vec(line).map_err(std::io::Error::from).map_err(failed)?;
    bytes.push(b'\n');
    out.write_all(&bytes).await.map_err(failed)?;
    out.flush().await.map_err(failed)
}

fn failed(error: std::io::Error) -> super::RehearsalError {
    super::RehearsalError::Io { what: "the start line could not be written", error }
}
