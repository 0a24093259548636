"""Tells people: what they want to hear, in words, by whatever service they read."""
