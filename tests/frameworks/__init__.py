"""Tests of the adapters. Each needs its framework and is skipped, with the reason, without it."""
