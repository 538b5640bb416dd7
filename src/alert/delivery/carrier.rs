//! One try to bring one event to one receiver, for whoever decides about the next.

use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use super::Undelivered;
use super::command;
use super::payload::Payload;
use super::sign::Signer;
use super::webhook::Webhook;
use crate::alert::Event;

/// One event on its way.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// The show's name.
    pub show: &'a str,
    /// What happened.
    pub event: &'a Event,
    /// Events before this one that were left out.
    pub left_out: u64,
    /// Names the event for ever: the same at every try.
    pub id: &'a str,
    /// When it is sent.
    pub at: Timestamp,
}

/// How a try went. Words are for people and hold nothing of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// It was taken.
    Done,
    /// It was not, and may be later; the receiver may have said when.
    Again(String, Option<Duration>),
    /// It never will be.
    Never(String),
    /// The receiver wants no event any more (410).
    Gone,
}

/// How a receiver is reached.
#[derive(Debug)]
pub enum Carrier {
    /// A program with its arguments.
    Command(Vec<String>),
    /// A POST.
    Webhook(Box<Webhook>),
}

impl Carrier {
    /// A webhook at the operator's own address, which may be one of this machine.
    ///
    /// # Errors
    /// When the system has no TLS.
    pub fn webhook(url: Url, signer: Option<Signer>) -> Result<Self, String> {
        let webhook = Webhook::new(url, signer).map_err(|error| error.to_string())?;
        Ok(Self::Webhook(Box::new(webhook)))
    }

    /// Tries once; takes 10 s at most.
    pub async fn carry(&self, letter: &Letter<'_>) -> Tried {
        let payload = Payload { show: letter.show, event: letter.event, left_out: letter.left_out };
        match self {
            Self::Command(command) => match command::run(command, &payload).await {
                Ok(()) => Tried::Done,
                Err(Undelivered(words)) => Tried::Again(words, None),
            },
            Self::Webhook(webhook) => webhook.post_once(&payload, letter.id, letter.at).await,
        }
    }
}
