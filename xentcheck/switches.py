"""Names of environment variables that users set."""

NO_CACHE = "XENTCHECK_NO_CACHE"
"""Not empty: compiled programs of frameworks are not kept between runs."""
