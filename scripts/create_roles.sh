#!/bin/sh
# Makes the two roles of ScaleDash on a new server: `scaledash` owns the tables and migrates them,
# `scaledash_web` reads and writes rows. Neither is a superuser, and the second changes no table.
# The postgres container runs it once; on a server of your own run it as a superuser, with
# POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD and POSTGRES_WEB_PASSWORD set.
set -eu
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv owner_password POSTGRES_PASSWORD
\getenv web_password POSTGRES_WEB_PASSWORD
CREATE ROLE scaledash LOGIN PASSWORD :'owner_password';
GRANT pg_read_all_settings TO scaledash;
SELECT format('ALTER DATABASE %I OWNER TO scaledash', current_database()) \gexec
CREATE ROLE scaledash_web LOGIN PASSWORD :'web_password';
GRANT pg_read_all_data, pg_write_all_data, pg_read_all_settings TO scaledash_web;
SQL
