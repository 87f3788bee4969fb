"""The documentation site: Markdown, and the generators of the pages that are made from the code."""
