#!/usr/bin/env python3
"""Measures spacebridge beside ffmpeg in one go: CPU and memory of carrying the same space to two ingests.

Every contestant gets the same live source in its own process, two nginx-rtmp ingests, a recording, 720p30. It is
measured when it has been publishing for a while: start-up is apart. The contestants take turns, so that a machine that
slows down slows all of them. See docs/performance.md.
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import contestants
import report
from processes import Tree, wait_for
from stand import Ingest, Space

SETTLE_SECONDS = 10
PREPARE_SECONDS = 20


def publishing(tree, ingests, log):
    """Waits until all ingests get picture and sound."""
    def ready():
        if not tree.running():
            raise SystemExit(f"bench: it ended before it published, see {log}:\n{tail(log)}")
        return all(ingest.bytes_in() for ingest in ingests)

    wait_for(ready, f"it does not publish, see {log}", 60)


def tail(log):
    return "\n".join(pathlib.Path(log).read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


def prepare(args, folder):
    """Takes the picture from spacebridge itself: raw frames of one loop, and ten encoded seconds."""
    ingest, space = Ingest(folder / "ingest"), Space(args.binary)
    command, env = contestants.spacebridge(args.binary, space, [ingest.server("keep")], folder)
    tree = Tree(command, args.results / "prepare.log", env)
    try:
        publishing(tree, [ingest], args.results / "prepare.log")
        time.sleep(PREPARE_SECONDS)
    finally:
        tree.end()
        space.end()
        ingest.end()
    (taken,) = (folder / "ingest").glob("*.flv")
    frames, video = folder / "frames.yuv", folder / "video.mkv"
    ffmpeg = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-ss", "6", "-i", str(taken), "-map", "0:v"]
    subprocess.run([*ffmpeg, "-frames:v", str(contestants.LOOP_FRAMES), "-pix_fmt", "yuv420p", "-f", "rawvideo", frames],
                   check=True)
    subprocess.run([*ffmpeg, "-t", "10", "-c", "copy", video], check=True)
    return {"frames": str(frames), "video": str(video)}


def measure(tree, ingests, seconds):
    """What the tree takes in `seconds` of steady state."""
    start_peak, _ = tree.take_peaks_mb()
    time.sleep(SETTLE_SECONDS)
    settle_peak, _ = tree.take_peaks_mb()
    bytes_before = [ingest.bytes_in() for ingest in ingests]
    cpu_before, began = tree.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    cpu, took = tree.cpu_seconds() - cpu_before, time.monotonic() - began
    bytes_after = [ingest.bytes_in() for ingest in ingests]
    peak, largest = tree.take_peaks_mb()
    if not tree.running() or None in bytes_before + bytes_after:
        raise SystemExit("bench: it stopped publishing while it was measured")
    rates = [(after - before) * 8 / took / 1000 for before, after in zip(bytes_before, bytes_after)]
    return {"cpu_seconds_per_minute": cpu * 60 / took, "peak_mb": peak, "start_peak_mb": max(start_peak, settle_peak),
            "largest_process_mb": largest, "kbps": min(rates), "seconds": took}


def contest(name, args, material, folder, log):
    """One contestant, once."""
    folder.mkdir()
    load = os.getloadavg()[0]
    ingests, space, tree = [], None, None
    try:
        ingests = [Ingest(folder / f"ingest{index}") for index in range(2)]
        space = Space(args.binary)
        servers = [ingest.server() for ingest in ingests]
        command, env = {
            "spacebridge": lambda: contestants.spacebridge(args.binary, space, servers, folder),
            "ffmpeg-encode": lambda: contestants.ffmpeg_encode(material, space, servers, folder),
            "ffmpeg-copy": lambda: contestants.ffmpeg_copy(material, space, servers, folder),
        }[name]()
        tree = Tree(command, log, env)
        publishing(tree, ingests, log)
        result = measure(tree, ingests, args.seconds)
    finally:
        for part in [tree, space, *ingests]:
            if part:
                part.end()
        shutil.rmtree(folder)
    wanted = contestants.VIDEO_KBPS + contestants.AUDIO_KBPS
    if not 0.85 * wanted < result["kbps"] < 1.15 * wanted:
        raise SystemExit(f"bench: {name} sent {result['kbps']:.0f} kbit/s instead of about {wanted}: not comparable")
    return {"contestant": name, "load_before": load} | result


def run(args, folder):
    material = prepare(args, folder)
    rounds = []
    for number in range(args.rounds):
        for name in report.TITLES:
            log = args.results / f"{name}-{number}.log"
            one = contest(name, args, material, folder / "contest", log)
            rounds.append(one | {"round": number})
            print(f"round {number + 1} of {args.rounds}: {name:14} {one['cpu_seconds_per_minute']:6.2f} CPU s per minute, "
                  f"{one['peak_mb']:4.0f} MB, {one['kbps']:.0f} kbit/s", flush=True)
    middle = report.medians(rounds)
    return {"when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "seconds": args.seconds, "machine": report.machine(), "medians": middle,
            "verdicts": report.verdicts(middle), "rounds": rounds}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, help="release build of spacebridge")
    parser.add_argument("--results", type=pathlib.Path, required=True, help="folder for the table, the figures, the logs")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("BENCH_ROUNDS", "3")))
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("BENCH_SECONDS", "60")))
    args = parser.parse_args()
    args.binary = str(pathlib.Path(args.binary).resolve())
    args.results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="spacebridge-bench-") as folder:
        results = run(args, pathlib.Path(folder))
    table = report.markdown(results)
    stamp = results["when"].replace(":", "").replace("+0000", "Z")
    for name in (f"bench-{stamp}", "bench"):
        (args.results / f"{name}.md").write_text(table, encoding="utf-8")
        (args.results / f"{name}.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"\n{table}\nSaved as {args.results / 'bench.md'} and bench.json.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
