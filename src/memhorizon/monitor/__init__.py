"""A training as it is watched from inside: is it learning, in the window, or memorizing?

`Monitor` is the one door; `looking` makes a look, and `concluding` says what follows from it. Their parts:
what a look measures (`probing`, `signals`, `sampling`, `copies`), when one is due (`due`, `looks`), what
follows from looks (`sequential`, `certificate`, `choice`, `verdict`), what is kept of them (`keeper`,
`sheets`), and what holds the training as it was (`isolation`).
"""
