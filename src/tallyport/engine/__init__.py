"""Doing the work: visits, batches, parts, and what survives a crash."""
