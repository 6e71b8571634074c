"""Every source of an API keeps to the rules, whatever its vendor and the network do."""

from tests.vendors.airtable import Airtable
from tests.vendors.github import Account
from tests.vendors.hubspot import HubSpot
from tests.vendors.linear import Linear
from tests.vendors.notion import Workspace
from tests.vendors.slack import Team
from tests.vendors.stripe import Stripe
from tests.vendors.zendesk import Zendesk

from wellhead.sources.testing import vendor_suite

VENDORS = (Account, Workspace, Team, Airtable, HubSpot, Linear, Stripe, Zendesk)

test_github_conforms = vendor_suite(Account)
test_notion_conforms = vendor_suite(Workspace)
test_slack_conforms = vendor_suite(Team)
test_airtable_conforms = vendor_suite(Airtable)
test_hubspot_conforms = vendor_suite(HubSpot)
test_linear_conforms = vendor_suite(Linear)
test_stripe_conforms = vendor_suite(Stripe)
test_zendesk_conforms = vendor_suite(Zendesk)
