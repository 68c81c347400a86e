"""HTTP: what the dialects share is here, what is a dialect's own is in its folder."""
