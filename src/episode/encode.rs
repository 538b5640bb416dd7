//! Files whose sound is encoded anew: MP3, Opus, FLAC, WAV, and AAC where the sound itself is changed. Several in one pass:
//! decoded once, levelled once, each encoded on a thread of its own.

use std::io;
use std::sync::{Arc, Mutex};

use super::copy::{Copied, CopyFile, Copying, PartFacts, part_name};
use super::decoded::Decoded;
use super::error::EpisodeError;
use super::loudness::{Chain, Dsp};
use super::mp3::Mp3File;
use super::output::{NewFile, Overwrite, Placed};
use super::progress::Progress;
use super::reel::Reel;
use super::tags::{FileLabels, id3, vorbis, write_mp4};
use crate::gst::episode_encode::{Codec, FileEncoder, Samples, Target};
use crate::media::{AAC_FRAME_SAMPLES, EncodedLoop, SAMPLE_RATE, StereoSample};
use crate::recording::Folder;
use crate::recording::adts::AacConfig;

/// What a WAV file can say of its size, with room for its heads.
const WAV_LIMIT: u64 = u32::MAX as u64 - (1 << 20);

/// Bytes that a second of a space's sound has at least; how long a captured stream may be at most follows.
const LEAST_BYTES: u64 = 8000;

/// Rates of MP3 that are no noise at 48 kHz, in kbit/s.
const MP3_RATES: [u32; 10] = [64, 80, 96, 112, 128, 160, 192, 224, 256, 320];

/// What to make.
#[derive(Debug, Clone)]
pub enum EncodeFormat {
    /// MP3 at a constant rate.
    Mp3,
    /// Opus in Ogg.
    Opus,
    /// FLAC, 16 bits.
    Flac,
    /// WAV, 16 bits; RF64 for more than 4 GB.
    Wav,
    /// AAC in an MP4.
    M4a,
    /// The same with a picture.
    Mp4(Arc<EncodedLoop>),
}

impl EncodeFormat {
    /// The file name's ending.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Opus => "opus",
            Self::Flac => "flac",
            Self::Wav => "wav",
            Self::M4a => "m4a",
            Self::Mp4(_) => "mp4",
        }
    }

    /// Its rate in kbit/s: what is asked for as far as the codec has it, else one that is good for speech.
    fn kbps(&self, asked: Option<u32>, mono: bool) -> u32 {
        match self {
            Self::Mp3 => {
                let asked = asked.unwrap_or(if mono { 96 } else { 128 });
                MP3_RATES.into_iter().min_by_key(|rate| rate.abs_diff(asked)).unwrap_or(128)
            }
            Self::Opus => asked.unwrap_or(if mono { 64 } else { 96 }).clamp(16, 320),
            _ => asked.unwrap_or(if mono { 96 } else { 128 }).clamp(32, 320),
        }
    }
}

/// One file to make.
#[derive(Debug, Clone)]
pub struct EncodeJob {
    /// What.
    pub format: EncodeFormat,
    /// Rate in kbit/s; none for the format's own. What the codec does not have becomes what it has.
    pub kbps: Option<u32>,
}

/// What to encode into which files.
#[derive(Debug)]
pub struct EncodePlan<'a> {
    /// Where the files go.
    pub folder: Arc<Folder>,
    /// Their name up to the ending.
    pub base: String,
    /// Which files.
    pub jobs: Vec<EncodeJob>,
    /// One channel, the mean of both.
    pub mono: bool,
    /// What is done to the sound.
    pub dsp: Dsp,
    /// What to do about files of that name.
    pub overwrite: Overwrite,
    /// What stands in each.
    pub labels: &'a FileLabels,
}

/// What encoding made.
#[derive(Debug, Default)]
pub struct EncodeReport {
    /// The files, in the order of the jobs.
    pub files: Vec<Copied>,
    /// Captured streams that are no AAC.
    pub foreign: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Encodes a reel into the plan's files. Each has its name when it is whole; one that fails leaves nothing.
///
/// # Errors
/// The first one; none for a reel without audio.
pub fn encode(reel: &mut Reel, plan: &EncodePlan<'_>, progress: &Progress) -> Result<EncodeReport, EpisodeError> {
    let large = wav_is_large(reel, plan.mono);
    let seconds = samples_of(reel) as f64 / f64::from(SAMPLE_RATE);
    let mut decoded = Decoded::new(reel);
    let mut report = EncodeReport::default();
    let mut samples = Vec::new();
    // Nothing is begun for a reel without audio.
    while decoded.origin().is_none() && decoded.next(&mut samples)? {}
    if let Some(origin) = decoded.origin() {
        let make = |job: &EncodeJob| Encoding::start(job, plan, seconds, large);
        let mut files = plan.jobs.iter().map(make).collect::<Result<Vec<_>, _>>()?;
        let length = feed(&mut decoded, samples, plan, &mut files, progress)?;
        let length_of = |samples: u64| samples as f64 / f64::from(SAMPLE_RATE);
        let part =
            PartFacts { origin, seconds: length_of(length), filled_seconds: length_of(decoded.filled().min(length)) };
        // All of them are at their end before the first is given its name.
        files.iter_mut().try_for_each(|file| file.end(length))?;
        for file in files {
            let extension = file.extension;
            report.files.push(Copied { extension, file: file.place(plan)?, part });
        }
    }
    report.foreign = decoded.take_foreign();
    report.notes = decoded.take_notes();
    Ok(report)
}

/// Gives everything to the files; how many samples it was.
fn feed(
    decoded: &mut Decoded<&mut Reel>,
    mut samples: Vec<StereoSample>,
    plan: &EncodePlan<'_>,
    files: &mut [Encoding],
    progress: &Progress,
) -> Result<u64, EpisodeError> {
    let mut chain = Chain::new(plan.dsp, plan.mono);
    let mut at = 0;
    let mut give = |samples: &[StereoSample]| -> Result<(), EpisodeError> {
        if !samples.is_empty() {
            let shared = Samples::new(samples, at);
            files.iter_mut().try_for_each(|file| file.push(&shared, samples.len()))?;
            at += samples.len() as u64;
        }
        Ok(())
    };
    loop {
        progress.check()?;
        let before = samples.len() as u64;
        chain.process(&mut samples);
        give(&samples)?;
        progress.advance(before);
        if !decoded.next(&mut samples)? {
            break;
        }
    }
    give(&chain.finish())?;
    Ok(decoded.position())
}

fn samples_of(reel: &Reel) -> u64 {
    let (start, end) = reel.span();
    end.abs_diff(start)
}

fn wav_is_large(reel: &Reel, mono: bool) -> bool {
    let span = samples_of(reel);
    let samples = if span > 0 { span } else { reel.bytes() / LEAST_BYTES * u64::from(SAMPLE_RATE) };
    wav_bytes(samples, mono) > WAV_LIMIT
}

fn wav_bytes(samples: u64, mono: bool) -> u64 {
    samples.saturating_mul(if mono { 2 } else { 4 })
}

/// What takes the encoded sound of one file.
enum Writing {
    /// The encoder's own pipeline.
    Itself(NewFile),
    Mp3(NewFile, Arc<Mutex<Option<Mp3File>>>),
    Mp4(Arc<Mutex<AacFile>>),
}

/// An MP4 file, and how many of the encoder's frames it needs to pass.
struct AacFile {
    file: Option<CopyFile>,
    /// Frames that came out of the encoder, of which the first holds nothing but its priming.
    seen: u64,
    /// Frames that are in the file, at most; known at the end.
    most: u64,
}

impl AacFile {
    fn push(&mut self, frame: &[u8]) -> io::Result<()> {
        self.seen += 1;
        match &mut self.file {
            Some(file) if self.seen > 1 && self.seen - 1 <= self.most => file.push(frame).map_err(io::Error::other),
            _ => Ok(()),
        }
    }
}

/// One file on its way.
struct Encoding {
    extension: &'static str,
    encoder: FileEncoder,
    writing: Writing,
    /// Samples that it can hold.
    room: u64,
    pushed: u64,
}

impl Encoding {
    fn start(job: &EncodeJob, plan: &EncodePlan<'_>, seconds: f64, large: bool) -> Result<Self, EpisodeError> {
        let extension = job.format.extension();
        let name = part_name(&plan.base, 1, extension);
        let channels = if plan.mono { 1 } else { 2 };
        let kbps = job.format.kbps(job.kbps, plan.mono);
        let (codec, target, writing) = match &job.format {
            EncodeFormat::Mp3 => mp3(NewFile::create(&plan.folder, &name)?, kbps, plan, seconds)?,
            EncodeFormat::M4a => aac(plan, &name, &Copying::M4a, kbps)?,
            EncodeFormat::Mp4(picture) => aac(plan, &name, &Copying::Mp4(picture.clone()), kbps)?,
            EncodeFormat::Opus => itself(NewFile::create(&plan.folder, &name)?, Codec::Opus(kbps), plan.labels),
            EncodeFormat::Flac => itself(NewFile::create(&plan.folder, &name)?, Codec::Flac, plan.labels),
            EncodeFormat::Wav => itself(NewFile::create(&plan.folder, &name)?, Codec::Wav { large }, plan.labels),
        };
        let is_small_wav = matches!(codec, Codec::Wav { large: false });
        let room = if is_small_wav { WAV_LIMIT / wav_bytes(1, plan.mono) } else { u64::MAX };
        Ok(Self { extension, encoder: FileEncoder::start(codec, channels, target)?, writing, room, pushed: 0 })
    }

    fn push(&mut self, samples: &Samples, count: usize) -> Result<(), EpisodeError> {
        self.pushed += count as u64;
        if self.pushed > self.room {
            return Err(EpisodeError::Unsuitable(
                "it is longer than a WAV file can say (4 GB): take flac, or export it in pieces".to_owned(),
            ));
        }
        self.encoder.push(samples).map_err(|error| self.reason(error))
    }

    /// Waits until `length` samples are in the file.
    fn end(&mut self, length: u64) -> Result<(), EpisodeError> {
        if let Writing::Mp4(file) = &self.writing {
            lock(file).most = length.div_ceil(AAC_FRAME_SAMPLES);
            // The encoder's last samples come out only behind one more frame.
            let silence = vec![[0.0; 2]; 2 * AAC_FRAME_SAMPLES as usize];
            self.encoder.push(&Samples::new(&silence, length)).map_err(|error| self.reason(error))?;
        }
        self.encoder.finish().map_err(|error| self.reason(error))?;
        if let Writing::Mp3(new, file) = &self.writing
            && let Some(file) = lock(file).take()
        {
            file.finish(length).map_err(unwritten(new))?;
        }
        Ok(())
    }

    /// Gives the file its name.
    fn place(self, plan: &EncodePlan<'_>) -> Result<Placed, EpisodeError> {
        // The pipeline holds what writes; it is stopped first.
        drop(self.encoder);
        match self.writing {
            Writing::Itself(new) | Writing::Mp3(new, _) => new.place(plan.overwrite),
            Writing::Mp4(file) => {
                let file = lock(&file).file.take();
                let file = file.ok_or_else(|| EpisodeError::NoAudio("the encoder gave nothing".to_owned()))?;
                file.finish(|path| write_mp4(path, plan.labels), plan.overwrite)
            }
        }
    }

    /// The file's own failure, where it is the reason.
    fn reason(&self, error: crate::gst::GstError) -> EpisodeError {
        match self.encoder.take_failure() {
            Some(source) => {
                EpisodeError::Io { what: format!("the {} file could not be written", self.extension), source }
            }
            None => error.into(),
        }
    }
}

fn mp3(new: NewFile, kbps: u32, plan: &EncodePlan<'_>, seconds: f64) -> Result<(Codec, Target, Writing), EpisodeError> {
    let file = Mp3File::start(new.file()?, &id3(plan.labels, seconds)?).map_err(unwritten(&new))?;
    let file = Arc::new(Mutex::new(Some(file)));
    let into = file.clone();
    let take = move |_: Option<&[u8]>, frame: &[u8]| lock(&into).as_mut().map_or(Ok(()), |file| file.push(frame));
    let codec = Codec::Mp3 { kbps, exact: plan.dsp.limit_dbtp.is_some() };
    Ok((codec, Target::Packets(Box::new(take)), Writing::Mp3(new, file)))
}

fn aac(
    plan: &EncodePlan<'_>,
    name: &str,
    copying: &Copying,
    kbps: u32,
) -> Result<(Codec, Target, Writing), EpisodeError> {
    let config = AacConfig { object_type: 2, sample_rate: SAMPLE_RATE, channels: if plan.mono { 1 } else { 2 } };
    let file = CopyFile::create(&plan.folder, name, copying, config)?;
    let file = Arc::new(Mutex::new(AacFile { file: Some(file), seen: 0, most: u64::MAX }));
    let into = file.clone();
    let take = move |_: Option<&[u8]>, frame: &[u8]| lock(&into).push(frame);
    Ok((Codec::Aac(kbps), Target::Packets(Box::new(take)), Writing::Mp4(file)))
}

fn itself(new: NewFile, codec: Codec, labels: &FileLabels) -> (Codec, Target, Writing) {
    let mut embedded = vorbis(labels);
    if matches!(codec, Codec::Wav { .. }) {
        // The encoder writes 2026:01:02, which is no date of an INFO list.
        embedded.tags.date = None;
    }
    (codec, Target::File(new.path(), embedded), Writing::Itself(new))
}

fn unwritten(new: &NewFile) -> impl FnOnce(io::Error) -> EpisodeError {
    EpisodeError::io(format!("{} could not be written", new.final_path().display()))
}

/// A thread that panicked while it held the lock has failed its pipeline too.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
