"""Checks a report against limits and a baseline, compares reports, and decides how a run ends."""
