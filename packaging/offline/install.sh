#!/bin/sh
# Verifies this folder, then installs the package that fits this host, without any network.
# Usage: sh install.sh PUBLIC-KEY.pem [--bundled]     --bundled: with a Python of its own, whatever the host has.
set -eu

here="$(cd "$(dirname "$0")" && pwd)"
sh "$here/verify.sh" "${1:?usage: sh install.sh PUBLIC-KEY.pem [--bundled]}"
choice="${2:-}"

has() { command -v "$1" >/dev/null; }

if has dpkg; then
    package="$(ls "$here"/packages/*+bundled_amd64.deb)"
    if [ "$choice" != --bundled ]; then
        case "$(dpkg-query --show --showformat '${Version}' python3 2>/dev/null || true)" in
            3.11.*) package="$(ls "$here"/packages/*+deb12_amd64.deb)" ;;
            3.13.*) package="$(ls "$here"/packages/*+deb13_amd64.deb)" ;;
        esac
    fi
    echo "installing ${package##*/}"
    exec dpkg --install "$package"
elif has rpm; then
    package="$(ls "$here"/packages/*.bundled.x86_64.rpm)"
    [ "$choice" = --bundled ] || [ ! -x /usr/bin/python3.12 ] || package="$(ls "$here"/packages/*.py312.x86_64.rpm)"
    echo "installing ${package##*/}"
    exec rpm --upgrade --verbose "$package"
fi
echo "neither dpkg nor rpm is here" >&2
exit 1
