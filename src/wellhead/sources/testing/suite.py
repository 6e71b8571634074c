"""One line of test that buys the whole conformance suite; needs pytest."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from wellhead.sources.conformance import CHECKS, Check, Make
from wellhead.sources.testing.change_checks import (
    keeps_its_memory_flat,
    notices_changes,
    notices_deletes,
    reads_an_empty_account,
    reads_changes_from_every_checkpoint,
)
from wellhead.sources.testing.part_checks import (
    fetches_nothing_as_gone_that_is_there,
    lists_ids_whole_or_not_at_all,
    opens_files_over_trouble,
)
from wellhead.sources.testing.secret_checks import tells_no_secret
from wellhead.sources.testing.stage import stage
from wellhead.sources.testing.trouble_checks import (
    deletes_nothing_that_was_refused,
    does_not_wait_for_ever,
    gets_over_passing_trouble,
    gives_up_on_lasting_trouble,
    names_refused_credentials,
    refuses_to_go_round_in_circles,
    stops_within_a_second,
    waits_as_it_was_told,
)
from wellhead.sources.testing.vendor import Vendor

FEW = 7
VendorCheck = Callable[[type[Vendor]], Awaitable[list[str]]]
Suite = Callable[[str], None]

VENDOR_CHECKS: dict[str, VendorCheck] = {
    check.__name__: check
    for check in (
        reads_an_empty_account,
        notices_changes,
        notices_deletes,
        reads_changes_from_every_checkpoint,
        keeps_its_memory_flat,
        gets_over_passing_trouble,
        gives_up_on_lasting_trouble,
        names_refused_credentials,
        deletes_nothing_that_was_refused,
        lists_ids_whole_or_not_at_all,
        fetches_nothing_as_gone_that_is_there,
        opens_files_over_trouble,
        refuses_to_go_round_in_circles,
        waits_as_it_was_told,
        does_not_wait_for_ever,
        stops_within_a_second,
        tells_no_secret,
    )
}


def vendor_suite(kind: type[Vendor]) -> Suite:
    """Return a test of a source that reads an API, by its vendor in memory.

    test_tracker_conforms = vendor_suite(Tracker)
    """

    @pytest.mark.parametrize("check", [*CHECKS, *VENDOR_CHECKS])
    def test(check: str) -> None:
        if check in VENDOR_CHECKS:
            _judge(VENDOR_CHECKS[check](kind))
        else:
            _judge(_with_few_records(CHECKS[check], kind))

    return test


def source_suite(make: Make) -> Suite:
    """Return a test of any other source: `make` points it at a few things."""

    @pytest.mark.parametrize("check", CHECKS)
    def test(check: str) -> None:
        _judge(CHECKS[check](make))

    return test


async def _with_few_records(check: Check, kind: type[Vendor]) -> list[str]:
    async with stage(kind, records=FEW) as on:
        return await check(on.connect)


def _judge(verdict: Awaitable[list[str]]) -> None:
    async def wait() -> list[str]:
        return await verdict

    wrong = asyncio.run(wait())
    if wrong:
        more = f"\n… and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        pytest.fail("\n".join(wrong[:10]) + more, pytrace=False)
