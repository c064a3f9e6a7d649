#!/usr/bin/env bash
# Installs what is missing from scripts/packages.txt. With nothing missing it does nothing and needs
# neither the network nor root.
#
# Usage: scripts/install.sh
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "install: $1" >&2
  exit 1
}

command -v dpkg-query >/dev/null || fail "needs Debian 12: dpkg-query not found"

missing=()
while read -r package; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || status=absent
  [ "$status" = installed ] || missing+=("$package")
done < <(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' scripts/packages.txt)
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || fail "needs root or sudo to install: ${missing[*]}"
  as_root=(sudo)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" >"$log" 2>&1
}

echo "install: ${missing[*]}"
# A failed update is not the end: what is known or cached may be enough.
apt update || true
apt install --no-install-recommends "${missing[@]}" ||
  fail "apt-get could not install ${missing[*]}: $(grep -m1 '^E:' "$log" || tail -n 1 "$log")"
