"""The table: medians of the rounds, ratios, and whether the targets are reached."""

import os
import pathlib
import platform
import statistics
import subprocess

TARGET_RATIO = 1 / 5
TARGET_MB = 120

TITLES = {
    "spacebridge": "spacebridge",
    "ffmpeg-encode": "ffmpeg, libx264 veryfast + AAC",
    "ffmpeg-copy": "ffmpeg, copy (the floor)",
}


def _first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "not found"
    return (done.stdout or done.stderr).splitlines()[0].strip() if done.stdout or done.stderr else "unknown"


def _field(path, name):
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":" if ":" in line else "=")
        if key.strip() == name:
            return value.strip().strip('"')
    return "unknown"


def machine():
    """On what it was measured."""
    project = pathlib.Path(__file__).resolve().parent.parent
    git = ["git", "-C", str(project)]
    changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=False).stdout
    return {
        "cpu": _field("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "system": f"{_field('/etc/os-release', 'PRETTY_NAME')}, Linux {platform.release()}",
        "commit": _first_line(*git, "rev-parse", "--short", "HEAD") + (" with changes" if changed else ""),
        "ffmpeg": _first_line("ffmpeg", "-version"),
        "nginx": _first_line("nginx", "-v"),
        "rustc": _first_line("rustc", "--version"),
    }


def medians(rounds):
    """contestant -> medians over its rounds."""
    result = {}
    for name in TITLES:
        mine = [one for one in rounds if one["contestant"] == name]
        if mine:
            keys = ("cpu_seconds_per_minute", "peak_mb", "start_peak_mb", "largest_process_mb", "kbps")
            result[name] = {key: statistics.median(one[key] for one in mine) for key in keys}
            cpu = [one["cpu_seconds_per_minute"] for one in mine]
            result[name] |= {"rounds": len(mine), "cpu_lowest": min(cpu), "cpu_highest": max(cpu)}
    return result


def verdicts(middle):
    """Target by target: what was asked, what was measured, whether it is reached."""
    found = []
    ours, encode = middle.get("spacebridge"), middle.get("ffmpeg-encode")
    if ours and encode:
        ratio = ours["cpu_seconds_per_minute"] / encode["cpu_seconds_per_minute"]
        found.append({"target": "CPU at most 1/5 of ffmpeg's encode", "measured": f"1/{1 / ratio:.1f}",
                      "reached": ratio <= TARGET_RATIO})
    if ours:
        memory = max(ours["start_peak_mb"], ours["peak_mb"])
        found.append({"target": f"memory at most {TARGET_MB} MB (whole tree, start included)",
                      "measured": f"{memory:.0f} MB", "reached": memory <= TARGET_MB})
    return found


def markdown(results):
    """The whole result for people."""
    middle = results["medians"]
    encode = middle.get("ffmpeg-encode", {}).get("cpu_seconds_per_minute")
    lines = [
        f"# Benchmark of {results['when']}", "",
        f"Two nginx-rtmp ingests and a recording, 720p30; {results['seconds']} s of steady state, medians of the rounds.", "",
        "| | CPU s per minute | of ffmpeg's encode | lowest to highest | peak memory, MB | of it the largest process | at start, MB "
        "| kbit/s per ingest | rounds |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, one in middle.items():
        cpu = one["cpu_seconds_per_minute"]
        part = f"{100 * cpu / encode:.0f} %" if encode else ""
        lines.append(f"| {TITLES[name]} | {cpu:.2f} | {part} | {one['cpu_lowest']:.2f} to {one['cpu_highest']:.2f} "
                     f"| {one['peak_mb']:.0f} | {one['largest_process_mb']:.0f} | {one['start_peak_mb']:.0f} "
                     f"| {one['kbps']:.0f} | {one['rounds']} |")
    lines += ["", "CPU: user + system of the whole process tree. Memory: PSS of the whole process tree.", ""]
    lines += [f"* {one['target']}: {one['measured']}, {'reached' if one['reached'] else 'NOT reached'}"
              for one in results["verdicts"]]
    lines += ["", *(f"* {key}: {value}" for key, value in results["machine"].items())]
    lines += ["* load of the machine before each measurement: "
              + ", ".join(f"{one['load_before']:.1f}" for one in results["rounds"]), ""]
    return "\n".join(lines)
