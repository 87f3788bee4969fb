"""A mutation run over the parts that everything else believes: see README.md."""
