#!/usr/bin/env bash
# Installs what the named lists (packaging/debian-NAME.txt) ask for and this machine lacks. Starts no service.
#
#   packaging/install-packages.sh run build test
#
# SPACEBRIDGE_SKIP_PACKAGES=1 leaves the machine as it is: for other systems, and for machines without a network.
set -euo pipefail
cd "$(dirname "$0")"

policy=/usr/sbin/policy-rc.d
mark="written by spacebridge's packaging/install-packages.sh"

listed() { # every package of the lists
    for list in "$@"; do
        sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "debian-$list.txt"
    done | tr -d ' \t' | sort -u
}

lacking() { # those of stdin that are not installed
    while read -r package; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || echo "$package"
    done
}

give_up() {
    printf '%s\n' "$@" >&2
    exit 1
}

# A package with a service starts it at install, unless this file says no. An administrator's own file is left alone; one
# that a killed run of this script left behind is replaced, and removed at the end.
forbid_services() {
    if [ -e "$policy" ] && ! grep -qF "$mark" "$policy"; then
        return
    fi
    trap allow_services EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\n# %s: no service is started by an install.\nexit 101\n' "$mark" | as_root tee "$policy" >/dev/null
    as_root chmod 0755 "$policy"
}

allow_services() {
    if grep -qsF "$mark" "$policy"; then
        as_root rm -f "$policy"
    fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

if [ -n "${SPACEBRIDGE_SKIP_PACKAGES:-}" ]; then
    echo "Packages: not looked at, as SPACEBRIDGE_SKIP_PACKAGES says."
    exit 0
fi
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    give_up "This system has no apt. Install what these Debian packages hold:" \
        "  $(listed "$@" | tr '\n' ' ')" "then say SPACEBRIDGE_SKIP_PACKAGES=1 to go on."
fi

mapfile -t missing < <(listed "$@" | lacking)
if [ "${#missing[@]}" = 0 ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    give_up "These packages are missing, and installing them needs root:" \
        "  apt-get install --no-install-recommends ${missing[*]}"
fi

echo "Packages: installing ${missing[*]}"
forbid_services
apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
as_root "${apt[@]}" update
as_root "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
