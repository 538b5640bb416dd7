"""Tries the run stage of the Dockerfile without a Docker engine.

Makes a small Debian tree from this machine's own package sources, carries out the stage's instructions in it by chroot,
and runs `spacebridge doctor` there as the image's user. Everything is mounted in a mount namespace of its own, so that
nothing stays mounted however this ends; the tree is removed.

It knows the few instructions that our Dockerfile uses and refuses others: a check that skips a line checks nothing.
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

PROJECT = pathlib.Path(__file__).resolve().parent.parent
DEVICES = ("null", "zero", "full", "random", "urandom")


def instructions(text):
    """Instructions of a Dockerfile as (word, rest); comments dropped, continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [tuple(line.strip().split(None, 1)) for line in joined.splitlines() if line.strip()]


def stages(text):
    """The Dockerfile's stages: (base, name, instructions)."""
    found = []
    for word, rest in instructions(text):
        if word == "FROM":
            base, *name = rest.split()
            found.append((base, name[1] if name else None, []))
        elif not found:
            raise SystemExit(f"the Dockerfile has {word} before FROM")
        else:
            found[-1][2].append((word, rest))
    return found


class Image:
    """A tree that becomes the image, and what the Dockerfile says of how to run it."""

    def __init__(self, root, built):
        self.root = root
        self.built = built  # path in the build stage -> file of this machine
        self.env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.user, self.cwd, self.entrypoint, self.volumes = "root", "/", [], []
        self.health = None

    def run(self, argv, user=None):
        chroot = ["chroot", f"--userspec={user}:{user}"] if user else ["chroot"]
        # The proxy of this machine is the way to its package sources; a Docker engine passes it on as well.
        proxy = {k: v for k, v in os.environ.items() if k.lower() in ("http_proxy", "https_proxy", "no_proxy")}
        return subprocess.run([*chroot, self.root, "/bin/sh", "-c", 'cd "$0" && exec "$@"', self.cwd, *argv],
                              env=self.env | proxy, check=False).returncode

    def carry_out(self, word, rest):
        handler = getattr(self, f"do_{word.lower()}", None)
        if handler is None:
            raise SystemExit(f"packaging/image_check.py does not know the instruction {word}")
        print(f"--- {word} {rest}", flush=True)
        handler(rest)

    def do_run(self, rest):
        if rest.startswith("--"):
            raise SystemExit("packaging/image_check.py does not know options of RUN")
        if self.run(["/bin/sh", "-c", rest]) != 0:
            raise SystemExit("this RUN failed")

    def do_copy(self, rest):
        *sources, target = shlex.split(rest)
        stage = sources.pop(0) if sources[0].startswith("--from=") else None
        folder = pathlib.Path(self.root, target.lstrip("/"))
        if not target.endswith("/"):
            raise SystemExit("write the target of COPY as a folder, with / at its end")
        folder.mkdir(parents=True, exist_ok=True)
        for source in sources:
            file = self.built[source] if stage else PROJECT / source
            shutil.copy(file, folder / pathlib.Path(source).name)

    def do_env(self, rest):
        self.env |= dict(pair.split("=", 1) for pair in shlex.split(rest))

    def do_user(self, rest):
        self.user = rest

    def do_workdir(self, rest):
        self.cwd = rest
        pathlib.Path(self.root, rest.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def do_volume(self, rest):
        self.volumes = json.loads(rest)

    def do_healthcheck(self, rest):
        _, command = rest.split("CMD", 1)
        self.health = json.loads(command)

    def do_stopsignal(self, rest):
        if rest not in ("SIGTERM", "SIGINT"):
            raise SystemExit(f"STOPSIGNAL {rest} is no signal that spacebridge ends on")

    def do_entrypoint(self, rest):
        self.entrypoint = json.loads(rest)

    def do_cmd(self, rest):
        json.loads(rest)


def package_sources():
    """This machine's own sources of the release, as lines for apt; no host is named by this project."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(CREATED_BY)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ARCHITECTURE)"],
        check=True, capture_output=True, text=True).stdout
    entries = {tuple(line.split("|")[1:4]) for line in listed.splitlines() if line.startswith("Packages|")}
    return sorted(f"deb {uri} {release} {part}" for uri, release, part in entries if release.startswith("bookworm"))


def base_tree(root):
    """What `FROM debian:12-slim` gives: essential packages and apt."""
    sources = package_sources()
    if not sources:
        raise SystemExit("this machine has no package sources of Debian 12 (bookworm), on which the image is built")
    # The base image keeps no packages after an install; without this the tree's size would say nothing.
    tidy = 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };'
    subprocess.run(["mmdebstrap", "--mode=root", "--variant=minbase", "--quiet", "bookworm", root, *sources], check=True)
    pathlib.Path(root, "etc/apt/apt.conf.d/90tidy").write_text(tidy + "\n", encoding="utf-8")


def mount_system(root):
    """/proc, /dev and name resolution, as a Docker engine gives them to a container."""
    def mount(*arguments):
        subprocess.run(["mount", *arguments], check=True)

    mount("-t", "proc", "proc", f"{root}/proc")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", f"{root}/dev")
    for name in DEVICES:
        pathlib.Path(root, "dev", name).touch()
        mount("--bind", f"/dev/{name}", f"{root}/dev/{name}")
    os.symlink("/proc/self/fd", f"{root}/dev/fd")
    os.mkdir(f"{root}/dev/shm", 0o1777)
    for name in ("resolv.conf", "hosts"):
        shutil.copyfile(f"/etc/{name}", f"{root}/etc/{name}")


def writable(image, folder):
    return image.run(["/bin/sh", "-c", f"touch {folder}/.try && rm {folder}/.try"], user=image.user) == 0


def verify(image):
    """What has to hold of the finished image; returns the faults."""
    faults = []
    if image.user in ("", "root", "0"):
        faults.append("the image runs as root")
    faults += [f"the volume {folder} is not writable for {image.user}"
               for folder in image.volumes if not writable(image, folder)]
    print(f"--- {image.user}: {image.health} where nothing runs", flush=True)
    if image.health is None or image.run(image.health, user=image.user) != 1:
        faults.append("the health check does not say by exit code 1 that nothing runs")
    for arguments in (["--version"], ["doctor"]):
        print(f"--- {image.user}: {' '.join(image.entrypoint + arguments)}", flush=True)
        code = image.run(image.entrypoint + arguments, user=image.user)
        if code != 0:
            faults.append(f"`spacebridge {' '.join(arguments)}` ended with exit code {code}")
    return faults


def inside(args):
    """The check itself, in its own mount namespace."""
    root = str(args.work / "root")
    text = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    *_, (base, _, lines) = stages(text)
    if base != "debian:12-slim":
        raise SystemExit(f"the run stage is built on {base}, this check knows debian:12-slim")
    base_tree(root)
    mount_system(root)
    stripped = args.work / "spacebridge"
    subprocess.run(["strip", "--strip-debug", "-o", stripped, args.binary], check=True)
    image = Image(root, {"/usr/local/bin/spacebridge": stripped})
    for word, rest in lines:
        image.carry_out(word, rest)
    faults = verify(image)
    size = subprocess.run(["du", "-smx", root], check=True, capture_output=True, text=True).stdout.split()[0]
    print(f"The tree takes {size} MB, the binary {stripped.stat().st_size // 1_000_000} MB of them.")
    for fault in faults:
        print(f"FAIL: {fault}")
    print("The image's check failed." if faults else "The image's check passed.")
    return 1 if faults else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path, required=True, help="built on Debian 12, as the image's base")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for the tree; it is emptied")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.work = args.work.resolve()
    if args.inside:
        return inside(args)
    if os.geteuid() != 0:
        raise SystemExit("a chroot needs root")
    shutil.rmtree(args.work, ignore_errors=True)
    args.work.mkdir(parents=True)
    try:
        # The mounts live and die with the child's namespace, so removing the tree can reach nothing of the machine.
        return subprocess.run(["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
                               sys.executable, __file__, *sys.argv[1:], "--inside"], check=False).returncode
    finally:
        shutil.rmtree(args.work)


if __name__ == "__main__":
    sys.exit(main())
