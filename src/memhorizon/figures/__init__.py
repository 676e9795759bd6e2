"""Pictures of records: one function per figure, each returns its numbers (.frame()) and drawing (.plot()).

`registry.of(record)` gives all that a record yields. Nothing is imported here: pictures of the theory do
without torch.
"""
