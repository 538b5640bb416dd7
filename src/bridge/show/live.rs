//! What an operator does to a show that is on the air: outputs that come and go, the slate, the public delay, the cut.
//! All of it is kept in the show's record, so that a restarted bridge goes on with it.

use std::time::Duration;

use tokio::sync::oneshot;

use super::ENDING;
use super::Show;
use crate::bridge::conductor::{Following, Word};
use crate::bridge::protocol::OutputAction;
use crate::bridge::protocol::live::{LiveAnswer, LiveOrder, NewOutput};
use crate::bridge::sources;
use crate::bridge::state_folder::AddedOutput;
use crate::config::{OutputConfig, live_output};
use crate::gst::elements::tls_available;
use crate::media::SAMPLE_RATE;
use crate::output::preset::Preset;

/// Outputs of one show: each is a connection of some Mbit/s.
const MAX_OUTPUTS: usize = 32;

/// What came of an order, or why it was not done.
type Answer = Result<LiveAnswer, String>;

/// Where the answer to an order goes. A client that went away needs none.
type Reply = oneshot::Sender<Answer>;

/// What came of an operator's picture, and who is to be told.
pub(super) type LookedAt = (Answer, Reply);

/// The configuration of an output that was added.
pub(super) fn output_of(added: &AddedOutput) -> Result<OutputConfig, String> {
    let AddedOutput { name, preset, url, .. } = added;
    live_output((Some(name), Some(preset), Some(url)), &Preset::defaults(), &[])
}

impl Show {
    /// Does as the operator says, and answers.
    pub(super) fn live(&mut self, order: LiveOrder, reply: Reply) {
        let answer = match order {
            LiveOrder::SlatePicture(bytes) => {
                // Looking at a picture takes up to a second, in which the show goes on.
                let (desk, events, looked_at) = (self.desk.clone(), self.events.clone(), self.pictures.0.clone());
                tokio::spawn(async move {
                    let done = desk.own_picture(bytes).await.map(|()| {
                        events.info("slate.own", "slate", "The operator's picture is the slate".to_owned());
                        said("The picture is on the air within some seconds.")
                    });
                    drop(looked_at.send((done, reply)));
                });
                return;
            }
            LiveOrder::SlateText(text) => Ok(self.slate_text(text)),
            LiveOrder::AddOutput(output) => self.add_output(output),
            LiveOrder::RemoveOutput(name) => self.remove_output(&name),
            LiveOrder::Pin(source) => self.pin(source),
            LiveOrder::Delay(delay) => Ok(self.delay(delay)),
            LiveOrder::Cut(last) => Ok(self.cut(last)),
        };
        self.answer(answer, reply);
    }

    /// A show that ends takes no more pictures.
    pub(super) fn refuse_pictures(&mut self) {
        while let Ok((_, reply)) = self.pictures.1.try_recv() {
            drop(reply.send(Err(ENDING.to_owned())));
        }
    }

    /// Pictures that were looked at are kept, and their orders answered.
    pub(super) fn keep_pictures(&mut self) {
        while let Ok((done, reply)) = self.pictures.1.try_recv() {
            self.answer(done, reply);
        }
    }

    /// Starts, stops or restarts an output, and answers.
    pub(super) async fn switch(
        &mut self,
        name: &str,
        action: OutputAction,
        reply: oneshot::Sender<Result<(), String>>,
    ) {
        self.gate.leave(name);
        let done = self.outputs.act(name, action).await;
        if done.is_ok() {
            self.record.live.switched.insert(name.to_owned(), action != OutputAction::Stop);
        }
        self.answer(done, reply);
    }

    /// Points the show at another source, which is looked at before anything is given up for it, and answers.
    pub(super) fn follow(&mut self, link: String, reply: oneshot::Sender<Result<String, String>>) {
        let done = self.set_source(&link);
        if done.is_ok() {
            self.following = Some(link);
        }
        self.answer(done, reply);
    }

    fn set_source(&self, link: &str) -> Result<String, String> {
        let slot =
            sources::of_link(link, &self.config, &self.secrets, &self.clock).map_err(|error| error.to_string())?;
        let name = slot.name().to_owned();
        self.orders
            .try_send(Word::Follow(Following { slot, link: link.to_owned() }))
            .map_err(|_| "The show is ending.".to_owned())?;
        Ok(name)
    }

    /// Keeps what was done, and then tells: a bridge that is killed the next moment has not forgotten it.
    fn answer<T: Send + 'static>(&mut self, answer: T, reply: oneshot::Sender<T>) {
        self.save_record();
        // Who asks for the status after the answer sees what was done.
        self.board.update(&self.events);
        let saved = self.keeper.flush();
        tokio::spawn(async move {
            saved.await;
            drop(reply.send(answer));
        });
    }

    fn slate_text(&mut self, text: Option<String>) -> LiveAnswer {
        let message = match &text {
            Some(text) => format!("The operator's text is on the slate: {text}"),
            None => "The slate says again what is happening".to_owned(),
        };
        self.desk.own_text(text);
        self.events.info("slate.own", "slate", message.clone());
        said(&message)
    }

    fn add_output(&mut self, new: NewOutput) -> Result<LiveAnswer, String> {
        let mut taken = self.outputs.names();
        // One whose key is gone is added again in its own place.
        taken.retain(|name| !self.outputs.is_lost(name));
        if taken.len() >= MAX_OUTPUTS {
            return Err(format!("the show has {MAX_OUTPUTS} outputs: carry the rest by a second show"));
        }
        let words = (new.name.as_deref(), new.preset.as_deref(), new.url.as_deref());
        let mut config = live_output(words, &Preset::defaults(), &taken)?;
        if config.url.scheme() == "rtmps" && !tls_available() {
            return Err("there is no TLS for rtmps on this machine: install glib-networking".to_owned());
        }
        if new.key.is_none() && config.preset != crate::config::CUSTOM {
            return Err(format!("the stream key of {} is missing: give it beside the preset", config.name));
        }
        let name = config.name.clone();
        self.outputs.remove(&name);
        let waits = self.gate.holds(&name);
        config.enabled = !waits;
        let has_key = new.key.is_some();
        self.outputs.add(&config, new.key, false);
        self.board.set_outputs(&self.outputs);
        let live = &mut self.record.live;
        live.added.retain(|added| added.name != name);
        live.switched.remove(&name);
        live.added.push(AddedOutput { name: name.clone(), preset: config.preset, url: config.url.into(), has_key });
        self.events.info("output.added", &format!("output {name}"), format!("The output {name} was added"));
        let message = if waits { "It opens with the show's other outputs." } else { "It connects now." };
        Ok(LiveAnswer { outputs: vec![name], ..said(message) })
    }

    fn remove_output(&mut self, name: &str) -> Result<LiveAnswer, String> {
        if !self.outputs.remove(name) {
            return Err(format!("there is no output {name}; the show has: {}", self.outputs.names().join(", ")));
        }
        self.gate.leave(name);
        self.board.set_outputs(&self.outputs);
        self.record.live.remove(name);
        self.events.info("output.removed", &format!("output {name}"), format!("The output {name} was taken out"));
        Ok(LiveAnswer { outputs: vec![name.to_owned()], ..said("Its connection closes; no other output notices.") })
    }

    /// Holds the show to one source of its list.
    fn pin(&mut self, source: Option<String>) -> Result<LiveAnswer, String> {
        let known: Vec<String> = self.board.view().sources.iter().map(|source| source.name.clone()).collect();
        let message = match &source {
            None => "The sources are tried in the order of the list again".to_owned(),
            Some(_) if known.len() < 2 => {
                return Err("The show has one source, which it is held to anyway: give more of them in its \
                            configuration, or point it at another one with source set."
                    .to_owned());
            }
            Some(name) if known.contains(name) => format!("The show is held to its source {name}"),
            Some(_) => return Err(format!("The show has no source of this name; it has: {}.", known.join(", "))),
        };
        self.orders.try_send(Word::Pin(source.clone())).map_err(|_| "The show is ending.".to_owned())?;
        self.record.live.pinned = source;
        self.events.info("source.pinned", "source", message.clone());
        Ok(said(&message))
    }

    fn delay(&mut self, delay: Duration) -> LiveAnswer {
        let delayed = self.program.set_public_delay(delay);
        self.desk.shift(delayed);
        self.record.live.public_delay_ms = Some(delay.as_millis() as u64);
        let by = Duration::from_millis(delayed.by.unsigned_abs() * 1000 / u64::from(SAMPLE_RATE)).as_secs_f64();
        let message = match delayed.by {
            0 => "The program was held back for as long already".to_owned(),
            1.. => format!("The program goes out {by:.1} s later from now on; hold audio is heard for as long"),
            _ => format!("The program goes out {by:.1} s earlier from now on; as much of it is left out"),
        };
        self.events.info("program.delay", "program", message.clone());
        LiveAnswer { seconds: Some(delay.as_secs_f64()), ..said(&message) }
    }

    fn cut(&mut self, last: Option<Duration>) -> LiveAnswer {
        let cut = self.program.cut(last);
        let samples = cut.to - cut.from;
        let seconds = samples as f64 / f64::from(SAMPLE_RATE);
        if samples == 0 {
            return LiveAnswer { seconds: Some(0.0), ..said("There is nothing left to cut: it has all gone out") };
        }
        self.desk.moment(cut);
        self.board.add_cut(samples);
        self.record.live.cut_at = Some(self.clock.wall());
        let wait = cut.from.saturating_sub(self.program.now().samples()) as f64 / f64::from(SAMPLE_RATE);
        let message = format!(
            "{seconds:.1} s are cut out of the program: hold audio is heard instead, in {wait:.1} s; the recording keeps them"
        );
        self.events.warning("program.cut", "program", message.clone(), None);
        LiveAnswer { seconds: Some(seconds), ..said(&message) }
    }
}

fn said(message: &str) -> LiveAnswer {
    LiveAnswer { message: message.to_owned(), ..LiveAnswer::default() }
}
