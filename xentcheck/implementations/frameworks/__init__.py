"""Adapters of what people really call, one module per framework; none imports its framework."""
