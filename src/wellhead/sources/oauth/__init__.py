"""OAuth: how providers grant access, and the access tokens that follow."""
