//! How long an Opus packet lasts, from its own first bytes (RFC 6716 §3.1). Pure.

/// Longest packet, in 48 kHz samples: 120 ms.
const LONGEST: u32 = 5760;

/// Duration of `packet` in 48 kHz samples; none where it is no Opus packet.
pub fn duration(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let count = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    let samples = frame * count;
    (samples > 0 && samples <= LONGEST).then_some(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_tell_their_length_and_nonsense_has_none() {
        let table: [(&[u8], Option<u32>); 8] = [
            (&[0x08], Some(960)),
            (&[0x78], Some(960)),
            (&[0xf8, 1, 2], Some(960)),
            (&[0x79], Some(1920)),
            (&[0xfb, 3], Some(2880)),
            (&[0xfb], None),
            (&[0xfb, 63], None),
            (&[], None),
        ];
        for (packet, samples) in table {
            assert_eq!(duration(packet), samples, "{packet:?}");
        }
    }
}
