"""What a phone shows that opens the link in a code by itself: a page that says which program can read it."""

from html import escape

from aiohttp import web
from pydantic import ConfigDict

from infra.http_bodies import NoBody, Query
from infra.http_routes import ANYONE, AnyRoute, Call, Route
from infra.openapi_page import POLICY

STYLE = """
:root{color-scheme:light dark}
body{font:18px/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:1rem}
"""
QR_TEXT = "Open your school's app and scan the code on the screen with it. This page cannot sign for you."
NFC_TEXT = "Open your school's app and hold the phone to the beacon again. This page cannot sign for you."


class AnyQuery(Query):
    """What the code, or a program that passed it on, added: nobody reads it."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class PageRoutes:
    """Routes that the links in codes lead to. They know nothing about the code, and keep nothing of who came."""

    def routes(self) -> list[AnyRoute]:
        """Every route of this kind, in one place. `/Q/` is in links of capitals, which make smaller QR codes."""
        return [
            _page("/q/{payload}", QR_TEXT, "What the link in a QR code leads to"),
            _page("/Q/{dense_payload}", QR_TEXT, "The same, for links of capitals"),
            _page("/n/{serial}", NFC_TEXT, "What the link of a beacon leads to"),
        ]


def _page(path: str, text: str, summary: str) -> AnyRoute:
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in class</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>Sign in class</h1><p>{escape(text)}</p></body></html>\n"
    )

    async def show(_call: Call[NoBody, AnyQuery]) -> web.Response:
        headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
        return web.Response(text=page, content_type="text/html", headers=headers)

    return Route(method="GET", path=path, handler=show, who=ANYONE, query=AnyQuery, text="text/html", summary=summary)
