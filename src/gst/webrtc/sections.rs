//! What is changed in descriptions on their way between `webrtcbin` and the other side. Pure.

/// A section in which nothing is sent for now (RFC 8866 §6.7).
const INACTIVE: &str = "a=inactive";

/// A description of the other side as we want it, who listen to voices or, in a rehearsal, are one.
///
/// Without congestion feedback for each packet (`draft-holmer-rmcat-transport-wide-cc-extensions`): there is no rate to
/// control, and a full room would be answered some sixty times a second. With requests for single lost packets of sound
/// (RFC 4585 §6.2.1), though gateways seldom offer that: Janus sends again whatever the other side of a track says it
/// would ask for, and who does not know these requests ignores them.
///
/// With nothing that is not sent: `webrtcbin` cannot take a section up again that was inactive once, which is what becomes
/// of a speaker's who leaves and comes back.
pub(super) fn for_voices(sdp: &str) -> String {
    let mut kept = String::with_capacity(sdp.len() + 64);
    for line in sdp.split_inclusive('\n').filter(|line| !is_feedback(line)) {
        kept.push_str(if line.trim_end() == INACTIVE { "a=sendonly\r\n" } else { line });
        let request = opus_number(line).map(|number| format!("a=rtcp-fb:{number} nack\r\n"));
        kept.push_str(&request.filter(|request| !sdp.contains(request)).unwrap_or_default());
    }
    kept
}

fn is_feedback(line: &str) -> bool {
    line.starts_with("a=extmap:") && line.contains("transport-wide-cc")
        || line.starts_with("a=rtcp-fb:") && line.trim_end().ends_with("transport-cc")
}

/// The payload type that `line` gives to Opus (RFC 7587 §7).
fn opus_number(line: &str) -> Option<&str> {
    let (number, coding) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
    let is_opus = coding.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("opus/"));
    (is_opus && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

/// The sections of a description in which nothing is sent for now.
pub(super) fn idle(sdp: &str) -> Vec<usize> {
    let mut sections = 0_usize;
    let mut idle = Vec::new();
    for line in sdp.lines().map(str::trim_end) {
        sections += usize::from(line.starts_with("m="));
        if line == INACTIVE && sections > 0 {
            idle.push(sections - 1);
        }
    }
    idle
}

/// The description, with nothing received in the sections `idle`.
pub(super) fn with_idle(sdp: &str, idle: &[usize]) -> String {
    let mut sections = 0_usize;
    let line = |line: &str| {
        sections += usize::from(line.starts_with("m="));
        let is_idle = sections.checked_sub(1).is_some_and(|section| idle.contains(&section));
        if is_idle && line.trim_end() == "a=recvonly" { format!("{INACTIVE}\r\n") } else { line.to_owned() }
    };
    sdp.split_inclusive('\n').map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_feedback_for_each_packet_is_agreed_on_and_lost_packets_are_asked_for() {
        let offer = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\n\
            a=extmap:2 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
            a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=rtcp-fb:111 transport-cc\r\n";
        let wanted = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\na=rtpmap:111 opus/48000/2\r\n\
            a=rtcp-fb:111 nack\r\na=rtpmap:0 PCMU/8000\r\n\
            a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n";
        assert_eq!(for_voices(offer), wanted);
        for odd in
            ["a=rtpmap:\u{e4} opus/48000", "a=rtpmap:", "a=rtpmap:111", "a=rtpmap:1;1 opus/48000", "a=rtpmap:1 o"]
        {
            assert_eq!(for_voices(odd), odd);
        }
    }

    #[test]
    fn a_section_in_which_nothing_is_sent_stays_open_here_and_is_answered_as_it_was_offered() {
        let offer = "v=0\r\na=group:BUNDLE 0 1\r\nm=audio 9 X 111\r\na=inactive\r\nm=audio 9 X 111\r\na=sendonly\r\n";
        assert_eq!(idle(offer), [0]);
        assert_eq!(for_voices(offer), offer.replace("inactive", "sendonly"));
        let answer = "v=0\r\nm=audio 9 X 111\r\na=recvonly\r\nm=audio 9 X 111\r\na=recvonly\r\n";
        let told = "v=0\r\nm=audio 9 X 111\r\na=inactive\r\nm=audio 9 X 111\r\na=recvonly\r\n";
        assert_eq!(with_idle(answer, &idle(offer)), told);
        assert_eq!(with_idle(answer, &[]), answer);
    }
}
