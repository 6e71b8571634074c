"""A real authorization server on loopback, made of Authlib, with an API that it guards.

OAuth 2 with PKCE and rotating refresh tokens, client credentials, and OAuth 1. Its one
user, Ann, agrees to everything unless she is told to deny.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from authlib.integrations import flask_oauth1, flask_oauth2
from authlib.oauth1 import ClientMixin as ConsumerMixin
from authlib.oauth1 import TemporaryCredential
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc6750 import BearerTokenValidator
from authlib.oauth2.rfc7636 import CodeChallenge
from flask import Flask, Response, jsonify, redirect, request
from werkzeug.serving import make_server

from wellhead.domain.oauth import OAuthClient
from wellhead.domain.oauth_provider import OAuthProvider

CLIENT = OAuthClient("wellhead & co", "a secret: with = odd & characters")
NOTES = ("One", "Two", "Three")


class Ann:
    """Who owns the account."""

    id = "ann"

    def get_user_id(self) -> str:
        return self.id


class Client(ClientMixin, ConsumerMixin):  # type: ignore[misc]
    """The application that asks, in either version of OAuth."""

    def get_client_id(self) -> str:
        return CLIENT.id

    def get_client_secret(self) -> str:
        return CLIENT.secret

    def get_rsa_public_key(self) -> None:
        return None

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri.endswith("/source-connections/callback")

    def check_client_secret(self, secret: str) -> bool:
        return secret == CLIENT.secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return True


@dataclass
class Code:
    """What the browser carries back."""

    code: str
    redirect_uri: str
    scope: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass
class Token(TokenMixin):  # type: ignore[misc]
    """What was given out."""

    access_token: str
    refresh_token: str | None
    expires_at: float
    scope: str
    revoked: bool = False
    is_spent: bool = False
    """Its refresh token was used; the next one is there instead."""

    def check_client(self, client: Client) -> bool:
        return True

    def get_scope(self) -> str:
        return self.scope

    def is_revoked(self) -> bool:
        return self.revoked

    def is_expired(self) -> bool:
        return self.expires_at < time.time()


class Consumed(dict[str, str]):
    """A token of OAuth 1."""

    def get_oauth_token(self) -> str:
        return self["oauth_token"]

    def get_oauth_token_secret(self) -> str:
        return self["oauth_token_secret"]


@dataclass
class AuthorizationServer:
    """What it knows, what it was asked, and how it is to behave."""

    port: int = 0
    life_seconds: int = 3600
    rotates: bool = True
    denies: bool = False
    issuer_told: str | None = None
    renewal_takes_seconds: float = 0.0
    broken_with: int | None = None
    """The status that the token endpoint answers instead."""
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: list[Token] = field(default_factory=list)
    consumed: dict[str, Consumed] = field(default_factory=dict)
    temporary: dict[str, TemporaryCredential] = field(default_factory=dict)
    nonces: set[tuple[str, ...]] = field(default_factory=set)
    renewals: int = 0
    reads: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def provider(self, **more: Any) -> OAuthProvider:
        return OAuthProvider(
            **{
                "name": "tracker",
                "authorize_url": f"{self.url}/authorize?theme=dark",
                "token_url": f"{self.url}/token",
                "scopes": ("read", "offline"),
                "oauth_type": "with_rotating_refresh",
                **more,
            }
        )

    def provider1(self) -> OAuthProvider:
        return OAuthProvider(
            name="tracker1",
            request_token_url=f"{self.url}/oauth1/begin",
            authorize_url=f"{self.url}/oauth1/authorize",
            token_url=f"{self.url}/oauth1/token",
            oauth_type="oauth1",
            extra={"name": "Wellhead"},
        )

    def revoke(self) -> None:
        """Let Ann take back what she gave."""
        for one in self.tokens:
            one.revoked = True
        self.consumed.clear()

    def expire(self) -> None:
        for one in self.tokens:
            one.expires_at = 0


@contextmanager
def serve() -> Iterator[AuthorizationServer]:
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # noqa: TID251  # loopback, no TLS
    state = AuthorizationServer()
    http = make_server("127.0.0.1", 0, _app(state), threaded=True)
    state.port = http.server_port
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def _app(state: AuthorizationServer) -> Flask:
    app = Flask("authorization server")
    app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
    _add_oauth2(app, state)
    _add_oauth1(app, state)
    return app


def _client(client_id: str) -> Client | None:
    return Client() if client_id == CLIENT.id else None


def _add_oauth2(  # noqa: C901  # a small function for each thing it is asked
    app: Flask, state: AuthorizationServer
) -> None:
    class CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")

        def save_authorization_code(self, code: str, asked: Any) -> None:
            data = asked.payload.data
            state.codes[code] = Code(
                code,
                asked.payload.redirect_uri,
                asked.payload.scope,
                data.get("code_challenge", ""),
                data.get("code_challenge_method", ""),
            )

        def query_authorization_code(self, code: str, client: Client) -> Code | None:
            return state.codes.get(code)

        def delete_authorization_code(self, code: Code) -> None:
            del state.codes[code.code]

        def authenticate_user(self, code: Code) -> Ann:
            return Ann()

    class Refresh(grants.RefreshTokenGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")

        @property
        def INCLUDE_NEW_REFRESH_TOKEN(self) -> bool:  # noqa: N802  # Authlib's name
            return state.rotates

        def authenticate_refresh_token(self, token: str) -> Token | None:
            state.renewals += 1
            time.sleep(state.renewal_takes_seconds)
            for one in state.tokens:
                if one.refresh_token == token and not (one.revoked or one.is_spent):
                    return one
            return None

        def authenticate_user(self, token: Token) -> Ann:
            return Ann()

        def revoke_old_credential(self, token: Token) -> None:
            token.is_spent = state.rotates

    def save(token: dict[str, Any], asked: Any) -> None:
        state.tokens.append(
            Token(
                token["access_token"],
                token.get("refresh_token"),
                time.time() + state.life_seconds,
                token.get("scope", ""),
            )
        )

    class Machine(grants.ClientCredentialsGrant):  # type: ignore[misc]
        TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "client_secret_post")

    app.config["OAUTH2_TOKEN_EXPIRES_IN"] = dict.fromkeys(
        ("authorization_code", "refresh_token", "client_credentials"), 3600
    )
    server = flask_oauth2.AuthorizationServer(app, _client, save)
    server.register_grant(CodeGrant, [CodeChallenge(required=True)])
    server.register_grant(Refresh)
    server.register_grant(Machine)

    @app.get("/authorize")
    def authorize() -> Any:
        user = None if state.denies else Ann()
        asked = server.get_consent_grant(end_user=user)
        answer = server.create_authorization_response(grant_user=user, grant=asked)
        if state.issuer_told is not None:
            answer.headers["Location"] += f"&iss={state.issuer_told}"
        return answer

    @app.post("/token")
    def token() -> Any:
        if state.broken_with is not None:
            return Response("broken", status=state.broken_with)
        answer = server.create_token_response()
        if answer.is_json and "expires_in" in (found := answer.get_json()):
            more = {"expires_in": state.life_seconds, "instance_url": "https://api"}
            return jsonify({**found, **more})
        return answer

    class Validator(BearerTokenValidator):  # type: ignore[misc]
        def authenticate_token(self, token: str) -> Token | None:
            found = [one for one in state.tokens if one.access_token == token]
            return found[0] if found and not found[0].revoked else None

    guard = flask_oauth2.ResourceProtector()
    guard.register_token_validator(Validator())

    @app.get("/notes")
    @guard()  # type: ignore[untyped-decorator]
    def notes() -> Any:
        state.reads += 1
        return jsonify([{"id": one, "text": f"Note {one}"} for one in NOTES])


def _add_oauth1(  # noqa: C901  # a small function for each thing it is asked
    app: Flask, state: AuthorizationServer
) -> None:
    def begin(token: dict[str, str], client_id: str, back: str) -> TemporaryCredential:
        made = TemporaryCredential({**token, "client_id": client_id})
        made["oauth_callback"] = back
        state.temporary[token["oauth_token"]] = made
        return made

    def verify(credential: TemporaryCredential, user: Ann, verifier: str) -> Any:
        credential["oauth_verifier"] = verifier
        return credential

    def give(token: dict[str, str], _: TemporaryCredential) -> Consumed:
        state.consumed[token["oauth_token"]] = Consumed(token)
        return state.consumed[token["oauth_token"]]

    def was_seen(nonce: str, *more: Any) -> bool:
        seen = (nonce, *map(str, more))
        was = seen in state.nonces
        state.nonces.add(seen)
        return was

    server = flask_oauth1.AuthorizationServer(app, _client)
    server.register_hook("exists_nonce", was_seen)
    server.register_hook("create_temporary_credential", begin)
    server.register_hook("get_temporary_credential", state.temporary.get)
    server.register_hook(
        "delete_temporary_credential", lambda token: state.temporary.pop(token)
    )
    server.register_hook("create_authorization_verifier", verify)
    server.register_hook("create_token_credential", give)
    guard = flask_oauth1.ResourceProtector(
        app, _client, lambda client_id, token: state.consumed.get(token), was_seen
    )

    @app.post("/oauth1/begin")
    def begin_consent() -> Any:
        return server.create_temporary_credentials_response()

    @app.get("/oauth1/authorize")
    def ask_ann() -> Any:
        if state.denies:
            return redirect(request.args["oauth_callback"])
        return server.create_authorization_response(grant_user=Ann())

    @app.post("/oauth1/token")
    def end_consent() -> Any:
        return server.create_token_response()

    @app.get("/oauth1/notes")
    @guard()  # type: ignore[untyped-decorator]
    def signed_notes() -> Any:
        state.reads += 1
        return jsonify([{"id": one, "text": f"Note {one}"} for one in NOTES])

    @app.post("/oauth1/echo")
    @guard()  # type: ignore[untyped-decorator]
    def echo() -> Any:
        return jsonify(request.form)
