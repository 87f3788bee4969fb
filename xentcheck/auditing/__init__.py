"""Auditing: a plan, its parts, their run and confirmation; checks of own code; probes."""
