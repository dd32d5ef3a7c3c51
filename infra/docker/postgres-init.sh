#!/bin/bash
# Runs once, when PostgreSQL's volume is empty: a role and a database of its own for each program.
set -euo pipefail
for name in cityledger airflow; do
  psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" \
    --set=name="$name" --set=password="$(cat "/run/secrets/${name}_db_password")" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
