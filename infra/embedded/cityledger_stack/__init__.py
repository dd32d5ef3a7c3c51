"""The embedded stack: PostgreSQL, an S3 object store and Airflow as local processes."""
