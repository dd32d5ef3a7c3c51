#!/bin/bash
# Runs once, when PostgreSQL's volume is empty: a role for each kind of program, with a database of
# its own for each product. What the roles may do in CityLedger's tables is granted by `init`
# (cityledger.storage.privileges).
set -euo pipefail

run() { psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname="$1" "${@:2}"; }

role() { # NAME FILE
  run postgres --set=name="$1" --set=password="$(cat "/run/secrets/$2")" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
SQL
}

database() { # NAME
  run postgres --set=name="$1" <<'SQL'
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
}

role airflow airflow_db_password
role celery celery_db_password
role cityledger cityledger_db_password
role cityledger_writer writer_db_password
role cityledger_reader reader_db_password
for name in airflow celery cityledger; do database "$name"; done
run cityledger <<'SQL'
GRANT CONNECT, TEMPORARY ON DATABASE cityledger TO cityledger_writer, cityledger_reader;
-- So that the owner can hand the lake's catalogue to the workers.
GRANT cityledger_writer TO cityledger;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
SQL
