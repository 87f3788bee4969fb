"""Turns reports into text. Nothing here prints or writes files: the command line does that."""
