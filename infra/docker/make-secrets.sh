#!/bin/sh
# Writes the passwords and keys of docker-compose.yml as files; keeps files that are there.
# Usage: infra/docker/make-secrets.sh DIR
set -eu
dir=${1:?usage: make-secrets.sh DIR}
mkdir -p "$dir"
chmod 0711 "$dir" # the containers' user 10001 passes through; names cannot be listed

random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
put() { [ -s "$dir/$1" ] || printf '%s' "$2" > "$dir/$1"; }

put postgres_password "$(random 20)"
put cityledger_db_password "$(random 20)"
put airflow_db_password "$(random 20)"
put s3_access_key "cityledger$(random 5)"
put s3_secret_key "$(random 20)"
put s3_internal "$(random 20)"
put pseudonym_key "$(random 32)"
put airflow_secret_key "$(random 64)"
put airflow_jwt_secret "$(random 64)"
put airflow_fernet_key "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n')"
put airflow_passwords.json "{\"admin\": \"$(random 20)\"}"
put database_url "postgresql://cityledger:$(cat "$dir/cityledger_db_password")@postgres:5432/cityledger"
put airflow_database_url "postgresql+psycopg://airflow:$(cat "$dir/airflow_db_password")@postgres:5432/airflow"
put s3_url "http://$(cat "$dir/s3_access_key"):$(cat "$dir/s3_secret_key")@s3:8333"

if [ "$(id -u)" = 0 ]; then
  chown 10001:10001 "$dir"/*
  # What only the database's container reads belongs to that image's user.
  chown 999:999 "$dir/postgres_password" "$dir/cityledger_db_password" "$dir/airflow_db_password"
fi
chmod 0400 "$dir"/*
