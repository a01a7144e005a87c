"""Who opens the link in a code with another program than the school's is told so, and leaves nothing behind."""

import pytest
from aiohttp.test_utils import TestClient, TestServer

from attendance_svc.http_api.pages import PageRoutes
from infra.clock import utc_now
from infra.http_server import Doorkeeper, build_app
from infra.jwks import LocalKeys
from infra.tokens import USER_TOKEN, TokenVerifier


@pytest.fixture
async def client():
    nobody = TokenVerifier(USER_TOKEN, LocalKeys({}), now=utc_now)
    app = build_app(PageRoutes().routes(), Doorkeeper(people=nobody, beacons=nobody))
    async with TestClient(TestServer(app)) as made:
        yield made


@pytest.mark.parametrize("path", ["/q/AaGyw9Tl9gcYFRElAABOoWxJwK6HNMQKmdY", "/Q/AGQ3FQ6U4X3", "/n/B-1?v=1&c=12345678"])
async def test_a_page_says_what_to_do_runs_nothing_and_sets_nothing(client, path):
    async with client.get(path) as answer:
        text = await answer.text()

    assert (answer.status, answer.content_type) == (200, "text/html")
    assert "app" in text
    assert "<script" not in text
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.headers["Cache-Control"] == "no-store"
