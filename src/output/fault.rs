//! What can go wrong with a destination, in classes, and what an operator is told about each.

use crate::gst::GstError;
use crate::gst::rtmp::{AddressError, RtmpFault};

/// A class of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultClass {
    /// The server's name has no address.
    Unresolved,
    /// Nothing listens at the server's port.
    Refused,
    /// The server does not answer.
    Unreachable,
    /// The server said no to the stream, or hung up before it took any media.
    Rejected,
    /// The server said no to a key that has just worked.
    Busy,
    /// The certificate is not trusted.
    Certificate,
    /// The server does not speak TLS there.
    Handshake,
    /// There is no TLS on this machine.
    TlsMissing,
    /// The server takes no more data.
    Stalled,
    /// The server closed a connection that worked.
    Closed,
    /// The server took the stream and closed it within seconds, again and again.
    Dismissed,
    /// This machine or the configuration cannot do it.
    Local,
    /// Anything else.
    Other,
}

/// One fault as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutputFault {
    /// Its class.
    pub(super) class: FaultClass,
    /// The library's own words, redacted; empty where there are none.
    pub(super) detail: String,
}

impl FaultClass {
    /// The class of what a connection reported. `live` is whether media had left before, `proven` whether address and
    /// key were good a moment ago.
    pub(super) fn of(fault: RtmpFault, live: bool, proven: bool) -> Self {
        match fault {
            RtmpFault::Unresolved => Self::Unresolved,
            RtmpFault::Refused => Self::Refused,
            RtmpFault::Unreachable if live => Self::Stalled,
            RtmpFault::Unreachable => Self::Unreachable,
            // Its side of the session that broke is not over yet: nginx-rtmp says "Already publishing".
            RtmpFault::Rejected if proven => Self::Busy,
            RtmpFault::Rejected => Self::Rejected,
            RtmpFault::Certificate => Self::Certificate,
            RtmpFault::Handshake => Self::Handshake,
            RtmpFault::TlsMissing => Self::TlsMissing,
            // What hangs up on a key that has just worked is an ingest in trouble behind a balancer or a TLS proxy.
            RtmpFault::Closed | RtmpFault::Command if live || proven => Self::Closed,
            // Many servers say no by hanging up: nginx-rtmp does, asked whether a key may publish.
            RtmpFault::Closed | RtmpFault::Command => Self::Rejected,
            RtmpFault::Other => Self::Other,
        }
    }

    /// Whether the server itself has spoken: then the way to it works.
    pub(super) fn is_an_answer(self) -> bool {
        matches!(self, Self::Rejected | Self::Busy | Self::Closed | Self::Dismissed)
    }

    /// Whether only the operator can help, so that attempts may be rare.
    pub(super) fn needs_operator(self) -> bool {
        matches!(
            self,
            Self::Rejected | Self::Certificate | Self::Handshake | Self::TlsMissing | Self::Dismissed | Self::Local
        )
    }

    /// A stable name for programs.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Unresolved => "output.unresolved",
            Self::Refused => "output.refused",
            Self::Unreachable => "output.unreachable",
            Self::Rejected => "output.rejected",
            Self::Busy => "output.busy",
            Self::Certificate => "output.certificate",
            Self::Handshake => "output.handshake",
            Self::TlsMissing => "output.tls_missing",
            Self::Stalled => "output.stalled",
            Self::Closed => "output.closed",
            Self::Dismissed => "output.dismissed",
            Self::Local => "output.local",
            Self::Other => "output.failed",
        }
    }

    fn words(self, server: &str) -> String {
        match self {
            Self::Unresolved => format!("The name of {server} has no address."),
            Self::Refused => format!("Nothing listens at {server}."),
            Self::Unreachable => format!("{server} does not answer."),
            Self::Rejected => format!("{server} refused the stream: rejected key or wrong application."),
            Self::Busy => {
                format!("{server} does not take the stream again yet: it still holds the session that broke.")
            }
            Self::Certificate => format!("The certificate of {server} is not trusted."),
            Self::Handshake => format!("{server} does not speak TLS on this port."),
            Self::TlsMissing => "This machine has no TLS for RTMPS.".to_owned(),
            Self::Stalled => format!("{server} takes no more data."),
            Self::Closed => format!("{server} closed the connection."),
            Self::Dismissed => format!("{server} takes the stream and closes it within seconds, again and again."),
            Self::Local => "This output cannot be started.".to_owned(),
            Self::Other => format!("The connection to {server} failed."),
        }
    }

    /// What the operator can do about output `name`.
    pub(super) fn remedy(self, name: &str) -> Option<String> {
        match self {
            Self::Unresolved => Some(format!("Check the address of output {name}, and this machine's DNS.")),
            Self::Refused | Self::Unreachable => {
                Some(format!("Check scheme, address and port of output {name}, and the firewall; it is tried again."))
            }
            Self::Rejected => {
                Some(format!("Check the key of output {name} at the platform's page, and that nobody else uses it."))
            }
            Self::Busy => Some(format!(
                "If it lasts for minutes, check the key of output {name} at the platform's page, and that nobody else uses it."
            )),
            Self::Certificate => Some(format!(
                "Check the host name of output {name} and this machine's date; an authority of your own goes into \
                 SPACEBRIDGE_CA_FILE."
            )),
            Self::Handshake => Some(format!("Check scheme and port of output {name}: rtmps is mostly port 443.")),
            Self::TlsMissing => Some("Install the Debian package glib-networking.".to_owned()),
            Self::Stalled => Some("Check the upload of this machine: it may be too slow for all outputs.".to_owned()),
            Self::Dismissed => Some(format!(
                "Check the key of output {name} and the state of the broadcast at the platform's page: some platforms take \
                 a wrong key first."
            )),
            Self::Local => Some(format!("Run `spacebridge doctor`, and check output {name}.")),
            Self::Closed => Some(format!(
                "If it happens again within seconds, check the key of output {name}: some platforms take a wrong one first."
            )),
            Self::Other => None,
        }
    }
}

impl OutputFault {
    /// A fault without words of a library.
    pub(super) fn plain(class: FaultClass) -> Self {
        Self { class, detail: String::new() }
    }

    /// One sentence: what happened.
    pub(super) fn message(&self, server: &str) -> String {
        let words = self.class.words(server);
        if self.detail.is_empty() { words } else { format!("{words} ({})", self.detail) }
    }
}

impl From<GstError> for OutputFault {
    fn from(error: GstError) -> Self {
        let class = if error.is_permanent() { FaultClass::Local } else { FaultClass::Other };
        Self { class, detail: error.to_string() }
    }
}

impl From<AddressError> for OutputFault {
    fn from(error: AddressError) -> Self {
        Self { class: FaultClass::Local, detail: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_hangs_up_before_any_media_has_rejected_the_key() {
        assert_eq!(FaultClass::of(RtmpFault::Closed, false, false), FaultClass::Rejected);
        assert_eq!(FaultClass::of(RtmpFault::Closed, true, false), FaultClass::Closed);
    }

    #[test]
    fn a_balancer_whose_ingest_died_is_not_taken_for_a_rejected_key() {
        assert_eq!(FaultClass::of(RtmpFault::Closed, false, true), FaultClass::Closed);
        assert_eq!(FaultClass::of(RtmpFault::Command, false, true), FaultClass::Closed);
        assert_eq!(FaultClass::of(RtmpFault::Rejected, false, true), FaultClass::Busy);
        assert_eq!(FaultClass::of(RtmpFault::Rejected, false, false), FaultClass::Rejected);
    }

    #[test]
    fn a_fault_that_needs_the_operator_says_what_to_do() {
        let classes = [
            FaultClass::Rejected,
            FaultClass::Certificate,
            FaultClass::Handshake,
            FaultClass::TlsMissing,
            FaultClass::Dismissed,
            FaultClass::Local,
        ];
        for class in classes {
            assert!(class.needs_operator() && class.remedy("youtube").is_some(), "{class:?}");
        }
    }
}
