#!/usr/bin/env bash
# Says what to do when there is no Rust toolchain, an old one, or one without the named components (rustfmt, clippy).
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
    printf '%s\n' "There is no Rust toolchain. Install $wanted or newer, see https://rustup.rs, then open a new shell." \
        "(Debian 12's own rustc is too old.)" >&2
    exit 1
fi

have=$(rustc --version | sed 's/^rustc \([0-9.]*\).*/\1/')
if [ "$(printf '%s\n' "$wanted" "$have" | sort -V | head -n 1)" != "$wanted" ]; then
    echo "rustc is $have, spacebridge needs $wanted or newer: rustup update stable" >&2
    exit 1
fi

for component in "$@"; do
    case $component in
        rustfmt) probe=(cargo fmt --version) ;;
        clippy) probe=(cargo clippy --version) ;;
        *) echo "check-rust.sh knows rustfmt and clippy, not $component" >&2; exit 1 ;;
    esac
    if ! "${probe[@]}" >/dev/null 2>&1; then
        echo "The Rust toolchain lacks $component: rustup component add $component" >&2
        exit 1
    fi
done
