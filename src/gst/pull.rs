//! What comes out of a pipeline that reads for files, not for the air: pulled from a captured stream in order, or handed
//! on as it comes. Knows nothing of what the samples mean.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};

use super::{GstError, Pipeline, Template};

/// How long a pull waits before the bus is looked at.
const LOOK: gst::ClockTime = gst::ClockTime::from_mseconds(100);

/// What a captured stream holds, one by one and in order. All calls block; memory stays bounded whatever the length.
#[derive(Debug)]
pub struct Captured<T> {
    pipeline: Pipeline,
    sink: AppSink,
    read: fn(&gst::Sample) -> Option<T>,
    count: u64,
    over: bool,
}

impl<T> Captured<T> {
    /// Opens the captured stream at `from` with a template that has a file source `in` and an appsink `out`. `read` makes
    /// one of each sample; those of which it makes none are passed over.
    pub(super) fn read(
        template: &Template,
        from: &Path,
        read: fn(&gst::Sample) -> Option<T>,
    ) -> Result<Self, GstError> {
        let pipeline = template.build(&[])?;
        pipeline.element::<gst::Element>("in")?.set_property("location", from);
        let sink: AppSink = pipeline.element("out")?;
        pipeline.play_blocking()?;
        Ok(Self { pipeline, sink, read, count: 0, over: false })
    }

    /// The next one; none at the end. A torn end is no error.
    fn pull(&mut self) -> Result<Option<T>, GstError> {
        loop {
            match self.sink.try_pull_sample(LOOK) {
                Some(sample) => {
                    if let Some(one) = (self.read)(&sample) {
                        self.count += 1;
                        return Ok(Some(one));
                    }
                }
                None if self.sink.is_eos() => return Ok(None),
                None => match self.pipeline.wait_for_end(Duration::ZERO) {
                    Ok(()) => return Ok(None),
                    Err(GstError::Frozen { .. }) => {}
                    // What follows the last whole cluster of a killed process is an error to the demultiplexer.
                    Err(_) if self.count > 0 => return Ok(None),
                    Err(error) => return Err(error),
                },
            }
        }
    }
}

impl<T> Iterator for Captured<T> {
    type Item = Result<T, GstError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let pulled = self.pull().transpose();
        self.over = !matches!(pulled, Some(Ok(_)));
        pulled
    }
}

/// What `read` makes of each sample that reaches `sink`, as it comes; none is the end. What is not taken stays in memory.
pub(super) fn forward<T: Send + 'static>(sink: &AppSink, read: fn(&gst::Sample) -> Option<T>) -> Receiver<Option<T>> {
    let (sender, output) = channel();
    let end = sender.clone();
    let forward = move |sink: &AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let Some(one) = read(&sample) else { return Ok(gst::FlowSuccess::Ok) };
        sender.send(Some(one)).map(|()| gst::FlowSuccess::Ok).map_err(|_| gst::FlowError::Eos)
    };
    // Who was dropped needs no end.
    let eos = move |_: &AppSink| drop(end.send(None));
    sink.set_callbacks(AppSinkCallbacks::builder().new_sample(forward).eos(eos).build());
    output
}
