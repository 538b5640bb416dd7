//! Pipeline texts with typed holes.
//!
//! A hole `${name}` takes an integer, a fraction or one of our own words. It can never take a string from outside: a
//! pasted string could add elements. Addresses, keys, paths and titles are set as properties after parsing.

use std::fmt::Write as _;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::{GstError, Pipeline, elements};

/// What may fill a hole.
#[derive(Debug, Clone, Copy)]
pub enum Hole {
    /// A whole number.
    Int(i64),
    /// A fraction such as a frame rate.
    Fraction(u32, u32),
    /// One of our own words.
    Word(&'static str),
}

/// The text of one file in `pipelines/`.
#[derive(Debug, Clone, Copy)]
pub struct Template {
    name: &'static str,
    text: &'static str,
}

impl Template {
    /// A template called `name` with the text of its file (by `include_str!`).
    pub const fn new(name: &'static str, text: &'static str) -> Self {
        Self { name, text }
    }

    /// Builds the pipeline with every hole filled.
    ///
    /// # Errors
    /// [`GstError::MissingElement`] with the package to install, or [`GstError::Build`] when the text does not parse.
    pub fn build(&self, holes: &[(&str, Hole)]) -> Result<Pipeline, GstError> {
        super::init()?;
        let text = self.fill(holes)?;
        let element = gst::parse::launch(&text).map_err(|error| self.build_error(&error))?;
        // GStreamer returns a bare element for a text of one element.
        let inner = match element.downcast::<gst::Pipeline>() {
            Ok(pipeline) => pipeline,
            Err(single) => {
                let pipeline = gst::Pipeline::new();
                pipeline.add(&single).map_err(|error| self.reason(error.to_string()))?;
                pipeline
            }
        };
        Ok(Pipeline::new(self.name, inner))
    }

    /// The text with comments cut and holes filled.
    fn fill(&self, holes: &[(&str, Hole)]) -> Result<String, GstError> {
        let mut text: String =
            self.text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join(" ");
        for (name, hole) in holes {
            let mut value = String::new();
            match hole {
                Hole::Int(number) => write!(value, "{number}"),
                Hole::Fraction(numerator, denominator) => write!(value, "{numerator}/{denominator}"),
                Hole::Word(word) => write!(value, "{word}"),
            }
            .expect("writing to a string cannot fail");
            text = text.replace(&format!("${{{name}}}"), &value);
        }
        if text.contains("${") {
            return Err(self.reason("a hole was left open".to_owned()));
        }
        Ok(text)
    }

    fn build_error(&self, error: &gst::glib::Error) -> GstError {
        if error.matches(gst::ParseError::NoSuchElement)
            && let Some(missing) =
                self.text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).find_map(|word| {
                    elements::package_of(word).filter(|_| gst::ElementFactory::find(word).is_none()).map(|p| (word, p))
                })
        {
            return GstError::MissingElement { element: missing.0.to_owned(), package: missing.1 };
        }
        self.reason(error.to_string())
    }

    fn reason(&self, reason: String) -> GstError {
        GstError::Build { name: self.name, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_one_element_becomes_a_pipeline() {
        assert!(Template::new("t", "# a comment\nfakesink name=only").build(&[]).is_ok());
    }

    #[test]
    fn an_open_hole_is_an_error_and_not_an_element_name() {
        let error = Template::new("t", "fakesrc num-buffers=${count} ! fakesink").build(&[]).expect_err("open hole");
        assert!(error.to_string().contains("hole"), "{error}");
    }
}
