"""Save findings as archives of arrays, with scripts that reproduce them."""
