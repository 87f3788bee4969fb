"""Reads what comes from outside: YAML, JSON and numbers, with every problem and its place."""
