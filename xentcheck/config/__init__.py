"""Reads configurations: turns YAML text into a checked `Config`, or raises one `ConfigError` with
every problem.
"""

from xentcheck.config.fields import FIELDS, LABEL_KINDS, Field
from xentcheck.config.reader import load, loads, template

__all__ = ["FIELDS", "LABEL_KINDS", "Field", "load", "loads", "template"]
