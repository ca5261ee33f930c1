#!/bin/sh
# A bare Debian or Ubuntu machine in, a ready virtual environment (.venv) out.
#
#   sh bootstrap.sh run     what `yuyin demo` and `yuyin serve` need (no torch)
#   sh bootstrap.sh test    the same, plus training, checkers, the test suite, and what it drives: curl, redis-server, nginx and,
#                           on Debian, a Chromium
#
# A second call with nothing changed returns at once. Versions come from constraints.txt, with hashes.
set -eu
cd "$(dirname "$0")"
want=${1:-run}
venv=.venv
say() { printf '\033[1m[set-up]\033[0m %s\n' "$*"; }
fail() { printf '[set-up] %s\n' "$*" >&2; exit 2; }

install_system() { # names of Debian packages; false where nobody may
    if [ "$(id -u)" = 0 ]; then as_root=""
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root="sudo -n"
    else return 1; fi
    command -v apt-get >/dev/null || return 1
    say "installing system packages: $*"
    $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@"
}
need_system() { install_system "$@" || fail "needs the system packages: $*. Run: sudo apt-get install -y $*"; }

find_browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
if [ "$want" = test ]; then # what some tests drive: the page, and the commands of the docs
    lacking=""
    command -v curl >/dev/null || lacking="curl"
    command -v redis-server >/dev/null || lacking="$lacking redis-server"
    command -v nginx >/dev/null || lacking="$lacking nginx-light"
    if ! find_browser >/dev/null; then # Ubuntu's package is a snap, which cannot be driven
        if grep -qx 'ID=debian' /etc/os-release 2>/dev/null; then lacking="$lacking chromium"
        else say "no Chromium here: the tests of the audition page will be skipped"; fi
    fi
    # shellcheck disable=SC2086 # one word a package
    [ -z "$lacking" ] || install_system $lacking || \
        say "the tests that need it will be skipped: apt-get install $lacking"
fi

stamp=$venv/.ready-$want
state=$(cat pyproject.toml constraints.txt bootstrap.sh | sha256sum | cut -d' ' -f1)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$state" ]; then exit 0; fi

find_python() {
    for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

python=$(find_python) || { need_system python3 python3-venv; python=$(find_python) || \
    fail "needs Python 3.11 to 3.14; this system's python3 is older: install one and set PYTHON=/path/to/python3"; }

if [ ! -x $venv/bin/pip ]; then
    say "creating $venv with $("$python" -V)"
    rm -rf $venv
    if ! "$python" -m venv $venv 2>/dev/null; then
        rm -rf $venv
        need_system python3-venv
        "$python" -m venv $venv
    fi
fi

uv_pin=$(sed -n 's/^uv==\([0-9.]*\).*/uv==\1/p' constraints.txt)
[ -x $venv/bin/uv ] || { say "installing $uv_pin"; $venv/bin/pip install --quiet --disable-pip-version-check "$uv_pin"; }
export VIRTUAL_ENV="$PWD/$venv"
uv="$venv/bin/uv pip install --constraint constraints.txt"

torch_ready() { $venv/bin/python -c 'import importlib.metadata as m; v = m.version("torch").split("+")[0]; t = tuple(map(int, v.split(".")[:2])); raise SystemExit(not (2, 6) <= t < (2, 14))' 2>/dev/null; }

install_torch() {
    torch_ready && return 0
    say "installing torch, CPU build (about 0.2 GB to fetch, 0.8 GB on disk)"
    $venv/bin/uv pip install --quiet --torch-backend cpu 'torch>=2.6,<2.14' 2>/dev/null && return 0
    # The index of CPU builds is out of reach: pip may know a local one, or only the CUDA build.
    if $venv/bin/pip install --quiet --disable-pip-version-check --dry-run --report - 'torch>=2.6,<2.14' 2>/dev/null | grep -q '"name": "nvidia-'; then
        say "only the CUDA build of torch is to be had here: about 3 GB to fetch, 7 GB on disk"
    fi
    $venv/bin/pip install --disable-pip-version-check --progress-bar on 'torch>=2.6,<2.14'
}

case $want in
run)
    say "installing YuYin with its command line and server (about 0.5 GB on disk)"
    $uv editables --editable '.[cpu]' ;;
test)
    install_torch
    say "installing YuYin, training and the test suite (about 2.3 GB on disk with torch)"
    $uv editables --editable '.[cpu,train,paper,emobase]' --group dev ;;
*) fail "unknown set-up '$want': say run or test" ;;
esac
printf '%s' "$state" >"$stamp"
say "ready"
