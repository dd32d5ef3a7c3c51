#!/bin/sh
# Makes a certificate authority of the installation's own and a certificate for each part, so that
# the parts talk TLS and know each other. Run again it keeps what is good for 60 days more.
#
#   infra/docker/make-certificates.sh DIR [NAME…]
#
# DIR    the folder of the secrets.
# NAME…  names or addresses by which people reach the proxy (default: localhost). A city that has a
#        certificate of its own puts it into proxy.crt and proxy.key; it is kept while it is good.
#
# ca.key signs new certificates and nothing reads it while the stack runs: keep it elsewhere.
set -eu
umask 077
dir=${1:?usage: make-certificates.sh DIR [NAME…]}
shift
mkdir -p "$dir"
cd "$dir"

lasting() { [ -s "$1" ] && openssl x509 -in "$1" -noout -checkend $((60 * 24 * 3600)) > /dev/null; }
key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null \
  || openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

if ! [ -s ca.pem ]; then
  key ca.key
  openssl req -x509 -new -key ca.key -sha256 -days 3650 -subj "/CN=CityLedger installation" \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -out ca.pem
fi

# part PART NAME…: a key and a certificate for these names
part() {
  part=$1
  shift
  lasting "$part.crt" && return
  if ! [ -s ca.key ]; then
    echo "$part.crt has to be renewed: put ca.key back into $dir and run this again" >&2
    exit 1
  fi
  names=""
  for name in "$@"; do
    case $name in
      *[!0-9.]*) kind=DNS ;;
      *) kind=IP ;;
    esac
    names="$names,$kind:$name"
  done
  rm -f "$part.key" "$part.crt"
  key "$part.key"
  openssl req -new -key "$part.key" -subj "/CN=$1" -out "$part.csr"
  {
    echo "basicConstraints=critical,CA:FALSE"
    echo "keyUsage=critical,digitalSignature"
    echo "extendedKeyUsage=serverAuth"
    echo "subjectAltName=${names#,}"
  } > "$part.ext"
  openssl x509 -req -in "$part.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -sha256 -days 800 \
    -extfile "$part.ext" -out "$part.crt" 2>/dev/null
  rm -f "$part.csr" "$part.ext" ca.srl
}

part postgres postgres localhost 127.0.0.1
part valkey valkey localhost 127.0.0.1
part s3 s3 localhost 127.0.0.1
part api-server api-server localhost 127.0.0.1
part proxy "${@:-localhost}" proxy
