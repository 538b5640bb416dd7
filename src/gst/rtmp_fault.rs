//! Why a connection to an RTMP(S) server failed, by domain and code and never by a message's words.

use gio::glib::translate::IntoGlib;

use super::{Fault, FaultKind};

/// Why a connection failed, by the domain and code of the library that said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtmpFault {
    /// The server's name has no address.
    Unresolved,
    /// The server answers, and nothing listens on the port.
    Refused,
    /// The server does not answer, or stopped answering.
    Unreachable,
    /// The server said no to the stream, its key or its application.
    Rejected,
    /// The server's certificate is not trusted, or belongs to another name.
    Certificate,
    /// What answered does not speak TLS as we do.
    Handshake,
    /// There is no TLS in this installation.
    TlsMissing,
    /// The server did not carry out a command that every publisher sends: it said no, or hung up instead of an answer.
    Command,
    /// The server closed the connection.
    Closed,
    /// Anything else.
    Other,
}

impl RtmpFault {
    /// The class of what the bus reported.
    pub fn of(fault: &Fault) -> Self {
        if fault.kind == FaultKind::NotAuthorized {
            return Self::Rejected;
        }
        match cause(&fault.text) {
            Some(("g-resolver-error-quark", _)) => Self::Unresolved,
            Some(("g-tls-error-quark", code)) => tls_class(code),
            Some(("g-io-error-quark", code)) => io_class(code),
            // The sink wraps a refused connection in an error of its own, which names no cause; all others do.
            None if fault.kind == FaultKind::Connection => Self::Refused,
            _ => Self::Other,
        }
    }
}

/// The sink wraps the error of the layer below and names it at the end of its details: `domain NAME, code NUMBER`.
fn cause(text: &str) -> Option<(&str, i32)> {
    let (_, rest) = text.rsplit_once("domain ")?;
    let (domain, rest) = rest.split_once(", code ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
    Some((domain, digits.parse().ok()?))
}

fn tls_class(code: i32) -> RtmpFault {
    match code {
        code if code == gio::TlsError::Unavailable.into_glib() => RtmpFault::TlsMissing,
        code if code == gio::TlsError::BadCertificate.into_glib() => RtmpFault::Certificate,
        _ => RtmpFault::Handshake,
    }
}

fn io_class(code: i32) -> RtmpFault {
    use gio::IOErrorEnum as Io;
    let is = |errors: &[Io]| errors.iter().any(|error| error.into_glib() == code);
    if is(&[Io::ConnectionRefused]) {
        RtmpFault::Refused
    } else if is(&[Io::HostNotFound]) {
        RtmpFault::Unresolved
    } else if is(&[Io::TimedOut, Io::HostUnreachable, Io::NetworkUnreachable]) {
        RtmpFault::Unreachable
    } else if is(&[Io::BrokenPipe, Io::Closed, Io::PartialInput]) {
        RtmpFault::Closed
    } else if is(&[Io::PermissionDenied, Io::Exists]) {
        RtmpFault::Rejected
    } else if is(&[Io::Failed]) {
        RtmpFault::Command
    } else {
        RtmpFault::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_apart_by_domain_and_code() {
        let class = |kind, text: &str| RtmpFault::of(&Fault { element: "out".into(), kind, text: text.to_owned() });
        let cases = [
            ("g-io-error-quark, code 39", RtmpFault::Refused),
            ("g-io-error-quark, code 44", RtmpFault::Closed),
            ("g-io-error-quark, code 0", RtmpFault::Command),
            ("g-io-error-quark, code 24", RtmpFault::Unreachable),
            ("g-resolver-error-quark, code 0", RtmpFault::Unresolved),
            ("g-tls-error-quark, code 2", RtmpFault::Certificate),
            ("g-tls-error-quark, code 0", RtmpFault::TlsMissing),
            ("g-flow-error, code 1", RtmpFault::Other),
        ];
        for (cause, wanted) in cases {
            let text = format!("Failed to connect: a server's own domain evil, code 9 (sink.c(9): \ndomain {cause})");
            assert_eq!(class(FaultKind::Other, &text), wanted, "{cause}");
        }
        assert_eq!(class(FaultKind::NotAuthorized, "no"), RtmpFault::Rejected);
        assert_eq!(class(FaultKind::Connection, "Connection refused: (sink.c(9): out)"), RtmpFault::Refused);
    }
}
