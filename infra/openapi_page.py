"""Show an OpenAPI document as one page that needs no script, no network and nothing but itself."""

from collections.abc import Iterator
from html import escape
from typing import Any

from infra.openapi import Json, to_text

# Of every operation; said once at the top instead.
COMMON = "default"
# What the page may load: its own style, nothing else.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8882}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h2{margin-top:2rem;border-bottom:1px solid var(--line)}code,pre{font:13px/1.5 ui-monospace,monospace}
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer}summary code{font-weight:600}
pre{background:var(--soft);padding:.6rem;overflow:auto;border-radius:6px}
table{border-collapse:collapse}td{padding:.1rem 1rem .1rem 0;vertical-align:top}nav a{margin-right:1rem}
.method{display:inline-block;min-width:4.5rem}.who{color:GrayText}
"""


def render(document: Json) -> str:
    """Return the page of `document`, HTML."""
    title = escape(document["info"]["title"])
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
            '<meta name="viewport" content="width=device-width">',
            f"<style>{STYLE}</style></head><body><h1>{title}</h1>",
            "<p>Every refusal is <code>application/problem+json</code> with a stable <code>code</code>.</p>",
            *_operations(document["paths"]),
            '<h2 id="schemas">Schemas</h2>',
            *(_schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items())),
            "</body></html>\n",
        ]
    )


def _operations(paths: Json) -> Iterator[str]:
    tags: dict[str, list[str]] = {}
    for path, methods in paths.items():
        for method, operation in methods.items():
            tags.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    yield "<nav>" + "".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in [*tags, "schemas"]) + "</nav>"
    for tag, shown in tags.items():
        yield f'<h2 id="{escape(tag)}">{escape(tag)}</h2>'
        yield from shown


def _operation(method: str, path: str, operation: Json) -> str:
    rows = [_row(parameter["name"], _about(parameter)) for parameter in operation["parameters"]]
    rows += [_row("body", _links(operation["requestBody"]["content"]))] if "requestBody" in operation else []
    rows += [_row(status, _links(answer.get("content", {})) or escape(answer.get("description", "problem")))
             for status, answer in operation["responses"].items() if status != COMMON]  # fmt: skip
    words = f'<code class="method">{escape(method.upper())}</code><code>{escape(path)}</code>'
    about = f'<p class="who">{escape(operation["description"])}</p><table>{"".join(rows)}</table>'
    return _details(operation["operationId"], f"{words} {escape(operation['summary'])}", about)


def _details(name: str, summary: str, content: str) -> str:
    return f'<details id="{escape(name)}"><summary>{summary}</summary>{content}</details>'


def _row(name: str, about: str) -> str:
    return f"<tr><td><code>{escape(name)}</code></td><td>{about}</td></tr>"


def _about(parameter: Json) -> str:
    needed = "" if parameter["required"] else ", optional"
    return escape(f"{parameter['in']}{needed}: {_kind(parameter['schema'])}")


def _kind(schema: Json) -> str:
    choices = [_kind(each) for each in schema.get("anyOf", [])]
    limits = [f"{word} {schema[word]}" for word in ("minimum", "maximum", "maxLength", "pattern") if word in schema]
    kind = " or ".join(choices) or ", ".join(map(str, schema.get("enum", []))) or _type(schema)
    return f"{kind} ({'; '.join(limits)})" if limits else kind


def _type(schema: Json) -> str:
    return str(schema.get("format") or schema.get("const") or schema.get("type", "any"))


def _links(content: Json) -> str:
    return ", ".join(f"{_link(part['schema'])} <small>{escape(kind)}</small>" for kind, part in content.items())


def _link(schema: Json) -> str:
    reference: Any = schema.get("$ref")
    if reference is None:
        return escape(_type(schema))
    name = escape(reference.rpartition("/")[2])
    return f'<a href="#schema-{name}">{name}</a>'


def _schema(name: str, schema: Json) -> str:
    return _details(f"schema-{name}", f"<code>{escape(name)}</code>", f"<pre>{escape(to_text(schema))}</pre>")
