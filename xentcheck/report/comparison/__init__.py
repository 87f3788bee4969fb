"""Writes a comparison of two reports for a terminal, as Markdown and as JSON."""
