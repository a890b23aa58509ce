#!/bin/sh
# Verifies this folder without any network: the signature of MANIFEST, then every file against it.
# Usage: sh verify.sh PUBLIC-KEY.pem     Take the key from a place other than this bundle; the one inside proves nothing.
set -eu

key="${1:?usage: sh verify.sh PUBLIC-KEY.pem}"
here="$(cd "$(dirname "$0")" && pwd)"

openssl pkeyutl -verify -pubin -inkey "$key" -rawin -in "$here/MANIFEST" -sigfile "$here/MANIFEST.sig" >/dev/null || {
    echo "MANIFEST was not signed with this key: install nothing from here" >&2
    exit 1
}
cd "$here"
grep -v '^#' MANIFEST | sha256sum --check --strict --quiet || {
    echo "a file differs from MANIFEST: install nothing from here" >&2
    exit 1
}
strangers="$(find . -type f ! -name MANIFEST ! -name MANIFEST.sig | while read -r file; do
    grep -q -F -x "$(sha256sum "$file" | cut -c -64)  ${file#./}" MANIFEST || echo "$file"
done)"
[ -z "$strangers" ] || {
    printf 'files that MANIFEST does not name:\n%s\n' "$strangers" >&2
    exit 1
}
echo "the bundle is complete and signed: $(grep -c -v '^#' MANIFEST) files"
grep '^# signed with' MANIFEST | cut -c 3-
