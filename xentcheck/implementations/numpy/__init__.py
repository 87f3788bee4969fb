"""The field guide in NumPy: right and wrong ways to write each loss."""
