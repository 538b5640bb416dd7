"""What an ingest recorded: the timestamps of its picture and its sound, read from the FLV file itself."""

AUDIO, VIDEO = 8, 9
ENDS_MS = 3000


def timestamps(path):
    """kind -> timestamps in ms of every frame, codec headers left out."""
    data = path.read_bytes()
    found, at = {AUDIO: [], VIDEO: []}, 13
    while at + 11 <= len(data):
        kind, size = data[at], int.from_bytes(data[at + 1:at + 4], "big")
        if at + 11 + size > len(data):
            break
        time = int.from_bytes(data[at + 4:at + 7], "big") | data[at + 7] << 24
        # The second byte of AAC and of AVC says whether it is the codec's header.
        if kind in found and size > 1 and data[at + 12] == 1:
            found[kind].append(time)
        at += 11 + size + 4
    return found


def judge(path, seconds, fps, most_step_ms):
    """What is wrong with a recording of about `seconds`, in words; nothing if it is healthy."""
    if not path.exists():
        return ["nothing was recorded"]
    faults = []
    for kind, times in timestamps(path).items():
        name = {AUDIO: "sound", VIDEO: "picture"}[kind]
        if len(times) < 2:
            faults.append(f"no {name}")
            continue
        length, step = times[-1] - times[0], max(b - a for a, b in zip(times, times[1:]))
        if step > most_step_ms or min(b - a for a, b in zip(times, times[1:])) < 0:
            faults.append(f"{name} has a step of {step} ms")
        if abs(length - seconds * 1000) > ENDS_MS:
            faults.append(f"{name} covers {length} ms of {seconds * 1000:.0f}")
        if kind == VIDEO and abs((len(times) - 1) * 1000 / length - fps) > 0.2:
            faults.append(f"{(len(times) - 1) * 1000 / length:.2f} frames a second")
    return faults
