#!/bin/sh
# Turns each secret file into the environment variable of the same name, then runs the command.
# An empty file sets nothing. Neither `docker inspect` nor the compose file shows what is set here.
set -eu
for file in /run/secrets/[A-Z]*; do
  [ -s "$file" ] || continue
  name=${file##*/}
  value=$(cat "$file")
  export "$name=$value"
done
exec "$@"
