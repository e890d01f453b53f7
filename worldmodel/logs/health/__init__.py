"""Checks that every recording passes, whatever its format: what is wrong with it, where, and what to do.

`finding` says what a check returns. `clock`, `rates`, `gps`, `values`, `shapes`, `units`, `motion`, `derived`,
`commands`, `frames` hold the checks, each a pure function of a recording. `examination` runs them and does what
they ask for. `copies` compares the recordings of logs. `survey` is of a whole log, which `terminal` and `page` show.
"""
