"""The web console: pages made here, live by server-sent events, without a framework."""
