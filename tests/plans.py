"""How PostgreSQL would find what a statement asks for."""

import importlib
import json
import pkgutil
import re
from contextlib import asynccontextmanager

import asyncpg

from infra.postgres import create_pool

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


def statements_of(service):
    """Return every statement of the service, by the names of its module and its constant: `store.codes.ADD`."""
    package = importlib.import_module(f"{service}_svc")
    named = {
        sql: f"{module.name.partition('.')[2]}.{name}"
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if ".migrations" not in module.name and not module.name.endswith("__main__")
        for name, sql in vars(importlib.import_module(module.name)).items()
        if name.isupper() and isinstance(sql, str) and sql.strip().startswith(VERBS)
    }
    return {name: sql for sql, name in named.items()}


@asynccontextmanager
async def counted_empty(urls):
    """Lend a connection of the service, to tables that were counted while they were empty."""
    owner = await asyncpg.connect(urls.admin_url)
    await owner.execute("ANALYZE")
    await owner.close()
    async with create_pool(urls.app_url, name="test") as pool, pool.acquire() as lent:
        yield lent


async def scans_of(connection, sql, tables):
    """Return which of the growing `tables` the plan that is kept for `sql` reads by index, and which it reads whole.

    A row may also be found by its place, which an index gave.
    """
    scans = [node for node in await plan_of(connection, sql) if node.get("Relation Name") in tables and is_scan(node)]
    whole = {
        node["Relation Name"]
        for node in scans
        if kind(node) != "Bitmap Heap Scan" and not {"Index Cond", "TID Cond"} & node.keys()
    }
    return {node["Relation Name"] for node in scans} - whole, whole


async def indexes_of(connection, sql, table):
    """Return the indexes by which the plan that is kept for `sql` finds rows of `table`."""
    return {node.get("Index Name") for node in await plan_of(connection, sql) if node.get("Relation Name") == table} - {
        None
    }


async def comparisons_of(connection, sql):
    """Return by what the plan that is kept for `sql` compares each row of one part with all rows of another."""
    return {node["Join Filter"] for node in await plan_of(connection, sql) if "Join Filter" in node}


async def plan_of(connection, sql):
    nothing = ", ".join("NULL" for _ in set(re.findall(r"\$\d+", sql)))
    await connection.execute(f"PREPARE planned AS {sql}")
    executed = f"planned ({nothing})" if nothing else "planned"
    plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT json) EXECUTE {executed}"))
    await connection.execute("DEALLOCATE planned")
    return list(nodes_of(plan[0]["Plan"]))


def is_scan(node):
    return "Scan" in kind(node)


def kind(node):
    return node["Node Type"]


def nodes_of(node):
    yield node
    for below in node.get("Plans", ()):
        yield from nodes_of(below)
