#!/usr/bin/env bash
# Install the servers and the browser that the whole test suite runs on, where they are missing:
# PostgreSQL, RabbitMQ, Chromium and iproute2, by apt.
#
#   scripts/install-services.sh [--check]      --check only says what is missing
#
# Nothing is started: the suite runs private servers of its own. Exit codes: 0 all is here,
# 1 the installation failed, 2 something is missing and cannot be installed by this user.
set -euo pipefail

readonly POLICY=/usr/sbin/policy-rc.d # asked by packages before they start their service
readonly LOCK_TIMEOUT=600             # seconds to wait for another apt on this machine

say() { printf 'services: %s\n' "$*" >&2; }

has_postgresql() { compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; }
has_rabbitmq() { [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; }
has_chromium() { command -v chromium >/dev/null || command -v chromium-browser >/dev/null; }
has_iproute() { [ -x /usr/sbin/tc ] || [ -x /sbin/tc ] || command -v tc >/dev/null; }

missing_packages() {
    has_postgresql || echo postgresql
    has_rabbitmq || echo rabbitmq-server
    has_chromium || printf '%s\n' chromium fonts-dejavu-core # no font, no text to look at
    has_iproute || echo iproute2
}

apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 \
        -o DPkg::Lock::Timeout="$LOCK_TIMEOUT" "$@" </dev/null
}

# A fresh machine often has stale lists or a mirror that stumbles once: hence update, and twice.
install_packages() { # LOG PACKAGE...
    local log=$1 attempt
    shift
    for attempt in 1 2; do
        if apt update >"$log" 2>&1 && apt install --no-install-recommends -y "$@" >>"$log" 2>&1; then
            return
        fi
        say "attempt $attempt of 2 failed; apt's last lines:"
        tail -n 5 "$log" >&2
    done
    return 1
}

forbid_service_starts() {
    if [ ! -e "$POLICY" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$POLICY"
        chmod 755 "$POLICY"
        trap 'rm -f "$POLICY" "${LOG:-}"' EXIT
    fi
}

main() {
    local packages
    mapfile -t packages < <(missing_packages)
    if [ "${#packages[@]}" -eq 0 ]; then
        return
    fi
    if [ "${1:-}" = --check ]; then
        say "missing: ${packages[*]}"
        return 2
    fi
    if ! command -v apt-get >/dev/null; then
        say "missing: ${packages[*]}; there is no apt-get here, install them another way"
        return 2
    fi
    if [ "$(id -u)" -ne 0 ]; then
        say "missing: ${packages[*]}; run:"
        say "  sudo apt-get update && sudo apt-get install --no-install-recommends ${packages[*]}"
        return 2
    fi
    LOG=$(mktemp)
    trap 'rm -f "$LOG"' EXIT
    forbid_service_starts
    say "installing ${packages[*]} (a minute or two) ..."
    install_packages "$LOG" "${packages[@]}" || return 1
    mapfile -t packages < <(missing_packages)
    if [ "${#packages[@]}" -ne 0 ]; then
        say "apt succeeded, yet still missing: ${packages[*]}"
        return 1
    fi
    say "installed"
}

main "$@"
