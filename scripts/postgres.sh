#!/usr/bin/env bash
# Run a command with a PostgreSQL server of its own: as a normal user, in a temporary folder, on loopback only. The
# command finds its address in CONTACTS_TEST_POSTGRES; the server is gone afterwards, whatever happened.
set -euo pipefail

bin=$(dirname "$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -1 || true)")
if [ ! -x "$bin/initdb" ]; then
    echo "PostgreSQL's server is not installed." >&2
    echo "hint: on Debian or Ubuntu: apt-get install postgresql" >&2
    exit 1
fi

# The server refuses to run as root.
run=()
if [ "$(id -u)" = 0 ]; then
    user=$(id -un postgres 2>/dev/null || echo nobody)
    run=(setpriv --reuid "$user" --regid "$(id -gn "$user")" --clear-groups)
fi

folder=$(mktemp -d)
chmod 755 "$folder"
[ ${#run[@]} = 0 ] || chown "$user" "$folder"
server() { (cd "$folder" && "${run[@]}" env -u PGDATA "$bin/$@"); }

stop() {
    server pg_ctl -D "$folder/data" -m immediate -w stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT TERM

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# Several tests at a time, each with several workers, have more connections than the hundred of the default.
server initdb -D "$folder/data" -U tests --auth=trust --no-sync >/dev/null
server pg_ctl -D "$folder/data" -l "$folder/log" -w \
    -o "-p $port -k $folder -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=500" start >/dev/null || { cat "$folder/log" >&2; exit 1; }

CONTACTS_TEST_POSTGRES="postgresql://tests@127.0.0.1:$port/postgres" "$@"
