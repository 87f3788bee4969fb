"""How right the diagnosis is: every fault of the corpus with a known cause against what is claimed.

It is no benchmark of time. ``python -m benchmarks.causes`` runs it and writes what it finds.
"""
