"""The one file format of records."""
