#!/bin/sh
# Turns each secret file into the environment variable of the same name, then runs the command.
set -eu
for file in /run/secrets/[A-Z]*; do
  [ -f "$file" ] || continue
  export "$(basename "$file")=$(cat "$file")"
done
# Airflow's simple auth manager opens its file for writing; a secret is mounted read-only.
if [ -f /run/secrets/airflow_passwords.json ]; then
  (umask 077 && cat /run/secrets/airflow_passwords.json > /tmp/airflow_passwords.json)
fi
exec "$@"
