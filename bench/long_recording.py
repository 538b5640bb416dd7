"""A recording of any length in seconds, in the format of docs/recordings.md: real AAC in segments, a journal with checks.

Written from the manual alone, so that the manual is tried as well.
"""

import hashlib
import json
import pathlib
import subprocess

SESSION = "1yNxaNvaMYQKj"
FRAMES_A_SEGMENT = 141
SAMPLES_A_FRAME = 1024
MATERIAL_SECONDS = 300


def _material(folder):
    """Five minutes of stereo that never stand still, as ADTS frames; a syllable's loudness, 100 kbit/s."""
    path = pathlib.Path(folder) / "material.aac"
    voice = "0.3*sin(2*PI*(140+60*sin(t))*t)*(0.55+0.45*sin(2*PI*3.7*t))*(0.5+0.5*sin(2*PI*0.11*t))"
    source = f"aevalsrc=exprs={voice}+0.02*random(0)|{voice}+0.02*random(1):s=48000:d={MATERIAL_SECONDS}"
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", source, "-c:a", "aac", "-b:a",
                    "100k", str(path)], check=True)
    data, frames, at = path.read_bytes(), [], 0
    while at + 7 <= len(data):
        length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        frames.append(data[at:at + length])
        at += length
    return frames


class _Journal:
    def __init__(self, path):
        self._file = open(path, "wb")
        self._seq = 0

    def line(self, kind, **members):
        self._seq += 1
        body = json.dumps({"v": 1, "seq": self._seq, "at": "2026-01-02T19:00:00.000Z", "type": kind, **members},
                          separators=(",", ":"))[:-1].encode()
        self._file.write(body + b',"check":"' + hashlib.sha256(body).hexdigest()[:16].encode() + b'"}\n')

    def close(self):
        self._file.close()


def make(parent, hours):
    """Writes `parent`/bench-20260102T190000Z and gives its path."""
    folder = pathlib.Path(parent) / "bench-20260102T190000Z"
    segments = folder / "segments" / SESSION
    segments.mkdir(parents=True)
    frames = _material(parent)
    journal = _Journal(folder / "journal.jsonl")
    journal.line("show_started", show="bench", program="bench")
    journal.line("session_started", session=SESSION, title="Three hours of talk", host="somebody",
                 started_at="2026-01-02T19:00:00Z")
    count = int(hours * 3600 * 48000 / (FRAMES_A_SEGMENT * SAMPLES_A_FRAME))
    duration = FRAMES_A_SEGMENT * SAMPLES_A_FRAME
    for number in range(count):
        first = number * FRAMES_A_SEGMENT
        data = b"".join(frames[(first + n) % len(frames)] for n in range(FRAMES_A_SEGMENT))
        name = f"{number:08}.aac"
        (segments / name).write_bytes(data)
        journal.line("segment", session=SESSION, sequence=number, name=f"chunk_{number}.aac",
                     file=f"segments/{SESSION}/{name}", bytes=len(data), sha256=hashlib.sha256(data).hexdigest(),
                     media_time=number * duration, duration=duration, listed_at="2026-01-02T19:00:00Z")
    journal.line("session_ended", session=SESSION, title="Three hours of talk", host="somebody",
                 started_at="2026-01-02T19:00:00Z")
    journal.line("ended")
    journal.close()
    return folder


def adts(folder, path):
    """Puts the recording's frames into one file, for programs that read no recordings."""
    with open(path, "wb") as out:
        for segment in sorted((folder / "segments" / SESSION).iterdir()):
            out.write(segment.read_bytes())
    return path
