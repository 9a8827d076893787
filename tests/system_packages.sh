#!/bin/sh
# Programs the tests need that no Python package brings: SIPp, the independent SIP peer, and
# Chromium, the browser the pages are tried in; unzip, which opens our packages; SoftHSM, a
# security module in software. Installed through the system's package manager
# when that is allowed; else a sentence says what is missing. Nothing is skipped in silence.
set -eu
missing=""
command -v sipp >/dev/null 2>&1 || missing="$missing sip-tester"
[ -x /usr/bin/chromium ] || missing="$missing chromium fonts-liberation fonts-dejavu-core"
command -v unzip >/dev/null 2>&1 || missing="$missing unzip"
[ -e /usr/lib/softhsm/libsofthsm2.so ] || missing="$missing softhsm2"
[ -z "$missing" ] && exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "Installing$missing"
    install="apt-get install -y -q --no-install-recommends $missing"
    $install >/dev/null 2>&1 || { apt-get update -q >/dev/null && $install >/dev/null; }
    exit 0
fi
echo "The tests need$missing. Install it, for instance: sudo apt-get install$missing" >&2
exit 1
