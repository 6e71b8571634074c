"""What the robots.txt of each server allows, asked once for a read."""

from protego import Protego

from wellhead.domain.errors import CredentialsError, EntityError
from wellhead.sources.open_web import PrivateAddressError, Visitor, decode
from wellhead.sources.open_web.addresses import origin
from wellhead.sources.open_web.visitor import ROBOT

MOST_BYTES = 2 * 2**20
MOST_READ = 500 * 1024
"""What every robot has to read of it, says RFC 9309."""
LONGEST_DELAY_SECONDS = 60.0


class Robots:
    """Asks for it when a server is first met; a server that is ill is not visited."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self.keeps_pace = True
        """Unless somebody is waiting for one answer only."""
        self._rules: dict[str, Protego] = {}

    async def allows(self, url: str) -> bool:
        """Raises RetryableError where the server cannot say: then nobody may enter."""
        rules = await self._of(url)
        return bool(rules.can_fetch(url, ROBOT))

    async def sitemaps(self, url: str) -> list[str]:
        return list((await self._of(url)).sitemaps)

    async def _of(self, url: str) -> Protego:
        base = origin(url)
        if base not in self._rules:
            rules = Protego.parse(await self._text(f"{base}/robots.txt"))
            self._rules[base] = rules
            delay = rules.crawl_delay(ROBOT)
            if delay and self.keeps_pace:
                self._visitor.slow_down(url, min(float(delay), LONGEST_DELAY_SECONDS))
        return self._rules[base]

    async def _text(self, url: str) -> str:
        try:
            _, answer = await self._visitor.follow(url, most_bytes=MOST_BYTES)
        except PrivateAddressError:
            raise
        except (EntityError, CredentialsError):
            return ""  # 4xx: there are no rules
        return decode(answer.body[:MOST_READ])
