//! One running pipeline: state changes with a deadline, its bus as a stream, its end.

use std::time::Duration;

use futures_util::{Stream, StreamExt};
use gstreamer as gst;
use gstreamer::prelude::*;

use super::GstError;

/// How long a state change may take before the pipeline counts as frozen. Measured ones take milliseconds.
const STATE_DEADLINE: Duration = Duration::from_secs(10);

/// What a pipeline reports.
#[derive(Debug, Clone)]
pub enum BusEvent {
    /// It failed and must be stopped at once: a pipeline that failed at TLS burns a core until it is.
    Fault(Fault),
    /// All its sinks saw the end.
    Eos,
}

/// An error from the bus, classed by domain and code, never by its text.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The element that failed, by its name in the template.
    pub element: String,
    /// Which kind of error.
    pub kind: FaultKind,
    /// GStreamer's words. They may quote addresses: redact before showing.
    pub text: String,
}

/// Kinds of errors that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The other side is not there, refused, or went away.
    Connection,
    /// The other side does not accept us.
    NotAuthorized,
    /// The certificate is not trusted, or TLS is not available.
    Tls,
    /// The data cannot be decoded or demultiplexed.
    Stream,
    /// A file or device has no space left.
    NoSpace,
    /// Anything else.
    Other,
}

impl Fault {
    fn from_message(message: &gst::message::Error) -> Self {
        let error = message.error();
        let element = message.src().map(|source| source.name().to_string()).unwrap_or_default();
        let detail = message.debug().map(|debug| format!(" ({debug})")).unwrap_or_default();
        Self { element, kind: kind_of(&error), text: format!("{error}{detail}") }
    }
}

fn kind_of(error: &gst::glib::Error) -> FaultKind {
    if error.is::<gio::TlsError>() {
        return FaultKind::Tls;
    }
    match error.kind::<gst::ResourceError>() {
        Some(gst::ResourceError::NotAuthorized) => FaultKind::NotAuthorized,
        Some(gst::ResourceError::NoSpaceLeft) => FaultKind::NoSpace,
        Some(_) => FaultKind::Connection,
        None if error.is::<gst::StreamError>() => FaultKind::Stream,
        None if error.is::<gio::IOErrorEnum>() => FaultKind::Connection,
        None => FaultKind::Other,
    }
}

/// A pipeline. Dropping it stops it.
#[derive(Debug)]
pub struct Pipeline {
    name: &'static str,
    inner: gst::Pipeline,
}

impl Pipeline {
    pub(super) fn new(name: &'static str, inner: gst::Pipeline) -> Self {
        Self { name, inner }
    }

    /// The template's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The element called `name` in the template.
    pub(super) fn element<T: IsA<gst::Element>>(&self, name: &str) -> Result<T, GstError> {
        self.inner.by_name(name).and_then(|element| element.downcast::<T>().ok()).ok_or_else(|| GstError::Build {
            name: self.name,
            reason: format!("it has no element {name} of that type"),
        })
    }

    /// What the pipeline reports from now on. One consumer per pipeline.
    pub fn events(&self) -> impl Stream<Item = BusEvent> + Send + use<> {
        let bus = self.inner.bus().expect("a pipeline has a bus");
        bus.stream().filter_map(|message| {
            std::future::ready(match message.view() {
                gst::MessageView::Error(error) => Some(BusEvent::Fault(Fault::from_message(error))),
                gst::MessageView::Eos(_) => Some(BusEvent::Eos),
                _ => None,
            })
        })
    }

    /// Starts it, without waiting until data flows.
    ///
    /// # Errors
    /// [`GstError::Failed`] when an element refuses, [`GstError::Frozen`] when the call does not return in time.
    pub async fn play(&self) -> Result<(), GstError> {
        self.change(gst::State::Playing).await
    }

    /// Stops it and frees what it holds.
    ///
    /// # Errors
    /// [`GstError::Frozen`] when the call does not return in time; the pipeline is then abandoned.
    pub async fn stop(&self) -> Result<(), GstError> {
        self.change(gst::State::Null).await
    }

    /// Starts it from a thread that may block.
    ///
    /// # Errors
    /// [`GstError::Failed`] when an element refuses.
    pub fn play_blocking(&self) -> Result<(), GstError> {
        self.inner.set_state(gst::State::Playing).map(|_| ()).map_err(|_| self.refused())
    }

    /// Waits on a thread that may block until the end or a fault, at most for `patience`.
    ///
    /// # Errors
    /// [`GstError::Failed`] on a fault, [`GstError::Frozen`] when neither came in time.
    pub fn wait_for_end(&self, patience: Duration) -> Result<(), GstError> {
        let bus = self.inner.bus().expect("a pipeline has a bus");
        let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
        let timeout = gst::ClockTime::from_nseconds(u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX - 1));
        match bus.timed_pop_filtered(timeout, &wanted).as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Eos(_)) => Ok(()),
            Some(gst::MessageView::Error(error)) => {
                Err(GstError::Failed { name: self.name, reason: Fault::from_message(error).text })
            }
            _ => Err(GstError::Frozen { name: self.name, seconds: patience.as_secs() }),
        }
    }

    async fn change(&self, state: gst::State) -> Result<(), GstError> {
        let (name, inner) = (self.name, self.inner.clone());
        // State changes can block: an abandoned one ends on its own thread, whenever it ends.
        let change = tokio::task::spawn_blocking(move || inner.set_state(state));
        match tokio::time::timeout(STATE_DEADLINE, change).await {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(_) => Err(self.refused()),
            Err(_) => Err(GstError::Frozen { name, seconds: STATE_DEADLINE.as_secs() }),
        }
    }

    fn refused(&self) -> GstError {
        GstError::Failed { name: self.name, reason: "an element refused to start".to_owned() }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if self.inner.current_state() != gst::State::Null && self.inner.set_state(gst::State::Null).is_err() {
            tracing::warn!(pipeline = self.name, "Pipeline did not stop cleanly.");
        }
    }
}
