#!/bin/sh
# Writes the passwords, keys and certificates of docker-compose.yml as files; keeps files that are
# there, so it can be run again after an upgrade (which may need a new one).
#
#   infra/docker/make-secrets.sh DIR [NAME…]
#
# DIR    a folder outside the project, on a disk of this machine.
# NAME…  names or addresses by which people reach the pages (see make-certificates.sh).
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:?usage: make-secrets.sh DIR [NAME…]}
shift
mkdir -p "$dir"
chmod 0711 "$dir" # the containers' users pass through; names cannot be listed
"$here/make-certificates.sh" "$dir" "$@"

random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
put() { [ -s "$dir/$1" ] || printf '%s' "$2" > "$dir/$1"; }
kept() { cat "$dir/$1"; }

put postgres_password "$(random 20)"
for role in cityledger writer reader airflow celery; do put "${role}_db_password" "$(random 20)"; done
for identity in admin worker reader; do
  put "s3_${identity}_access_key" "$identity$(random 8)"
  put "s3_${identity}_secret_key" "$(random 20)"
done
put s3_internal "$(random 20)"
put valkey_password "$(random 20)"
put pseudonym_key "$(random 32)"
put airflow_secret_key "$(random 64)"
put airflow_jwt_secret "$(random 64)"
put airflow_fernet_key "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n')"
put airflow_admin_password "$(random 20)"
put grafana_admin_password "$(random 20)"
put metrics_token "$(random 20)"
put prometheus_metrics_token "$(kept metrics_token)" # the same, for another user to read

put msmtprc "# Profile mail: the city's mail server. Its certificate is checked against tls_trust_file.
defaults
tls on
tls_starttls on
tls_trust_file /etc/ssl/certs/ca-certificates.crt
account default
host mail.city.example
port 587
from cityledger@city.example
auth off
"

# Empty until the city fills them in: what its identity provider gave, and its mail server.
for name in oidc_client_secret smtp_connection; do [ -e "$dir/$name" ] || : > "$dir/$name"; done

# Addresses with their credentials. A part that runs elsewhere: write its address here.
database() { echo "$1:$(kept "$2_db_password")@postgres:5432/$3"; }
put database_owner_url "postgresql://$(database cityledger cityledger cityledger)"
put database_url "postgresql://$(database cityledger_writer writer cityledger)"
put airflow_database_url "postgresql+psycopg://$(database airflow airflow airflow)"
put celery_results_url "db+postgresql+psycopg://$(database celery celery celery)"
put celery_broker_url "rediss://cityledger:$(kept valkey_password)@valkey:6379/0"
put s3_admin_url "https://$(kept s3_admin_access_key):$(kept s3_admin_secret_key)@s3:8333"
put s3_url "https://$(kept s3_worker_access_key):$(kept s3_worker_secret_key)@s3:8333"
put airflow_url "https://admin:$(kept airflow_admin_password)@api-server:8080"

# The queue's user may use keys and channels; the default user, without a password, is off.
put valkey_users.acl "user default off
user cityledger on >$(kept valkey_password) ~* &* +@all -@admin -@dangerous +info +client
"

if [ "$(id -u)" = 0 ]; then
  chown 10001:10001 "$dir"/*
  # What only one image reads belongs to that image's user.
  (cd "$dir" && chown 999:999 postgres.* postgres_password *_db_password valkey.* valkey_users.acl)
  (cd "$dir" && chown 101:101 proxy.* && chown 65534:65534 prometheus_metrics_token)
  (cd "$dir" && chown 472:0 grafana_admin_password)
  chown 0:0 "$dir/ca.key" 2>/dev/null || true
fi
chmod 0400 "$dir"/*
chmod 0444 "$dir"/ca.pem "$dir"/*.crt # certificates are public, and several users read them
