//! The boxes of an MP4's index, made of the tables that the writer kept.

use std::io;
use std::num::NonZeroU32;
use std::time::Duration;

use shiguredo_mp4::boxes::{
    AudioSampleEntryFields, Avc1Box, AvccBox, Brand, Co64Box, DinfBox, EsdsBox, FtypBox, HdlrBox, MdhdBox, MdiaBox,
    MediaHeader, MinfBox, MoovBox, Mp4aBox, MvhdBox, SampleEntry, SmhdBox, StblBox, StcoBox, StscBox, StscEntry,
    StsdBox, StssBox, StszBox, SttsBox, SttsEntry, TkhdBox, TrakBox, VisualSampleEntryFields, VmhdBox,
};
use shiguredo_mp4::descriptors::{DecoderConfigDescriptor, DecoderSpecificInfo, EsDescriptor, SlConfigDescriptor};
use shiguredo_mp4::{Decode as _, Either, Encode as _, FixedPointNumber, LanguageCode, Mp4FileTime, Uint};

use super::{Chunk, Kind, Track};
use crate::media::VideoFormat;
use crate::recording::adts::AacConfig;

/// Units of the whole file's time: milliseconds.
const MOVIE_CLOCK: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");

/// Files that end before this have room for the index in front of them with offsets of 32 bits.
const SHORT_OFFSETS: u64 = u32::MAX as u64 - (256 << 20);

/// When it was made is in the tags; a constant here gives the same file for the same recording.
const NO_TIME: Mp4FileTime = Mp4FileTime::from_unix_time(Duration::ZERO);

fn refused(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("the index could not be made: {error}"))
}

/// What kind of file it is.
pub(super) fn file_type(video: bool) -> io::Result<Vec<u8>> {
    let brand = |name: &[u8; 4]| Brand::new(*name);
    let (major_brand, other) = if video { (brand(b"isom"), brand(b"avc1")) } else { (brand(b"M4A "), brand(b"isom")) };
    let compatible_brands = vec![major_brand, other, brand(b"iso2"), brand(b"mp42")];
    FtypBox { major_brand, minor_version: 0x200, compatible_brands }.encode_to_vec().map_err(refused)
}

/// The index of tracks whose frames end at `end` in the file.
pub(super) fn index(tracks: &[Track], end: u64) -> io::Result<Vec<u8>> {
    let traks: io::Result<Vec<TrakBox>> =
        tracks.iter().zip(1..).map(|(track, id)| trak(track, id, end > SHORT_OFFSETS)).collect();
    let duration = tracks.iter().map(milliseconds).max().unwrap_or(0);
    let movie = MvhdBox {
        creation_time: NO_TIME,
        modification_time: NO_TIME,
        timescale: MOVIE_CLOCK,
        duration,
        rate: MvhdBox::DEFAULT_RATE,
        volume: MvhdBox::DEFAULT_VOLUME,
        matrix: MvhdBox::DEFAULT_MATRIX,
        next_track_id: tracks.len() as u32 + 1,
    };
    let moov = MoovBox { mvhd_box: movie, trak_boxes: traks?, mvex_box: None, unknown_boxes: Vec::new() };
    moov.encode_to_vec().map_err(refused)
}

fn milliseconds(track: &Track) -> u64 {
    (track.seconds() * 1000.0).round() as u64
}

fn trak(track: &Track, id: u32, long: bool) -> io::Result<TrakBox> {
    let (volume, width, height) = match &track.kind {
        Kind::Audio(_) => (TkhdBox::DEFAULT_AUDIO_VOLUME, 0, 0),
        Kind::Video { format, .. } => (TkhdBox::DEFAULT_VIDEO_VOLUME, side(format.width)?, side(format.height)?),
    };
    let head = TkhdBox {
        flag_track_enabled: true,
        flag_track_in_movie: true,
        flag_track_in_preview: false,
        flag_track_size_is_aspect_ratio: false,
        creation_time: NO_TIME,
        modification_time: NO_TIME,
        track_id: id,
        duration: milliseconds(track),
        layer: TkhdBox::DEFAULT_LAYER,
        alternate_group: TkhdBox::DEFAULT_ALTERNATE_GROUP,
        volume,
        matrix: TkhdBox::DEFAULT_MATRIX,
        width: FixedPointNumber::new(width, 0),
        height: FixedPointNumber::new(height, 0),
    };
    Ok(TrakBox { tkhd_box: head, edts_box: None, mdia_box: media(track, long)?, unknown_boxes: Vec::new() })
}

fn side(pixels: u32) -> io::Result<i16> {
    i16::try_from(pixels).map_err(refused)
}

fn media(track: &Track, long: bool) -> io::Result<MdiaBox> {
    let (clock, delta) = track.kind.times();
    let (handler_type, name, header) = match track.kind {
        Kind::Audio(_) => {
            let header = MediaHeader::Smhd(SmhdBox { balance: SmhdBox::DEFAULT_BALANCE });
            (HdlrBox::HANDLER_TYPE_SOUN, "SoundHandler", header)
        }
        Kind::Video { .. } => (
            HdlrBox::HANDLER_TYPE_VIDE,
            "VideoHandler",
            MediaHeader::Vmhd(VmhdBox { graphicsmode: 0, opcolor: [0; 3] }),
        ),
    };
    let head = MdhdBox {
        creation_time: NO_TIME,
        modification_time: NO_TIME,
        timescale: NonZeroU32::new(clock).unwrap_or(NonZeroU32::MIN),
        duration: track.sizes.len() as u64 * u64::from(delta),
        language: LanguageCode::UNDEFINED,
    };
    let tables = MinfBox {
        media_header: Some(header),
        dinf_box: DinfBox::LOCAL_FILE,
        stbl_box: tables(track, delta, long)?,
        unknown_boxes: Vec::new(),
    };
    let handler = HdlrBox { handler_type, name: [name.as_bytes(), &[0]].concat() };
    Ok(MdiaBox { mdhd_box: head, hdlr_box: handler, minf_box: tables, unknown_boxes: Vec::new() })
}

fn tables(track: &Track, delta: u32, long: bool) -> io::Result<StblBox> {
    let entry = match &track.kind {
        Kind::Audio(config) => sound(*config, track),
        Kind::Video { format, codec_data } => picture(*format, codec_data)?,
    };
    let count = u32::try_from(track.sizes.len()).map_err(refused)?;
    let offsets = track.chunks.iter().map(|chunk| chunk.offset);
    let chunk_offsets = if long {
        Either::B(Co64Box { chunk_offsets: offsets.collect() })
    } else {
        Either::A(StcoBox { chunk_offsets: offsets.map(|offset| offset as u32).collect() })
    };
    let keys: Vec<NonZeroU32> = track.keys.iter().copied().filter_map(NonZeroU32::new).collect();
    Ok(StblBox {
        stsd_box: StsdBox { entries: vec![entry] },
        stts_box: SttsBox { entries: vec![SttsEntry { sample_count: count, sample_delta: delta }] },
        ctts_box: None,
        cslg_box: None,
        stsc_box: StscBox { entries: chunk_lengths(&track.chunks) },
        stsz_box: StszBox::Variable { entry_sizes: track.sizes.clone() },
        stco_or_co64_box: chunk_offsets,
        stss_box: (!keys.is_empty() && keys.len() < track.sizes.len()).then_some(StssBox { sample_numbers: keys }),
        sdtp_box: None,
        unknown_boxes: Vec::new(),
    })
}

/// How many frames chunks have: one entry for each run of chunks that have as many.
fn chunk_lengths(chunks: &[Chunk]) -> Vec<StscEntry> {
    let mut entries: Vec<StscEntry> = Vec::new();
    for (chunk, number) in chunks.iter().zip(1..) {
        if entries.last().is_none_or(|entry| entry.sample_per_chunk != chunk.frames)
            && let Some(first_chunk) = NonZeroU32::new(number)
        {
            let sample_description_index = NonZeroU32::MIN;
            entries.push(StscEntry { first_chunk, sample_per_chunk: chunk.frames, sample_description_index });
        }
    }
    entries
}

fn sound(config: AacConfig, track: &Track) -> SampleEntry {
    let bits = track.sizes.iter().map(|size| u64::from(*size)).sum::<u64>() as f64 * 8.0;
    let rate = (bits / track.seconds().max(0.001)).min(f64::from(u32::MAX)) as u32;
    let largest = track.sizes.iter().copied().max().unwrap_or(0);
    let decoder = DecoderConfigDescriptor {
        object_type_indication: DecoderConfigDescriptor::OBJECT_TYPE_INDICATION_AUDIO_ISO_IEC_14496_3,
        stream_type: DecoderConfigDescriptor::STREAM_TYPE_AUDIO,
        up_stream: DecoderConfigDescriptor::UP_STREAM_FALSE,
        buffer_size_db: Uint::new(largest.min(0xFF_FFFF)),
        max_bitrate: rate,
        avg_bitrate: rate,
        dec_specific_info: Some(DecoderSpecificInfo { payload: config.specific_config().to_vec() }),
    };
    let stream = EsDescriptor {
        es_id: EsDescriptor::MIN_ES_ID,
        stream_priority: EsDescriptor::LOWEST_STREAM_PRIORITY,
        depends_on_es_id: None,
        url_string: None,
        ocr_es_id: None,
        dec_config_descr: decoder,
        sl_config_descr: SlConfigDescriptor,
    };
    let audio = AudioSampleEntryFields {
        data_reference_index: AudioSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
        channelcount: config.channels as u16,
        samplesize: AudioSampleEntryFields::DEFAULT_SAMPLESIZE,
        // Rates above 65 535 Hz do not fit: the decoder's own configuration has them.
        samplerate: FixedPointNumber::new(u16::try_from(config.sample_rate).unwrap_or(0), 0),
    };
    SampleEntry::Mp4a(Mp4aBox { audio, esds_box: EsdsBox { es: stream }, unknown_boxes: Vec::new() })
}

fn picture(format: VideoFormat, codec_data: &[u8]) -> io::Result<SampleEntry> {
    let size = u32::try_from(codec_data.len() + 8).map_err(refused)?;
    let (avcc_box, _) = AvccBox::decode(&[&size.to_be_bytes()[..], b"avcC", codec_data].concat()).map_err(refused)?;
    let visual = VisualSampleEntryFields {
        data_reference_index: VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
        width: format.width as u16,
        height: format.height as u16,
        horizresolution: VisualSampleEntryFields::DEFAULT_HORIZRESOLUTION,
        vertresolution: VisualSampleEntryFields::DEFAULT_VERTRESOLUTION,
        frame_count: VisualSampleEntryFields::DEFAULT_FRAME_COUNT,
        compressorname: VisualSampleEntryFields::NULL_COMPRESSORNAME,
        depth: VisualSampleEntryFields::DEFAULT_DEPTH,
    };
    Ok(SampleEntry::Avc1(Avc1Box { visual, avcc_box, unknown_boxes: Vec::new() }))
}
