"""The three that are compared: how each is told to carry the space to two ingests and a recording, 720p30."""

import os
import pathlib

VIDEO_KBPS = 3000
AUDIO_KBPS = 128
WIDTH, HEIGHT, FPS = 1280, 720, 30
LOOP_FRAMES = 60

CONFIG = """
[show]
name = "{name}"
closing = "1s"

[[source]]
kind = "x-space"
url = "{url}"

[program]
audio_kbps = {audio}

[slate]
width = {width}
height = {height}
fps = {fps}
video_kbps = {video}

[recording]
folder = "{folder}/recordings"

[x]
api_base = "{api_base}"
guest_base = "{guest_base}"
allow_private_addresses = true
"""

OUTPUT = """
[[output]]
name = "{name}"
url = "{server}"
key_file = "{key}"
"""


def config(space, folder, name="bench"):
    """A show's configuration without its outputs."""
    return CONFIG.format(name=name, url=space.url, folder=folder, api_base=space.api_base, guest_base=space.guest_base,
                         audio=AUDIO_KBPS, video=VIDEO_KBPS, width=WIDTH, height=HEIGHT, fps=FPS)


def output(name, server, key, word):
    """One output of it; its stream key is `word`, in the file `key`."""
    key.touch(mode=0o600)
    key.write_text(f"{word}\n", encoding="utf-8")
    return OUTPUT.format(name=name, server=server, key=key)


def spacebridge(binary, space, servers, folder):
    """The program as a user runs it. Returns the command and its environment."""
    text = config(space, folder)
    for index, server in enumerate(servers):
        text += output(f"ingest{index}", server, pathlib.Path(folder, f"key{index}"), "bench")
    show = pathlib.Path(folder, "show.toml")
    show.write_text(text, encoding="utf-8")
    state = pathlib.Path(folder, "state")
    return [binary, "run", "--config", str(show), "--plain"], os.environ | {"SPACEBRIDGE_STATE": str(state)}


def _tee(servers, folder):
    """Both ingests and a recording from one encode. An ingest that fails ends the measurement, not only itself."""
    targets = [f"[f=flv:flvflags=no_duration_filesize]{server}/bench" for server in servers]
    return ["-f", "tee", "|".join([*targets, f"[f=matroska]{folder}/recording.mkv"])]


def _ffmpeg(inputs, codecs, servers, folder):
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning", "-y", *inputs,
               "-map", "0:v:0", "-map", "1:a:0", *codecs, "-flags", "+global_header", *_tee(servers, folder)]
    return command, None


def _space_input(space):
    return ["-thread_queue_size", "1024", "-i", space.playlist]


def ffmpeg_encode(material, space, servers, folder):
    """The same picture and sound, encoded live with the same rates.

    The picture comes as raw frames: decoding a file or a PNG for every frame would cost more and prove nothing.
    """
    picture = ["-re", "-stream_loop", "-1", "-f", "rawvideo", "-pixel_format", "yuv420p",
               "-video_size", f"{WIDTH}x{HEIGHT}", "-framerate", str(FPS), "-thread_queue_size", "64",
               "-i", material["frames"]]
    rate = f"{VIDEO_KBPS}k"
    codecs = ["-c:v", "libx264", "-preset", "veryfast", "-g", str(2 * FPS), "-b:v", rate, "-minrate", rate,
              "-maxrate", rate, "-bufsize", rate, "-x264-params", "nal-hrd=cbr:scenecut=0",
              "-c:a", "aac", "-b:a", f"{AUDIO_KBPS}k", "-ar", "48000", "-ac", "2"]
    return _ffmpeg([*picture, *_space_input(space)], codecs, servers, folder)


def ffmpeg_copy(material, space, servers, folder):
    """The floor: an encoded picture in a loop and the space's own sound, nothing decoded, nothing encoded."""
    picture = ["-re", "-stream_loop", "-1", "-thread_queue_size", "1024", "-i", material["video"]]
    return _ffmpeg([*picture, *_space_input(space)], ["-c", "copy", "-bsf:a", "aac_adtstoasc"], servers, folder)
