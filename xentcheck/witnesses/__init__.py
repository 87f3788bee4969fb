"""Findings saved for elsewhere: archives of arrays, and scripts that show them again."""
