#!/usr/bin/env python3
"""Measures exports of a three-hour recording beside ffmpeg: time, CPU and peak memory of the process.

The recording is written in seconds from five minutes of material. Every file is made from the same frames; ffmpeg gets
them in one ADTS file, and the very picture that spacebridge shows. The contestants take turns.
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import long_recording
import report

# What is asked of a three-hour recording.
TARGET_M4A_SECONDS = 5
TARGET_MP4_SECONDS = 15
TARGET_MB = 200

TITLES = {
    "m4a": "spacebridge, m4a",
    "mp4": "spacebridge, mp4 with a 720p slate",
    "ffmpeg-mp4": "ffmpeg, mp4 of the same picture, libx264 stillimage 5 fps + copied AAC",
    "mp3": "spacebridge, mp3 at 128 kbit/s",
    "ffmpeg-mp3": "ffmpeg, mp3 at 128 kbit/s",
}

# libx264 takes minutes: once is enough to compare with seconds.
ONCE = {"ffmpeg-mp4"}


def ffmpeg(*args):
    return ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *map(str, args)]


def commands(args, folder, recording, audio):
    """contestant -> its command, and the file that it makes."""
    out = folder / "out"

    def export(name):
        return [args.binary, "recordings", "export", str(recording), "--format", name, "--to", str(out), "--json",
                "--chapters", "none"]

    made = {name: out / f"bench-{long_recording.SESSION}.{name}" for name in ("m4a", "mp4", "mp3")}
    still = ffmpeg("-loop", 1, "-framerate", 5, "-i", folder / "slate.png", "-i", audio, "-map", "0:v", "-map", "1:a",
                   "-c:v", "libx264", "-tune", "stillimage", "-pix_fmt", "yuv420p", "-c:a", "copy", "-shortest",
                   "-movflags", "+faststart", out / "ffmpeg.mp4")
    return {
        "m4a": (export("m4a"), made["m4a"]),
        "mp4": (export("mp4"), made["mp4"]),
        "ffmpeg-mp4": (still, out / "ffmpeg.mp4"),
        "mp3": (export("mp3"), made["mp3"]),
        "ffmpeg-mp3": (ffmpeg("-i", audio, "-c:a", "libmp3lame", "-b:a", "128k", out / "ffmpeg.mp3"),
                       out / "ffmpeg.mp3"),
    }


def timed(command, log):
    """Seconds, CPU seconds and peak megabytes of a command."""
    with open(log, "ab") as file:
        began = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        _, status, usage = os.wait4(process.pid, 0)
        took = time.monotonic() - began
    if status:
        raise SystemExit(f"bench: {command[0]} failed, see {log}")
    return {"seconds": took, "cpu_seconds": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}


def duration(path):
    probe = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)]
    return float(subprocess.run(probe, capture_output=True, text=True, check=True).stdout)


def run(args, folder):
    recording = long_recording.make(folder, args.hours)
    (folder / "out").mkdir()
    audio = folder / "audio.m4a"
    adts = long_recording.adts(recording, folder / "audio.aac")
    subprocess.run(ffmpeg("-i", adts, "-c", "copy", audio), check=True)
    adts.unlink()
    plan = commands(args, folder, recording, audio)
    rounds = []
    for number in range(args.rounds):
        for name in args.only:
            command, made = plan[name]
            if number and name in ONCE:
                continue
            log = args.results / f"export-{name}.log"
            if name == "ffmpeg-mp4":
                subprocess.run(ffmpeg("-i", plan["mp4"][1], "-frames:v", 1, folder / "slate.png"), check=True)
            one = {"contestant": name, "load_before": os.getloadavg()[0]} | timed(command, log)
            one |= {"bytes": made.stat().st_size, "file_seconds": duration(made)}
            if abs(one["file_seconds"] - args.hours * 3600) > 5:
                raise SystemExit(f"bench: {made} has {one['file_seconds']} s")
            rounds.append(one)
            print(f"round {number + 1} of {args.rounds}: {name:11} {one['seconds']:7.2f} s, {one['cpu_seconds']:7.2f} CPU s, "
                  f"{one['peak_mb']:4.0f} MB, file {one['bytes'] / 1e6:.1f} MB", flush=True)
            if name != "mp4":
                made.unlink()
        plan["mp4"][1].unlink(missing_ok=True)
    return {"when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "hours": args.hours,
            "machine": report.machine(), "rounds": rounds, "medians": medians(rounds)}


def medians(rounds):
    keys = ("seconds", "cpu_seconds", "peak_mb", "bytes")
    found = {}
    for name in TITLES:
        mine = [one for one in rounds if one["contestant"] == name]
        if mine:
            found[name] = {key: statistics.median(one[key] for one in mine) for key in keys} | {"rounds": len(mine)}
    return found


def verdicts(middle, hours):
    scale = hours / 3
    found = []

    def judge(target, measured, reached):
        found.append(f"* {target}: {measured}, {'reached' if reached else 'NOT reached'}")

    for name, bound in (("m4a", TARGET_M4A_SECONDS * scale), ("mp4", TARGET_MP4_SECONDS * scale)):
        if name in middle:
            took = middle[name]["seconds"]
            judge(f"{name} of {hours:g} h in at most {bound:g} s", f"{took:.2f} s", took <= bound)
    if "mp3" in middle and "ffmpeg-mp3" in middle:
        ours, theirs = middle["mp3"]["seconds"], middle["ffmpeg-mp3"]["seconds"]
        judge("mp3 no slower than ffmpeg's", f"{ours:.1f} s against {theirs:.1f} s", ours <= theirs)
    peak = max((one["peak_mb"] for name, one in middle.items() if not name.startswith("ffmpeg")), default=0)
    judge(f"memory under {TARGET_MB} MB", f"{peak:.0f} MB", peak < TARGET_MB)
    return found


def markdown(results):
    lines = [f"# Exports of a recording of {results['hours']:g} hours, {results['when']}", "",
             "| | seconds | CPU seconds | peak memory, MB | file, MB | rounds |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for name, one in results["medians"].items():
        lines.append(f"| {TITLES[name]} | {one['seconds']:.2f} | {one['cpu_seconds']:.2f} | {one['peak_mb']:.0f} "
                     f"| {one['bytes'] / 1e6:.1f} | {one['rounds']} |")
    lines += ["", *verdicts(results["medians"], results["hours"]), ""]
    lines += [f"* {key}: {value}" for key, value in results["machine"].items()]
    return "\n".join([*lines, ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, help="release build of spacebridge")
    parser.add_argument("--results", type=pathlib.Path, required=True, help="folder for the table, the figures, the logs")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("BENCH_ROUNDS", "3")))
    parser.add_argument("--hours", type=float, default=float(os.environ.get("BENCH_HOURS", "3")))
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(TITLES), help="contestants, by commas")
    args = parser.parse_args()
    args.binary = str(pathlib.Path(args.binary).resolve())
    args.results.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="spacebridge-exports-"))
    try:
        results = run(args, folder)
    finally:
        shutil.rmtree(folder)
    table = markdown(results)
    (args.results / "exports.md").write_text(table, encoding="utf-8")
    (args.results / "exports.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"\n{table}\nSaved as {args.results / 'exports.md'} and exports.json.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
