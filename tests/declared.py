"""A source that people declare; the port of its tracker stands in place of PORT."""

DEFINITION = """\
wellhead: 1
short_name: my_tracker
name: My tracker
description: Tickets.
base_url: http://127.0.0.1:PORT/v1
credentials:
  token: {title: Token, description: Made in the settings.}
auth: {kind: bearer, token: token}
check: {path: /me}
streams:
  tickets:
    type: MyTicket
    list: {path: /tickets, records: tickets}
    name: "{title}"
    text: "{body}"
"""
