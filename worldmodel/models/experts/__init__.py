"""Experts from cheap to rich, and their blend: each earns its weight by what it predicted where the answer is known."""
