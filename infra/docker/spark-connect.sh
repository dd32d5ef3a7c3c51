#!/bin/bash
# Spark Connect on the cluster of the profile `spark`. SPARK_IMAGE has to bring hadoop-aws; the keys
# come from secrets, and the object store's certificate is checked with the installation's authority.
set -euo pipefail
umask 077
mkdir -p /tmp/conf
keytool -importcert -noprompt -alias installation -file /run/secrets/ca.pem \
  -keystore /tmp/conf/trust.p12 -storepass installation > /dev/null 2>&1
trust="-Djavax.net.ssl.trustStore=/tmp/conf/trust.p12 -Djavax.net.ssl.trustStorePassword=installation"
cat > /tmp/conf/spark-defaults.conf <<CONF
spark.master spark://spark-master:7077
spark.driver.host spark-connect
spark.driver.extraJavaOptions $trust
spark.hadoop.fs.s3a.endpoint $S3_ENDPOINT
spark.hadoop.fs.s3a.path.style.access true
spark.hadoop.fs.s3a.access.key $(cat /run/secrets/s3_worker_access_key)
spark.hadoop.fs.s3a.secret.key $(cat /run/secrets/s3_worker_secret_key)
CONF
# SPARK_NO_DAEMONIZE of the compose file keeps it in the foreground.
export SPARK_CONF_DIR=/tmp/conf SPARK_LOG_DIR=/tmp SPARK_PID_DIR=/tmp
exec /opt/spark/sbin/start-connect-server.sh
