"""Every source of an API keeps to the rules, whatever its vendor and the network do."""

from tests.vendors.github import Account

from wellhead.sources.testing import vendor_suite

VENDORS = (Account,)

test_github_conforms = vendor_suite(Account)
