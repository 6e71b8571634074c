"""Facts of providers, from their public documentation, by the sources' short names."""

from collections.abc import Mapping
from dataclasses import replace

from wellhead.domain.oauth_provider import OAuthProvider
from wellhead.sources.base import SourceInfo

_GOOGLE = OAuthProvider(
    name="google",
    authorize_url="https://accounts.google.com/o/oauth2/v2/auth",
    token_url="https://oauth2.googleapis.com/token",
    # without them only the first consent of an account brings a refresh token
    extra={"access_type": "offline", "prompt": "consent"},
    issuer="https://accounts.google.com",
)
_GOOGLE_READ = "https://www.googleapis.com/auth/{}.readonly"
_MICROSOFT = OAuthProvider(
    name="microsoft",
    authorize_url="https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
    token_url="https://login.microsoftonline.com/common/oauth2/v2.0/token",
    oauth_type="with_rotating_refresh",
)
_ATLASSIAN = OAuthProvider(
    name="atlassian",
    authorize_url="https://auth.atlassian.com/authorize",
    token_url="https://auth.atlassian.com/oauth/token",
    oauth_type="with_rotating_refresh",
    extra={"audience": "api.atlassian.com", "prompt": "consent"},
    uses_pkce=False,
    body_format="json",
)


def _google(*scopes: str) -> OAuthProvider:
    return replace(_GOOGLE, scopes=tuple(_GOOGLE_READ.format(one) for one in scopes))


def _microsoft(*scopes: str) -> OAuthProvider:
    return replace(_MICROSOFT, scopes=("offline_access", "User.Read", *scopes))


def _atlassian(*scopes: str) -> OAuthProvider:
    return replace(_ATLASSIAN, scopes=("offline_access", "read:me", *scopes))


_ALONE = (
    OAuthProvider(
        name="airtable",
        authorize_url="https://airtable.com/oauth2/v1/authorize",
        token_url="https://airtable.com/oauth2/v1/token",
        scopes=(
            *("data.records:read", "data.recordComments:read"),
            *("schema.bases:read", "user.email:read"),
        ),
        oauth_type="with_rotating_refresh",
        client_auth="basic",
    ),
    OAuthProvider(
        name="asana",
        authorize_url="https://app.asana.com/-/oauth_authorize",
        token_url="https://app.asana.com/-/oauth_token",
        scopes=("default",),
    ),
    OAuthProvider(
        name="bitbucket",
        authorize_url="https://bitbucket.org/site/oauth2/authorize",
        token_url="https://bitbucket.org/site/oauth2/access_token",
        uses_pkce=False,
        client_auth="basic",
    ),
    OAuthProvider(
        name="box",
        authorize_url="https://account.box.com/api/oauth2/authorize",
        token_url="https://api.box.com/oauth2/token",
        oauth_type="with_rotating_refresh",
        uses_pkce=False,
    ),
    OAuthProvider(
        name="clickup",
        authorize_url="https://app.clickup.com/api",
        token_url="https://api.clickup.com/api/v2/oauth/token",
        oauth_type="access_only",
        uses_pkce=False,
    ),
    OAuthProvider(
        name="dropbox",
        authorize_url="https://www.dropbox.com/oauth2/authorize",
        token_url="https://api.dropboxapi.com/oauth2/token",
        scopes=("account_info.read", "files.metadata.read", "files.content.read"),
        extra={"token_access_type": "offline"},
    ),
    OAuthProvider(
        name="github",
        authorize_url="https://github.com/login/oauth/authorize",
        token_url="https://github.com/login/oauth/access_token",
        scopes=("repo", "read:user"),
        oauth_type="access_only",
    ),
    OAuthProvider(
        name="gitlab",
        authorize_url="https://gitlab.com/oauth/authorize",
        token_url="https://gitlab.com/oauth/token",
        scopes=("read_user", "read_api", "read_repository"),
        oauth_type="with_rotating_refresh",
    ),
    OAuthProvider(
        name="hubspot",
        authorize_url="https://app.hubspot.com/oauth/authorize",
        token_url="https://api.hubapi.com/oauth/v1/token",
        scopes=(
            *("oauth", "crm.objects.contacts.read", "crm.objects.companies.read"),
            *("crm.objects.deals.read", "tickets"),
        ),
        uses_pkce=False,
    ),
    OAuthProvider(
        name="intercom",
        authorize_url="https://app.intercom.com/oauth",
        token_url="https://api.intercom.io/auth/eagle/token",
        oauth_type="access_only",
        uses_pkce=False,
    ),
    OAuthProvider(
        name="linear",
        authorize_url="https://linear.app/oauth/authorize",
        token_url="https://api.linear.app/oauth/token",
        scopes=("read",),
        scope_separator=",",
        oauth_type="access_only",
        extra={"prompt": "consent"},
    ),
    OAuthProvider(
        name="monday",
        authorize_url="https://auth.monday.com/oauth2/authorize",
        token_url="https://auth.monday.com/oauth2/token",
        scopes=("me:read", "boards:read", "users:read", "updates:read"),
        oauth_type="access_only",
        uses_pkce=False,
    ),
    OAuthProvider(
        name="notion",
        authorize_url="https://api.notion.com/v1/oauth/authorize",
        token_url="https://api.notion.com/v1/oauth/token",
        oauth_type="with_rotating_refresh",
        extra={"owner": "user"},
        uses_pkce=False,
        client_auth="basic",
        body_format="json",
    ),
    OAuthProvider(
        name="salesforce",
        authorize_url="https://login.salesforce.com/services/oauth2/authorize",
        token_url="https://login.salesforce.com/services/oauth2/token",
        scopes=("api", "refresh_token"),
    ),
    OAuthProvider(
        name="slack",
        authorize_url="https://slack.com/oauth/v2/authorize",
        token_url="https://slack.com/api/oauth.v2.access",
        # what the owner may read: a bot would see only channels it was invited to
        scopes=(
            *("channels:read", "channels:history", "groups:read", "groups:history"),
            *("im:read", "im:history", "mpim:read", "mpim:history", "users:read"),
            "search:read",
        ),
        scope_parameter="user_scope",
        scope_separator=",",
        answer_within="authed_user",
        oauth_type="access_only",
        uses_pkce=False,
    ),
    OAuthProvider(
        name="stripe",
        authorize_url="https://connect.stripe.com/oauth/authorize",
        token_url="https://connect.stripe.com/oauth/token",
        scopes=("read_only",),
        uses_pkce=False,
    ),
    OAuthProvider(
        name="todoist",
        authorize_url="https://todoist.com/oauth/authorize",
        token_url="https://todoist.com/oauth/access_token",
        scopes=("data:read",),
        scope_separator=",",
        oauth_type="access_only",
        uses_pkce=False,
    ),
    OAuthProvider(
        name="trello",
        request_token_url="https://trello.com/1/OAuthGetRequestToken",
        authorize_url="https://trello.com/1/OAuthAuthorizeToken",
        token_url="https://trello.com/1/OAuthGetAccessToken",
        oauth_type="oauth1",
        extra={"name": "Wellhead", "scope": "read", "expiration": "never"},
    ),
    OAuthProvider(
        name="zendesk",
        authorize_url="https://{subdomain}.zendesk.com/oauth/authorizations/new",
        token_url="https://{subdomain}.zendesk.com/oauth/tokens",
        scopes=("read",),
        oauth_type="with_rotating_refresh",
        body_format="json",
    ),
    OAuthProvider(
        name="zoho_crm",
        authorize_url="https://accounts.zoho.com/oauth/v2/auth",
        token_url="https://accounts.zoho.com/oauth/v2/token",
        scopes=("ZohoCRM.modules.READ", "ZohoCRM.users.READ", "ZohoCRM.org.READ"),
        scope_separator=",",
        extra={"access_type": "offline", "prompt": "consent"},
        uses_pkce=False,
    ),
    OAuthProvider(
        name="zoom",
        authorize_url="https://zoom.us/oauth/authorize",
        token_url="https://zoom.us/oauth/token",
        oauth_type="with_rotating_refresh",
        client_auth="basic",
    ),
)

PROVIDERS: Mapping[str, OAuthProvider] = {
    **{one.name: one for one in _ALONE},
    "gmail": _google("gmail"),
    "google_calendar": _google("calendar"),
    "google_docs": _google("drive", "documents"),
    "google_drive": _google("drive"),
    "google_slides": _google("drive", "presentations"),
    "confluence": _atlassian(
        *("read:confluence-content.all", "read:confluence-space.summary"),
        *("read:confluence-content.summary", "read:confluence-props"),
        *("read:confluence-user", "readonly:content.attachment:confluence"),
        "search:confluence",
    ),
    "jira": _atlassian("read:jira-work", "read:jira-user"),
    "onedrive": _microsoft("Files.Read.All"),
    "onenote": _microsoft("Notes.Read"),
    "outlook_calendar": _microsoft("Calendars.Read"),
    "outlook_mail": _microsoft("Mail.Read"),
    "powerpoint": _microsoft("Files.Read.All"),
    "sharepoint": _microsoft("Sites.Read.All", "Files.Read.All"),
    "teams": _microsoft(
        *("Team.ReadBasic.All", "Channel.ReadBasic.All", "ChannelMessage.Read.All"),
        "Chat.Read",
    ),
    "word": _microsoft("Files.Read.All"),
}


def provider_of(info: SourceInfo) -> OAuthProvider | None:
    """Return who gives consent for a source: what it says itself goes first."""
    return info.oauth or PROVIDERS.get(info.short_name)
