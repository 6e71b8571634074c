"""Every source of an API keeps to the rules, whatever its vendor and the network do."""

from tests.vendors.github import Account
from tests.vendors.notion import Workspace
from tests.vendors.stripe import Stripe

from wellhead.sources.testing import vendor_suite

VENDORS = (Account, Workspace, Stripe)

test_github_conforms = vendor_suite(Account)
test_notion_conforms = vendor_suite(Workspace)
test_stripe_conforms = vendor_suite(Stripe)
