"""Views of the items: what an audit compares. Each finds other edits of a copy."""
