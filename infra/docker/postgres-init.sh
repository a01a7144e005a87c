#!/bin/sh
# Makes every service's database and roles when the data folder is new; run by the image's entry point.
set -eu
for service in identity academics attendance beacon; do
    upper=$(echo "$service" | tr '[:lower:]' '[:upper:]')
    psql --no-psqlrc --quiet -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
        -v service="$service" -v database="$service" \
        -v migrate_password="$(printenv "${upper}_MIGRATE_PASSWORD")" \
        -v app_password="$(printenv "${upper}_APP_PASSWORD")" \
        -f "${POSTGRES_INIT_SQL:-/rollcall/postgres-init.sql}"
done
