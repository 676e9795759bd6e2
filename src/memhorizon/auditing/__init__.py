"""The audit of a set of samples: which are copies of training items, and how sure is that?

A view of the items hands on `scores`; `statistics` and `evalues` decide which samples are copies; `leaning`
is an answer apart from these.
"""
