"""Figures of a report: charts as objects of Altair, and as SVG and PNG files.

The HTML page draws the same charts from the same specifications. Altair is in the extra ``html``.
"""
