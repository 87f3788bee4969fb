"""Report → text or file. Nothing in here prints: the doors do."""
