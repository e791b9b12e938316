-- Run once, when the volume of the database is new. The daemon owns its database and no more; Grafana may look.

\set ON_ERROR_STOP on
\set logstreamd_password `cat /run/secrets/logstreamd_database_password`
\set grafana_password `cat /run/secrets/grafana_database_password`

CREATE ROLE logstreamd LOGIN PASSWORD :'logstreamd_password';
ALTER DATABASE logs OWNER TO logstreamd;
REVOKE CONNECT, TEMPORARY ON DATABASE logs FROM PUBLIC;

CREATE ROLE grafana LOGIN PASSWORD :'grafana_password' CONNECTION LIMIT 10;
GRANT CONNECT ON DATABASE logs TO grafana;
GRANT pg_read_all_data, pg_monitor TO grafana;
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
