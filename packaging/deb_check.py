"""Tries the Debian package in a small Debian tree: install, doctor, upgrade, remove, purge.

No service manager runs there: what the maintainer scripts do with one is not tried. Everything is mounted in a mount
namespace of its own, and the tree is removed.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

from image_check import Image, base_tree, mount_system

PLACES = (
    "usr/bin/spacebridge",
    "lib/systemd/system/spacebridge.service",
    "usr/lib/sysusers.d/spacebridge.conf",
    "usr/share/doc/spacebridge/operations.md",
    "usr/share/doc/spacebridge/examples/spacebridge.toml",
)


def verify(image, package):
    """What has to hold of the package; returns the faults."""
    faults = []

    def must(what, *argv, user=None, code=0):
        print(f"--- {what}: {' '.join(argv)}", flush=True)
        if image.run(list(argv), user=user) != code:
            faults.append(f"{what} failed")

    root = pathlib.Path(image.root)
    shutil.copy(package, root / "spacebridge.deb")
    must("the package lists", "apt-get", "update", "-qq")
    install = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", "--no-install-recommends")
    must("the install", *install, "/spacebridge.deb")
    faults += [f"{place} is not there" for place in PLACES if not (root / place).is_file()]
    must("the user", "getent", "passwd", "spacebridge")
    # What systemd makes of StateDirectory=, and WorkingDirectory=.
    must("the state", "install", "-d", "-o", "spacebridge", "/var/lib/spacebridge")
    must("a recording", "install", "-d", "-o", "spacebridge", "/var/lib/spacebridge/data/recordings/night")
    image.cwd = "/var/lib/spacebridge"
    must("doctor", "env", "HOME=/var/lib/spacebridge", "spacebridge", "doctor", user="spacebridge")
    must("health where nothing runs", "env", "SPACEBRIDGE_STATE=/var/lib/spacebridge", "spacebridge", "health",
         user="spacebridge", code=1)
    must("an upgrade", *install, "--reinstall", "/spacebridge.deb")
    must("the removal", "apt-get", "remove", "-y", "-qq", "spacebridge")
    must("the purge", "apt-get", "purge", "-y", "-qq", "spacebridge")
    if (root / PLACES[0]).exists():
        faults.append("the purge left the program")
    if not (root / "var/lib/spacebridge/data/recordings/night").is_dir():
        faults.append("the purge removed a recording")
    return faults


def inside(args):
    root = str(args.work / "root")
    base_tree(root)
    mount_system(root)
    faults = verify(Image(root, {}), args.package)
    for fault in faults:
        print(f"FAIL: {fault}")
    print("The package's check failed." if faults else "The package's check passed.")
    return 1 if faults else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", type=pathlib.Path, required=True, help="built on Debian 12")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for the tree; it is emptied")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.work, args.package = args.work.resolve(), args.package.resolve()
    if args.inside:
        return inside(args)
    if os.geteuid() != 0:
        raise SystemExit("a chroot needs root")
    shutil.rmtree(args.work, ignore_errors=True)
    args.work.mkdir(parents=True)
    try:
        return subprocess.run(["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
                               sys.executable, __file__, *sys.argv[1:], "--inside"], check=False).returncode
    finally:
        shutil.rmtree(args.work)


if __name__ == "__main__":
    sys.exit(main())
