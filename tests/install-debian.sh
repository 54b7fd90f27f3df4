#!/usr/bin/env bash
# Installs the Debian packages that a stage needs and that are missing: as root by apt-get, else it says what to type.
# usage: tests/install-debian.sh test | test-all | test-cluster | systemd-test | bench
set -euo pipefail

# Each line: a program that shows that the package is there, and the package.
case "${1:-}" in
test) programs=(mosquitto:mosquitto node:nodejs npm:npm chromium:chromium curl:curl) ;;
test-all) programs=(mosquitto:mosquitto node:nodejs npm:npm chromium:chromium curl:curl nft:nftables ip:iproute2 faketime:faketime systemd-nspawn:systemd-container debootstrap:debootstrap nsenter:util-linux haproxy:haproxy nginx:nginx-light caddy:caddy prometheus:prometheus) ;;
test-cluster) programs=(mosquitto:mosquitto node:nodejs npm:npm haproxy:haproxy nginx:nginx-light) ;;
systemd-test) programs=(npm:npm systemd-nspawn:systemd-container nsenter:util-linux) ;;
bench) programs=(mosquitto:mosquitto) ;;
*)
    echo "usage: $0 test | test-all | test-cluster | systemd-test | bench" >&2
    exit 2
    ;;
esac

# Debian keeps daemons where a plain user's PATH does not look.
PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin
missing=()
for pair in "${programs[@]}"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "missing: ${missing[*]}. Type: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
if ! command -v apt-get >/dev/null; then
    echo "missing: ${missing[*]}, and there is no apt-get here: install them with this system's own tool" >&2
    exit 1
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# A package's start script must not put a broker on this machine's port 1883: the tests bring their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
fi
apt-get -qq update
apt-get -qq -o DPkg::Lock::Timeout=120 install --yes --no-install-recommends "${missing[@]}" >/dev/null
