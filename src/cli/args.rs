//! The command line: what can be said, and nothing of what it does.

mod archive;
mod live;
mod rehearse;
mod serve;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::mark::MarkArgs;
use super::recordings::RecordingsCommand;
use super::show::ShowCommand;
pub use archive::{ArchiveArgs, SignIn};

use crate::bridge::protocol::OutputAction;
use crate::rehearsal::ingest::IngestArgs;
use crate::rehearsal::space::SpaceArgs;
pub use live::{AddArgs, CutArgs, DelayCommand, SlateArgs, SlateCommand};
pub use rehearse::{RehearseArgs, RehearsedSeat};
pub use serve::ServeArgs;

/// A restreaming bridge: a live audio space to RTMP(S) outputs, with a recording.
#[derive(Debug, Parser)]
#[command(name = "spacebridge", version, max_term_width = 100)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Log lines for people or for programs
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// More in the log; twice for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line per message.
    Text,
    /// One JSON object per message.
    Json,
}

/// The commands, in the order of a first evening.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Carry a live space to its outputs and record it
    Run(Box<RunArgs>),
    /// Keep a finished space that has a replay, as fast as the server allows
    Archive(Box<ArchiveArgs>),
    /// Carry any number of shows, with an interface for programs
    Serve(ServeArgs),
    /// Say how the shows on the air are doing
    Status(StatusArgs),
    /// Say by exit code whether the daemon, or every show on the air, answers
    Health,
    /// End a show: closing slate, final files
    End(EndArgs),
    /// List, start, stop or restart outputs of a show; add some, take some out
    #[command(subcommand)]
    Output(OutputCommand),
    /// Put your own text or picture on the slate of a show
    #[command(subcommand)]
    Slate(SlateCommand),
    /// Hold the program back before it goes out, so that there is time to cut
    #[command(subcommand)]
    Delay(DelayCommand),
    /// Take out what was said last, before it goes out; the recording keeps it
    Cut(CutArgs),
    /// What happened in a show, for the morning after
    #[command(subcommand)]
    Show(ShowCommand),
    /// Name the place that is being heard, for the chapters of an export
    Mark(MarkArgs),
    /// Recordings: what there is, whether it is whole, what becomes of it
    #[command(subcommand)]
    Recordings(RecordingsCommand),
    /// Say where a show's audio comes from, or point it at another space
    #[command(subcommand)]
    Source(SourceCommand),
    /// Find every error in a configuration file, and the upload it needs
    Check(CheckArgs),
    /// Examine this machine and, with a link, the whole way to the space
    Doctor(DoctorArgs),
    /// Try everything for about a minute without any account
    Rehearse(RehearseArgs),
    /// The process that carries one show
    #[command(hide = true)]
    Bridge(BridgeArgs),
    /// The simulated space of a rehearsal
    #[command(hide = true)]
    RehearsalSpace(SpaceArgs),
    /// A stand-in ingest of a rehearsal
    #[command(hide = true)]
    RehearsalIngest(IngestArgs),
}

/// Arguments of `run`.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Link or id of a Space, address of a playlist or of other live audio, or `tone` for a test sound
    #[arg(required_unless_present = "config")]
    pub link: Option<String>,
    /// Take everything from a configuration file instead
    #[arg(long, value_name = "FILE", conflicts_with = "link")]
    pub config: Option<PathBuf>,
    /// Name of the show; the Space's id where none is given
    #[arg(long)]
    pub name: Option<String>,
    /// Open the outputs so long before the announced start, such as 10m; at once without it
    #[arg(long, value_name = "TIME")]
    pub on_air_before: Option<String>,
    /// Wait so long after the end for the host's next Space, such as 30m, and join it
    #[arg(long, value_name = "TIME")]
    pub follow_host: Option<String>,

    /// Publish to YouTube, and ask for its stream key if it is not known
    #[arg(long, help_heading = "Outputs")]
    pub youtube: bool,
    /// Environment variable that holds YouTube's stream key
    #[arg(long, value_name = "VAR", help_heading = "Outputs")]
    pub youtube_key_env: Option<String>,
    /// File that holds YouTube's stream key
    #[arg(long, value_name = "FILE", help_heading = "Outputs", conflicts_with = "youtube_key_env")]
    pub youtube_key_file: Option<PathBuf>,
    /// Publish to YouTube's backup server too
    #[arg(long, help_heading = "Outputs")]
    pub youtube_backup: bool,
    /// Server URL from Rumble's live page; publishes to Rumble
    #[arg(long, value_name = "URL", help_heading = "Outputs")]
    pub rumble_url: Option<String>,
    /// Environment variable that holds Rumble's stream key
    #[arg(long, value_name = "VAR", help_heading = "Outputs", requires = "rumble_url")]
    pub rumble_key_env: Option<String>,
    /// File that holds Rumble's stream key
    #[arg(long, value_name = "FILE", help_heading = "Outputs", requires = "rumble_url")]
    pub rumble_key_file: Option<PathBuf>,
    /// Publish to Twitch, and ask for its stream key if it is not known
    #[arg(long, help_heading = "Outputs")]
    pub twitch: bool,
    /// Environment variable that holds Twitch's stream key
    #[arg(long, value_name = "VAR", help_heading = "Outputs")]
    pub twitch_key_env: Option<String>,
    /// File that holds Twitch's stream key
    #[arg(long, value_name = "FILE", help_heading = "Outputs")]
    pub twitch_key_file: Option<PathBuf>,
    /// A further output; repeatable
    #[arg(long = "output", value_name = "NAME=URL", help_heading = "Outputs")]
    pub outputs: Vec<String>,
    /// Environment variable that holds the stream key of a further output; repeatable
    #[arg(long = "key-env", value_name = "NAME=VAR", help_heading = "Outputs")]
    pub key_envs: Vec<String>,

    /// Title on the slate and in the files; the space's own where none is given
    #[arg(long, help_heading = "Slate")]
    pub title: Option<String>,
    /// Host on the slate and in the files; the space's own where none is given
    #[arg(long, help_heading = "Slate")]
    pub host: Option<String>,
    /// Artwork on the slate
    #[arg(long, value_name = "FILE", help_heading = "Slate")]
    pub artwork: Option<PathBuf>,
    /// Time zone of every time on the slate, such as Europe/Berlin
    #[arg(long, value_name = "TZ", help_heading = "Slate")]
    pub timezone: Option<String>,

    /// A browser's cookies.txt of your own account
    #[arg(long, value_name = "FILE", help_heading = "Sign-in")]
    pub cookies: Option<PathBuf>,
    /// Environment variable that holds the cookie auth_token
    #[arg(long, value_name = "VAR", help_heading = "Sign-in", requires = "ct0_env")]
    pub auth_token_env: Option<String>,
    /// Environment variable that holds the cookie ct0
    #[arg(long, value_name = "VAR", help_heading = "Sign-in", requires = "auth_token_env")]
    pub ct0_env: Option<String>,

    /// Folder in which the recording gets its own folder
    #[arg(long, value_name = "DIR", help_heading = "Recording")]
    pub recordings: Option<PathBuf>,
    /// Keep nothing
    #[arg(long, help_heading = "Recording", conflicts_with = "recordings")]
    pub no_recording: bool,

    /// One JSON object per line: every event, and the status once a second
    #[arg(long, help_heading = "View", conflicts_with = "plain")]
    pub json: bool,
    /// Plain lines even on a terminal
    #[arg(long, help_heading = "View")]
    pub plain: bool,
}

/// Arguments of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// Name of the show; all of them where none is given
    pub show: Option<String>,
    /// The whole status as JSON
    #[arg(long)]
    pub json: bool,
    /// Stay and watch, as `run` shows it; leaving does not end the show
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
}

/// Arguments of `end`.
#[derive(Debug, Clone, Args)]
pub struct EndArgs {
    /// Name of the show; needed if several are on the air
    pub show: Option<String>,
    /// Only suspend: the recording is safe, the outputs close, and `run` resumes it within 30 minutes
    #[arg(long)]
    pub suspend: bool,
}

/// The verbs of `output`.
#[derive(Debug, Clone, Subcommand)]
pub enum OutputCommand {
    /// List the outputs of a show
    List {
        /// Name of the show; needed if several are on the air
        #[arg(long)]
        show: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Connect and publish
    Start(OneOutput),
    /// Disconnect and stay so
    Stop(OneOutput),
    /// Disconnect and connect anew
    Restart(OneOutput),
    /// Publish to one more place, for the rest of the show
    Add(AddArgs),
    /// Publish there no more, for the rest of the show
    Remove(OneOutput),
}

/// An output of a show.
#[derive(Debug, Clone, Args)]
pub struct OneOutput {
    /// Name of the output
    pub output: String,
    /// Name of the show; needed if several are on the air
    #[arg(long)]
    pub show: Option<String>,
}

impl OutputCommand {
    /// The order and its output; none for the list.
    pub(super) fn order(&self) -> Option<(&OneOutput, OutputAction)> {
        match self {
            Self::List { .. } | Self::Add(_) | Self::Remove(_) => None,
            Self::Start(one) => Some((one, OutputAction::Start)),
            Self::Stop(one) => Some((one, OutputAction::Stop)),
            Self::Restart(one) => Some((one, OutputAction::Restart)),
        }
    }
}

/// The verbs of `source`.
#[derive(Debug, Clone, Subcommand)]
pub enum SourceCommand {
    /// Point a live show at another space; its outputs never notice
    Set {
        /// Link or id of a Space, address of a playlist or of other live audio
        link: String,
        /// Name of the show; needed if several are on the air
        #[arg(long)]
        show: Option<String>,
    },
    /// Hold a live show to one source of its list, whatever becomes of it
    Pin {
        /// The source's name, as `source list` says it
        name: String,
        /// Name of the show; needed if several are on the air
        #[arg(long)]
        show: Option<String>,
    },
    /// Let a show's sources be tried in the order of the list again
    Unpin {
        /// Name of the show; needed if several are on the air
        #[arg(long)]
        show: Option<String>,
    },
    /// List where a show's audio comes from, and which of it is heard
    List {
        /// Name of the show; needed if several are on the air
        #[arg(long)]
        show: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Arguments of `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// The configuration file
    pub file: PathBuf,
}

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Link or id of a Space
    pub link: Option<String>,
    /// Examine what this configuration needs
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A browser's cookies.txt of your own account
    #[arg(long, value_name = "FILE")]
    pub cookies: Option<PathBuf>,
    /// Write a redacted bundle for a bug report
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
}

/// Arguments of `bridge`.
#[derive(Debug, Clone, Args)]
pub struct BridgeArgs {
    /// Name of the show
    #[arg(long)]
    pub show: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_command_of_a_first_evening_is_understood() {
        let line = "spacebridge run https://x.com/i/spaces/1 --youtube-key-env YT_KEY --rumble-url rtmp://r/live \
                    --rumble-key-env R --output church=rtmp://c/live --key-env church=C";
        let Command::Run(run) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else { panic!("run") };
        assert_eq!(run.youtube_key_env.as_deref(), Some("YT_KEY"));
        assert_eq!((run.outputs.len(), run.key_envs.len()), (1, 1));
        assert!(Cli::try_parse_from(["spacebridge", "run"]).is_err(), "a link or a configuration is needed");
    }

    #[test]
    fn no_option_takes_a_secret_itself() {
        // Every option that is about a key or a cookie names a variable or a file.
        let cli = Cli::command();
        let run = cli.find_subcommand("run").expect("run");
        let add = cli.find_subcommand("output").and_then(|output| output.find_subcommand("add")).expect("output add");
        for argument in run.get_arguments().chain(add.get_arguments()) {
            let id = argument.get_id().as_str();
            if id.contains("key") || id.contains("token") || id.contains("ct0") {
                assert!(id.contains("_env") || id.contains("_file"), "{id}");
            }
        }
    }
}
