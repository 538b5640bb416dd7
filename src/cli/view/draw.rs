//! How the view looks: one pure function from a model to a frame, of whatever size.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::model::{Leaving, Model};
use crate::alert::Level;
use crate::cli::output::budget;
use crate::cli::plain::time_of_day;
use crate::cli::words::{clean, clock, count, fit, output_state, show_state, size, source_state, whole};
use crate::status::{OutputState, OutputStatus, ProgramStatus, SessionStatus, ShowState, ShowStatus, SourceStatus};

/// Sources that are listed.
const SOURCES: usize = 4;

/// The platform's level above which somebody talks.
const TALKING: u32 = 8;

/// Left end of the level meter, in dBFS.
const METER_FLOOR: f32 = -60.0;

/// Colours, or none of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    color: bool,
}

impl Palette {
    /// With colours or without.
    pub(super) fn new(color: bool) -> Self {
        Self { color }
    }

    fn paint(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }

    fn faint(self) -> Style {
        self.paint(Color::DarkGray)
    }

    fn show(self, state: ShowState) -> Style {
        let color = match state {
            ShowState::Live => Color::Green,
            ShowState::Gap => Color::Red,
            ShowState::Starting | ShowState::Waiting | ShowState::Ending => Color::Yellow,
            ShowState::Suspended | ShowState::Ended => Color::Gray,
        };
        self.paint(color).add_modifier(Modifier::BOLD)
    }

    fn output(self, state: OutputState) -> Style {
        self.paint(match state {
            OutputState::Live => Color::Green,
            OutputState::Connecting => Color::Yellow,
            OutputState::Backoff => Color::Red,
            OutputState::Stopped => Color::Gray,
        })
    }

    fn source(self, source: &SourceStatus) -> Style {
        self.paint(match (source.active, source.connected, source.healthy) {
            (true, true, true) => Color::Green,
            (true, ..) => Color::Red,
            (false, true, true) => Color::Reset,
            (false, true, false) => Color::Yellow,
            (false, false, _) => Color::Gray,
        })
    }

    fn level(self, dbfs: f32) -> Style {
        self.paint(match dbfs {
            level if level > -6.0 => Color::Red,
            level if level > -18.0 => Color::Yellow,
            _ => Color::Green,
        })
    }
}

/// Draws `model`.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, palette: &Palette) {
    let area = frame.area();
    let hints = Paragraph::new(Line::styled(fit(hint(model), area.width.into()), palette.faint()));
    let [body, foot] = Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(area);
    frame.render_widget(hints, foot);
    let width = usize::from(area.width);
    let lines = match &model.status {
        None => {
            vec![Line::from(fit(&format!("spacebridge  {}", model.show), width)), Line::from(waiting(model, width))]
        }
        Some(status) => show(model, status, body, *palette),
    };
    frame.render_widget(Paragraph::new(lines), body);
}

fn waiting(model: &Model, width: usize) -> String {
    fit(model.notice.as_deref().unwrap_or("The bridge is starting ..."), width)
}

fn hint(model: &Model) -> &'static str {
    match model.leaving {
        Leaving::No => "q or Ctrl-C: end the show",
        Leaving::OnlyTheView => "q or Ctrl-C: close this view; the show goes on",
        Leaving::Ending => "Ending: closing slate, final files.  q or Ctrl-C again: leave at once",
        Leaving::Suspending => "Suspending ...  q or Ctrl-C again: leave at once",
    }
}

/// Every line of the view from the top, events filling what is left.
fn show<'a>(model: &'a Model, status: &'a ShowStatus, area: Rect, palette: Palette) -> Vec<Line<'a>> {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let mut lines = head(model, status, width, palette);
    lines.push(rule("Sound", width, palette));
    lines.extend(sound(&status.program, width, palette));
    lines.push(speakers(status.session.as_ref(), width));
    if status.sources.len() > 1 {
        lines.push(rule("Sources", width, palette));
        lines.extend(sources(&status.sources, width, palette));
    }
    lines.push(rule("Outputs", width, palette));
    lines.extend(outputs(&status.outputs, width, height.saturating_sub(lines.len() + 5), palette));
    lines.push(rule("Recording", width, palette));
    lines.push(recording(status, width, palette));
    lines.push(rule("Events", width, palette));
    lines.extend(events(model, width, height.saturating_sub(lines.len()), palette));
    lines
}

fn rule(title: &str, width: usize, palette: Palette) -> Line<'static> {
    let line = "─".repeat(width.saturating_sub(title.len() + 4));
    Line::styled(fit(&format!("── {title} {line}"), width), palette.faint())
}

fn head<'a>(model: &Model, status: &ShowStatus, width: usize, palette: Palette) -> Vec<Line<'a>> {
    let state = format!("● {} ", show_state(status.state));
    let time = format!("on the air {} ", clock(whole(status.program.seconds)));
    let name = fit(&status.show, width.saturating_sub(state.chars().count() + time.len() + 1));
    let title = status.session.as_ref().and_then(|session| session.title.as_deref()).unwrap_or("");
    let host = status.session.as_ref().and_then(|session| session.host.as_deref());
    let title = match host {
        Some(host) if !title.is_empty() => format!("{title}  by {host}"),
        Some(host) => format!("by {host}"),
        None => title.to_owned(),
    };
    let words = match (&model.notice, model.connected) {
        (Some(notice), _) => notice.clone(),
        (None, false) => "The bridge does not answer; it is looked for ...".to_owned(),
        (None, true) => status.words.clone(),
    };
    vec![
        Line::from(vec![
            Span::styled(state, palette.show(status.state)),
            Span::styled(time, palette.faint()),
            Span::raw(name),
        ]),
        Line::styled(fit(&title, width), Style::new().add_modifier(Modifier::BOLD)),
        Line::from(fit(&words, width)),
    ]
}

/// Root mean square as a bar, the peak as a mark, loudness in figures.
fn sound<'a>(program: &ProgramStatus, width: usize, palette: Palette) -> Vec<Line<'a>> {
    let figures = if program.holding {
        "  no space audio now".to_owned()
    } else {
        format!("  peak {:>5.1} dBFS  {:>5.1} LUFS", program.peak_dbfs.max(-99.9), program.short_term_lufs.max(-99.9))
    };
    let cells = width.saturating_sub(figures.chars().count());
    let at = |dbfs: f32| ((1.0 - dbfs.clamp(METER_FLOOR, 0.0) / METER_FLOOR) * cells as f32).round() as usize;
    let (full, mark) = (at(program.rms_dbfs), at(program.peak_dbfs).min(cells.saturating_sub(1)));
    let mut spans: Vec<Span<'a>> = (0..cells)
        .map(|cell| {
            let level = METER_FLOOR * (1.0 - cell as f32 / cells as f32);
            match cell {
                _ if cell == mark && mark > 0 => Span::styled("│", palette.level(program.peak_dbfs)),
                _ if cell < full => Span::styled("█", palette.level(level)),
                _ => Span::styled("·", palette.faint()),
            }
        })
        .collect();
    spans.push(Span::raw(fit(&figures, width)));
    vec![Line::from(spans)]
}

fn speakers<'a>(session: Option<&SessionStatus>, width: usize) -> Line<'a> {
    let Some(session) = session else { return Line::from("") };
    let talking: Vec<String> =
        session.speakers.iter().filter(|one| one.level > TALKING).map(|one| clean(&one.name)).collect();
    let line = match (talking.is_empty(), session.speakers.len()) {
        (false, _) => format!("Talking: {}", talking.join(", ")),
        (true, 0) => String::new(),
        (true, present) => format!("Nobody talks; {present} on stage"),
    };
    Line::from(fit(&line, width))
}

/// Every path to the space, the best first.
fn sources<'a>(sources: &[SourceStatus], width: usize, palette: Palette) -> Vec<Line<'a>> {
    use unicode_width::UnicodeWidthStr;
    let longest = sources.iter().map(|source| clean(&source.name).width()).max().unwrap_or_default();
    let columns = longest.min(width.saturating_sub(24));
    let line = |source: &SourceStatus| {
        let pinned = if source.pinned { ", pinned" } else { "" };
        let state = fit(&format!("{}{pinned}", source_state(source)), width.saturating_sub(columns + 2));
        Line::from(vec![
            Span::raw(padded(&source.name, columns)),
            Span::raw("  "),
            Span::styled(state, palette.source(source)),
        ])
    };
    let mut lines: Vec<Line<'a>> = sources.iter().take(SOURCES).map(line).collect();
    if sources.len() > SOURCES {
        lines.push(Line::styled(fit(&format!("and {} more", sources.len() - SOURCES), width), palette.faint()));
    }
    lines
}

fn outputs<'a>(outputs: &[OutputStatus], width: usize, room: usize, palette: Palette) -> Vec<Line<'a>> {
    if outputs.is_empty() {
        return vec![Line::styled(fit("none: the show is only recorded", width), palette.faint())];
    }
    let room = room.max(1);
    let shown = if outputs.len() > room { room - 1 } else { outputs.len() };
    let mut lines: Vec<Line<'a>> =
        outputs.iter().take(shown).map(|output| one_output(output, width, palette)).collect();
    if shown < outputs.len() {
        let live = outputs.iter().skip(shown).filter(|output| output.state == OutputState::Live).count();
        let rest = format!("and {} more, {live} of them live", outputs.len() - shown);
        lines.push(Line::styled(fit(&rest, width), palette.faint()));
    }
    lines
}

fn one_output<'a>(output: &OutputStatus, width: usize, palette: Palette) -> Line<'a> {
    // At 60 columns everything of a live output fits, and "again in 60 s" too.
    let (name_columns, state_columns) = ((width / 6).min(16), 13);
    let details = match (output.state, &output.last_error) {
        (OutputState::Live, _) => {
            let reconnects = u64::from(output.connections.saturating_sub(1));
            let dropped =
                if output.dropped_frames > 0 { format!("  {} dropped", output.dropped_frames) } else { String::new() };
            let (up, again) = (clock(output.state_seconds), count(reconnects, "reconnect", "reconnects"));
            let last = output.last_error.as_ref().map(|error| format!("  last: {error}")).unwrap_or_default();
            format!("{up:>7}  {:>4} kbit/s  {again}{dropped}{last}", output.kbps)
        }
        (_, error) => budget(output).or(error.clone()).unwrap_or_default(),
    };
    let rest = width.saturating_sub(name_columns + state_columns + 2);
    Line::from(vec![
        Span::raw(padded(&output.name, name_columns)),
        Span::raw(" "),
        Span::styled(padded(&output_state(output), state_columns), palette.output(output.state)),
        Span::raw(" "),
        Span::raw(fit(&details, rest)),
    ])
}

fn padded(text: &str, columns: usize) -> String {
    use unicode_width::UnicodeWidthStr;
    let mut text = fit(text, columns);
    text.push_str(&" ".repeat(columns.saturating_sub(text.width())));
    text
}

fn recording<'a>(status: &ShowStatus, width: usize, palette: Palette) -> Line<'a> {
    let recording = &status.recording;
    match (&recording.error, &recording.folder) {
        (Some(error), _) => Line::styled(fit(error, width), palette.paint(Color::Red)),
        (None, None) => Line::styled("off", palette.faint()),
        (None, Some(folder)) => {
            let gaps = count(recording.gaps.len() as u64, "gap", "gaps");
            let length = clock(whole(recording.seconds));
            Line::from(fit(&format!("{length}  {}  {gaps}  {folder}", size(recording.bytes)), width))
        }
    }
}

fn events<'a>(model: &Model, width: usize, room: usize, palette: Palette) -> Vec<Line<'a>> {
    model
        .events
        .iter()
        .skip(model.events.len().saturating_sub(room))
        .map(|event| {
            let style = match event.level {
                Level::Info => Style::new(),
                Level::Warning => palette.paint(Color::Yellow),
                Level::Error => palette.paint(Color::Red),
            };
            let remedy = event.remedy.as_ref().map(|remedy| format!(" -> {remedy}")).unwrap_or_default();
            let time = time_of_day(event.at, &model.zone);
            Line::styled(fit(&format!("{time} {}: {}{remedy}", event.subject, event.message), width), style)
        })
        .collect()
}
