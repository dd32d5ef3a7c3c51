#!/bin/bash
# First start: makes the cluster, runs the set-up scripts against a server that only the socket
# reaches, and stops it. Then runs the command.
set -euo pipefail
if [ "${1:-}" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
  mkdir -p "$PGDATA"
  # shellcheck disable=SC2086 - several words
  initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" ${POSTGRES_INITDB_ARGS:-}
  printf 'host all all all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
  # pg_ctl hands its options to a shell, so words with spaces must come quoted.
  options=$(printf '%q ' "${@:2}")
  pg_ctl --wait start -o "$options -c listen_addresses=''"
  for script in /docker-entrypoint-initdb.d/*.sh; do
    [ -e "$script" ] || continue
    # shellcheck source=/dev/null - the deployment's own
    . "$script"
  done
  pg_ctl --wait --mode=fast stop
fi
exec "$@"
