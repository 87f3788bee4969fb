"""Audits: plan them, run their parts, confirm the results; check users' own code; probe inputs."""
