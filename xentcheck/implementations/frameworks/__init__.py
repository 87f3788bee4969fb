"""Adapters of the functions that people really call, one module per framework.

No adapter module imports its framework.
"""
