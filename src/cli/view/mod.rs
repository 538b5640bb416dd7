//! The live terminal view: owns the terminal while it is open, and gives it back whatever happens.
//!
//! `model` is what is shown, `draw` how; this module moves keys in and frames out.

mod draw;
mod model;
#[cfg(test)]
pub(super) mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event as TerminalEvent, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use draw::Palette;
pub(super) use model::{Leaving, Model};

/// How long the key reader waits at a time, and so how long it outlives the view.
const KEY_WAIT: Duration = Duration::from_millis(100);

/// What the operator or the terminal did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// `q` or Ctrl-C.
    Leave,
    /// The terminal has another size.
    Resized,
}

/// The open view.
pub(super) struct View {
    terminal: DefaultTerminal,
    palette: Palette,
    open: Arc<AtomicBool>,
}

impl View {
    /// Takes the terminal. Keys come over the receiver: in this mode Ctrl-C is a key and no signal.
    pub(super) fn open() -> io::Result<(Self, mpsc::Receiver<Input>)> {
        // Gives the terminal back on a panic too.
        let terminal = ratatui::try_init()?;
        let open = Arc::new(AtomicBool::new(true));
        let (sender, inputs) = mpsc::channel(16);
        let reading = Arc::clone(&open);
        std::thread::Builder::new().name("keys".into()).spawn(move || read_keys(&reading, &sender))?;
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Ok((Self { terminal, palette: Palette::new(!no_color), open }, inputs))
    }

    /// Shows `model`.
    pub(super) fn draw(&mut self, model: &Model) -> io::Result<()> {
        let palette = &self.palette;
        self.terminal.draw(|frame| draw::draw(frame, model, palette)).map(drop)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.open.store(false, Ordering::Relaxed);
        ratatui::restore();
    }
}

fn read_keys(open: &AtomicBool, sender: &mpsc::Sender<Input>) {
    while open.load(Ordering::Relaxed) {
        let input = match event::poll(KEY_WAIT).and_then(|ready| if ready { event::read().map(Some) } else { Ok(None) })
        {
            Ok(Some(event)) => input_of(&event),
            Ok(None) => None,
            // The terminal is gone; its hang-up signal decides about the show.
            Err(_) => return,
        };
        if input.is_some_and(|input| sender.blocking_send(input).is_err()) {
            return;
        }
    }
}

fn input_of(event: &TerminalEvent) -> Option<Input> {
    match event {
        TerminalEvent::Resize(..) => Some(Input::Resized),
        TerminalEvent::Key(key) if key.kind == KeyEventKind::Press => {
            let ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            (ctrl_c || key.code == KeyCode::Char('q')).then_some(Input::Leave)
        }
        _ => None,
    }
}
