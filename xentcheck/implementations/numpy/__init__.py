"""Right and wrong ways to write each loss in NumPy."""
