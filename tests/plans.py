"""How PostgreSQL would find what a statement asks for."""

import json
import re


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
    plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT json) EXECUTE planned ({nothing})"))
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
