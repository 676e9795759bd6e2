"""A training as it is watched from inside: is it learning, in the window, or memorizing?

`Monitor` is the one door. Its parts: what a look measures (`signals`, `copies`), when a look is due
(`looks`), what follows from looks (`sequential`, `certificate`, `choice`, `verdict`), what is kept of them
(`sheets`, `keeping`), and what holds the training as it was (`isolation`).
"""
