"""Adapters of the functions that people really call, one module per framework.

No adapter module imports its framework. The declared functions take tensors or arrays of
the framework, of shape (rows, classes) or (rows,). Their keyword arguments are the parameters of
their loss, and a few that variants set, such as ``axis``.
"""
