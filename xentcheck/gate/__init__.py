"""What is asked of a report, what a baseline tolerates, and how a run ends."""
