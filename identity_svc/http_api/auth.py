"""`/auth`: logging in, staying in, logging out, and the keys that tokens are checked with."""

from aiohttp import web

from contracts.ids import new_id
from identity_svc.commands.access import Login, end_session, log_in, log_out, refresh
from identity_svc.commands.passwords import change_password, use_reset
from identity_svc.domain.accounts import Account
from identity_svc.domain.sessions import RefreshTokens, Session, access_life
from identity_svc.http_api.bodies import (
    Jwks,
    LoginBody,
    LogoutBody,
    MeAnswer,
    PasswordBody,
    RefreshBody,
    ResetBody,
    SessionAnswer,
    SessionsAnswer,
    TokensAnswer,
    UserAnswer,
)
from identity_svc.http_api.desk import Desk
from identity_svc.ports import TokenMint
from identity_svc.queries import find_account, list_sessions
from infra.http_bodies import NoBody, NoQuery
from infra.http_routes import ANYONE, PEOPLE, AnyRoute, Call, Reply, Route
from infra.postgres import connection

# Set by the edge, which removes what clients send under this name.
CLIENT_ADDRESS = "x-envoy-external-address"
UNSTORED = {"Cache-Control": "no-store"}
JWKS_HEADERS = {"Cache-Control": "public, max-age=300"}


class AuthApi:
    """Routes for everybody."""

    def __init__(self, desk: Desk, *, mint: TokenMint, tokens: RefreshTokens) -> None:
        self._desk, self._mint, self._tokens = desk, mint, tokens

    def routes(self) -> list[AnyRoute]:
        """Every route of this door, in one place."""
        return [*self._open_routes(), *self._own_routes()]

    def _open_routes(self) -> list[AnyRoute]:
        return [
            Route(
                method="POST",
                path="/auth/login",
                handler=self.post_login,
                who=ANYONE,
                body=LoginBody,
                answer=TokensAnswer,
                summary="Log in",
            ),
            Route(
                method="POST",
                path="/auth/refresh",
                handler=self.post_refresh,
                who=ANYONE,
                body=RefreshBody,
                answer=TokensAnswer,
                summary="Exchange the refresh token for the next one",
            ),
            Route(
                method="POST",
                path="/auth/password-reset",
                handler=self.post_reset,
                who=ANYONE,
                body=ResetBody,
                status=204,
                summary="Choose a password with a one-time token",
            ),
            *(
                Route(
                    method="GET",
                    path=path,
                    handler=self.get_jwks,
                    who=ANYONE,
                    answer=Jwks,
                    summary="Keys to check tokens with",
                )
                for path in ("/.well-known/jwks.json", "/auth/jwks.json")
            ),
        ]

    def _own_routes(self) -> list[AnyRoute]:
        return [
            Route(
                method="POST",
                path="/auth/logout",
                handler=self.post_logout,
                who=PEOPLE,
                body=LogoutBody,
                status=204,
                accepts_empty=True,
                summary="End this session, or all",
            ),
            Route(
                method="POST",
                path="/auth/password",
                handler=self.post_password,
                who=PEOPLE,
                body=PasswordBody,
                status=204,
                summary="Change the own password; other sessions end",
            ),
            Route(method="GET", path="/auth/me", handler=self.get_me, who=PEOPLE, answer=MeAnswer, summary="Who calls"),
            Route(
                method="GET",
                path="/auth/sessions",
                handler=self.get_sessions,
                who=PEOPLE,
                answer=SessionsAnswer,
                summary="The own live sessions",
            ),
            Route(
                method="DELETE",
                path="/auth/sessions/{session_id}",
                handler=self.delete_session,
                who=PEOPLE,
                status=204,
                summary="End one of the own sessions",
            ),
        ]

    async def post_login(self, call: Call[LoginBody, NoQuery]) -> Reply:
        """200; 401 `login_failed`, the same whatever was wrong; 429 `login_throttled`; 503 `overloaded`."""
        login = Login(
            email=call.body.email,
            password=call.body.password,
            source=address_of(call.request),
            session_id=new_id(),
            refresh_token=call.body.refresh_token,
        )
        desk, tokens = self._desk, self._tokens
        entry = await log_in(login, tokens=tokens, open_books=desk.books_of(), passwords=desk.passwords, now=desk.now())
        return await self._admit(*entry)

    async def post_refresh(self, call: Call[RefreshBody, NoQuery]) -> Reply:
        """200; 401 `refresh_failed`."""
        desk = self._desk
        token = call.body.refresh_token
        entry = await refresh(token, tokens=self._tokens, open_books=desk.books_of(), now=desk.now())
        return await self._admit(*entry)

    async def _admit(self, account: Account, session: Session) -> Reply:
        now = self._desk.now()
        answer = TokensAnswer(
            access_token=await self._mint.issue(account, session, now=now),
            expires_in=int(access_life(session, account.type, now=now).total_seconds()),
            refresh_token=self._tokens.write(session),
            user=UserAnswer.of(account),
        )
        return Reply(body=answer, headers=UNSTORED)

    async def post_reset(self, call: Call[ResetBody, NoQuery]) -> Reply:
        """204; 401 `reset_token_invalid`; 422 for a password that is too weak."""
        desk, body = self._desk, call.body
        await use_reset(
            body.reset_token,
            body.new_password,
            open_books=desk.books_of(),
            passwords=desk.passwords,
            now=desk.now(),
        )
        return Reply(status=204)

    async def get_jwks(self, call: Call[NoBody, NoQuery]) -> Reply:
        """200; may be kept for five minutes."""
        return Reply(body=await self._mint.jwks(), headers=JWKS_HEADERS)

    async def post_logout(self, call: Call[LogoutBody, NoQuery]) -> Reply:
        """204."""
        actor = await self._desk.actor(call)
        async with self._desk.books(actor) as books:
            await log_out(actor, everywhere=call.body.all, books=books, now=self._desk.now())
        return Reply(status=204)

    async def post_password(self, call: Call[PasswordBody, NoQuery]) -> Reply:
        """204; 403 `password_wrong`; 422 for a password that is too weak; 429 `login_throttled`."""
        desk, body = self._desk, call.body
        actor = await desk.actor(call)
        await change_password(
            body.current_password,
            body.new_password,
            actor=actor,
            open_books=desk.books_of(actor),
            passwords=desk.passwords,
            now=desk.now(),
        )
        return Reply(status=204)

    async def get_me(self, call: Call[NoBody, NoQuery]) -> Reply:
        """200."""
        actor = await self._desk.actor(call)
        async with connection(self._desk.pool) as lent:
            account = await find_account(lent, actor.id)
        if account is None:
            raise RuntimeError("an actor without an account")
        return Reply(body=MeAnswer(user=UserAnswer.of(account), session_id=actor.session_id))

    async def get_sessions(self, call: Call[NoBody, NoQuery]) -> Reply:
        """200."""
        actor = await self._desk.actor(call)
        async with connection(self._desk.pool) as lent:
            sessions = await list_sessions(lent, actor.id, now=self._desk.now())
        items = [SessionAnswer.of(session, current_id=actor.session_id) for session in sessions]
        return Reply(body=SessionsAnswer(items=items))

    async def delete_session(self, call: Call[NoBody, NoQuery]) -> Reply:
        """204; 404 for anybody else's."""
        actor = await self._desk.actor(call)
        async with self._desk.books(actor) as books:
            await end_session(call.ids["session_id"], actor=actor, books=books, now=self._desk.now())
        return Reply(status=204)


def address_of(request: web.Request) -> str:
    """Return the address of the client that the edge saw, or of the peer when there is no edge."""
    return request.headers.get(CLIENT_ADDRESS) or request.remote or "unknown"
