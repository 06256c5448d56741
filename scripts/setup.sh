#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Host tools and the Python environment; `make setup` calls this first. The second run does nothing and takes no time.
set -eu

usage() {
    cat <<'EOF'
usage: sh scripts/setup.sh [--check]

Looks for the host tools that plx9x5x needs, and makes ./.venv with the package (editable) and its tools in it.
Tools that are missing are installed by apt-get when this runs as root; otherwise the line that installs them is
printed, nothing is changed, and the exit code is 69.

  --check   only look for the host tools
  --help    show this

PYTHON names the interpreter to use (default: the first of python3, python3.13, python3.12, python3.11 that is >= 3.11).
EOF
}

EX_HOST=69
check_only=no
case "${1-}" in
    "") ;;
    --check) check_only=yes ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."

say() { echo "setup: $*"; }
die() { echo "error: $1" >&2; echo "hint: $2" >&2; exit $EX_HOST; }
have() { command -v "$1" >/dev/null 2>&1; }
# Runs a program with its words on stderr as they come, and keeps them in $words; they are English then. Fails as it did.
watched() {
    words=$( { LC_ALL=C.UTF-8 "$@" 2>&1 || echo "$it_failed"; } | while IFS= read -r line || [ -n "$line" ]; do
        printf '%s\n' "$line" >&2
        printf '%s\n' "$line"
    done)
    case "$words" in *"$it_failed"*) return 1 ;; esac
}
it_failed="setup: that ended with an error"
# Gives up over what the program that was watched said: a full disk looks like many other things.
give_up() {
    case "$words" in *"No space left on device"* | *"Disk quota exceeded"*) no_room "$1" ;; esac
    die "$1" "see its words above: $2; then run this again"
}
no_room() {
    die "the disk is full: $1" \
        "make room for 300 MB in $PWD, and for 100 MB in ${TMPDIR:-/tmp}, which pip uses meanwhile; then run this again"
}
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    for p in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if have "$p" && new_enough "$p"; then
            command -v "$p"
            return
        fi
    done
}

python=$(find_python)
stamp_text() {
    # What the environment depends on: its place, the interpreter, the declared packages, the native plane's sources.
    "$1" -c 'import hashlib, pathlib, sys
package = pathlib.Path("device/plx9x5x")
folders = "plane", "model", "transport/wire"
sources = sorted(f for folder in folders for kind in ("c", "h") for f in package.glob(f"{folder}/*.{kind}"))
files = [pathlib.Path("pyproject.toml"), pathlib.Path("hatch_build.py"), *sources]
digest = hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()
print(digest, sys.version.split()[0], pathlib.Path.cwd())'
}

# The quick way out: whatever was needed was there when the stamp was written. A tool removed since then is named by
# `plx9x5x doctor`, and by whoever calls it.
is_fresh() {
    [ -n "$python" ] && [ -x .venv/bin/python ] && [ -f .venv/.plx9x5x-stamp ] && have make && have gcc \
        && [ "$(cat .venv/.plx9x5x-stamp)" = "$(stamp_text .venv/bin/python 2>/dev/null)" ]
}
if [ $check_only = no ] && is_fresh; then
    exit 0
fi

# Prints the packages that are missing, one word each.
missing_packages() {
    if [ -z "$python" ]; then
        echo python3 python3-venv python3-dev
    else
        if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then echo python3-venv; fi
        header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
        if [ ! -f "$header/Python.h" ]; then echo python3-dev; fi
    fi
    if ! have gcc; then
        echo gcc libc6-dev
    elif ! echo '#include <stdio.h>' | gcc -E -x c - >/dev/null 2>&1; then
        echo libc6-dev
    fi
    if ! have make; then echo make; fi
    if ! have ld; then echo binutils; fi
    if ! have dpkg-deb; then echo dpkg; fi
    if ! have apt-get; then echo apt; fi
}

missing=$(missing_packages | tr '\n' ' ' | sed 's/ *$//')
if [ -n "$missing" ]; then
    install="apt-get install --no-install-recommends --no-upgrade -y $missing"
    if ! have apt-get; then
        die "this host lacks what Debian calls: $missing" "install the same by this system's own package manager"
    elif [ "$(id -u)" != 0 ] || [ $check_only = yes ]; then
        die "this host lacks: $missing" "sudo apt-get update && sudo $install"
    fi
    say "installing $missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # a list of words
    if ! { apt-get -q update && $install; } >&2; then
        die "apt-get could not install: $missing" "see apt-get's words above; then run this again"
    fi
    python=$(find_python)
    left=$(missing_packages | tr '\n' ' ' | sed 's/ *$//')
    if [ -n "$left" ]; then
        die "after apt-get's installation this host still lacks: $left" \
            "plx9x5x needs Python 3.11 or newer (Debian 12 or later); PYTHON=/path/to/python3 names one"
    fi
fi
if [ $check_only = yes ]; then
    say "the host tools are there"
    exit 0
fi

# One at a time: whoever comes second waits, and then finds the work done.
if have flock; then
    exec 9<pyproject.toml
    if ! flock -n 9; then
        say "waiting for another setup of this checkout"
        flock 9
    fi
    if is_fresh; then exit 0; fi
fi

unfinished=.venv/.plx9x5x-unfinished
if [ -e .venv ] && { [ -e $unfinished ] || ! new_enough .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
    say "removing an environment that is not whole"
    rm -rf .venv
fi
if [ ! -e .venv ]; then
    say "making .venv with $("$python" --version)"
    { mkdir .venv && printf '' >$unfinished; } || no_room "cannot make $PWD/.venv"
    # In two steps: venv by itself tells nobody what went wrong with pip.
    watched "$python" -m venv --without-pip .venv \
        || give_up "python cannot make an environment in $PWD/.venv" "is python3-venv whole?"
    words=$(LC_ALL=C.UTF-8 .venv/bin/python -m ensurepip --default-pip 2>&1) || {
        printf '%s\n' "$words" >&2
        give_up "python cannot put pip into $PWD/.venv" "is python3-venv whole?"
    }
fi
printf '' >$unfinished || no_room "cannot write to $PWD/.venv"
rm -f .venv/.plx9x5x-stamp
say "installing the Python packages (about 70 MB the first time)"
watched .venv/bin/python -m pip install --disable-pip-version-check --no-input -q -e '.[dev]' \
    || give_up "pip could not install the packages" "check the network, and pip's index and proxy settings (pip config list)"
lack=$(.venv/bin/python -c 'from plx9x5x.plane import choice; print(choice.lack())')
[ -z "$lack" ] || say "without the native plane, so DMA is slower: $lack"
stamp_text .venv/bin/python >.venv/.plx9x5x-stamp || no_room "cannot write to $PWD/.venv"
rm -f $unfinished
say "done"
