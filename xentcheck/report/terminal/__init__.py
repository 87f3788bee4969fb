"""Parts of a report on a terminal. They use rich."""
