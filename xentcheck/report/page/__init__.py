"""One HTML file with everything of a report or of a comparison. It asks for nothing from outside.

The first screen is plain HTML. Everything else is stored once, compressed, and a script shows what
the reader asks for.
"""
